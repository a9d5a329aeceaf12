/* lictord.conf: what is accepted and what it means; every fault with its line and its words. */
#include "lictor/config.h"
#include "lictor/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static char folder[] = "/tmp/lictor-config-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

/* Parses as `<folder>/lictord.conf`; what went to faults is handed out as a string to free. */
static struct config *parse_len(const char *text, size_t len, char **faults)
{
    struct buf out = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/lictord.conf", folder);
    struct config *config = config_parse(path, text, len, &out);
    *faults = buf_steal(&out);
    return config;
}

static struct config *good(const char *text)
{
    char *faults;
    struct config *config = parse_len(text, strlen(text), &faults);
    if (!config)
        fail_msg("refused:\n%s\n%s", text, faults);
    assert_string_equal(faults, "");
    free(faults);
    return config;
}

/* wanted: lines `LINE: text`, each the beginning of one fault; "-" for no line. */
static void check_faults(const char *text, size_t len, const char *wanted)
{
    char *faults, *rest, *wanted_rest = NULL, *wants = strdup(wanted), path[256];
    struct config *config = parse_len(text, len, &faults);
    if (config)
        fail_msg("accepted:\n%s", text);
    snprintf(path, sizeof(path), "%s/lictord.conf:", folder);
    rest = faults;
    for (char *want = strtok_r(wants, "\n", &wanted_rest); want; want = strtok_r(NULL, "\n", &wanted_rest)) {
        char *end = strchr(rest, '\n');
        if (!end)
            fail_msg("no fault `%s` for:\n%s\nbut:\n%s", want, text, faults);
        *end = '\0';
        if (strncmp(rest, path, strlen(path)))
            fail_msg("no path before: %s", rest);
        const char *fault = rest + strlen(path);
        if (*want == '-') {
            want++;
            assert_int_equal(*fault++, ' ');
        }
        if (strncmp(fault, want, strlen(want)))
            fail_msg("wanted `%s`, got `%s` for:\n%s", want, fault, text);
        rest = end + 1;
    }
    if (*rest)
        fail_msg("unexpected: %s for:\n%s", rest, text);
    free(wants);
    free(faults);
}

/* --- what is accepted ----------------------------------------------------------------------------- */

static void the_design_example_is_accepted(void **state)
{
    (void)state;
    struct config *c =
        good("node   = \"ns1\"                          # this instance; default: the host name\n"
             "listen = {\"127.0.0.1:8653\", \"[::1]:8653\"}   # UDP and TCP\n"
             "workers = 0                             # 0: one a CPU\n"
             "state-dir = \"/var/lib/lictor\"\n"
             "http    = \"127.0.0.1:8654\"\n"
             "control = \"/run/lictor/control.sock\"\n"
             "\n"
             "consul {\n"
             "  address = \"http://127.0.0.1:8500\"     # several allowed\n"
             "  token-file = \"\"\n"
             "  datacenter = \"\"\n"
             "  stale-for = \"24h\"\n"
             "}\n"
             "services {\n"
             "  domain = \"consul\"    alt-domain = \"\"\n"
             "  node-ttl = \"0s\"      service-ttl = {\"web=10s\", \"db-*=5s\", \"*=0s\"}    negative-ttl = "
             "\"3s\"\n"
             "  only-passing = false\n"
             "  answers = 40\n"
             "  watch = \"all\"\n"
             "  reverse = {}\n"
             "  compat = \"none\"\n"
             "  ns = {}\n"
             "}\n"
             "election {\n"
             "  cluster = \"default\"\n"
             "  lease = \"2s\"\n"
             "  standby = \"strict\"\n"
             "  candidate = true    priority = 7\n"
             "  advertise = \"192.0.2.1:53\"\n"
             "}\n"
             "key \"xfr.example.\" { algorithm = \"hmac-sha256\"  secret-file = \"xfr.key\" }\n"
             "zone \"Example.com\" {\n"
             "  file = \"example.com.zone\"\n"
             "  store = \"file\"\n"
             "}\n"
             "action \"hello\" {\n"
             "  when = \"service Web is critical\"\n"
             "  run = {\"/bin/sh\", \"-c\", \"echo ${HOME} 'x' \\\"y\\\"\"}\n"
             "  timeout = \"1m\"\n"
             "}\n");
    assert_string_equal(c->node, "ns1");
    assert_int_equal(c->listen_count, 2);
    assert_int_equal(c->listen[0].ss_family, AF_INET);
    assert_int_equal(ntohs(((struct sockaddr_in *)&c->listen[0])->sin_port), 8653);
    assert_int_equal(c->listen[1].ss_family, AF_INET6);
    assert_true(c->workers >= 1);
    assert_string_equal(c->state_dir, "/var/lib/lictor");
    assert_string_equal(c->http, "127.0.0.1:8654");
    assert_string_equal(c->control, "/run/lictor/control.sock");
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);

    assert_true(c->consul.configured);
    assert_int_equal(c->consul.addresses.count, 1);
    assert_string_equal(c->consul.addresses.items[0], "http://127.0.0.1:8500");
    assert_null(c->consul.token_file);
    assert_null(c->consul.datacenter);
    assert_true(c->consul.tls_verify);
    assert_int_equal(c->consul.stale_for, 24 * 3600 * NS_PER_S);

    assert_true(c->services.enabled);
    assert_memory_equal(c->services.domain, "\6consul", 8);
    assert_false(c->services.has_alt_domain);
    assert_int_equal(c->services.negative_ttl, 3 * NS_PER_S);
    assert_int_equal(c->services.answers, 40);

    assert_true(c->election.enabled);
    assert_int_equal(c->election.lease, 2 * NS_PER_S);
    assert_int_equal(c->election.standby, GATE_STRICT);
    assert_int_equal(c->election.priority, 7);
    assert_string_equal(c->election.advertise, "192.0.2.1:53");
    assert_null(c->election.peer_key);

    assert_int_equal(c->key_count, 1);
    assert_memory_equal(c->keys[0].name, "\3xfr\7example", 13);
    assert_int_equal(c->keys[0].line, 31);

    char path[256];
    snprintf(path, sizeof(path), "%s/example.com.zone", folder);
    assert_int_equal(c->zone_count, 1);
    assert_memory_equal(c->zones[0].apex, "\7example\3com", 13);
    assert_string_equal(c->zones[0].file, path);
    assert_false(c->zones[0].store_kv);
    assert_int_equal(c->zones[0].line, 32);

    assert_int_equal(c->action_count, 1);
    assert_string_equal(c->actions[0].name, "hello");
    assert_int_equal(c->actions[0].when, WHEN_SERVICE);
    assert_string_equal(c->actions[0].service, "web");
    assert_int_equal(c->actions[0].status, STATUS_CRITICAL);
    assert_string_equal(c->actions[0].run[0], "/bin/sh");
    assert_string_equal(c->actions[0].run[2], "echo ${HOME} 'x' \"y\""); /* nothing of the environment */
    assert_null(c->actions[0].run[3]);
    assert_int_equal(c->actions[0].timeout, 60 * NS_PER_S);
    assert_null(c->actions[0].user);
    config_free(c);
}

