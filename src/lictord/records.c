/* Health-driven records: what the builder's part (records.h) needs of main, which is timers, commits to the
 * store, the operator's word (control/force/...) and answers of prepared queries. */
#include "daemon.h"

#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define COMMIT_INTERVAL NS_PER_S
#define QUERY_INTERVAL  (2 * NS_PER_S)
#define QUERY_TIMEOUT   (10 * NS_PER_S)
#define REMOTE_MAX      (CONFIG_DATACENTERS_MAX + 1)
#define FORCE_KEY       "control/force/"
#define FORCES_MAX      (256 * 1024) /* octets of all of them */
#define KIND            "forces"
#define VERSION         1

/* A zone whose records go to the store. */
struct committing {
    struct committing *next;
    struct daemon *daemon;
    uint8_t apex[NAME_MAX_WIRE];
    struct event *timer;
    bool wanted, under_way, failing;
    nstime last; /* when the last one began */
};

/* A prepared query that records follow. */
struct followed {
    struct followed *next;
    struct daemon *daemon;
    struct consul_request *request;
    struct event *timer;
    nstime good_until; /* of what was read last */
    bool wanted, failing;
    char name[];
};

struct followers {
    struct daemon *daemon;
    struct event *timer; /* records_look */
    struct committing *committing;
    struct followed *queries;
    bool local_live;
    size_t remote_count;
    char *remote[REMOTE_MAX];
    struct consul_watch *force_watch;
    json_t *forces; /* {"www.example.com.": {"force","by","at"}} */
};

static void arm(struct event *timer, nstime after)
{
    struct timeval delay = clock_timeval(after);
    event_add(timer, &delay);
}

/* --- looking when it is time ---------------------------------------------------------------------- */

static void run_look(void *arg)
{
    struct daemon *daemon = arg;
    records_look(daemon->records, clock_boot());
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *daemon = arg;
    (void)fd, (void)what;
    builder_post(daemon->builder, run_look, NULL, daemon);
}

struct waking {
    struct daemon *daemon;
    nstime at;
};

static void woken(void *arg)
{
    struct waking *waking = arg;
    struct followers *followers = waking->daemon->followers;
    if (!waking->daemon->stopping && followers->timer) {
        if (waking->at == NS_NEVER)
            event_del(followers->timer);
        else
            arm(followers->timer, waking->at - clock_boot());
    }
    free(waking);
}

static void on_wake(void *arg, nstime at)
{
    struct daemon *daemon = arg;
    struct waking *waking = xmalloc(sizeof *waking);
    *waking = (struct waking){daemon, at};
    builder_to_main(daemon->builder, woken, waking);
}

/* --- commits -------------------------------------------------------------------------------------- */

/* Builder. What is seen when it runs counts: a flip since then need not wait for the next commit. */
static int edit_zone(void *arg, struct zone_edit *edit, const struct zone *current, struct err *err)
{
    struct committing *committing = arg;
    (void)current, (void)err;
    records_edit(committing->daemon->records, committing->apex, edit);
    return 0;
}

static void commit(struct committing *committing);

static void committed(void *arg, const struct store_result *result)
{
    struct committing *committing = arg;
    committing->under_way = false;
    if (committing->daemon->stopping)
        return;
    bool failed = result->outcome == STORE_REFUSED || result->outcome == STORE_FAILED;
    if (failed && !committing->failing) /* once: it is tried again each second */
        log_error("records: what they answer is not committed: %s", result->error ? result->error : "?");
    else if (committing->failing && result->outcome == STORE_COMMITTED)
        log_info("records: what they answer is committed again");
    committing->failing = failed || (committing->failing && result->outcome != STORE_COMMITTED);
    if (committing->wanted) /* what failed is wanted again each second: daemon_mind_records */
        commit(committing);
}

static void commit(struct committing *committing)
{
    struct daemon *daemon = committing->daemon;
    nstime now = clock_boot();
    if (!daemon->store || daemon->stopping || committing->under_way || !role_is_primary(daemon->role))
        return;
    if (committing->last && now < committing->last + COMMIT_INTERVAL) {
        if (!evtimer_pending(committing->timer, NULL))
            arm(committing->timer, committing->last + COMMIT_INTERVAL - now);
        return;
    }
    committing->last = now;
    committing->wanted = false;
    committing->under_way = true;
    store_commit_health(daemon->store, committing->apex, edit_zone, committed, committing);
}

