/* Asks Consul: first whether anybody answers, then what the agent, the catalog and the token show, then how
 * long consistent reads take, one after the other and with nothing beside them. */
#include "examination.h"

#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_TIME     (1500 * NS_PER_MS) /* for an address that swallows packets, so that the next has time */
#define ASK_TIME       (3 * NS_PER_S)
#define PARSED_ON_MAIN (64 * 1024)

static void ask_send(struct examination *e, enum ask which);

static void end(struct examination *e)
{
    consul_client_free(e->client);
    e->client = NULL;
    examination_part_ended(e);
}

/* ---- how long a confirmation takes ---- */

static void confirm_send(struct examination *e);

static void on_confirm(void *arg, struct consul_response *response)
{
    struct examination *e = arg;
    if (response->status != 200 && response->status != 404) { /* 404: nobody ever held the lock */
        end(e);
        return;
    }
    e->facts->confirm[e->facts->confirm_count++] = response->finished - response->started;
    confirm_send(e);
}

static void confirm_send(struct examination *e)
{
    nstime left = e->deadline - clock_boot();
    if (!e->facts->election || e->facts->confirm_count == CONFIRMS || left <= 0) {
        end(e);
        return;
    }
    char *key = xasprintf("lictor/%s/leader", e->facts->cluster);
    char *path = consul_path("/v1/kv/", key, "consistent");
    struct consul_options options = {.method = "GET", .path = path, .timeout = left, .max_body = 65536};
    consul_send(e->client, &options, on_confirm, e);
    free(path);
    free(key);
}

/* ---- what the requests are ---- */

/* `cas` on an index that nothing has: refused, whatever the rights. See judge_rights.c. */
static char *writes_body(const struct facts *facts)
{
    static const char *const keys[WRITE_SERVICE] = {"leader", "epoch", "members/doctor", "requests/doctor",
                                                    "control/pause"};
    json_t *ops = json_array();
    for (int i = 0; i < WRITE_SERVICE; i++) {
        char *key = xasprintf("lictor/%s/%s", facts->cluster, keys[i]);
        json_array_append_new(ops, consul_txn_op("cas", key, "", 0, NULL, 1));
        free(key);
    }
    json_array_append_new(ops, json_pack("{s:{s:s, s:s, s:{s:s, s:s, s:i}}}", "Service", "Verb", "cas",
                                         "Node", "lictor-doctor", "Service", "ID", "lictor-doctor", "Service",
                                         "lictor", "ModifyIndex", 1));
    char *text = json_dumps(ops, JSON_COMPACT);
    json_decref(ops);
    if (!text)
        abort(); /* out of memory */
    return text;
}

static const struct {
    const char *method, *path, *body;
    bool for_services, for_election;
} requests[ASKS] = {
    [ASK_LEADER] = {"GET", "/v1/status/leader", NULL, false, false},
    [ASK_AGENT] = {"GET", "/v1/agent/self", NULL, false, false},
    [ASK_TOKEN] = {"GET", "/v1/acl/token/self", NULL, false, false},
    [ASK_SERVICES] = {"GET", "/v1/catalog/services", NULL, true, false},
    [ASK_NODES] = {"GET", "/v1/catalog/nodes", NULL, false, false},
    [ASK_SESSION] = {"PUT", "/v1/session/create", "{\"Behavior\":\"lictor-doctor\"}", false, true},
    [ASK_WRITES] = {"PUT", "/v1/txn", NULL, false, true},
};

/* ---- asking ---- */

static void ask_rest(struct examination *e)
{
    const struct consul_fact *leader = &e->facts->ask[ASK_LEADER];
    const char *name = json_string_value(leader->body);
    if (leader->status == 0) {
        end(e);
        return;
    }
    /* Without a leader of Consul's servers all but the agent would only hang. */
    bool led = name && name[0];
    for (int i = ASK_AGENT; i < ASKS; i++) {
        bool wanted = (!requests[i].for_services || e->facts->services) &&
                      (!requests[i].for_election || e->facts->election);
        if (wanted && (led || i == ASK_AGENT)) {
            e->asking++;
            ask_send(e, (enum ask)i);
        }
    }
}

static void answer_taken(struct examination *e, enum ask which)
{
    if (which == ASK_LEADER)
        ask_rest(e);
    else if (--e->asking == 0)
        confirm_send(e);
}

struct parsing { /* a body that is too large for main */
    struct examination *examination;
    enum ask which;
    struct buf body;
    json_t *json;
};

static void parse(void *arg)
{
    struct parsing *parsing = arg;
    parsing->json = consul_json(&parsing->body, NULL);
    buf_free(&parsing->body);
}

static void parsed(void *arg)
{
    struct parsing *parsing = arg;
    struct examination *e = parsing->examination;
    if (e->over) {
        json_decref(parsing->json);
    } else {
        e->facts->ask[parsing->which].body = parsing->json;
        answer_taken(e, parsing->which);
    }
    examination_unref(e);
    free(parsing);
}

static void take_body(struct examination *e, enum ask which, struct buf *body)
{
    if (body->len <= PARSED_ON_MAIN) {
        e->facts->ask[which].body = consul_json(body, NULL);
        answer_taken(e, which);
        return;
    }
    struct parsing *parsing = xcalloc(1, sizeof(*parsing));
    *parsing = (struct parsing){.examination = e, .which = which, .body = *body};
    *body = (struct buf){0};
    examination_ref(e);
    builder_post(e->view.builder, parse, parsed, parsing);
}

static void on_answer(void *arg, struct consul_response *response)
{
    struct asking *asking = arg;
    struct examination *e = asking->examination;
    enum ask which = (enum ask)(asking - e->ask);
    struct consul_fact *fact = &e->facts->ask[which];
    fact->status = response->status;
    snprintf(fact->error, sizeof(fact->error), "%s", response->error ? response->error : "");
    snprintf(fact->address, sizeof(fact->address), "%s", response->address ? response->address : "");
    if (response->date)
        fact->skew_s = response->date - clock_real() / NS_PER_S;
    bool again = asking->tries < e->facts->consul_addresses && clock_boot() < e->deadline;
    if (response->status == 0 && again)
        ask_send(e, which); /* now the next address */
    else if (response->status == 0)
        answer_taken(e, which);
    else
        take_body(e, which, response->body);
}

static void ask_send(struct examination *e, enum ask which)
{
    nstime left = e->deadline - clock_boot(), most = which == ASK_LEADER ? FIRST_TIME : ASK_TIME;
    char *writes = which == ASK_WRITES ? writes_body(e->facts) : NULL;
    const char *body = writes ? writes : requests[which].body;
    struct consul_options options = {.method = requests[which].method,
                                     .path = requests[which].path,
                                     .body = body,
                                     .body_len = body ? strlen(body) : 0,
                                     .timeout = left < most ? left : most};
    e->facts->ask[which].asked = true;
    e->ask[which].examination = e;
    e->ask[which].tries++;
    consul_send(e->client, &options, on_answer, &e->ask[which]);
    free(writes);
}

void consult_start(struct examination *e)
{
    struct err err;
    e->client = consul_client_new(e->view.base, "doctor", e->view.consul, DOCTOR_CONNECTIONS, &err);
    if (e->client) {
        ask_send(e, ASK_LEADER);
        return;
    }
    struct consul_fact *fact = &e->facts->ask[ASK_LEADER];
    fact->asked = true;
    snprintf(fact->error, sizeof(fact->error), "%s", err.text);
    end(e);
}