static void an_empty_file_means_the_defaults(void **state)
{
    (void)state;
    static const char *const empty[] = {"",   "\n", "# only a comment", "/* or\n this */", "\xef\xbb\xbf\r\n",
                                        "//x"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct config *c = good(empty[i]);
        char host[256] = "";
        gethostname(host, sizeof(host) - 1);
        assert_string_equal(c->node, host);
        assert_int_equal(c->listen_count, 2);
        assert_string_equal(c->http, "127.0.0.1:8654");
        assert_false(c->consul.configured);
        assert_false(c->services.enabled);
        assert_memory_equal(c->services.domain, "\6consul", 8);
        assert_int_equal(c->services.answers, 40);
        assert_false(c->election.enabled);
        assert_string_equal(c->election.cluster, "default");
        assert_int_equal(c->election.lease, 2 * NS_PER_S);
        assert_int_equal(c->election.standby, GATE_REFUSE);
        assert_true(c->election.candidate);
        assert_int_equal(c->election.priority, 100);
        assert_int_equal(strlen(c->hash), 64);
        config_free(c);
    }
}

static void spellings_are_equal(void **state)
{
    (void)state;
    struct config *c =
        good("node = ns1 workers = \"3\" http = '' user = \"\" log = debug inspect-from = 192.0.2.1\n"
             "listen = 127.0.0.1:53\n"
             "services{only-passing=yes answers=0}/* a\n comment */ consul{address={}}\n"
             "election { candidate = off lease = 500ms }");
    assert_string_equal(c->node, "ns1");
    assert_int_equal(c->workers, 3);
    assert_null(c->http);
    assert_null(c->user);
    assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->inspect_from.count, 1);
    assert_int_equal(c->listen_count, 1);
    assert_true(c->services.only_passing);
    assert_int_equal(c->services.answers, 0);
    assert_false(c->election.candidate);
    assert_int_equal(c->election.lease, 500 * NS_PER_MS);
    assert_string_equal(c->election.advertise, "127.0.0.1:53"); /* loopback serves peers on this host */
    config_free(c);

    c = good("listen = {\"127.0.0.1:53\", \"198.51.100.1:53\", \"[2001:db8::1]:53\"} election { }");
    assert_string_equal(c->election.advertise, "198.51.100.1:53");
    config_free(c);
    c = good("listen = \"[2001:DB8::0:1]:5353\" election { }");
    assert_string_equal(c->election.advertise, "[2001:db8::1]:5353");
    config_free(c);
}

static void service_ttl_rules(void **state)
{
    (void)state;
    struct config *c =
        good("services { service-ttl = {\"Web=10s\", \"db-*=5s\", \"db-main-*=1m\", \"*=1s\", \"a=b=2s\"} }");
    static const struct {
        const char *name;
        uint32_t ttl;
    } table[] = {{"web", 10}, {"web2", 1},       {"db-x", 5}, {"db-", 5},
                 {"db", 1},   {"db-main-1", 60}, {"a=b", 2},  {"", 1}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(config_service_ttl(&c->services, table[i].name), table[i].ttl);
    config_free(c);
    c = good("services { service-ttl = \"web=10s\" }");
    assert_int_equal(config_service_ttl(&c->services, "db"), 0);
    config_free(c);
    /* by suffix, and by tag */
    c = good("services { service-ttl = {\"*-db=7s\", \"app-*=6s\", \"Canary.web=1s\", \"canary.*=2s\", "
             "\"*.api=3s\", \"*=9s\"} }");
    static const struct {
        const char *tag, *name;
        int ttl; /* -1: no rule of the tag */
    } tags[] = {{NULL, "my-db", 7},       {NULL, "-db", 7},    {NULL, "db", 9},     {NULL, "app-db", 6},
                {"canary", "web", 1},     {"blue", "web", -1}, {"canary", "db", 2}, {"blue", "api", 3},
                {"v1.canary", "web", -1}, {"canary", "api", 2} /* equal lengths would be the prefix's */};
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        uint32_t ttl = 0;
        bool found = true;
        if (tags[i].tag)
            found = config_tag_ttl(&c->services, tags[i].tag, tags[i].name, &ttl);
        else
            ttl = config_service_ttl(&c->services, tags[i].name);
        assert_int_equal(found ? (int)ttl : -1, tags[i].ttl);
    }
    config_free(c);
}

static void service_blocks(void **state)
{
    (void)state;
    struct config *c = good("services {\n answers = 7 only-passing = true service-ttl = {\"db-*=5s\"}\n"
                            " service \"*\" { order = random txt = true }\n"
                            " service \"DB-*\" { answers = 1 order = fixed last-resort = all }\n"
                            " service \"db-main\" { ttl = 1m only-passing = false last-resort = nodata\n"
                            "                      metadata = false datacenters = {\"DC2\", dc-3} }\n"
                            " service \"*-far\" { order = nearest } }");
    struct config_service s = config_service(&c->services, "db-main");
    assert_int_equal(s.answers, 1);
    assert_int_equal(s.order, CONFIG_ORDER_FIXED);
    assert_int_equal(s.last_resort, CONFIG_LAST_NODATA);
    assert_int_equal(s.ttl, 60 * NS_PER_S);
    assert_false(s.only_passing);
    assert_false(s.metadata);
    assert_true(s.txt);
    assert_int_equal(s.datacenters.count, 2);
    assert_string_equal(s.datacenters.items[0], "dc2");
    assert_string_equal(s.datacenters.items[1], "dc-3");
    s = config_service(&c->services, "db-2");
    assert_int_equal(s.last_resort, CONFIG_LAST_ALL);
    assert_int_equal(s.ttl, 5 * NS_PER_S);
    assert_true(s.only_passing && s.metadata);
    s = config_service(&c->services, "db-far"); /* `*-far` has four letters, `db-*` three */
    assert_int_equal(s.order, CONFIG_ORDER_NEAREST);
    assert_int_equal(s.answers, 1);
    s = config_service(&c->services, "web");
    assert_int_equal(s.order, CONFIG_ORDER_RANDOM);
    assert_int_equal(s.answers, 7);
    assert_int_equal(s.last_resort, CONFIG_LAST_NXDOMAIN);
    assert_true(config_wants_nearest(&c->services));
    struct config_services copy;
    config_services_copy(&copy, &c->services);
    config_free(c);
    s = config_service(&copy, "db-main");
    assert_string_equal(s.datacenters.items[1], "dc-3");
    assert_false((s.set & CONFIG_SERVICE_ANSWERS) == 0);
    config_services_free(&copy);
    c = good("services { }");
    s = config_service(&c->services, "web");
    assert_int_equal(s.order, CONFIG_ORDER_WEIGHTED);
    assert_int_equal(s.answers, 40);
    assert_false(config_wants_nearest(&c->services));
    config_free(c);
}

