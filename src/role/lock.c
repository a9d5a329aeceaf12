/* The lock's requests: acquire, confirm, write, release; and what their answers mean. */
#include "internal.h"

#include "lictor/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Answers carry the order's serial as the tag. */
static void feed_result(struct role *role, enum election_event_kind kind, struct election_result result)
{
    struct election_event event = {.kind = kind, .result = result};
    role_feed(role, &event);
}

/* What a transaction's answer says. A status of 400 or 403 is a refusal before anything happened; a 5xx or no
 * answer may be followed by the effect. */
static struct election_result outcome(struct role *role, const char *what, struct consul_response *response,
                                      uint32_t serial)
{
    struct election_result result = {.outcome = ELECTION_UNKNOWN,
                                     .serial = serial,
                                     .started = response->started,
                                     .finished = response->finished};
    struct consul_kv *entries = NULL;
    size_t count = 0;
    struct err err;
    if (response->status == 409 || response->status == 400 || response->status == 403) {
        result.outcome = ELECTION_CONFLICT;
        if (response->status == 409) {
            report_works(role, what);
            log_debug("election: %s: refused: %s", what, response->error);
        } else {
            report_error(role, what, response);
        }
        return result;
    }
    if (response->status != 200) {
        report_error(role, what, response);
        return result;
    }
    report_works(role, what);
    if (consul_txn_parse(response->body, &entries, &count, &err) != 0) {
        log_warn("election: %s: %s", what, err.text);
        return result;
    }
    char *key = role_key(role, "leader");
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].key, key) == 0) {
            result.outcome = ELECTION_DONE;
            result.create_index = entries[i].create_index;
            result.modify_index = entries[i].modify_index; /* the last one counts */
        }
    free(key);
    consul_kv_free(entries, count);
    return result;
}

static void own_value(const struct role *role, const struct election_order *order, struct lock_value *value)
{
    *value = (struct lock_value){.write = order->serial};
    value->election.epoch = order->epoch;
    value->election.lease = order->lease;
    snprintf(value->election.instance, sizeof value->election.instance, "%s", role->instance);
    snprintf(value->node, sizeof value->node, "%s", role->node);
    snprintf(value->address, sizeof value->address, "%s", role->address);
}

static json_t *leader_op(const struct role *role, const char *verb, const struct lock_value *value,
                         const char *session, uint64_t index)
{
    struct buf text = {0};
    char *key = role_key(role, "leader");
    if (value != NULL)
        lock_value_encode(value, &text);
    json_t *op = consul_txn_op(verb, key, text.data, text.len, session, index);
    buf_free(&text);
    free(key);
    return op;
}

static void acquired(struct role *role, struct consul_response *response, uint64_t tag)
{
    feed_result(role, ELECTION_ACQUIRED, outcome(role, "acquiring the lock", response, (uint32_t)tag));
}

void lock_acquire(struct role *role, const struct election_order *order)
{
    struct lock_value value;
    own_value(role, order, &value);
    json_t *ops = json_array();
    json_array_append_new(ops, order->index != 0 ? leader_op(role, "check-index", NULL, NULL, order->index)
                                                 : leader_op(role, "check-not-exists", NULL, NULL, 0));
    json_array_append_new(ops, leader_op(role, "lock", &value, role->election.session, 0));
    call_txn(role, ops, order->timeout, acquired, order->serial);
}

void lock_read(struct role *role, struct consul_response *response, bool confirm)
{
    struct election_event event = {.kind = ELECTION_READ_FAILED};
    struct election_read *read = &event.read;
    struct consul_kv *entries = NULL;
    size_t count = 0;
    struct err err;
    read->confirm = confirm;
    read->started = response->started;
    read->finished = response->finished;
    /* A missing key is a 404 with an index; without one it is no answer of Consul's KV. */
    if (response->status == 404 && response->index > 0) {
        event.kind = ELECTION_READ;
        memset(&role->leader, 0, sizeof role->leader);
        role->leader_index = 0;
        role->leader_session[0] = '\0';
    } else if (response->status != 200) {
        report_error(role, "reading the lock", response);
        consent_missed(role);
    } else if (consul_kv_parse(response->body, &entries, &count, &err) != 0 || count != 1) {
        log_warn("election: reading the lock: %s", count != 1 ? "not one entry" : err.text);
    } else {
        event.kind = ELECTION_READ;
        read->exists = true;
        read->create_index = entries[0].create_index;
        read->modify_index = entries[0].modify_index;
        snprintf(read->session, sizeof read->session, "%s", entries[0].session);
        lock_value_decode(entries[0].value.data, entries[0].value.len, &role->leader);
        snprintf(role->leader_session, sizeof role->leader_session, "%s", entries[0].session);
        read->value = role->leader.election;
        role->leader_index = read->modify_index;
        consent_read(role);
        if (read->value.readable) {
            snprintf(role->last_primary.node, sizeof role->last_primary.node, "%s", role->leader.node);
            snprintf(role->last_primary.instance, sizeof role->last_primary.instance, "%s",
                     read->value.instance);
        }
    }
    consul_kv_free(entries, count);
    if (event.kind == ELECTION_READ)
        report_works(role, "reading the lock");
    if (read->value.marker && strcmp(read->session, role->election.session) == 0 &&
        role->election.state == ELECTION_FOLLOWING) {
        const struct election *e = &role->election;
        log_debug("election: handed to us at %" PRIu64 " by %s in epoch %" PRIu64
                  "; seen last: %s in epoch %" PRIu64 ", followed for %" PRId64 " ms",
                  read->modify_index, read->value.marker_session, read->value.marker_epoch, e->holder.session,
                  e->holder.epoch, (read->started - e->seen.since) / NS_PER_MS);
    }
    pause_mind(role); /* before the election sees a free lock */
    role_feed(role, &event);
}

