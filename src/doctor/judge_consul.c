/* Consul, its agent, and the view that comes from them. */
#include "judge.h"

#include "lictor/doctor.h"

#include <stdlib.h>
#include <string.h>

#define SKEW_LIMIT      3 /* seconds: the Date header has whole ones */
#define RAFT_MULTIPLIER 2 /* above it a leader election takes 10 s and more */

void judge_consul(const struct facts *facts, struct findings *f)
{
    const struct consul_fact *leader = &facts->ask[ASK_LEADER];
    const char *name = json_string_value(leader->body);
    if (!facts->consul) {
        finding_add(f, LEVEL_OK, NULL, NULL, "not used: neither `services` nor `election` is configured");
        return;
    }
    if (!leader->status) {
        finding_add(f, LEVEL_FAULT, "Without Consul there is no election, and the view only grows older.",
                    "Start the Consul agent, or set `consul.address` to where one answers.",
                    "no answer%s: %s", facts->consul_addresses > 1 ? " from any address; the last" : "",
                    leader->error[0] ? leader->error : "nothing came in time");
        return;
    }
    if (leader->status != 200 || !name || !name[0]) {
        finding_add(f, LEVEL_FAULT,
                    "Consul's servers elect nobody: no lock can be taken or confirmed, and nothing new is "
                    "learnt.",
                    "Look at `consul operator raft list-peers` and the servers' logs: a majority must live.",
                    "%s answers, but knows no leader of Consul's servers%s%s", leader->address,
                    leader->error[0] ? ": " : "", leader->error);
        return;
    }
    const char *version = facts_text(json_object_get(facts->ask[ASK_AGENT].body, "Config"), "Version");
    finding_add(f, LEVEL_OK, NULL, NULL, "%s answers%s%s; its servers' leader is %s", leader->address,
                version[0] ? ", version " : "", version, name);
    if (llabs(leader->skew_s) >= SKEW_LIMIT)
        finding_add(f, LEVEL_WARN,
                    "The lease does not depend on it, but certificates, logs and the age of saved data do.",
                    "Synchronise the clocks of both hosts (NTP).", "its clock is %lld s %s ours",
                    llabs(leader->skew_s), leader->skew_s > 0 ? "ahead of" : "behind");
}

/* Consul's default is 1 s; raft_multiplier multiplies it. 0: unknown. */
static int raft_multiplier(const json_t *debug)
{
    nstime timeout;
    if (duration_parse(facts_text(debug, "ConsulRaftHeartbeatTimeout"), &timeout) < 0)
        return 0;
    return (int)(timeout / NS_PER_S);
}

static void judge_server(const struct facts *facts, const json_t *debug, struct findings *f)
{
    int multiplier = raft_multiplier(debug);
    if (facts->election)
        finding_add(f, LEVEL_WARN,
                    "When this host is lost, autopilot removes the server from the cluster, and the sessions "
                    "of its node end before their time; every server restart costs the role as well.",
                    "Run a client agent on the hosts of Lictor, beside Consul's servers.",
                    "the agent of this host is a Consul server");
    if (multiplier > RAFT_MULTIPLIER)
        finding_add(f, LEVEL_WARN,
                    "When Consul's leader is lost, the next one takes 10 s and more with it (3 to 5 s with "
                    "1), and no primary can act meanwhile.",
                    "Set performance { raft_multiplier = 1 } on Consul's servers.", "raft_multiplier is %d",
                    multiplier);
}

static void judge_limit(const struct facts *facts, const json_t *debug, struct findings *f)
{
    json_t *value = json_object_get(debug, "HTTPMaxConnsPerClient");
    json_int_t limit = json_integer_value(value), need = facts->connections + DOCTOR_CONNECTIONS;
    if (json_is_integer(value) && limit > 0 && limit < need)
        finding_add(f, LEVEL_WARN,
                    "Above the limit the agent closes connections at once: reads fail by chance, those of "
                    "the lease among them.",
                    "Set limits { http_max_conns_per_client } of the agent to 200, its default, or above.",
                    "http_max_conns_per_client is %lld; this instance may need %lld", (long long)limit,
                    (long long)need);
}

void judge_agent(const struct facts *facts, struct findings *f)
{
    const struct consul_fact *agent = &facts->ask[ASK_AGENT];
    if (!agent->asked)
        return;
    if (agent->status == 403) /* told as a right that is missing */
        return;
    const json_t *config = json_object_get(agent->body, "Config");
    const json_t *debug = json_object_get(agent->body, "DebugConfig");
    if (!json_is_object(config)) {
        finding_add(f, LEVEL_WARN, "Its settings decide how long sessions live.",
                    "Ask again; `consul info` on that host shows whether the agent works.",
                    "%s does not tell about itself: %s", agent->address,
                    agent->error[0] ? agent->error : "no answer in time");
        return;
    }
    unsigned before = f->count[LEVEL_WARN];
    if (json_is_true(json_object_get(config, "Server")))
        judge_server(facts, debug, f);
    if (facts->election && json_is_true(json_object_get(debug, "LeaveOnTerm")))
        finding_add(f, LEVEL_WARN,
                    "Each clean restart of the agent then takes its node out of the catalog, and the lock "
                    "from a primary on it.",
                    "Set leave_on_terminate = false in the agent's configuration (clients leave by default).",
                    "leave_on_terminate is on");
    judge_limit(facts, debug, f);
    if (f->count[LEVEL_WARN] == before)
        finding_add(f, LEVEL_OK, NULL, NULL, "%s (%s) at %s: nothing in its settings cuts sessions short",
                    facts_text(config, "NodeName"),
                    json_is_true(json_object_get(config, "Server")) ? "server" : "client", agent->address);
}

void judge_view(const struct facts *facts, struct findings *f)
{
    if (!facts->services || !facts->watch)
        return;
    const char *error = facts_text(facts->watch, "last_error");
    json_int_t held = json_integer_value(json_object_get(facts->watch, "held_count"));
    if (!json_is_true(json_object_get(facts->watch, "live")))
        finding_add(
            f, LEVEL_FAULT, "What is answered is the view saved before the last start, or nothing at all.",
            "See what is said of Consul and of rights here; `lictor why` has the history.",
            "there has been no complete view from Consul since the start%s%s", error[0] ? ": " : "", error);
    else if (!json_is_true(json_object_get(facts->watch, "contact")))
        finding_add(f, LEVEL_WARN, "Answers are marked stale, and end after `stale-for`.",
                    "See what is said of Consul here.", "contact is lost, the view is %lld s old%s%s",
                    (long long)json_integer_value(json_object_get(facts->watch, "age_ms")) / 1000,
                    error[0] ? ": " : "", error);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "live, %lld services",
                    (long long)json_integer_value(json_object_get(facts->watch, "services")));
    if (held > 0)
        finding_add(f, LEVEL_WARN, "Consul's lists lost so much at once that the loss is not believed yet.",
                    "`lictor status --json` names them; a denied token or a restored snapshot looks so.",
                    "%lld lists are held back", (long long)held);
}
