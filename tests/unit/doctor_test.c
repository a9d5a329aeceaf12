/* What `lictor doctor` makes of facts: tables of (facts, findings); and the octets it reads. */
#include "doctor/judge.h"
#include "doctor/message.h"
#include "doctor/probes.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Findings as lines "level what"; expected: '|' between lines, each a beginning of the level and words that
 * must be in it in this order, divided by '*'. */
static void expect(const struct facts *facts, judge_fn *judge_one, const char *expected, const char *row)
{
    struct findings findings = {.check = "test", .list = json_array()};
    char *wanted = xstrdup(expected), *rest = wanted, *want;
    const json_t *finding;
    size_t i = 0;
    judge_one(facts, &findings);
    char *dump = json_dumps(findings.list, JSON_INDENT(1));
    while ((want = strsep(&rest, "|")) && want[0]) {
        const char *level =
            json_string_value(json_object_get(finding = json_array_get(findings.list, i++), "level"));
        const char *at = json_string_value(json_object_get(finding, "what"));
        const char *word = strsep(&want, "*");
        if (!level || strcmp(level, word) != 0)
            fail_msg("%s: %s is missing in %s", row, word, dump);
        while (want && (word = strsep(&want, "*"))) {
            at = strstr(at, word);
            if (!at)
                fail_msg("%s: \"%s\" is missing in %s", row, word, dump);
        }
        if (strcmp(level, "warn") == 0 || strcmp(level, "fault") == 0)
            assert_true(json_is_string(json_object_get(finding, "why")) &&
                        json_is_string(json_object_get(finding, "do")));
    }
    if (i != json_array_size(findings.list))
        fail_msg("%s: more than %zu findings: %s", row, i, dump);
    free(dump);
    free(wanted);
    json_decref(findings.list);
}

static json_t *load(const char *text)
{
    json_error_t error;
    json_t *json = text ? json_loads(text, JSON_DECODE_ANY, &error) : NULL;
    if (text && !json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static struct facts *new_facts(void)
{
    struct facts *facts = xcalloc(1, sizeof(*facts));
    facts->consul = facts->services = facts->election = true;
    facts->connections = 96;
    facts->consul_addresses = 1;
    facts->lease = 2 * NS_PER_S;
    snprintf(facts->cluster, sizeof(facts->cluster), "blue");
    return facts;
}

static void answer(struct facts *facts, enum ask which, int status, const char *error, const char *body)
{
    struct consul_fact *fact = &facts->ask[which];
    json_decref(fact->body);
    *fact = (struct consul_fact){.asked = true, .status = status, .body = load(body)};
    snprintf(fact->error, sizeof(fact->error), "%s", error ? error : "");
    snprintf(fact->address, sizeof(fact->address), "http://c:8500");
}

static void consul(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *error, *body;
        int64_t skew;
        const char *expected;
    } table[] = {
        {200, NULL, "\"10.0.0.1:8300\"", 0, "ok*http://c:8500 answers*leader is 10.0.0.1:8300"},
        {200, NULL, "\"10.0.0.1:8300\"", 2, "ok"},
        {200, NULL, "\"10.0.0.1:8300\"", -1, "ok"},
        {200, NULL, "\"10.0.0.1:8300\"", 60, "ok|warn*60 s ahead"},
        {200, NULL, "\"10.0.0.1:8300\"", -3, "ok|warn*3 s behind"},
        {200, NULL, "\"\"", 0, "fault*knows no leader"},
        {200, NULL, "{\"hostile\":1}", 0, "fault*knows no leader"},
        {200, NULL, NULL, 0, "fault*knows no leader"},
        {500, "No cluster leader", NULL, 0, "fault*knows no leader*: No cluster leader"},
        {0, "http://c:8500: refused", NULL, 0, "fault*no answer: http://c:8500: refused"},
        {0, NULL, NULL, 0, "fault*no answer: nothing came in time"},
    };
    struct facts *facts = new_facts();
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        answer(facts, ASK_LEADER, table[i].status, table[i].error, table[i].body);
        facts->ask[ASK_LEADER].skew_s = table[i].skew;
        expect(facts, judge_consul, table[i].expected, table[i].expected);
    }
    facts->consul = false;
    expect(facts, judge_consul, "ok*not used", "not used");
    facts_free(facts);
}

