/* `control/pause`: the operator's word that nobody is to take over by itself.
 *
 * It can only delay, so it is written with `cas` and needs no fence; what cannot be read is no pause. It
 * holds everybody back but the last primary: were that one held too, its own restart during the pause would
 * leave a cluster in which nobody may stand. Nobody is held back when the last primary is not known (the
 * lock's key is gone, and no instance saw one). A hand-over on purpose is not touched by it. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "control/pause"

/* ---- what is in force ---- */

const char *pause_text(const struct role *role, char *out, size_t size)
{
    char until[TIME_TEXT] = "";
    out[0] = '\0';
    if (!role->pausing_active)
        return out;
    if (role->pause.until != 0)
        time_format(role->pause.until * NS_PER_S, until);
    snprintf(out, size, "elections are paused by %s%s%s%s%s", role->pause.who,
             until[0] != '\0' ? " until " : "", until, role->pause.why[0] != '\0' ? ": " : "",
             role->pause.why);
    return out;
}

json_t *pause_json(const struct role *role)
{
    char at[TIME_TEXT], until[TIME_TEXT];
    if (!role->pausing_active)
        return json_null();
    time_format(role->pause.at * NS_PER_S, at);
    time_format(role->pause.until * NS_PER_S, until);
    json_t *pause = json_object();
    json_object_set_new(pause, "who", json_string(role->pause.who));
    json_object_set_new(pause, "why", json_string(role->pause.why));
    json_object_set_new(pause, "at", json_string(at));
    json_object_set_new(pause, "until", role->pause.until != 0 ? json_string(until) : json_null());
    return pause;
}

bool role_paused(const struct role *role)
{
    return role->pausing_active;
}

/* By identity, and by name too: a host may come back from its reboot with an empty state-dir. */
static bool last_primary_is_other(const struct role *role)
{
    return role->last_primary.node[0] != '\0' && strcmp(role->last_primary.node, role->node) != 0 &&
           strcmp(role->last_primary.instance, role->instance) != 0;
}

/* Nobody needs an expired one: the primary takes it away, fenced as all that it writes. */
static void remove_expired(struct role *role)
{
    if (role->election.state != ELECTION_PRIMARY || !role->pause_known || role->pausing_active ||
        clock_boot() < role->pause_remove_at)
        return;
    role->pause_remove_at = clock_boot() + 10 * NS_PER_S;
    char *key = role_key(role, KEY);
    remove_key(role, key, role->pause_index, NULL);
    free(key);
}

void pause_mind(struct role *role)
{
    char text[600];
    bool was = role->pausing_active;
    if (!role->started)
        return;
    role->pausing_active =
        role->pause_known && (role->pause.until == 0 || clock_real() / NS_PER_S < role->pause.until);
    if (role->pausing_active && (!was || role->pause_said != role->pause_index)) {
        role->pause_said = role->pause_index;
        log_warn("election: %s", pause_text(role, text, sizeof text));
        report_decision(role, "%s", text);
    } else if (was && !role->pausing_active) {
        const char *how = role->pause_known ? "the pause has expired" : "elections are resumed";
        log_info("election: %s", how);
        report_decision(role, "%s", how);
    }
    bool held = role->pausing_active && last_primary_is_other(role);
    if (held != role->election.paused)
        role_feed(role, &(struct election_event){.kind = ELECTION_PAUSE, .flag = held});
    remove_expired(role);
    if (was != role->pausing_active)
        role_tell(role, ROLE_OBSERVED, role->election.epoch, "the pause changed");
}

static void take(struct role *role, const struct consul_response *response)
{
    struct consul_kv *entries = NULL;
    size_t count = 0;
    role->pause_known = false;
    if (response->status != 200 || consul_kv_parse(response->body, &entries, &count, NULL) != 0 || count == 0)
        return;
    role->pause_index = entries[0].modify_index;
    role->pause_known = pause_value_decode(entries[0].value.data, entries[0].value.len, &role->pause);
    if (!role->pause_known)
        log_warn("election: the key " KEY " holds nothing that this version understands: taken for no pause; "
                 "`lictor pause` or `lictor resume` puts it right");
    consul_kv_free(entries, count);
}

static void answered(void *arg, struct consul_response *response, bool changed)
{
    struct role *role = arg;
    /* Whoever may not read it is not held back for ever by what it may say. */
    bool asked = response->status != 0 && response->status < 500;
    if (response->status == 200 || (response->status == 404 && response->index > 0)) {
        if (changed)
            take(role, response);
        pause_mind(role);
    }
    if (asked && !role->pause_asked) {
        role->pause_asked = true;
        role_feed(role, &(struct election_event){.kind = ELECTION_TIMER});
    }
}