/* --- faults --------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *faults;
} faults_table[] = {
    /* syntax: the first one */
    {"node", "1: the file ends in the middle"},
    {"\nnode =\n\n# x\n", "2: the file ends"},
    {"\nnode = \"x", "2: the string that begins here has no closing \" on its line"},
    {"node = 'x\n'", "1: the string that begins here has no closing ' on its line"},
    {"node = \"a\\q\"", "1: `\\q` is no escape sequence; write `\\\\` for a backslash"},
    {"node = \"a\\0\"", "1: `\\0` is no escape sequence"},
    {"node = \"a\\x00\"", "1: `\\x` is no escape sequence"},
    {"node = \"a\001\"", "1: a control character (octet 0x01) in a string"},
    {"\n\n/* x\n", "3: the comment that begins here is not closed; end it with `*/`"},
    {"node = ${HOME}", "1: `$` has no meaning here; put text with such characters in \"quotes\""},
    {"\ninclude(\"/etc/passwd\")", "2: `(` has no meaning here"},
    {"node = db-*", "1: `*` has no meaning here"},
    {"node = ~root", "1: `~` has no meaning here"},
    {"listen += \"127.0.0.1:1\"", "1: `+` has no meaning here"},
    {"consul|address = x", "1: `|` has no meaning here"},
    {"node = \303\244", "1: octet 0xc3 outside of a string"},
    {"\"node\" = x", "1: `=` does not follow a key; write `key = value`"},
    {"= x", "1: `=` does not follow a key"},
    {"node = x }", "1: `}` closes nothing; remove it"},
    {"\nservices {\n answers = 3\n", "2: the `{` of this line is not closed; add `}`"},
    {"services {\n {", "2: `{` does not follow the name of a section"},
    {"node \"x\"", "1: no `=` after `node`; write `node = value`"},
    {"node { }", "1: no `=` after `node`"},
    {"services = 3", "1: no `{` after `services`; it is a section: write `services { ... }`"},
    {"zone { }", "1: no name after `zone`; write `zone \"name\" { ... }`"},
    {"node = {x}", "1: `{` is not expected here"},
    {"listen = {\"127.0.0.1:53\" \"127.0.0.1:54\"}", "1: `127.0.0.1:54` is not expected here"},
    {"a={{{{{{{{{{{{{{{{{{{{{{{{", "1: `{` does not follow the name of a section"},
    {"a{b{c{d{e{f{g{h{i{j{", "1: braces are nested 9 deep; nothing here goes deeper than 3"},

    /* unknown and doubled keys: all of them */
    {"lisen = x\nnode = a..b\nzorro = 1\n", "1: unknown key `lisen`; did you mean `listen`?\n"
                                            "2: `node` is `a..b`; write labels\n"
                                            "3: unknown key `zorro`; remove it"},
    {"services { anwsers = 4 }\nelection { leese = {1, 2} }",
     "1: unknown key `anwsers`; did you mean `answers`?\n"
     "2: unknown key `leese`; did you mean `lease`?"},
    {"address = x", "1: unknown key `address` at the top level; it belongs into a `consul` block"},
    {"consul { node = x }", "1: unknown key `node` here; it belongs to the top level"},
    {"consull { }", "1: unknown key `consull`; did you mean `consul`?"},
    {"node = a\nnode = b", "2: `node` is set a second time; keep this or line 1"},
    {"listen = {}\n\nlisten = \"127.0.0.1:53\"", "3: `listen` is set a second time; keep this or line 1"},
    {"consul { }\nconsul { }", "2: `consul` stands a second time; put all of it into the one at line 1"},
    {"key \"a\" { secret = \"0123456789abcdef01234567\" }\nkey \"a\" { secret = \"0123456789abcdef01234567\" "
     "}",
     "2: `key \"a\"` stands a second time; put all of it into the one at line 1"},

    /* the top level */
    {"node = \"\"", "1: `node` is ``; write labels of letters, digits, `-` and `_`"},
    {"node = \"-a\"", "1: `node` is `-a`"},
    {"node = \"a-\"", "1: `node` is `a-`"},
    {"node = \"a b\"", "1: `node` is `a b`"},
    {"node = \"a.\"", "1: `node` is `a.`"},
    {"node = a123456789012345678901234567890123456789012345678901234567890123", "1: `node` is `a1234567"},
    {"\nlisten = {\"127.0.0.1:53\",\n \"x:53\", \"127.0.0.1\", \"::1\", \"[::1]\",\n"
     "\"127.0.0.1:0\", \"1.2.3.4:65536\", \"[::1]53\", \"127.0.0.1:53\", \"\", \"127.1:53\", "
     "\"[::1%nope]:1\"}",
     "3: `listen`: `x:53` is no address; write \"192.0.2.1:53\" or \"[2001:db8::1]:53\"\n"
     "3: `listen`: `127.0.0.1` has no port; write \"127.0.0.1:53\"\n"
     "3: `listen`: `::1` has no brackets; write \"[::1]:53\"\n"
     "3: `listen`: `[::1]` has no port; write \"[::1]:53\"\n"
     "4: `listen`: `127.0.0.1:0` has no valid port; write one from 1 to 65535\n"
     "4: `listen`: `1.2.3.4:65536` has no valid port\n"
     "4: `listen`: `[::1]53` has no port\n"
     "4: `listen` has `127.0.0.1:53` twice; remove one\n"
     "4: `listen`: `` is no address\n"
     "4: `listen`: `127.1:53` is no address\n"
     "4: `listen`: `[::1%nope]:1` is no address"},
    {"workers = -1", "1: `workers` is `-1`; write a whole number from 0 to 256"},
    {"workers = 257", "1: `workers` is `257`"},
    {"workers = 4294967297", "1: `workers` is `4294967297`"},
    {"workers = 99999999999999999999999", "1: `workers` is `9999"},
    {"workers = 0x1", "1: `workers` is `0x1`"},
    {"workers = 2.5", "1: `workers` is `2.5`"},
    {"state-dir = \"\"", "1: `state-dir` is empty"},
    {"control = \"\"", "1: `control` is empty"},
    {"control = \"/12345678901234567890123456789012345678901234567890123456789012345678901234567890"
     "1234567890123456789012345678\"",
     "1: `control` is 109 octets long; a socket's path takes at most 107"},
    {"http = 8654", "1: `http`: `8654` is no address"},
    {"listen = \"127.0.0.1:53\"\nhttp = \"127.0.0.1:53\"",
     "2: `http` is `127.0.0.1:53`, which `listen` uses"},
    {"user = \"nobody-of-this-name\"", "1: there is no user `nobody-of-this-name` on this host; create it"},
    {"log = loud", "1: `log` is `loud`; write \"error\", \"warn\", \"info\" or \"debug\""},
    {"inspect-from = {\"192.0.2.1/24\", \"x\", \"::/129\", \"2001:db8::/32\", \"1.2.3.4/\"}",
     "1: `inspect-from`: `192.0.2.1/24` has bits set behind its length; write \"192.0.2.0/24\"\n"
     "1: `inspect-from`: `x` is no prefix; write\n"
     "1: `inspect-from`: `::/129` has no valid length; write a number from 0 to 128\n"
     "1: `inspect-from`: `1.2.3.4/` has no valid length"},

    /* consul */
    {"consul {\n address = {\"ftp://x\", \"http://\", \"http://a:0\", \"http://a/v1\", \"unix://x\", "
     "\"http://u:p@h\"} }",
     "2: `address` is `ftp://x`; write \"http://host:port\", \"https://host:port\" or \"unix:///path\"\n"
     "2: `address` is `http://`\n2: `address` is `http://a:0`\n2: `address` is `http://a/v1`\n"
     "2: `address` is `unix://x`\n2: `address` is `http://u:p@h`"},
    {"consul { token = a token-file = \"example.com.zone\" }", "1: both `token` and `token-file` are set"},
    {"consul { token = \"a b\" }", "1: `token` has a blank or a character that no HTTP header takes"},
    {"consul { token-file = nope }", "1: `token-file` names `/tmp/lictor-config-"},
    {"consul { http-auth = x }",
     "1: `http-auth` (or CONSUL_HTTP_AUTH) has no colon; write \"user:password\""},
    {"consul {\n cert-file = \"example.com.zone\" }", "2: a client certificate needs both"},
    {"consul {\n key-file = \"example.com.zone\" }", "2: a client certificate needs both"},
    {"consul { tls-verify = maybe }", "1: `tls-verify` is `maybe`; write true or false"},
    {"consul { datacenter = \"a.b\" }", "1: `datacenter` is `a.b`; Consul's names have letters"},
    {"consul { stale-for = 24 }", "1: `stale-for` is `24`; write a duration with its unit"},
    {"consul { stale-for = 9000h }", "1: `stale-for` is `9000h`; it must be from"},

    /* services */
    {"services { domain = \".\" }", "1: `domain` is the root"},
    {"services { domain = "
     "\"a123456789012345678901234567890123456789.a123456789012345678901234567890123456789."
     "a123456789012345678901234567890123456789\" }",
     "1: `domain` has 124 octets, which leaves too few for names below it; it may have 100"},
    {"services { domain = \"a..b\" }", "1: `domain`: "},
    {"services { domain = \"Lictor\" }", "1: `domain` is `lictor.`, which is lictord's own zone"},
    {"services { domain = \"a\" alt-domain = \"A.\" }", "1: `alt-domain` is the same as `domain`"},
    {"services { node-ttl = 500ms }", "1: `node-ttl` has the TTL `500ms`; write whole seconds with a unit"},
    {"services { negative-ttl = 2147483648s }", "1: `negative-ttl` has the TTL `2147483648s`"},
    {"services { service-ttl = {\"web\",\n\"=1s\", \"w*b=1s\", \"a=1\", \"a=1s\", \"A=2s\"} }",
     "1: `service-ttl` has `web`; write \"NAME=10s\"\n2: `service-ttl` has `=1s`\n2: `service-ttl` has "
     "`w*b=1s`\n"
     "2: `service-ttl` has the TTL `1`\n2: `service-ttl` has `a` twice; keep one"},
    {"services { answers = 65536 }", "1: `answers` is `65536`; write a whole number from 0 to 65535"},
    {"services { ns = {\"a..b\"} }", "1: `ns`: "},
    {"services {\n service \"\" { }\n service \"a*b\" { }\n service \"web\" { order = near }\n"
     " service \"Web\" { ttl = 1 answers = -1 }\n service \"x*\" { last-resort = none }\n}",
     "2: `service \"\"`: write the name of a service\n3: `service \"a*b\"`: write the name\n"
     "4: `order` is `near`; write \"weighted\", \"random\", \"nearest\" or \"fixed\"\n"
     "5: `service \"web\"` is already at line 4\n5: `answers` is `-1`\n5: `ttl` has the TTL `1`\n"
     "6: `last-resort` is `none`; write \"nxdomain\", \"nodata\" or \"all\""},
    {"services { service \"a\" { datacenters = {dc2, \"d c\", DC2} } }",
     "1: `datacenters` has `d c`; write names of Consul's datacenters\n1: `datacenters` has `dc2` twice"},
    {"services { service \"a\" { anwsers = 1 } }", "1: unknown key `anwsers`; did you mean `answers`?"},
    {"service \"a\" { }", "1: unknown key `service`"},
    {"services { watch = some compat = x }", "1: `watch` is `some`; write \"all\" or \"asked\"\n"
                                             "1: `compat` is `x`; write \"none\" or \"consul\""},

    /* election and keys */
    {"election { lease = 499ms }", "1: `lease` is `499ms`; it must be from 500ms to 50s"},
    {"election { lease = 51s }", "1: `lease` is `51s`; it must be from 500ms to 50s"},
    {"election { cluster = \"a/b\" }", "1: `cluster` is `a/b`; write up to 63 letters"},
    {"election { cluster = \"\" }", "1: `cluster` is ``"},
    {"election { cluster = \"..\" }", "1: `cluster` is `..`"},
    {"election { standby = maybe }", "1: `standby` is `maybe`; write \"refuse\", \"strict\" or \"serve\""},
    {"election { priority = 70000 }", "1: `priority` is `70000`"},
    {"listen = \"0.0.0.0:53\"\nelection {\n}", "2: `advertise` is missing and `listen` is a wildcard; set"},
    {"listen = {\"127.0.0.1:53\", \"[::]:53\"}\nelection {\n}", "2: `advertise` is missing"},
    {"election { advertise = \"0.0.0.0:53\" }", "1: `advertise` is `0.0.0.0:53`, which no peer can reach"},
    {"election { advertise = \"ns1:53\" }", "1: `advertise`: `ns1:53` is no address"},
    {"election {\n peer-key = \"p.\" }", "2: `peer-key` is `p.`, which no `key` section defines; add"},
    {"key \"p\" { secret-file = \"xfr.key\" algorithm = \"hmac-sha1\" }\nelection {\n peer-key = \"p.\" }",
     "3: the key `p.` of `peer-key` uses `hmac-sha1`, which signs nothing of ours; use"},
    {"query-log { sample = \"0%\" }",
     "1: `sample` is `0%`; write the share of queries to log, from \"0.0001%\""},
    {"query-log { sample = \"101%\" }", "1: `sample` is `101%`; write the share"},
    {"query-log { sample = \"1e1%\" }", "1: `sample` is `1e1%`; write the share"},
    {"query-log { sample = \"0.5\" }", "1: `sample` is `0.5`; write the share"},
    {"query-log { sample = \"1.2.3%\" }", "1: `sample` is `1.2.3%`; write the share"},
    {"query-log {\n rate = 0 }", "2: `rate` is `0`"},
    {"query-log { answers = \"some\" }", "1: `answers`"},
    {"election {\n failsafe = true }", "2: `failsafe` needs `peer-key`, the key that instances sign"},
    {"key \"a\" {\n}", "1: the key `a` has no secret; set `secret-file` (or `secret`)"},
    {"key \"a\" {\n secret = \"short\" }", "2: `secret` is not base64 of at least 16 octets"},
    {"key \"a\" { secret-file = \"xfr.key\" secret = \"0123456789abcdef01234567\" }", "1: both `secret` and"},
    {"key \"a\" { secret-file = \"nope\" }", "1: `secret-file` names"},
    {"key \"a\" { secret-file = \"xfr.key\" algorithm = \"aes\" }",
     "1: `algorithm` is `aes`; write \"hmac-sha256\""},
    {"key \"a..b\" { secret-file = \"xfr.key\" }", "1: the key's name `a..b` is no domain name"},
    {"key \"a\" { secret-file = \"xfr.key\" }\nkey \"A.\" { secret-file = \"xfr.key\" }",
     "2: the key `A.` is already at line 1; names ignore case"},

    /* zones */
    {"zone \"a\" {\n}", "1: the zone `a` has no `file`; name its zone file"},
    {"zone \"a\" {\n file = nope }", "2: `file` names `/tmp/lictor-config-"},
    {"zone \"a\" {\n file = \"/tmp\" }", "2: `file` names `/tmp`, which is no regular file"},
    {"zone \"a..b\" { file = \"example.com.zone\" }", "1: the zone's name `a..b`: "},
    {"zone \"\" { file = \"example.com.zone\" }", "1: the zone's name ``: it is empty"},
    {"zone \"lictor\" { file = \"example.com.zone\" }", "1: `lictor.` is lictord's own zone"},
    {"services { }\nzone \"Consul.\" { file = \"example.com.zone\" }",
     "2: the zone `Consul.` is the domain of"},
    {"services { alt-domain = x }\nzone \"x\" { file = \"example.com.zone\" }",
     "2: the zone `x` is the domain of"},
    {"zone \"a\" { file = \"example.com.zone\" }\nzone \"A.\" { file = \"example.com.zone\" }",
     "2: the zone `A.` is already at line 1; keep one of them"},
    {"zone \"a\" { file = \"example.com.zone\" store = disk }",
     "1: `store` is `disk`; write \"file\" or \"kv\""},
    {"zone \"a\" { file = \"example.com.zone\"\n transfer = {\"192.0.2.1/24\",\n \"key:k\"}\n update = "
     "{\"x\"}\n"
     " notify = {\"192.0.2.53\", \"[::1]:53\",\n\"ns1\", \"10.0.0.0/8\"} }",
     "2: `transfer`: `192.0.2.1/24` has bits set\n"
     "3: `transfer` has `key:k`, but no `key` section defines `k`\n"
     "4: `update`: `x` is no prefix; write \"192.0.2.0/24\", \"2001:db8::/32\" or one address, or "
     "\"key:NAME\"\n"
     "4: `update` needs `store = \"kv\"`\n"
     "6: `notify` has `ns1`; write an address\n"
     "6: `notify` has `10.0.0.0/8`"},
    {"zone \"a\" { file = \"example.com.zone\"\n notify = {\"192.0.2.53 key:k\",\n \"192.0.2.53 k\",\n"
     "\"[::1]:0\",\n\"::1\",\n\"192.0.2.53:99999\"} }",
     "2: `notify` has `192.0.2.53 key:k`, but no `key` section defines `k`\n"
     "3: `notify` has `192.0.2.53 k`; write an address\n"
     "4: `notify` has `[::1]:0`; write an address\n"
     "6: `notify` has `192.0.2.53:99999`; write an address"},
    {"election { }\nkey \"a\" { secret-file = \"xfr.key\" }\nzone \"z\" { file = \"example.com.zone\"\n"
     "update = \"key:a\"\nupdate-policy \"b\" { types = A }\nupdate-policy \"a\" {\n}\n"
     "update-policy \"A.\" { names = {\"www\",\n \"x..y\", \"out.side.\", \"*.*.*\",\n\"\"}\n"
     "types = {\"TXT\", \"nope\",\n\"ANY\", \"rrsig\"} } }",
     "5: `update-policy \"b\"` is of a key that `update` does not have\n"
     "6: `update-policy \"a\"` limits nothing\n"
     "8: `update-policy \"A.\"` is already at line 6\n"
     "9: `names` has `x..y`\n"
     "9: `names` has `out.side.`: it is outside of the zone\n"
     "9: `names` has `*.*.*`: at most 2 labels may be `*`\n"
     "10: `names` has an empty name; write \"@\"\n"
     "11: `types` has `nope`, which is no type\n"
     "12: `types` has `ANY`, which UPDATE cannot change\n"
     "12: `types` has `rrsig`, which UPDATE cannot change"},
    {"services { watch = \"asked\"\n transfer = {\"192.0.2.1\"}\n notify = \"192.0.2.1\" }",
     "2: `transfer` needs `watch = \"all\"`\n3: `notify` needs `watch = \"all\"`"},

    /* actions */
    {"action \"a b\" { when = promoted run = \"/bin/sh\" }", "1: the action's name is `a b`"},
    {"action \"a\" {\n run = \"/bin/sh\" }", "1: the action `a` has no `when`; write \"promoted\""},
    {"action \"a\" {\n when = promoted }", "1: the action `a` does nothing; write run = {"},
    {"action \"a\" { run = \"/bin/sh\"\n when = \"sometimes\" }",
     "2: `when` is `sometimes`; write \"promoted\""},
    {"action \"a\" { run = \"/bin/sh\"\n when = \"service web is up\" }", "2: `when` is `service web is up`"},
    {"action \"a\" { run = \"/bin/sh\"\n when = \"service web passing\" }",
     "2: `when` is `service web passing`"},
    {"action \"a\" { run = \"/bin/sh\"\n when = \"service w is passing now\" }",
     "2: `when` is `service w is"},
    {"action \"a\" { run = \"/bin/sh\"\n when = \"service w is passing\" }",
     "2: `when` speaks of a service, but"},
    {"action \"a\" { when = demoted\n run = \"sh\" }",
     "2: `run` begins with `sh`; write the program's absolute path"},
    {"action \"a\" { when = demoted\n run = \"/nope\" }", "2: `run` names the program `/nope`: No such file"},
    {"action \"a\" { when = demoted\n run = \"/etc/passwd\" }",
     "2: `run` names `/etc/passwd`, which cannot be executed"},
    {"action \"a\" { when = demoted\n run = \"/tmp\" }", "2: `run` names `/tmp`, which cannot be executed"},
    {"action \"a\" { when = demoted run = \"/bin/sh\" timeout = 0s }",
     "1: `timeout` is `0s`; it must be from"},
    {"action \"a\" { when = demoted run = \"/bin/sh\" user = \"no-such-user\" }",
     "1: there is no user `no-such-user`"},

    /* health-driven records */
    {"zone \"a\" { file = \"example.com.zone\"\n store = kv\n record \"www\" { service = web } }",
     "2: `store = \"kv\"` keeps the zone in Consul's KV, which only a primary writes: add an `election` "
     "section, or write \"file\"\n"
     "3: the record `www` follows Consul's health, which only a `services` block has read; add one"},
    {"services { watch = asked }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web "
     "} }",
     "3: the record `www` needs `watch = \"all\"` in `services`"},
    {"services { }\nelection { advertise = \"192.0.2.1:53\" }\nzone \"a\" { file = \"example.com.zone\"\n "
     "store = file notify = "
     "{\"192.0.2.53\"}\n record \"www\" { service = web } }",
     "3: the zone has `store = \"file\"`, a `record` and secondaries"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"w..w\" { ttl = 1 min-healthy = 0 "
     "when-all-down = y } }",
     "3: the record's name `w..w`: \n"
     "3: the record `w..w` has neither `service` nor `query`; name what it follows\n"
     "3: `when-all-down` is `y`; write \"all\" (all instances, healthy or not), \"last\"\n"
     "3: `ttl` has the TTL `1`\n3: `min-healthy` is `0`; write a whole number from 1"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web }\n record "
     "\"WWW.a.\" { service = db }\n"
     " record \"b.c.\" { service = web }\n record \"*\" { service = web type = SRV }\n}",
     "4: the record `WWW.a.` is already at line 3; keep one\n5: the record `b.c.` is outside of its zone\n"
     "6: the record `*` has type = \"SRV\", whose targets stand below its name"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web query = q }\n}",
     "3: the record `www` has both `service` and `query`; keep one"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = \"192.0.2.1\" }\n}",
     "3: `service` is an address, which is always healthy; name a service"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = \"web@\" }\n}",
     "3: `service` has `web@`; behind the `@` write the name of one"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = \".web\" fallback "
     "= {\"\", \"query:\", \"192.0.2.300\", \"a b\"} }\n}",
     "3: `service` has `.web`; write a service as \"web\", \"tag.web\" or \"web@dc2\"\n"
     "3: `fallback` has ``"
     "\n3: `fallback` has ``, which is no name of a prepared query\n"
     "3: `fallback` has `192.0.2.300`, which is no address\n"
     "3: `fallback` has `a b`; write a service as \"web\", \"tag.web\" or \"web@dc2\", an address"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web fallback = "
     "{\"192.0.2.1:80\", \"web\"} }\n}",
     "3: `fallback` has `192.0.2.1:80`; A and AAAA records have no port\n"
     "3: the record `www` names `web` twice"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web type = SRV "
     "fallback = \"192.0.2.1\" when-all-down = \"2001:db8::1\" }\n}",
     "3: `fallback` has `192.0.2.1`; SRV records need a port"
     "\n3: `when-all-down` has `2001:db8::1`; SRV records need a port"},
    {"services { }\nzone \"a\" { file = \"example.com.zone\"\n record \"www\" { service = web type = MX rise "
     "= 10 fall = 2h weights = maybe }\n}",
     "3: `type` is `MX`; write \"A/AAAA\" or \"SRV\"\n"
     "3: `rise` is `10`; write a duration\n3: `fall` is `2h`; it must be from\n3: `weights` is `maybe`"},
    {"services { datacenters = {b, c, d, e, f, g, h, i} }\nzone \"a\" { file = \"example.com.zone\"\n record "
     "\"www\" { service = "
     "\"web@j\" }\n}",
     "3: `j` would be one more datacenter to watch; there are 8 already"},

    /* not served yet */
    {"action \"a\" {\n when = \"every 1h\"\n vip { address = \"10.0.0.100/24\" interface = eth0 }\n}",
     "2: this version does not serve `when = \"every ...\"` yet; remove it\n"
     "3: this version does not serve `vip` yet; remove it"},
    {"action \"a\" { when = \"check x\"\n http { url = x }\n mail { to = y }\n template { } }",
     "1: this version does not serve `when = \"check ...\"` yet\n2: this version does not serve `http` yet\n"
     "3: this version does not serve `mail` yet\n4: this version does not serve `template` yet"},
    {"action \"a\" { run = \"/bin/sh\" when = \"event x\" }",
     "1: this version does not serve `when = \"event ...\"`"},
};