#define AGENT(server, debug) \
    "{\"Config\":{\"NodeName\":\"n1\",\"Server\":" server ",\"Version\":\"1.8.7\"},\"DebugConfig\":{" debug \
    "}}"

static void agent(void **state)
{
    (void)state;
    static const struct {
        bool election;
        int status;
        const char *body, *expected;
    } table[] = {
        {true, 200, AGENT("false", "\"LeaveOnTerm\":false,\"HTTPMaxConnsPerClient\":200"), "ok*n1 (client)"},
        {true, 200, AGENT("false", "\"ConsulRaftHeartbeatTimeout\":\"5s\""), "ok"}, /* not the servers' own */
        {true, 200, AGENT("false", "\"LeaveOnTerm\":true"), "warn*leave_on_terminate"},
        {false, 200, AGENT("false", "\"LeaveOnTerm\":true"), "ok"}, /* nothing of ours hangs on the node */
        {true, 200, AGENT("true", "\"ConsulRaftHeartbeatTimeout\":\"1s\""), "warn*is a Consul server"},
        {false, 200, AGENT("true", "\"ConsulRaftHeartbeatTimeout\":\"1s\""), "ok*n1 (server)"},
        {true, 200, AGENT("true", "\"ConsulRaftHeartbeatTimeout\":\"5s\""),
         "warn*server|warn*multiplier is 5"},
        {true, 200, AGENT("true", "\"ConsulRaftHeartbeatTimeout\":7"), "warn*server"},
        {true, 200, AGENT("false", "\"HTTPMaxConnsPerClient\":100"), "ok"},
        {true, 200, AGENT("false", "\"HTTPMaxConnsPerClient\":99"), "warn*is 99*need 100"},
        {true, 200, AGENT("false", "\"HTTPMaxConnsPerClient\":0"), "ok"}, /* no limit */
        {true, 200, "{\"Config\":{}}", "ok"},
        {true, 200, "[]", "warn*does not tell"},
        {true, 200, NULL, "warn*does not tell"},
        {true, 0, NULL, "warn*does not tell"},
        {true, 403, NULL, ""}, /* told as a right that is missing */
    };
    struct facts *facts = new_facts();
    expect(facts, judge_agent, "", "not asked");
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        facts->election = table[i].election;
        answer(facts, ASK_AGENT, table[i].status, NULL, table[i].body);
        expect(facts, judge_agent, table[i].expected, table[i].body ? table[i].body : "no body");
    }
    facts_free(facts);
}

#define STALE(i)       "{\"OpIndex\":" i ",\"What\":\"failed to set key, index is stale\"}"
#define DENIED(i)      "{\"OpIndex\":" i ",\"What\":\"Permission denied\"}"
#define ERRORS(errors) "{\"Results\":null,\"Errors\":[" errors "]}"

static void all_rights(struct facts *facts)
{
    answer(facts, ASK_TOKEN, 200, NULL, "{\"Policies\":[{\"Name\":\"lictor\"},{\"Name\":\"more\"}]}");
    answer(facts, ASK_AGENT, 200, NULL, AGENT("false", ""));
    answer(facts, ASK_SERVICES, 200, NULL, "{\"consul\":[],\"web\":[]}");
    answer(facts, ASK_NODES, 200, NULL, "[{\"Node\":\"n2\"},{\"Node\":\"n1\"}]");
    answer(facts, ASK_SESSION, 500, "Invalid Behavior setting 'lictor-doctor'", NULL);
    answer(facts, ASK_WRITES, 409, "stale", ERRORS(STALE("0") "," STALE("5")));
}