static void confirmed(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    lock_read(role, response, true);
}

void lock_confirm(struct role *role, const struct election_order *order)
{
    call_send(role, "GET", role_kv_path(role, "leader", "consistent"), NULL, order->timeout, confirmed, 0);
}

static void written(struct role *role, struct consul_response *response, uint64_t tag)
{
    struct election_result result = outcome(role, "writing the lock's value", response, (uint32_t)tag);
    if (result.outcome == ELECTION_DONE)
        consent_written(role, result.serial);
    feed_result(role, ELECTION_WRITTEN, result);
}

static void write_now(struct role *role, const struct election_order *order)
{
    struct lock_value value;
    char epoch[24];
    own_value(role, order, &value);
    consent_writes(role, order->serial, &value);
    snprintf(epoch, sizeof epoch, "%" PRIu64, order->epoch);
    char *key = role_key(role, "epoch");
    const char *session = role->election.session;
    json_t *ops = json_array();
    json_array_append_new(ops, leader_op(role, "check-index", NULL, NULL, order->index));
    json_array_append_new(ops, leader_op(role, "check-session", NULL, session, 0));
    /* `lock` by its holder keeps the lock and replaces the value; `set` would do that too, but resets
     * LockIndex. */
    json_array_append_new(ops, leader_op(role, "lock", &value, session, 0));
    json_array_append_new(ops, consul_txn_op("set", key, epoch, strlen(epoch), NULL, 0));
    free(key);
    call_txn(role, ops, order->timeout, written, order->serial);
}

/* KV's epoch came. Nobody but the holder of the lock writes it, so it does not change until our write. */
static void epoch_read(struct role *role, struct consul_response *response, uint64_t tag)
{
    struct election_result result = {.outcome = ELECTION_UNKNOWN,
                                     .serial = (uint32_t)tag,
                                     .started = response->started,
                                     .finished = response->finished};
    struct consul_kv *entries = NULL;
    size_t count = 0;
    uint64_t epoch = 0;
    if (response->status != 200 && !(response->status == 404 && response->index > 0)) {
        report_error(role, "reading the epoch", response);
        feed_result(role, ELECTION_WRITTEN, result);
        return;
    }
    report_works(role, "reading the epoch");
    if (response->status == 200 && consul_kv_parse(response->body, &entries, &count, NULL) == 0 &&
        count == 1 && !epoch_decode(entries[0].value.data, entries[0].value.len, &epoch))
        log_warn("election: the key `epoch` holds no number; going by the highest epoch seen otherwise");
    consul_kv_free(entries, count);
    if (role->writing.serial != (uint32_t)tag)
        return; /* a newer order took its place */
    if (epoch < role->writing.epoch) {
        write_now(role, &role->writing);
        return;
    }
    result.outcome = ELECTION_BEHIND;
    result.kv_epoch = epoch;
    feed_result(role, ELECTION_WRITTEN, result);
}

void lock_write(struct role *role, const struct election_order *order)
{
    if (!order->first) {
        write_now(role, order);
        return;
    }
    role->writing = *order;
    call_send(role, "GET", role_kv_path(role, "epoch", "consistent"), NULL, order->timeout, epoch_read,
              order->serial);
}

void remove_key(struct role *role, const char *key, uint64_t index, reply_fn *reply)
{
    json_t *ops = json_array();
    json_array_append_new(ops, leader_op(role, "check-session", NULL, role->election.session, 0));
    json_array_append_new(ops, consul_txn_op("delete-cas", key, NULL, 0, NULL, index));
    call_txn(role, ops, ROLE_ASK, reply, 0);
}

static void released(struct role *role, struct consul_response *response, uint64_t tag)
{
    feed_result(role, ELECTION_RELEASED, outcome(role, "handing over", response, (uint32_t)tag));
}

void lock_release(struct role *role, const struct election_order *order)
{
    const char *session = role->election.session;
    struct lock_value value;
    own_value(role, order, &value);
    value.election.epoch = 0; /* until the holder writes its own */
    if (order->marker) {
        value.election.marker = true;
        value.election.marker_epoch = order->epoch;
        snprintf(value.election.marker_session, sizeof value.election.marker_session, "%s", session);
    }
    if (order->session[0] != '\0') {
        snprintf(value.election.instance, sizeof value.election.instance, "%s", role->target_instance);
        snprintf(value.node, sizeof value.node, "%s", role->target_node);
        snprintf(value.address, sizeof value.address, "%s", role->target_address);
    }
    json_t *ops = json_array();
    json_array_append_new(ops, leader_op(role, "check-index", NULL, NULL, order->index));
    json_array_append_new(ops, leader_op(role, "check-session", NULL, session, 0));
    /* Both carry the value: of two writes to a key in one transaction the last one stays. */
    json_array_append_new(ops, leader_op(role, "unlock", &value, session, 0));
    if (order->session[0] != '\0')
        json_array_append_new(ops, leader_op(role, "lock", &value, order->session, 0));
    call_txn(role, ops, order->timeout, released, order->serial);
}