static void every_fault_has_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults_table) / sizeof(faults_table[0]); i++)
        check_faults(faults_table[i].text, strlen(faults_table[i].text), faults_table[i].faults);
}

/* libconfuse's lexer is global: what one file leaves there must not reach the next. */
static void a_broken_file_does_not_break_the_next(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults_table) / sizeof(faults_table[0]); i++) {
        char *faults;
        assert_null(parse_len(faults_table[i].text, strlen(faults_table[i].text), &faults));
        free(faults);
        struct config *c = good("node = \"ns7\"");
        assert_string_equal(c->node, "ns7");
        config_free(c);
    }
}

static void files_that_are_no_configuration(void **state)
{
    (void)state;
    check_faults("node\0 = x", 9, "1: a NUL octet; this is not a text file");
    check_faults("node = \"a\0b\"", 12, "1: a control character (octet 0x00) in a string");
    check_faults("\x7f"
                 "ELF\2\1\1",
                 7, "1: octet 0x7f outside of a string");

    size_t size = 1024 * 1024;
    char *text = malloc(size + 2);
    memset(text, 'a', size + 1);
    text[size + 1] = '\0';
    check_faults(text, size + 1, "-has 1048577 octets; a configuration has at most 1048576");
    check_faults(text, size, "1: unknown key `aaaaaaaaaa\n1: the file ends in the middle");
    memset(text, '{', size);
    check_faults(text, size, "1: `{` does not follow the name of a section");
    for (size_t i = 0; i < size; i += 2)
        memcpy(text + i, "a{", 2);
    check_faults(text, size, "1: braces are nested 9 deep");
    memset(text, '\n', size);
    memcpy(text + size - 4, "x=1\n", 4);
    check_faults(text, size, "1048573: unknown key `x`; remove it");
    free(text);

    struct buf out = {0};
    assert_null(config_load("/nonexistent/lictord.conf", &out));
    assert_string_equal(buf_str(&out),
                        "/nonexistent/lictord.conf: cannot be read: No such file or directory; name a "
                        "readable configuration file\n");
    buf_free(&out);
    assert_null(config_load("/tmp", &out));
    assert_non_null(strstr(buf_str(&out), "Is a directory"));
    buf_free(&out);
    assert_null(config_load("/dev/zero", &out));
    buf_free(&out);
}