static void rights(void **state)
{
    (void)state;
    static const struct {
        enum ask which;
        int status;
        const char *error, *body, *expected;
    } table[] = {
        {ASK_AGENT, 403, "Permission denied", NULL, "fault*lacks the right agent_prefix \"\""},
        {ASK_SERVICES, 200, NULL, "{}", "warn*lacks the right service_prefix \"\"*0 services"},
        {ASK_SERVICES, 200, NULL, "{\"lictor\":[]}", "warn*1 services are shown, `consul` is not among"},
        {ASK_SERVICES, 0, "timed out", NULL, "note*service_prefix*timed out"},
        {ASK_NODES, 200, NULL, "[]", "fault*node_prefix \"\""},
        {ASK_NODES, 200, NULL, "[{\"Node\":\"n2\"},{\"Node\":7},5]", "fault*node_prefix \"\""}, /* ours not */
        {ASK_NODES, 200, NULL, "{}", "note*node_prefix*could not be looked at"},
        {ASK_NODES, 403, "Permission denied", NULL, "fault*node_prefix \"\""},
        {ASK_SESSION, 403, "Permission denied", NULL, "fault*session_prefix \"\""},
        {ASK_SESSION, 0, NULL, NULL, "note*session_prefix*no answer in time"},
        {ASK_SESSION, 500, "No cluster leader", NULL, "note*session_prefix*No cluster leader"},
        {ASK_WRITES, 409, "",
         ERRORS(DENIED("0") "," DENIED("1") "," DENIED("2") "," DENIED("3") "," DENIED("4")),
         "fault*key_prefix \"lictor/blue/\""},
        {ASK_WRITES, 409, "", ERRORS(DENIED("2")), "fault*key_prefix \"lictor/blue/\""},
        {ASK_WRITES, 409, "", ERRORS(DENIED("5")), "fault*service \"lictor\""},
        {ASK_WRITES, 409, "", ERRORS(DENIED("0") "," DENIED("5")),
         "fault*key_prefix|fault*service \"lictor\""},
        {ASK_WRITES, 403, "Permission denied", NULL, "fault*key_prefix|fault*service \"lictor\""},
        {ASK_WRITES, 200, NULL, "{}", "note*key_prefix"},
        {ASK_TOKEN, 401, "ACL support disabled", NULL, ""},
        {ASK_TOKEN, 403, "ACL not found", NULL, ""}, /* judge_token says it */
        {ASK_TOKEN, 403, "Permission denied", NULL, "ok"},
    };
    struct facts *facts = new_facts();
    expect(facts, judge_rights, "", "not asked");
    all_rights(facts);
    expect(facts, judge_rights, "ok", "all");
    expect(facts, judge_token, "ok*lictor, more", "all");
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        all_rights(facts);
        answer(facts, table[i].which, table[i].status, table[i].error, table[i].body);
        expect(facts, judge_rights, table[i].expected, table[i].expected);
    }
    answer(facts, ASK_TOKEN, 403, "ACL not found", NULL);
    expect(facts, judge_token, "fault*does not know the token", "unknown token");
    answer(facts, ASK_TOKEN, 401, "ACL support disabled", NULL);
    expect(facts, judge_token, "ok*ACLs are off", "off");
    facts_free(facts);
}

#define MEMBER(node, address, ready) \
    "{\"node\":\"" node "\",\"address\":\"" address "\",\"ready\":" ready ",\"reason\":\"zone x\"}"
#define ROLE(primary, members) "{\"reason\":\"why\",\"primary\":" primary ",\"members\":[" members "]}"
#define NS1                    "{\"node\":\"ns1\",\"lease_ms\":2000}"

