/* The rights of our ACL token, by the names that contrib/consul/policy.hcl gives them. Consul tells a token
 * only the names of its policies, not their rules (that takes acl:read): so each right is shown by a request
 * that needs it.
 *
 *  agent   GET /v1/agent/self: 403 without
 *  node    GET /v1/catalog/nodes: silently empty without; a cluster always has a node
 *  service GET /v1/catalog/services: `consul`, which every cluster has, is missing without
 *  session PUT /v1/session/create with a behaviour that does not exist: 403 without, else 500 "Invalid
 *          Behavior": Consul looks at the right first
 *  key and service write: a transaction of `cas` operations on index 1, which no key or service has (a
 *          restored one neither: raft's first entry is its own). Consul looks at the rights of all
 *          operations first and names each that lacks them; else each fails by its index. */
#include "judge.h"

#include <stdio.h>
#include <string.h>

static void missing(struct findings *f, const char *rule, const char *effect)
{
    char why[256], remedy[256];
    snprintf(why, sizeof(why), "Without it %s", effect);
    snprintf(remedy, sizeof(remedy), "Add to the token's policy: %s (contrib/consul/policy.hcl has all).",
             rule);
    finding_add(f, LEVEL_FAULT, why, remedy, "the token lacks the right %s", rule);
}

static void unknown(struct findings *f, const char *rule, const struct consul_fact *fact)
{
    finding_add(f, LEVEL_NOTE, "A missing right shows late, when it is needed.", "Ask again.",
                "the right %s could not be looked at: %s", rule,
                fact->error[0] ? fact->error : "no answer in time");
}

static bool denied(const struct consul_fact *fact)
{
    return fact->status == 403;
}

/* ACLs that are off answer 401, "ACL support disabled". */
static bool acls_off(const struct facts *facts)
{
    return facts->ask[ASK_TOKEN].status == 401;
}

/* Not an ACL token that Consul knows: then every right is missing, and one finding says it. */
static bool token_unknown(const struct facts *facts)
{
    const struct consul_fact *token = &facts->ask[ASK_TOKEN];
    return token->status == 403 && strstr(token->error, "ACL not found");
}

static void policies(const json_t *token, char *out, size_t size)
{
    const json_t *policy;
    size_t i, len = 0;
    out[0] = '\0';
    json_array_foreach(json_object_get(token, "Policies"), i, policy)
    {
        const char *name = json_string_value(json_object_get(policy, "Name"));
        if (name && len < size)
            len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", name);
    }
}

void judge_token(const struct facts *facts, struct findings *f)
{
    const struct consul_fact *token = &facts->ask[ASK_TOKEN];
    char names[256];
    if (!token->asked)
        return;
    policies(token->body, names, sizeof(names));
    if (acls_off(facts))
        finding_add(f, LEVEL_OK, NULL, NULL, "ACLs are off in Consul: every right is there");
    else if (token_unknown(facts))
        finding_add(f, LEVEL_FAULT,
                    "Consul denies it everything: no election, and lists that look empty (which are not "
                    "believed).",
                    "Create a token with the policy of contrib/consul/policy.hcl and name its file in "
                    "`consul.token-file`.",
                    "Consul does not know the token, or none is set");
    else if (token->status == 200)
        finding_add(f, LEVEL_OK, NULL, NULL, "known to Consul; its policies: %s",
                    names[0] ? names : "none of its own");
    else
        finding_add(f, LEVEL_NOTE, "Rights below are judged by what requests show.", NULL,
                    "Consul does not tell about the token: %s",
                    token->error[0] ? token->error : "no answer in time");
}

static void judge_agent_right(const struct facts *facts, struct findings *f)
{
    if (denied(&facts->ask[ASK_AGENT]))
        missing(f, "agent_prefix \"\" { policy = \"read\" }",
                "the node name of the agent is unknown, and doctor cannot look at its settings.");
}

/* The agent's own node must be among those that are shown. NULL: not known. */
static const char *own_node(const struct facts *facts)
{
    return json_string_value(
        json_object_get(json_object_get(facts->ask[ASK_AGENT].body, "Config"), "NodeName"));
}