/* A terminal shows faults: what the file holds must not steer it. */
static void faults_are_printable(void **state)
{
    (void)state;
    char *faults;
    const char text[] = "log = \"\t\xc3\xa4\"";
    assert_null(parse_len(text, strlen(text), &faults));
    assert_non_null(strstr(faults, "`log` is `\\x09\xc3\xa4`"));
    free(faults);
}

/* --- the environment ------------------------------------------------------------------------------ */

static const char *const variables[] = {
    "CONSUL_HTTP_ADDR",  "CONSUL_HTTP_TOKEN",      "CONSUL_HTTP_TOKEN_FILE", "CONSUL_HTTP_AUTH",
    "CONSUL_HTTP_SSL",   "CONSUL_CACERT",          "CONSUL_CAPATH",          "CONSUL_CLIENT_CERT",
    "CONSUL_CLIENT_KEY", "CONSUL_TLS_SERVER_NAME", "CONSUL_HTTP_SSL_VERIFY"};

static void clear_environment(void)
{
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
}

static void consul_addresses_from_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *address, *ssl, *wanted;
    } table[] = {
        {NULL, NULL, "http://127.0.0.1:8500"},
        {"", "", "http://127.0.0.1:8500"},
        {NULL, "true", "https://127.0.0.1:8500"},
        {"consul.example:8501", NULL, "http://consul.example:8501"},
        {"consul.example:8501", "1", "https://consul.example:8501"},
        {"http://10.0.0.1:8500/", NULL, "http://10.0.0.1:8500"},
        {"http://10.0.0.1:8500", "T", "https://10.0.0.1:8500"},
        {"HTTPS://[::1]:8501", "false", "https://[::1]:8501"},
        {"unix:///run/consul.sock", "true", "unix:///run/consul.sock"},
        {"localhost", NULL, "http://localhost"},
        {"ftp://x", NULL, NULL},
        {"a b", NULL, NULL},
        {NULL, "perhaps", NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        clear_environment();
        if (table[i].address)
            setenv("CONSUL_HTTP_ADDR", table[i].address, 1);
        if (table[i].ssl)
            setenv("CONSUL_HTTP_SSL", table[i].ssl, 1);
        if (table[i].wanted) {
            struct config *c = good("services { }");
            assert_int_equal(c->consul.addresses.count, 1);
            assert_string_equal(c->consul.addresses.items[0], table[i].wanted);
            config_free(c);
        } else {
            check_faults("services { }", 12, "-the environment has CONSUL_HTTP_");
        }
        config_free(good("")); /* nobody needs Consul: nobody minds */
    }
    clear_environment();
    setenv("CONSUL_HTTP_ADDR", "ftp://x", 1);
    struct config *c = good("consul { address = {\"https://a:1\", \"b:2\"} }");
    assert_int_equal(c->consul.addresses.count, 2);
    assert_string_equal(c->consul.addresses.items[0], "https://a:1");
    assert_string_equal(c->consul.addresses.items[1], "http://b:2");
    config_free(c);
    clear_environment();
}

