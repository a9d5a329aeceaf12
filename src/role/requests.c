/* What is asked on a standby and done by the primary, through `requests/<id>`: the author makes the key,
 * the primary answers in it, the author removes it (or the primary after a minute). */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL       (50 * NS_PER_MS)
#define NO_PRIMARY (2 * NS_PER_S)
#define NO_ANSWER  (10 * NS_PER_S)
#define EXPIRY     (60 * NS_PER_S)

/* ---- the author ---- */

struct asked {
    struct role *role;
    struct event *timer;
    void (*done)(void *arg, const char *error);
    void *arg;
    char name[64];             /* "requests/<id>" */
    char of[ELECTION_ID_SIZE]; /* the session that held the lock then */
    nstime since;
};

static void nothing(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200)
        report_error(role, "removing our request", response);
    else
        report_works(role, "removing our request");
}

static void finish(struct role *role, const char *error)
{
    struct asked *asked = role->asked;
    role->asked = NULL;
    call_send(role, "DELETE", role_kv_path(role, asked->name, NULL), NULL, ROLE_ASK, nothing, 0);
    role_timer_free(asked->timer);
    asked->done(asked->arg, error);
    free(asked);
}

static void answer_came(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    struct asked *asked = role->asked;
    struct consul_kv *entries = NULL;
    size_t count = 0;
    struct request_value value = {0};
    if (asked == NULL)
        return;
    nstime waited = clock_boot() - asked->since;
    if (response->status == 200 && consul_kv_parse(response->body, &entries, &count, NULL) == 0 && count == 1)
        request_value_decode(entries[0].value.data, entries[0].value.len, &value);
    consul_kv_free(entries, count);
    if (value.answered)
        finish(role, value.error[0] != '\0' ? value.error : NULL);
    else if (waited > NO_PRIMARY && role->leader_session[0] == '\0')
        finish(role, role->pausing_active ? "no primary holds the lock, and elections are paused; `lictor "
                                            "resume` lets a standby take it"
                                          : "no primary holds the lock");
    else if (waited > NO_PRIMARY && asked->of[0] != '\0' && strcmp(role->leader_session, asked->of) != 0)
        finish(role, "the primary changed before it answered; look at `lictor status`");
    else if (waited > NO_ANSWER)
        finish(role, response->status == 200 ? "the primary did not answer within 10 s" : response->error);
    else
        role_after(asked->timer, POLL);
}

static void poll_answer(struct role *role)
{
    call_send(role, "GET", role_kv_path(role, role->asked->name, "consistent"), NULL, ROLE_ASK, answer_came,
              0);
}

static void made(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    char error[512];
    if (role->asked == NULL)
        return;
    if (response->status != 200 || !consul_is_true(response->body)) {
        snprintf(error, sizeof error, "%sasking the primary through Consul: %s",
                 response->status == 403 ? "not allowed: " : "",
                 response->status != 200 ? response->error : "the key is taken");
        finish(role, error);
        return;
    }
    role_after(role->asked->timer, POLL);
}

void requests_ask(struct role *role, enum request_ask ask, const char *to,
                  void (*done)(void *arg, const char *error), void *arg)
{
    char id[37];
    struct request_value value = {.ask = ask, .at = clock_real() / NS_PER_S};
    struct buf text = {0};
    if (role->asked != NULL) {
        done(arg, "another request to the primary is under way");
        return;
    }
    struct asked *asked = xcalloc(1, sizeof *asked);
    *asked = (struct asked){.role = role, .done = done, .arg = arg, .since = clock_boot()};
    rng_uuid(id);
    snprintf(asked->name, sizeof asked->name, "requests/%s", id);
    asked->timer = role_timer(role, poll_answer);
    role->asked = asked;
    snprintf(asked->of, sizeof asked->of, "%s", role->leader_session);
    snprintf(value.of, sizeof value.of, "%s", role->leader_session);
    snprintf(value.to, sizeof value.to, "%s", to != NULL ? to : "");
    snprintf(value.from, sizeof value.from, "%s", role->node);
    request_value_encode(&value, &text);
    call_send(role, "PUT", role_kv_path(role, asked->name, "cas=0"), buf_str(&text), ROLE_ASK, made, 0);
    buf_free(&text);
}

/* ---- the primary ---- */

static void answered(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200)
        report_error(role, "answering a request", response);
    else
        report_works(role, "answering a request");
}

/* After a hand-over this instance is not primary any more, so the answer cannot be fenced by the lock; `cas`
 * sees to it that a request that was taken back is not made anew. */
void requests_answer(struct role *role, const char *error)
{
    struct request_value value = {.ask = role->handover_ask, .at = clock_real() / NS_PER_S, .answered = true};
    struct buf text = {0};
    char query[40];
    snprintf(value.error, sizeof value.error, "%s", error != NULL ? error : "");
    snprintf(value.from, sizeof value.from, "%s", role->node);
    snprintf(query, sizeof query, "cas=%llu", (unsigned long long)role->answering_index);
    request_value_encode(&value, &text);
    call_send(role, "PUT", consul_path("/v1/kv/", role->answering, query), buf_str(&text), ROLE_ASK, answered,
              0);
    buf_free(&text);
    free(role->answering);
    role->answering = NULL;
}

static void remove_request(struct role *role, const struct consul_kv *entry)
{
    remove_key(role, entry->key, entry->modify_index, answered);
}

static void look_at(struct role *role, const struct consul_kv *entry)
{
    struct request_value value;
    bool readable = request_value_decode(entry->value.data, entry->value.len, &value);
    nstime age = readable ? clock_real() - value.at * NS_PER_S : NS_NEVER;
    /* Clocks of hosts differ: a minute into the future is as wrong as a minute ago. */
    if (age > EXPIRY || age < -EXPIRY) {
        remove_request(role, entry);
    } else if (value.of[0] != '\0' && strcmp(value.of, role->election.session) != 0) {
        /* Asked of the primary before us, who is about to answer: a `resign` carried out twice would bring
         * the role back. */
    } else if (!value.answered && !role->handover_busy && !role->leaving) {
        const char *what = value.ask == REQUEST_RESIGN ? "this instance to resign" : "for a hand-over";
        const char *to = value.to[0] != '\0' ? " to " : "";
        report_decision(role, "%s asks %s%s%s", value.from, what, to, value.to);
        log_info("election: %s asks %s%s%s", value.from, what, to, value.to);
        role->answering = xstrdup(entry->key);
        role->answering_index = entry->modify_index;
        handover_begin(role, value.ask, value.to, NULL, NULL);
    }
}

static void requests_came(void *arg, struct consul_response *response, bool changed)
{
    struct role *role = arg;
    struct consul_kv *entries;
    size_t count;
    (void)changed; /* unchanged ones grow old */
    if (role->election.state != ELECTION_PRIMARY || !role_read_list(response, &entries, &count))
        return;
    for (size_t i = 0; i < count; i++)
        look_at(role, &entries[i]);
    consul_kv_free(entries, count);
}

void requests_look(struct role *role)
{
    if (role->requests_watch != NULL)
        consul_watch_restart(role->requests_watch);
}

void requests_start(struct role *role)
{
    role->requests_watch = role_watch_list(role, "requests/", requests_came);
}

void requests_stop(struct role *role)
{
    consul_watch_free(role->requests_watch);
    role->requests_watch = NULL;
    if (role->asked != NULL) {
        struct asked *asked = role->asked;
        role->asked = NULL;
        role_timer_free(asked->timer);
        asked->done(asked->arg, "this instance is stopping");
        free(asked);
    }
    free(role->answering);
    role->answering = NULL;
}