void pause_start(struct role *role)
{
    char *path = role_kv_path(role, KEY, NULL);
    struct consul_watch_options options = {
        .path = path, .consistency = "consistent", .wait = 60 * NS_PER_S, .max_body = 64 * 1024};
    role->pause_watch = consul_watch_new(role->client, &options, answered, role);
    free(path);
}

/* ---- the operator's verbs ---- */

struct pausing {
    void (*done)(void *arg, const char *error);
    void *arg;
    bool resume;
    struct pause_value value;
};

static void finish(struct role *role, const char *error)
{
    struct pausing *pausing = role->pausing;
    role->pausing = NULL;
    /* This instance follows at once, not only when the blocking query returns. */
    if (error == NULL)
        consul_watch_restart(role->pause_watch);
    pausing->done(pausing->arg, error);
    free(pausing);
}

static void fail(struct role *role, const struct consul_response *response)
{
    char error[600];
    snprintf(error, sizeof error, "%s%s", response->status == 403 ? "not allowed: " : "", response->error);
    finish(role, error);
}

static void written(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (role->pausing == NULL)
        return;
    if (response->status != 200)
        fail(role, response);
    else if (!consul_is_true(response->body))
        finish(role,
               "somebody else changed the pause at the same moment; look at `lictor status` and try again");
    else
        finish(role, NULL);
}

static void write_key(struct role *role, uint64_t index)
{
    struct buf text = {0};
    char query[40];
    snprintf(query, sizeof query, "cas=%" PRIu64, index);
    if (!role->pausing->resume)
        pause_value_encode(&role->pausing->value, &text);
    call_send(role, role->pausing->resume ? "DELETE" : "PUT", role_kv_path(role, KEY, query),
              role->pausing->resume ? NULL : buf_str(&text), ROLE_ASK, written, 0);
    buf_free(&text);
}

static void read_key(struct role *role, struct consul_response *response, uint64_t tag)
{
    struct consul_kv *entries = NULL;
    size_t count = 0;
    (void)tag;
    if (role->pausing == NULL)
        return;
    bool none = response->status == 404 && response->index > 0;
    if (response->status != 200 && !none)
        fail(role, response);
    else if (none && role->pausing->resume)
        finish(role, "elections are not paused");
    else if (none)
        write_key(role, 0);
    else if (consul_kv_parse(response->body, &entries, &count, NULL) != 0 || count != 1)
        finish(role, "Consul's answer is not understood");
    else
        write_key(role, entries[0].modify_index);
    consul_kv_free(entries, count);
}

static void begin(struct role *role, const struct pausing *what)
{
    const char *refusal = role->client == NULL    ? "no election is configured: there is nothing to pause"
                          : role->leaving         ? "this instance is stopping"
                          : !role->started        ? "this instance is starting"
                          : role->pausing != NULL ? "another pause or resume is under way"
                                                  : NULL;
    if (refusal != NULL) {
        what->done(what->arg, refusal);
        return;
    }
    role->pausing = xmalloc(sizeof *role->pausing);
    *role->pausing = *what;
    call_send(role, "GET", role_kv_path(role, KEY, "consistent"), NULL, ROLE_ASK, read_key, 0);
}

void role_pause(struct role *role, nstime duration, const char *why,
                void (*done)(void *arg, const char *error), void *arg)
{
    struct pausing what = {.done = done, .arg = arg};
    nstime now = clock_real();
    what.value.at = now / NS_PER_S;
    if (duration > 0) /* rounded up: a pause of half a second is one */
        what.value.until = (now + duration + NS_PER_S - 1) / NS_PER_S;
    snprintf(what.value.who, sizeof what.value.who, "%s", role->node);
    snprintf(what.value.why, sizeof what.value.why, "%s", why != NULL ? why : "");
    begin(role, &what);
}

void role_resume(struct role *role, void (*done)(void *arg, const char *error), void *arg)
{
    struct pausing what = {.done = done, .arg = arg, .resume = true};
    begin(role, &what);
}

void pause_stop(struct role *role)
{
    consul_watch_free(role->pause_watch);
    role->pause_watch = NULL;
    if (role->pausing != NULL)
        finish(role, "this instance is stopping");
}