static void commit_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    commit(arg);
}

struct wanting {
    struct daemon *daemon;
    uint8_t apex[NAME_MAX_WIRE];
};

static void wanted(void *arg)
{
    struct wanting *wanting = arg;
    struct daemon *daemon = wanting->daemon;
    struct committing **at = &daemon->followers->committing;
    while (*at && !name_equal((*at)->apex, wanting->apex))
        at = &(*at)->next;
    if (!*at && !daemon->stopping) {
        *at = xcalloc(1, sizeof **at);
        (*at)->daemon = daemon;
        memcpy((*at)->apex, wanting->apex, name_len(wanting->apex));
        (*at)->timer = evtimer_new(daemon->base, commit_due, *at);
    }
    if (!daemon->stopping) {
        (*at)->wanted = true;
        commit(*at);
    }
    free(wanting);
}

static void on_commit(void *arg, const uint8_t *apex)
{
    struct daemon *daemon = arg;
    struct wanting *wanting = xcalloc(1, sizeof *wanting);
    wanting->daemon = daemon;
    memcpy(wanting->apex, apex, name_len(apex));
    builder_to_main(daemon->builder, wanted, wanting);
}

static void run_want(void *arg)
{
    struct daemon *daemon = arg;
    records_want(daemon->records);
}

/* --- which views are live ------------------------------------------------------------------------- */

struct lives {
    struct daemon *daemon;
    bool local;
    size_t count;
    char *remote[REMOTE_MAX + 1];
};

static void see_remote(void *arg, const char *name, bool live, nstime contact)
{
    struct lives *lives = arg;
    /* A view that nothing confirmed for `stale-for` is as good as none. */
    bool good = live && clock_boot() - contact < lives->daemon->config->consul.stale_for;
    if (good && lives->count < REMOTE_MAX)
        lives->remote[lives->count++] = xstrdup(name);
}

static bool same_lives(const struct followers *followers, const struct lives *lives)
{
    if (followers->local_live != lives->local || followers->remote_count != lives->count)
        return false;
    for (size_t i = 0; i < lives->count; i++)
        if (strcmp(followers->remote[i], lives->remote[i]))
            return false;
    return true;
}

static void run_lives(void *arg)
{
    struct lives *lives = arg;
    records_live(lives->daemon->records, lives->local, (const char *const *)lives->remote);
    records_look(lives->daemon->records, clock_boot());
}

static void free_lives(void *arg)
{
    struct lives *lives = arg;
    for (size_t i = 0; i < lives->count; i++)
        free(lives->remote[i]);
    free(lives);
}

static void mind_lives(struct daemon *daemon)
{
    struct followers *followers = daemon->followers;
    struct lives *lives = xcalloc(1, sizeof *lives);
    lives->daemon = daemon;
    lives->local = daemon->watch && watch_live(daemon->watch) &&
                   clock_boot() < atomic_load(&daemon->services_state.dead_from);
    if (daemon->datacenters)
        datacenters_each(daemon->datacenters, see_remote, lives);
    if (same_lives(followers, lives)) {
        free_lives(lives);
        return;
    }
    for (size_t i = 0; i < followers->remote_count; i++)
        free(followers->remote[i]);
    followers->local_live = lives->local;
    followers->remote_count = lives->count;
    for (size_t i = 0; i < lives->count; i++)
        followers->remote[i] = xstrdup(lives->remote[i]);
    builder_post(daemon->builder, run_lives, free_lives, lives);
}

void daemon_mind_records(struct daemon *daemon)
{
    if (!daemon->zones_loaded || daemon->stopping)
        return;
    mind_lives(daemon);
    if (daemon->store && role_is_primary(daemon->role))
        builder_post(daemon->builder, run_want, NULL, daemon);
}

/* --- prepared queries ----------------------------------------------------------------------------- */

struct answer {
    struct daemon *daemon;
    struct buf body;
    bool lost;
    char name[256];
};

static void run_answer(void *arg)
{
    struct answer *answer = arg;
    struct err err;
    const char *body = answer->lost ? NULL : buf_str(&answer->body);
    if (records_query(answer->daemon->records, answer->name, body, answer->body.len, &err))
        log_error("records: the answer of the prepared query %s: %s", answer->name, err.text);
    records_look(answer->daemon->records, clock_boot());
}

static void free_answer(void *arg)
{
    struct answer *answer = arg;
    buf_free(&answer->body);
    free(answer);
}