static void consul_values_from_the_environment(void **state)
{
    (void)state;
    char file[256];
    snprintf(file, sizeof(file), "%s/xfr.key", folder);
    setenv("CONSUL_HTTP_TOKEN", "secret", 1);
    setenv("CONSUL_HTTP_AUTH", "me:pw", 1);
    setenv("CONSUL_CACERT", file, 1);
    setenv("CONSUL_CAPATH", folder, 1);
    setenv("CONSUL_CLIENT_CERT", file, 1);
    setenv("CONSUL_CLIENT_KEY", file, 1);
    setenv("CONSUL_TLS_SERVER_NAME", "server.dc1.consul", 1);
    setenv("CONSUL_HTTP_SSL_VERIFY", "false", 1);
    struct config *c = good("consul { }");
    assert_string_equal(c->consul.token, "secret");
    assert_null(c->consul.token_file);
    assert_string_equal(c->consul.http_auth, "me:pw");
    assert_string_equal(c->consul.ca_file, file);
    assert_string_equal(c->consul.ca_path, folder);
    assert_string_equal(c->consul.cert_file, file);
    assert_string_equal(c->consul.key_file, file);
    assert_string_equal(c->consul.tls_server_name, "server.dc1.consul");
    assert_false(c->consul.tls_verify);
    config_free(c);

    c = good("consul { tls-verify = true token = \"mine\" tls-server-name = \"\" }");
    assert_true(c->consul.tls_verify);
    assert_string_equal(c->consul.token, "mine");
    assert_null(c->consul.tls_server_name);
    config_free(c);

    c = good("consul { token-file = \"xfr.key\" }"); /* the file's word wins over the variable's */
    assert_null(c->consul.token);
    assert_string_equal(c->consul.token_file, file);
    config_free(c);

    setenv("CONSUL_HTTP_TOKEN_FILE", file, 1);
    c = good("consul { }"); /* as Consul's client: the token file wins */
    assert_null(c->consul.token);
    assert_string_equal(c->consul.token_file, file);
    config_free(c);

    setenv("CONSUL_CACERT", "/nonexistent", 1);
    check_faults("consul { }", 10, "-the environment has CONSUL_CACERT=/nonexistent, which cannot be read");
    clear_environment();
}

