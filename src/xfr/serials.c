#include "lictor/serials.h"

#include "block.h"

#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define KIND        "serials"
#define VERSION     1
#define CUT_EVERY   NS_PER_S
#define ASK_TIMEOUT (2 * NS_PER_S)

struct serials {
    struct serials_config config;
    char *key, *path;
    struct event *cut_timer, *retry_timer;
    struct consul_watch *watch;
    struct consul_request *request;
    struct block seen;      /* the highest that was ever read or reserved here */
    struct block own;       /* this reign's; known: it may be used */
    struct block reserving; /* being written */
    struct block watched;   /* Consul's, as last read */
    uint32_t next;          /* of own */
    bool reigning, busy, wanted;
    bool saving_failed;
    unsigned failures;
    nstime cut_at; /* 0: not in this reign */
};

static void reserve(struct serials *serials);

static void after(struct event *timer, nstime delay)
{
    struct timeval left = clock_timeval(delay);
    event_add(timer, &left);
}

/* --- cutting ---------------------------------------------------------------------------------------- */

static void cut(struct serials *serials)
{
    nstime now = clock_boot();
    if (!serials->wanted || !serials->own.known)
        return;
    if (!gate_may_act(serials->config.gate, now)) { /* a lease that has run out may come back */
        after(serials->cut_timer, CUT_EVERY);
        return;
    }
    if (serials->cut_at && now < serials->cut_at + CUT_EVERY) {
        after(serials->cut_timer, serials->cut_at + CUT_EVERY - now);
        return;
    }
    if (serial_is_later(serials->next, serials->own.end)) /* used up: what is reserved comes back to here */
        return;
    serials->wanted = false;
    serials->cut_at = now;
    serials->config.cut(serials->config.arg, serials->next++);
    if (serials->own.end - serials->next < BLOCK_SIZE / 2)
        reserve(serials);
}

void serials_wanted(struct serials *serials)
{
    serials->wanted = true;
    cut(serials);
}

static void on_cut_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    cut(arg);
}

/* --- what was reserved -------------------------------------------------------------------------------- */

static void failed(struct serials *serials, const char *why, int status)
{
    serials->busy = false;
    if (serials->failures == 0)
        log_warn("serials: no block can be reserved: %s; transfers of the catalog's zones stay as they are",
                 why);
    after(serials->retry_timer, consul_backoff(serials->failures++, status));
}

static void reserved(struct serials *serials)
{
    bool first = !serials->own.known;
    serials->busy = false;
    serials->failures = 0;
    serials->own = serials->seen = serials->reserving;
    if (first) {
        serials->next = serials->own.start;
        serials->cut_at = 0;
        serials->wanted = true;
        log_info("serials: %u to %u are reserved for the transfer versions of this reign", serials->own.start,
                 serials->own.end);
        serials->config.floor(serials->config.arg, serials->own.start);
    }
    cut(serials);
}

/* --- in state-dir: the only place without an election, else a memory of what was seen ------------------ */

struct saving {
    struct serials *serials;
    struct block block;
    bool reserves; /* nothing may be used before it is written */
    char *path;
    bool failed;
    struct err err;
};

static void run_save(void *arg)
{
    struct saving *saving = arg;
    struct buf text = {0};
    block_encode(&saving->block, &text);
    saving->failed = statefile_write(saving->path, KIND, VERSION, text.data, text.len, &saving->err);
    buf_free(&text);
}

static void saved(void *arg)
{
    struct saving *saving = arg;
    struct serials *serials = saving->serials;
    if (saving->reserves && saving->failed)
        failed(serials, saving->err.text, 0);
    else if (saving->reserves)
        reserved(serials);
    else if (saving->failed && !serials->saving_failed)
        log_warn("serials: not saved: %s", saving->err.text);
    serials->saving_failed = saving->failed;
    free(saving->path);
    free(saving);
}

/* A block of our own. Any serial of it may have been shown when this process ends: what is saved for the next
 * start, which shows a block's beginning until it knows more, is its end. */
static struct block used_up(const struct block *own)
{
    return (struct block){own->end, own->end, true};
}

static void save(struct serials *serials, const struct block *block, bool reserves)
{
    struct saving *saving = xcalloc(1, sizeof *saving);
    *saving = (struct saving){
        .serials = serials, .block = *block, .reserves = reserves, .path = xstrdup(serials->path)};
    builder_post(serials->config.builder, run_save, saved, saving);
}

static void read_saved(struct serials *serials)
{
    struct buf text = {0};
    struct err err;
    int result = statefile_read(serials->path, KIND, VERSION, &text, &err);
    if (result == 0 && block_decode(text.data, text.len, &serials->seen, &err)) {
        result = -1;
        err_prefix(&err, "%s", serials->path);
    }
    if (result < 0)
        log_warn("serials: %s: going by the time", err.text);
    buf_free(&text);
}

/* --- in Consul ---------------------------------------------------------------------------------------- */

/* What stands in a GET's answer. Returns 0 with *index (0: no such key), or -1 with err. */
static int read_block(struct consul_response *response, struct block *out, uint64_t *index, struct err *err)
{
    struct consul_kv *list;
    size_t count;
    *out = (struct block){0};
    *index = 0;
    if (response->status == 404)
        return 0;
    if (consul_kv_parse(response->body, &list, &count, err))
        return -1;
    int result = count == 1 ? block_decode(list[0].value.data, list[0].value.len, out, err)
                            : err_set(err, "%zu keys instead of one", count);
    *index = count ? list[0].modify_index : 0;
    consul_kv_free(list, count);
    return result;
}