static bool lists_node(const json_t *nodes, const char *name)
{
    const json_t *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        const char *text = json_string_value(json_object_get(node, "Node"));
        if (text && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static void judge_node_right(const struct facts *facts, struct findings *f)
{
    static const char rule[] = "node_prefix \"\" { policy = \"read\" }";
    static const char effect[] =
        "nodes are absent from DNS, and with them every service on them; no session can be had.";
    const struct consul_fact *nodes = &facts->ask[ASK_NODES];
    const char *own = own_node(facts);
    if (!json_is_array(nodes->body) && !denied(nodes))
        unknown(f, rule, nodes);
    else if (json_array_size(nodes->body) == 0 || (own && !lists_node(nodes->body, own)))
        missing(f, rule, effect);
}

static void judge_service_right(const struct facts *facts, struct findings *f)
{
    static const char rule[] = "service_prefix \"\" { policy = \"read\" }";
    const struct consul_fact *services = &facts->ask[ASK_SERVICES];
    if (!services->asked)
        return;
    if (!json_is_object(services->body) && !denied(services))
        unknown(f, rule, services);
    else if (!json_object_get(services->body, "consul")) /* the canary */
        finding_add(f, LEVEL_WARN,
                    "Consul filters its lists silently: without `consul` in sight, which every cluster has, "
                    "an empty list cannot be told from a denied one, and each emptied one is held for 30 s.",
                    "Add to the token's policy: service_prefix \"\" { policy = \"read\" }, or at least "
                    "service \"consul\" { policy = \"read\" }.",
                    "the token lacks the right %s: %zu services are shown, `consul` is not among them", rule,
                    json_object_size(services->body));
}

static void judge_session_right(const struct facts *facts, struct findings *f)
{
    static const char rule[] = "session_prefix \"\" { policy = \"write\" }";
    const struct consul_fact *session = &facts->ask[ASK_SESSION];
    if (!session->asked)
        return;
    if (denied(session))
        missing(f, rule, "this instance cannot have a session, and never becomes primary.");
    else if (session->status == 0 || !strstr(session->error, "Behavior"))
        unknown(f, rule, session);
}

static bool operation_denied(const json_t *body, int operation)
{
    const json_t *error;
    size_t i;
    json_array_foreach(json_object_get(body, "Errors"), i, error)
    {
        const char *what = json_string_value(json_object_get(error, "What"));
        if (json_integer_value(json_object_get(error, "OpIndex")) == operation && what &&
            strstr(what, "ermission denied"))
            return true;
    }
    return false;
}

static void judge_write_rights(const struct facts *facts, struct findings *f)
{
    static const char *const keys[WRITE_SERVICE] = {"leader", "epoch", "members/", "requests/", "control/"};
    const struct consul_fact *writes = &facts->ask[ASK_WRITES];
    unsigned lacking = 0;
    char rule[400], which[128] = "";
    if (!writes->asked)
        return;
    snprintf(rule, sizeof(rule), "key_prefix \"lictor/%s/\" { policy = \"write\" }", facts->cluster);
    if (writes->status != 409 && !denied(writes)) {
        unknown(f, rule, writes);
        return;
    }
    for (int i = 0; i < WRITE_SERVICE; i++)
        if (denied(writes) || operation_denied(writes->body, i)) {
            size_t len = strlen(which);
            snprintf(which + len, sizeof(which) - len, "%s%s", lacking++ ? ", " : "", keys[i]);
        }
    if (lacking) {
        char effect[400];
        snprintf(effect, sizeof(effect), "the %s cannot be written (%s).",
                 lacking == WRITE_SERVICE ? "lock and what the members tell each other" : "keys", which);
        missing(f, rule, effect);
    }
    if (denied(writes) || operation_denied(writes->body, WRITE_SERVICE))
        missing(f, "service \"lictor\" { policy = \"write\" }",
                "our own service cannot be registered, so the lock hangs on nothing that shows a dead "
                "process.");
}

void judge_rights(const struct facts *facts, struct findings *f)
{
    if (!facts->ask[ASK_TOKEN].asked || acls_off(facts) || token_unknown(facts))
        return;
    unsigned before = f->count[LEVEL_FAULT] + f->count[LEVEL_WARN] + f->count[LEVEL_NOTE];
    judge_agent_right(facts, f);
    judge_node_right(facts, f);
    judge_service_right(facts, f);
    judge_session_right(facts, f);
    judge_write_rights(facts, f);
    if (f->count[LEVEL_FAULT] + f->count[LEVEL_WARN] + f->count[LEVEL_NOTE] == before)
        finding_add(f, LEVEL_OK, NULL, NULL, "all that the configuration needs");
}