static void members(void **state)
{
    (void)state;
    static const struct {
        judge_fn *judge;
        const char *role, *expected;
    } table[] = {
        {judge_members,
         ROLE(NS1, MEMBER("ns1", "192.0.2.1:53", "true") "," MEMBER("ns2", "192.0.2.2:53", "true")),
         "ok*2 members"},
        {judge_members, ROLE(NS1, MEMBER("ns1", "192.0.2.1:53", "true")), "note*ns1 is the only"},
        {judge_members, ROLE(NS1, MEMBER("ns1", "a", "true") "," MEMBER("ns2", "b", "false")),
         "warn*ns2 is not ready: zone x"},
        {judge_members, ROLE("null", MEMBER("ns1", "a", "true") "," MEMBER("ns2", "b", "true")),
         "ok|warn*no primary: why"},
        {judge_members, ROLE("null", ""), "fault*no member is known|warn*no primary"},
        {judge_members, "[]", "fault|warn"},
        {judge_members,
         "{\"paused\":{\"who\":\"ns1\",\"why\":\"disks\"},\"primary\":" NS1
         ",\"members\":[" MEMBER("ns1", "a", "true") "]}",
         "note|warn*ns1 paused the cluster: disks"},
        {judge_addresses,
         ROLE(NS1, MEMBER("ns1", "192.0.2.1:53", "true") "," MEMBER("ns2", "[2001:db8::1]:53", "true")), ""},
        {judge_addresses,
         ROLE(NS1, MEMBER("ns1", "127.0.0.1:53", "true") "," MEMBER("ns2", "[::1]:54", "true")), ""},
        {judge_addresses,
         ROLE(NS1, MEMBER("ns1", "127.0.0.1:53", "true") "," MEMBER("ns2", "192.0.2.2:53", "true")),
         "warn*ns1 advertises the loopback"},
        {judge_addresses,
         ROLE(NS1, MEMBER("ns1", "192.0.2.1:53", "true") "," MEMBER("ns2", "192.0.2.1:53", "true")),
         "warn*ns1 and ns2 advertise one address"},
        {judge_addresses, ROLE(NS1, MEMBER("ns1", "", "true") "," MEMBER("ns2", "", "true")),
         "warn*ns1 advertises no|warn*ns2 advertises no"},
        {judge_lease, ROLE(NS1, ""), ""},
        {judge_lease, ROLE("{\"node\":\"ns2\",\"lease_ms\":5000}", ""), "warn*ours is 2s*ns2 is 5s"},
        {judge_lease, ROLE("null", ""), ""},
    };
    struct facts *facts = new_facts();
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        json_decref(facts->role);
        facts->role = load(table[i].role);
        expect(facts, table[i].judge, table[i].expected, table[i].role);
    }
    facts_free(facts);
}

static void lease(void **state)
{
    (void)state;
    static const struct {
        int lease_ms, slowest_ms;
        const char *expected;
    } table[] = {
        {2000, 1, "ok*leaves 3 confirmations"},
        {2000, 500, "ok*leaves 3"},
        {2000, 501, "warn*leaves 2 confirmations"},
        {2000, 1500, "warn*leaves 1"},
        {2000, 1501, "fault*leaves 0"},
        {2000, 4000, "fault*leaves 0"},
        {999, 1, "warn*is short|ok*leaves 3"},
        {1000, 1, "ok"},
        {50000, 1, "ok"},
        {50001, 1, "warn*is long|ok"},
    };
    struct facts *facts = new_facts();
    facts->confirm_count = 3;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        facts->lease = table[i].lease_ms * NS_PER_MS;
        facts->confirm[0] = table[i].slowest_ms * NS_PER_MS; /* wherever it stands */
        facts->confirm[1] = facts->confirm[2] = NS_PER_MS;
        expect(facts, judge_lease, table[i].expected, table[i].expected);
    }
    facts->confirm_count = 0;
    facts->lease = 2 * NS_PER_S;
    answer(facts, ASK_LEADER, 200, NULL, "\"x\"");
    expect(facts, judge_lease, "note*no consistent read", "none measured");
    facts_free(facts);
}

static struct probe *probe(struct facts *facts, const char *node, uint16_t type)
{
    struct probe *probe = &facts->probe[facts->probe_count++];
    memset(probe, 0, sizeof(*probe));
    assert_int_equal(sockaddr_parse("127.0.0.1:53", &probe->to, NULL), 0);
    snprintf(probe->node, sizeof(probe->node), "%s", node);
    probe->type = type;
    probe->state = PROBE_ANSWERED;
    probe->reply.ede = DNS_EDE_NONE;
    return probe;
}

static void serial(struct facts *facts, const char *node, uint32_t value)
{
    struct probe *soa = probe(facts, node, DNS_SOA), *txt = probe(facts, node, DNS_TXT);
    soa->reply.has_serial = value != 0;
    soa->reply.serial = value;
    txt->reply.rcode = DNS_REFUSED;
}