/* --- reload --------------------------------------------------------------------------------------- */

static void what_needs_a_restart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
    } table[] = {
        {"", NULL},
        {"log = debug zone \"b\" { file = \"example.com.zone\" } action \"x\" { when = promoted run = "
         "\"/bin/sh\" }",
         NULL},
        {"services { domain = d answers = 5 service-ttl = \"a=1s\" node-ttl = 1s }", NULL},
        {"consul { stale-for = 1h }", NULL},
        {"node = other", "node"},
        {"listen = \"127.0.0.1:54\"", "listen"},
        {"listen = {\"127.0.0.1:53\", \"127.0.0.2:53\"}", "listen"},
        {"workers = 3", "workers"},
        {"state-dir = \"/x\"", "state-dir"},
        {"http = \"\"", "http"},
        {"control = \"/x\"", "control"},
        {"user = root", "user"},
        {"inspect-from = \"192.0.2.1\"", "inspect-from"},
        {"consul { address = \"h:1\" }", "consul.address"},
        {"consul { token = x }", "consul.token"},
        {"consul { datacenter = dc2 }", "consul.datacenter"},
        {"consul { tls-verify = false }", "consul.tls-verify"},
        {"services { domain = e }", "services.domain"},
        {"services { domain = d alt-domain = e }", "services.alt-domain"},
        {"services { domain = d reverse = \"10.0.0.0/8\" }", "services.reverse"},
        {"services { domain = d compat = consul }", "services.compat"},
        {"services { domain = d udp_answer_limit = 3 soa { retry = 1 } }", NULL},
        {"zone \"r\" { file = \"example.com.zone\" store = file }", "zone.store"},
        {"zone \"s\" { file = \"example.com.zone\" store = file }", NULL},
        {"election { cluster = c }", "election.cluster"},
        {"election { lease = 3s }", "election.lease"},
        {"election { standby = serve }", "election.standby"},
        {"election { advertise = \"127.0.0.1:99\" }", "election.advertise"},
    };
    static const struct {
        const char *name, *text;
    } base[] = {{"node", "node = n\n"},
                {"listen", "listen = \"127.0.0.1:53\"\n"},
                {"workers", "workers = 2\n"},
                {"user", "user = \"\"\n"},
                {"services", "services { domain = d }\n"},
                {"election", "election { }\n"},
                {"zone", "zone \"r\" { file = \"example.com.zone\" }\n"}};
    struct config *running = NULL;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf text = {0};
        for (size_t k = 0; k < sizeof(base) / sizeof(base[0]); k++)
            if (strncmp(table[i].text, base[k].name, strlen(base[k].name)))
                buf_puts(&text, base[k].text);
        buf_puts(&text, table[i].text);
        struct config *wanted = good(buf_str(&text));
        if (!running)
            running = good(buf_str(&text));
        const char *key = config_needs_restart(running, wanted);
        if (table[i].key)
            assert_string_equal(key ? key : "(nothing)", table[i].key);
        else
            assert_null(key);
        config_free(wanted);
        buf_free(&text);
    }
    struct config *bare = good("node = n listen = \"127.0.0.1:53\" workers = 2 user = \"\"");
    assert_string_equal(config_needs_restart(running, bare), "consul");
    assert_string_equal(config_needs_restart(bare, running), "consul");
    config_free(bare);
    config_free(running);
}