/* body NULL: it is lost. */
static void tell_query(struct followed *query, struct buf *body)
{
    struct answer *answer = xcalloc(1, sizeof *answer);
    answer->daemon = query->daemon;
    answer->lost = !body;
    snprintf(answer->name, sizeof answer->name, "%s", query->name);
    if (body) {
        answer->body = *body;
        *body = (struct buf){0};
    }
    builder_post(query->daemon->builder, run_answer, free_answer, answer);
}

static void query_answered(void *arg, struct consul_response *response)
{
    struct followed *query = arg;
    nstime now = clock_boot();
    bool good = response->status == 200;
    query->request = NULL;
    if (good) {
        query->good_until = response->started + query->daemon->config->consul.stale_for;
        tell_query(query, response->body);
    } else if (query->good_until && now >= query->good_until) {
        query->good_until = 0;
        tell_query(query, NULL);
    }
    if (!good && !query->failing)
        log_warn("records: the prepared query %s: %s", query->name, response->error);
    query->failing = !good;
    arm(query->timer, QUERY_INTERVAL);
}

static void ask_query(evutil_socket_t fd, short what, void *arg)
{
    struct followed *query = arg;
    (void)fd, (void)what;
    if (!query->wanted || query->request)
        return;
    char *escaped = consul_escape(query->name), *path = xasprintf("/v1/query/%s/execute", escaped);
    query->request =
        consul_send(query->daemon->ondemand_client,
                    &(struct consul_options){.method = "GET", .path = path, .timeout = QUERY_TIMEOUT},
                    query_answered, query);
    free(path);
    free(escaped);
}

static void want_query(struct daemon *daemon, const char *name)
{
    struct followed **at = &daemon->followers->queries;
    while (*at && strcmp((*at)->name, name))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof **at + strlen(name) + 1);
        (*at)->daemon = daemon;
        strcpy((*at)->name, name);
        (*at)->timer = evtimer_new(daemon->base, ask_query, *at);
    }
    if (!(*at)->wanted && !(*at)->request)
        arm((*at)->timer, 0);
    (*at)->wanted = true;
}

void daemon_configure_records(struct daemon *daemon)
{
    struct followed **was = &daemon->followers->queries;
    const struct config *config = daemon->config;
    for (struct followed *query = *was; query; query = query->next)
        query->wanted = false;
    for (size_t z = 0; z < config->zone_count; z++)
        for (size_t r = 0; r < config->zones[z].record_count; r++) {
            const struct config_record *record = &config->zones[z].records[r];
            for (size_t i = 0; i < record->candidate_count; i++)
                if (record->candidates[i].kind == CANDIDATE_QUERY && daemon->ondemand_client)
                    want_query(daemon, record->candidates[i].name);
        }
    daemon_mind_records(daemon);
}

/* --- the operator's word -------------------------------------------------------------------------- */

struct forcing {
    struct daemon *daemon;
    size_t count;
    struct record_forcing list[];
};

static void run_forcing(void *arg)
{
    struct forcing *forcing = arg;
    records_set_forces(forcing->daemon->records, forcing->list, forcing->count);
    records_look(forcing->daemon->records, clock_boot());
}

/* Whatever stands in KV, or on the disk: what is not understood is no word. */
static bool read_forcing(const char *owner, const json_t *value, struct record_forcing *out)
{
    const char *force = json_string_value(json_object_get(value, "force"));
    const char *by = json_string_value(json_object_get(value, "by"));
    const char *at = json_string_value(json_object_get(value, "at"));
    if (!force || name_from_text(owner, NULL, out->owner, NULL) < 0)
        return false;
    name_lower(out->owner, out->owner);
    out->force = !strcmp(force, "up")     ? RECORD_FORCE_UP
                 : !strcmp(force, "down") ? RECORD_FORCE_DOWN
                                          : RECORD_FORCE_NONE;
    snprintf(out->by, sizeof out->by, "%.60s at %.30s", by ? by : "somebody", at ? at : "?");
    return out->force != RECORD_FORCE_NONE;
}

static void apply_forces(struct daemon *daemon)
{
    json_t *forces = daemon->followers->forces, *value;
    struct forcing *forcing =
        xcalloc(1, sizeof *forcing + json_object_size(forces) * sizeof forcing->list[0]);
    const char *owner;
    forcing->daemon = daemon;
    json_object_foreach(forces, owner, value)
    {
        if (read_forcing(owner, value, &forcing->list[forcing->count]))
            forcing->count++;
        else
            log_warn("records: the word about %.200s in " FORCE_KEY " is not understood", owner);
    }
    builder_post(daemon->builder, run_forcing, free, forcing);
}