static void serials(void **state)
{
    (void)state;
    struct facts *facts = new_facts();
    facts->zone_count = 1;
    facts->zone[0].serial = 5;
    snprintf(facts->zone[0].text, sizeof(facts->zone[0].text), "example.com");
    expect(facts, judge_serials, "", "alone");
    serial(facts, "ns2", 5);
    expect(facts, judge_serials, "ok*one serial*: 1", "equal");
    serial(facts, "ns3", 4);
    expect(facts, judge_serials, "warn*example.com differ*instance has 5, ns2 has 5, ns3 has 4", "differ");
    facts->probe_count = 0;
    serial(facts, "ns2", 0);
    expect(facts, judge_serials, "note*ns2 does not say", "a standby that refuses");
    struct probe *txt = &facts->probe[1];
    static const struct {
        const char *txt, *expected;
    } table[] = {
        {"serial=5 records=9 source=file", "ok"},
        {"serial=6 records=9", "warn*ns2 has 6"},
        {"serial=", "note"},
        {"serial=99999999999", "note"},
        {"records=9", "note"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        snprintf(txt->reply.txt, sizeof(txt->reply.txt), "%s", table[i].txt);
        expect(facts, judge_serials, table[i].expected, table[i].txt);
    }
    facts->probe[0].state = txt->state = PROBE_SILENT;
    expect(facts, judge_serials, "note*ns2 does not answer", "silent");
    facts_free(facts);
}

static void answers(void **state)
{
    (void)state;
    struct facts *facts = new_facts();
    facts->zone_count = 1;
    snprintf(facts->zone[0].text, sizeof(facts->zone[0].text), "example.com");
    struct probe *own = probe(facts, "", DNS_SOA);
    own->reply.has_serial = true;
    expect(facts, judge_answers, "ok*all zones (1)", "answers");
    own->reply.has_serial = false;
    own->reply.rcode = DNS_REFUSED;
    own->reply.ede = DNS_EDE_NOT_AUTHORITATIVE;
    expect(facts, judge_answers, "ok*standby", "a standby refuses");
    own->reply.rcode = DNS_SERVFAIL;
    own->reply.ede = DNS_EDE_NOT_READY;
    snprintf(own->reply.ede_text, sizeof(own->reply.ede_text), "no content yet");
    expect(facts, judge_answers, "fault*127.0.0.1:53 (UDP) answers SERVFAIL for example.com: no content",
           "held");
    own->state = PROBE_SILENT;
    own->tcp = true;
    expect(facts, judge_answers, "fault*127.0.0.1:53 (TCP) does not answer*nothing came in time", "silent");
    snprintf(own->error, sizeof(own->error), "Connection refused");
    expect(facts, judge_answers, "fault*Connection refused", "refused");
    facts->probes_left_out = true;
    expect(facts, judge_answers, "fault|note*the first 1 zones", "left out");
    facts_free(facts);
}

static void updates(void **state)
{
    (void)state;
    struct facts *facts = new_facts();
    expect(facts, judge_updates, "", "none");
    facts->updated = 2;
    expect(facts, judge_updates, "warn*no `peer-key`", "nothing is handed on");
    facts->peer_key = true;
    expect(facts, judge_updates, "ok*2 zones", "all well");
    facts->updated_unsigned = 1;
    snprintf(facts->unsigned_zone, sizeof(facts->unsigned_zone), "example.com");
    expect(facts, judge_updates, "warn*`update` of example.com admits addresses", "unsigned");
    facts_free(facts);
}

static void name_servers(void **state)
{
    (void)state;
    static const struct {
        bool election, inside;
        const char *address, *expected;
    } table[] = {
        {true, true, "192.0.2.1", "ok*a member's"},
        {true, true, "2001:db8::1", "ok"},
        {true, true, "192.0.2.10", "note*ns9.example.com (192.0.2.10), which is no member"},
        {true, true, "", "warn*ns9.example.com, which has no address"},
        {false, true, "192.0.2.10", "ok"},
        {false, true, "", "warn*no address"},
        {true, false, "", "ok"}, /* another's zone: not ours to know */
    };
    struct facts *facts = new_facts();
    expect(facts, judge_name_servers, "note*builder", "not known");
    facts->ns_known = true;
    expect(facts, judge_name_servers, "", "none");
    facts->role =
        load(ROLE(NS1, MEMBER("ns1", "192.0.2.1:53", "true") "," MEMBER("ns2", "[2001:db8::1]:53", "true")));
    facts->ns_count = 1;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct ns_fact *ns = &facts->ns[0];
        memset(ns, 0, sizeof(*ns));
        facts->election = table[i].election;
        ns->inside = table[i].inside;
        ns->address_count = table[i].address[0] != '\0';
        snprintf(ns->zone, sizeof(ns->zone), "example.com");
        snprintf(ns->name, sizeof(ns->name), "ns9.example.com");
        snprintf(ns->address[0], MESSAGE_ADDRESS, "%s", table[i].address);
        expect(facts, judge_name_servers, table[i].expected, table[i].expected);
    }
    facts_free(facts);
}