/* An unreadable value does not stop the reign: the new one stands above the time and all that was seen. */
static void note(struct serials *serials, const struct block *block)
{
    if (!block->known || (serials->seen.known && !serial_is_later(block->end, serials->seen.end)))
        return;
    serials->seen = *block;
    save(serials, block, false);
}

static void on_written(void *arg, struct consul_response *response)
{
    struct serials *serials = arg;
    serials->request = NULL;
    if (response->status != 200) { /* an unknown outcome is read again before the next attempt */
        failed(serials, response->error, response->status);
        return;
    }
    struct block used = used_up(&serials->reserving);
    save(serials, &used, false);
    reserved(serials);
}

static void on_read(void *arg, struct consul_response *response)
{
    struct serials *serials = arg;
    struct block stored;
    struct err err;
    uint64_t index;
    serials->request = NULL;
    const char *session = serials->config.session(serials->config.arg);
    if (response->status != 200 && !(response->status == 404 && response->index)) {
        failed(serials, response->error, response->status);
        return;
    }
    if (read_block(response, &stored, &index, &err))
        log_warn("serials: Consul's %s %s; it is written anew", serials->key, err.text);
    note(serials, &stored);
    if (!serials->reigning || !session[0]) { /* the next reign begins anew */
        serials->busy = false;
        return;
    }
    serials->reserving =
        serials->own.known ? block_longer(&serials->own) : block_next(&stored, &serials->seen, clock_real());
    char *leader = xasprintf("lictor/%s/leader", serials->config.cluster);
    struct buf value = {0};
    block_encode(&serials->reserving, &value);
    json_t *ops = json_array();
    json_array_append_new(ops, consul_txn_op("check-session", leader, NULL, 0, session, 0));
    json_array_append_new(ops, consul_txn_op("cas", serials->key, value.data, value.len, NULL, index));
    serials->request = consul_txn(serials->config.client, ops, ASK_TIMEOUT, on_written, serials);
    buf_free(&value);
    free(leader);
}

static void on_watched(void *arg, struct consul_response *response, bool changed)
{
    struct serials *serials = arg;
    struct block block;
    struct err err;
    uint64_t index;
    if (response->status != 200 || !changed || read_block(response, &block, &index, &err))
        return; /* what is wrong with it is told when somebody has to write it */
    note(serials, &block);
    if (!serials->own.known && !(serials->watched.known && serials->watched.start == block.start))
        serials->config.floor(serials->config.arg, block.start);
    serials->watched = block;
}

/* --- reserving ---------------------------------------------------------------------------------------- */

static void reserve(struct serials *serials)
{
    if (serials->busy || !serials->reigning)
        return;
    serials->busy = true;
    if (!serials->config.client) {
        static const struct block none;
        serials->reserving = serials->own.known ? block_longer(&serials->own)
                                                : block_next(&none, &serials->seen, clock_real());
        struct block used = used_up(&serials->reserving);
        save(serials, &used, true);
        return;
    }
    char *path = consul_path("/v1/kv/", serials->key, "consistent");
    serials->request = consul_send(
        serials->config.client,
        &(struct consul_options){.method = "GET", .path = path, .timeout = ASK_TIMEOUT, .max_body = 65536},
        on_read, serials);
    free(path);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    reserve(arg);
}

/* What is still on its way belongs to another reign: its block may be below somebody's by now. */
static void forget_reign(struct serials *serials)
{
    consul_cancel(serials->request);
    serials->request = NULL;
    serials->busy = serials->busy && !serials->config.client;
    serials->own.known = false;
    serials->failures = 0;
    event_del(serials->retry_timer);
}

void serials_promoted(struct serials *serials)
{
    forget_reign(serials);
    serials->reigning = true;
    reserve(serials);
}

void serials_demoted(struct serials *serials)
{
    forget_reign(serials);
    serials->reigning = false;
    serials->watched.known = false; /* whatever stands there now is somebody's beginning */
    if (serials->watch)
        consul_watch_restart(serials->watch);
}

/* --- life --------------------------------------------------------------------------------------------- */

struct serials *serials_new(const struct serials_config *config)
{
    struct serials *serials = xcalloc(1, sizeof *serials);
    serials->config = *config;
    serials->config.cluster = xstrdup_null(config->cluster);
    serials->path = xasprintf("%s/serials", config->state_dir);
    serials->config.state_dir = NULL;
    serials->cut_timer = event_new(config->base, -1, 0, on_cut_timer, serials);
    serials->retry_timer = event_new(config->base, -1, 0, on_retry, serials);
    read_saved(serials);
    if (config->shown && (!serials->seen.known || serial_is_later(config->shown, serials->seen.end)))
        serials->seen = (struct block){config->shown, config->shown, true};
    if (serials->seen.known)
        config->floor(config->arg, serials->seen.start);
    if (!config->client)
        return serials;
    serials->key = xasprintf("lictor/%s/serials", config->cluster);
    char *path = consul_path("/v1/kv/", serials->key, NULL);
    serials->watch = consul_watch_new(config->client, &(struct consul_watch_options){.path = path, .rate = 2},
                                      on_watched, serials);
    free(path);
    return serials;
}

void serials_stop(struct serials *serials)
{
    if (!serials)
        return;
    serials->reigning = false;
    consul_watch_free(serials->watch);
    consul_cancel(serials->request);
    serials->watch = NULL;
    serials->request = NULL;
    event_del(serials->cut_timer);
    event_del(serials->retry_timer);
}

void serials_free(struct serials *serials)
{
    if (!serials)
        return;
    serials_stop(serials);
    event_free(serials->cut_timer);
    event_free(serials->retry_timer);
    free((char *)(uintptr_t)serials->config.cluster);
    free(serials->key);
    free(serials->path);
    free(serials);
}