static void the_hash_is_of_the_octets(void **state)
{
    (void)state;
    struct config *c = good("node = a\n");
    assert_string_equal(c->hash, "3c9e16f82316588d4d1f683587a81b3f236a86d132e6a5e2d4336c691a1ec6f1");
    config_free(c);
}

static int set_up(void **state)
{
    (void)state;
    clear_environment();
    if (!mkdtemp(folder))
        return -1;
    write_file("example.com.zone", "\n", 0644);
    write_file("xfr.key", "secret\n", 0600);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char path[256];
    static const char *const files[] = {"example.com.zone", "xfr.key"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_design_example_is_accepted),
        cmocka_unit_test(an_empty_file_means_the_defaults),
        cmocka_unit_test(spellings_are_equal),
        cmocka_unit_test(service_ttl_rules),
        cmocka_unit_test(service_blocks),
        cmocka_unit_test(every_fault_has_its_line),
        cmocka_unit_test(a_broken_file_does_not_break_the_next),
        cmocka_unit_test(files_that_are_no_configuration),
        cmocka_unit_test(faults_are_printable),
        cmocka_unit_test(consul_addresses_from_the_environment),
        cmocka_unit_test(consul_values_from_the_environment),
        cmocka_unit_test(what_needs_a_restart),
        cmocka_unit_test(the_hash_is_of_the_octets),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