static void system_and_process(void **state)
{
    (void)state;
    struct facts *facts = new_facts();
    expect(facts, judge_state_dir, "fault*cannot be written", "state-dir");
    facts->state_writable = true;
    expect(facts, judge_state_dir, "warn*0 MiB", "full");
    facts->state_free = UINT64_C(1) << 30;
    expect(facts, judge_state_dir, "ok*1024 MiB", "room");
    facts->files_limit = 4096;
    facts->files_open = 3276;
    expect(facts, judge_files, "ok", "files");
    facts->files_open++;
    expect(facts, judge_files, "warn*3277 of 4096", "files");
    facts->files_open = 10;
    facts->files_limit = 1000;
    expect(facts, judge_files, "warn*only 1000", "files");
    expect(facts, judge_control, "warn*is gone", "control");
    facts->control_mode = 0660;
    expect(facts, judge_control, "ok*0660", "control");
    facts->control_mode = 0666;
    expect(facts, judge_control, "warn*everybody", "control");
    expect(facts, judge_user, "ok", "user");
    facts->root = true;
    expect(facts, judge_user, "warn*root", "user");
    facts->drops_count = 2;
    expect(facts, judge_udp, "ok", "udp");
    facts->drops[1].drops = 7;
    expect(facts, judge_udp, "warn*dropped 7", "udp");
    expect(facts, judge_clock, "note*not synchronised", "clock");
    facts->clock_synchronised = true;
    expect(facts, judge_clock, "ok", "clock");
    facts->longest_turn = 20 * NS_PER_MS;
    expect(facts, judge_loop, "ok*20ms", "loop");
    facts->longest_turn++;
    expect(facts, judge_loop, "warn", "loop");
    expect(facts, judge_builder, "ok", "builder");
    facts->builder_busy = 3 * NS_PER_S;
    expect(facts, judge_builder, "note*3s", "builder");
    facts->builder_busy = 31 * NS_PER_S;
    expect(facts, judge_builder, "fault*31s", "builder");
    facts_free(facts);
}

static void whole_result(void **state)
{
    (void)state;
    struct facts *facts = new_facts();
    json_t *result = judge(facts);
    size_t count = json_array_size(json_object_get(result, "findings"));
    assert_true(count >= 10);
    assert_true(json_integer_value(json_object_get(result, "faults")) > 0);
    for (size_t i = 0; i < check_count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(checks[i].name, checks[k].name);
    json_decref(result);
    facts_free(facts);
}

static void udp_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *local; /* NULL: none */
        uint64_t drops;
    } table[] = {
        {"  105: 0100007F:21CD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 50981 "
         "2 "
         "0000000000000000 13  \n",
         "127.0.0.1:8653", 13},
        {" 7: 00000000000000000000000001000000:21CD 00000000000000000000000000000000:0000 07 "
         "00000000:00000000 00:00000000 00000000     0        0 5 2 0000000000000000 0\n",
         "[::1]:8653", 0},
        {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode "
         "ref pointer drops \n",
         NULL, 0},
        {"", NULL, 0},
        {" 1: 0100007F:21CD", NULL, 0},
        {" 1: 0100007F 5\n", NULL, 0},
        {" 1: 0100007F:21CD 5x\n", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct sockaddr_storage local;
        uint64_t drops;
        char text[SOCKADDR_TEXT];
        assert_int_equal(udp_line(table[i].line, &local, &drops), table[i].local != NULL);
        if (!table[i].local)
            continue;
        assert_string_equal(sockaddr_format(&local, text), table[i].local);
        assert_true(drops == table[i].drops);
    }
}

/* ---- messages ---- */

static const uint8_t example[] = "\7example\3com";