static void forces_came(void *arg, struct consul_response *response, bool changed)
{
    struct daemon *daemon = arg;
    struct consul_kv *entries = NULL;
    size_t count = 0;
    bool none = response->status == 404 && response->index > 0;
    if (!changed || (response->status != 200 && !none) ||
        (!none && consul_kv_parse(response->body, &entries, &count, NULL)))
        return;
    json_t *forces = json_object();
    for (size_t i = 0; i < count; i++) {
        const char *owner = strstr(entries[i].key, FORCE_KEY);
        json_t *value = json_loadb((const char *)entries[i].value.data, entries[i].value.len, 0, NULL);
        if (owner)
            json_object_set_new(forces, owner + strlen(FORCE_KEY), value ? value : json_null());
        else
            json_decref(value);
    }
    consul_kv_free(entries, count);
    json_decref(daemon->followers->forces);
    daemon->followers->forces = forces;
    apply_forces(daemon);
}

static char *force_path(const struct daemon *daemon, const char *owner, const char *query)
{
    char *key = xasprintf("lictor/%s/" FORCE_KEY "%s", daemon->config->election.cluster, owner);
    char *path = consul_path("/v1/kv/", key, query);
    free(key);
    return path;
}

/* Without an election: on the disk, so that a restart does not undo it. */
static char *force_file(const struct daemon *daemon)
{
    return xasprintf("%s/forces", daemon->config->state_dir);
}

static void restore_forces(struct daemon *daemon)
{
    struct buf text = {0};
    struct err err;
    char *path = force_file(daemon);
    int result = statefile_read(path, KIND, VERSION, &text, &err);
    json_t *forces = result == 0 ? json_loads(buf_str(&text), 0, NULL) : NULL;
    if (result < 0)
        log_error("records: what was forced is not known any more: %s", err.text);
    if (json_is_object(forces)) {
        json_decref(daemon->followers->forces);
        daemon->followers->forces = json_incref(forces);
        apply_forces(daemon);
    }
    json_decref(forces);
    buf_free(&text);
    free(path);
}

static const char *save_forces(struct daemon *daemon, struct err *err)
{
    char *path = force_file(daemon), *text = json_dumps(daemon->followers->forces, JSON_COMPACT);
    int result = statefile_write(path, KIND, VERSION, text, strlen(text), err);
    free(path);
    free(text);
    return result ? err->text : NULL;
}

struct force_call {
    struct daemon *daemon;
    void (*done)(void *arg, const char *error);
    void *arg;
};

static void force_written(void *arg, struct consul_response *response)
{
    struct force_call *call = arg;
    char error[600];
    snprintf(error, sizeof error, "%sConsul did not take it: %s",
             response->status == 403 ? "not allowed: " : "", response->error ? response->error : "");
    if (response->status == 200) /* this instance follows at once, not only when the blocking query returns */
        consul_watch_restart(call->daemon->followers->force_watch);
    call->done(call->arg, response->status == 200 ? NULL : error);
    free(call);
}

static const struct config_record *find_record(const struct config *config, const uint8_t *owner)
{
    for (size_t z = 0; z < config->zone_count; z++)
        for (size_t r = 0; r < config->zones[z].record_count; r++)
            if (name_equal(config->zones[z].records[r].owner, owner))
                return &config->zones[z].records[r];
    return NULL;
}

static void put_force(struct daemon *daemon, const char *owner, json_t *value,
                      void (*done)(void *done_arg, const char *error), void *done_arg)
{
    struct followers *followers = daemon->followers;
    if (daemon->store) {
        struct force_call *call = xmalloc(sizeof *call);
        *call = (struct force_call){daemon, done, done_arg};
        char *path = force_path(daemon, owner, NULL);
        char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
        consul_send(daemon->store_client,
                    &(struct consul_options){.method = value ? "PUT" : "DELETE",
                                             .path = path,
                                             .body = text,
                                             .body_len = text ? strlen(text) : 0,
                                             .timeout = 5 * NS_PER_S},
                    force_written, call);
        free(text);
        free(path);
        json_decref(value);
        return;
    }
    struct err err;
    if (value)
        json_object_set_new(followers->forces, owner, value);
    else
        json_object_del(followers->forces, owner);
    apply_forces(daemon);
    done(done_arg, save_forces(daemon, &err));
}

void daemon_force_record(void *arg, const char *word, const char *name,
                         void (*done)(void *done_arg, const char *error), void *done_arg)
{
    struct daemon *daemon = arg;
    uint8_t owner[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT], at[TIME_TEXT], error[600];
    struct err err;
    bool clear = !strcmp(word, "clear");
    if (daemon->stopping) {
        done(done_arg, "this instance is stopping");
        return;
    }
    if (!clear && strcmp(word, "up") && strcmp(word, "down")) {
        snprintf(error, sizeof error, "`record force %.40s`: write up, down or clear", word);
        done(done_arg, error);
        return;
    }
    if (name_from_text(name, (const uint8_t *)"", owner, &err) < 0) {
        snprintf(error, sizeof error, "`%.255s` is no domain name: %s", name, err.text);
        done(done_arg, error);
        return;
    }
    name_lower(owner, owner);
    name_to_text(owner, text);
    if (!clear && !find_record(daemon->config, owner)) {
        snprintf(error, sizeof error,
                 "there is no health-driven record %.255s here; `lictor zones` lists those that are", text);
        done(done_arg, error);
        return;
    }
    time_format(clock_real(), at);
    put_force(daemon, text,
              clear ? NULL
                    : json_pack("{s:s, s:s, s:s}", "force", word, "by", daemon->config->node, "at", at),
              done, done_arg);
}

/* --- for people ----------------------------------------------------------------------------------- */

void daemon_add_records(const struct daemon *daemon, json_t *zones)
{
    size_t i;
    json_t *zone;
    json_array_foreach(zones, i, zone)
    {
        const char *text = json_string_value(json_object_get(zone, "zone"));
        json_t *list = text ? records_status(daemon->records, text) : NULL;
        uint32_t serial = text ? records_serial(daemon->records, text) : 0;
        if (list)
            json_object_set_new(zone, "health", list);
        if (serial)
            json_object_set_new(zone, "serial", json_integer(serial));
    }
}

/* --- life
 * -----------------------------------------------------------------------------------------------------------
 */

static void publish(void *arg, struct zone *zone)
{
    struct daemon *daemon = arg;
    publisher_put(&daemon->publisher, zone);
}

void daemon_new_records(struct daemon *daemon)
{
    daemon->followers = xcalloc(1, sizeof *daemon->followers);
    daemon->followers->daemon = daemon;
    daemon->followers->forces = json_object();
    daemon->followers->timer = evtimer_new(daemon->base, on_time, daemon);
    daemon->records = records_new(&(struct records_config){.catalog = daemon->catalog,
                                                           .local = &daemon->services_state,
                                                           .state_dir = daemon->config->state_dir,
                                                           .raise = !daemon->config->election.enabled,
                                                           .publish = publish,
                                                           .wake = on_wake,
                                                           .commit = on_commit,
                                                           .arg = daemon});
}

void daemon_start_records(struct daemon *daemon)
{
    if (!daemon->store) {
        restore_forces(daemon);
        return;
    }
    char *path = force_path(daemon, "", "recurse");
    struct consul_watch_options options = {.path = path, .wait = 60 * NS_PER_S, .max_body = FORCES_MAX};
    daemon->followers->force_watch = consul_watch_new(daemon->store_client, &options, forces_came, daemon);
    free(path);
}

void daemon_stop_records(struct daemon *daemon)
{
    struct followers *followers = daemon->followers;
    if (!followers)
        return;
    consul_watch_free(followers->force_watch);
    followers->force_watch = NULL;
    if (followers->timer)
        event_free(followers->timer);
    followers->timer = NULL;
    for (struct followed *query = followers->queries; query; query = query->next) {
        consul_cancel(query->request);
        query->request = NULL;
        query->wanted = false;
    }
}

void daemon_free_records(struct daemon *daemon)
{
    struct followers *followers = daemon->followers;
    records_free(daemon->records);
    if (!followers)
        return;
    for (struct committing *c = followers->committing, *next; c; c = next) {
        next = c->next;
        event_free(c->timer);
        free(c);
    }
    for (struct followed *query = followers->queries, *next; query; query = next) {
        next = query->next;
        event_free(query->timer);
        free(query);
    }
    for (size_t i = 0; i < followers->remote_count; i++)
        free(followers->remote[i]);
    json_decref(followers->forces);
    free(followers);
}