/* A reply to example.com SOA: the SOA with a compressed name, and EDE 20 with a text. */
static size_t soa_reply(uint8_t out[512])
{
    static const uint8_t soa[] =
        "\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x18\xc0\x0c\xc0\x0c\0\0\0\5\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4";
    static const uint8_t opt[] = "\0\0\x29\4\xd0\1\0\0\0\0\x0b\0\x0f\0\7\0\x14"
                                 "ns1\x1b.";
    size_t len = message_query(0x1234, example, DNS_SOA, out) - 11;
    memcpy(out + len, soa, sizeof(soa) - 1);
    len += sizeof(soa) - 1;
    memcpy(out + len, opt, sizeof(opt) - 1);
    len += sizeof(opt) - 1;
    out[2] = 0x84;
    put16(out + 6, 1);
    return len;
}

static void messages(void **state)
{
    (void)state;
    uint8_t data[512];
    struct message reply;
    size_t len = soa_reply(data);
    assert_int_equal(message_parse(data, len, 0x1234, example, DNS_SOA, &reply), 0);
    assert_true(reply.has_serial);
    assert_int_equal(reply.serial, 5);
    assert_int_equal(reply.rcode, 16); /* the upper bits stand in OPT */
    assert_int_equal(reply.ede, DNS_EDE_NOT_AUTHORITATIVE);
    assert_string_equal(reply.ede_text, "ns1?.");

    assert_int_equal(message_parse(data, len, 0x1235, example, DNS_SOA, &reply), -1);
    assert_int_equal(message_parse(data, len, 0x1234, example, DNS_NS, &reply), -1);
    assert_int_equal(message_parse(data, len, 0x1234, (const uint8_t *)"\3com", DNS_SOA, &reply), -1);
    for (size_t cut = 0; cut < len; cut++) { /* in memory of its own, for ASan */
        uint8_t *part = xmemdup(data, cut ? cut : 1);
        assert_int_equal(message_parse(part, cut, 0x1234, example, DNS_SOA, &reply), -1);
        free(part);
    }
    data[2] &= 0x7f; /* a query */
    assert_int_equal(message_parse(data, len, 0x1234, example, DNS_SOA, &reply), -1);
}

/* ---- probes ---- */

static int mute_socket(struct sockaddr_storage *address, int type)
{
    int fd = socket(AF_INET, type, 0);
    socklen_t len = sizeof(*address);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    memset(address, 0, sizeof(*address));
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

static void on_probes(void *arg)
{
    event_base_loopbreak(arg);
}

/* Nobody there, or nobody who says anything: the end comes in time, and says which it was. */
static void silent_probes(void **state)
{
    (void)state;
    struct event_base *base = event_base_new();
    struct probe *list = xcalloc(4, sizeof(*list));
    int udp = mute_socket(&list[0].to, SOCK_DGRAM), tcp = mute_socket(&list[1].to, SOCK_STREAM);
    assert_int_equal(listen(tcp, 1), 0);
    close(mute_socket(&list[2].to, SOCK_DGRAM));
    close(mute_socket(&list[3].to, SOCK_STREAM));
    list[1].tcp = list[3].tcp = true;
    nstime begin = clock_boot();
    struct probes *probes = probes_start(base, list, 4, 300 * NS_PER_MS, on_probes, base);
    event_base_dispatch(base);
    probes_free(probes);
    assert_true(clock_boot() - begin < 2 * NS_PER_S);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(list[i].state, PROBE_SILENT);
    assert_string_equal(list[0].error, "");
    assert_string_equal(list[1].error, "");
    assert_string_equal(list[2].error, "Connection refused");
    assert_string_equal(list[3].error, "Connection refused");
    probes = probes_start(base, list, 0, NS_PER_S, on_probes, base); /* none: done at once, but later */
    event_base_dispatch(base);
    probes_free(probes);
    probes_free(probes_start(base, list, 4, NS_PER_S, on_probes, base)); /* cancelled */
    close(udp);
    close(tcp);
    free(list);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(consul),
        cmocka_unit_test(agent),
        cmocka_unit_test(rights),
        cmocka_unit_test(members),
        cmocka_unit_test(lease),
        cmocka_unit_test(serials),
        cmocka_unit_test(answers),
        cmocka_unit_test(name_servers),
        cmocka_unit_test(updates),
        cmocka_unit_test(whole_result),
        cmocka_unit_test(system_and_process),
        cmocka_unit_test(udp_lines),
        cmocka_unit_test(messages),
        cmocka_unit_test(silent_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
