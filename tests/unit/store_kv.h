/* A model of Consul's KV, by the rules measured: what the zone store's requests do there. For one test
 * program. */
#pragma once

#include "lictor/xalloc.h"
#include "store/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool noisy;

struct pair {
    char *key;
    struct buf value;
    uint64_t index;
};

struct kv {
    struct pair *pairs; /* by key */
    size_t count;
    uint64_t index;
    char holder[64]; /* session that holds the lock */
};

static struct pair *kv_find(struct kv *kv, const char *key)
{
    for (size_t i = 0; i < kv->count; i++)
        if (!strcmp(kv->pairs[i].key, key))
            return &kv->pairs[i];
    return NULL;
}

static void kv_set(struct kv *kv, const char *key, const struct buf *value, uint64_t index)
{
    struct pair *pair = kv_find(kv, key);
    if (!pair) {
        size_t at = 0;
        while (at < kv->count && strcmp(kv->pairs[at].key, key) < 0)
            at++;
        kv->pairs = xrealloc(kv->pairs, (kv->count + 1) * sizeof *kv->pairs);
        memmove(kv->pairs + at + 1, kv->pairs + at, (kv->count - at) * sizeof *kv->pairs);
        kv->count++;
        pair = &kv->pairs[at];
        *pair = (struct pair){.key = xstrdup(key)};
    }
    pair->value.len = 0;
    buf_append(&pair->value, value->data, value->len);
    pair->index = index;
}

static void kv_delete(struct kv *kv, const char *key)
{
    struct pair *pair = kv_find(kv, key);
    if (!pair)
        return;
    free(pair->key);
    buf_free(&pair->value);
    size_t at = (size_t)(pair - kv->pairs);
    memmove(pair, pair + 1, (kv->count - at - 1) * sizeof *pair);
    kv->count--;
}

static void kv_clear(struct kv *kv)
{
    while (kv->count)
        kv_delete(kv, kv->pairs[0].key);
    free(kv->pairs);
    kv->pairs = NULL;
}

static void kv_copy(struct kv *to, const struct kv *from)
{
    kv_clear(to);
    for (size_t i = 0; i < from->count; i++)
        kv_set(to, from->pairs[i].key, &from->pairs[i].value, from->pairs[i].index);
}

static void reply_add(struct kv_reply *reply, const struct pair *pair, bool values)
{
    reply->entries = xrealloc(reply->entries, (reply->count + 1) * sizeof *reply->entries);
    struct consul_kv *entry = &reply->entries[reply->count++];
    *entry = (struct consul_kv){.key = xstrdup(pair->key), .modify_index = pair->index};
    if (values)
        buf_append(&entry->value, pair->value.data, pair->value.len);
}

static void reply_clear(struct kv_reply *reply)
{
    consul_kv_free(reply->entries, reply->count);
    *reply = (struct kv_reply){0};
}

static bool op_holds(struct kv *kv, const struct kv_op *op, const char *session)
{
    struct pair *pair = kv_find(kv, op->key);
    switch (op->verb) {
    case KV_CHECK_SESSION:
        return !strcmp(kv->holder, session);
    case KV_CHECK_INDEX:
        return pair && pair->index == op->index;
    case KV_CHECK_NOT_EXISTS:
        return !pair;
    case KV_GET:
        return pair != NULL;
    default:
        return true;
    }
}

#define FREEZE "control/freeze/example.com"

/* Whatever an instance knew of it: what goes into a frozen zone follows health, or mends. */
static void check_frozen(const struct kv_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        const struct kv_op *op = &request->ops[i];
        struct err err;
        if (op->verb != KV_SET || !strstr(op->key, "/log/"))
            continue;
        struct store_entry *entry = store_entry_parse(op->value.data, op->value.len, &err);
        assert_non_null(entry);
        if (strcmp(entry->author, "health") && strcmp(entry->author, "rewind"))
            fail_msg("a commit of \"%s\" went into a frozen zone", entry->author);
        store_entry_free(entry);
    }
}

/* What Consul does with a request, by the rules measured: all or nothing, 64 operations, 512 KiB. */
static void kv_execute(struct kv *kv, const struct kv_request *request, const char *session,
                       struct kv_reply *reply)
{
    size_t octets = 0, prefix = request->prefix ? strlen(request->prefix) : 0;
    *reply = (struct kv_reply){.status = 200, .failed_op = -1};
    if (request->kind != KV_TXN) {
        for (size_t i = 0; i < kv->count; i++)
            if (request->kind == KV_ONE ? !strcmp(kv->pairs[i].key, request->prefix)
                                        : !strncmp(kv->pairs[i].key, request->prefix, prefix))
                reply_add(reply, &kv->pairs[i], request->kind != KV_KEYS);
        if (!reply->count)
            reply->status = 404;
        return;
    }
    assert_true(request->count <= 64);
    for (size_t i = 0; i < request->count; i++) {
        octets += request->ops[i].value.len * 4 / 3 + 100;
        if (!op_holds(kv, &request->ops[i], session)) {
            reply->status = 409;
            reply->failed_op = (int)i;
            reply->error = "refused";
            return;
        }
    }
    assert_true(octets < 512 * 1024);
    if (kv_find(kv, FREEZE))
        check_frozen(request);
    bool writes = false;
    for (size_t i = 0; i < request->count; i++)
        writes |= request->ops[i].verb >= KV_SET;
    if (writes)
        kv->index++;
    for (size_t i = 0; i < request->count; i++) {
        const struct kv_op *op = &request->ops[i];
        if (noisy && op->verb >= KV_SET)
            printf("      %s %s %.80s (index %llu, %s)\n", op->verb == KV_SET ? "set" : "delete", op->key,
                   strncmp(op->key, "heads", 5) ? "" : (const char *)op->value.data,
                   (unsigned long long)kv->index, session);
        if (op->verb == KV_SET)
            kv_set(kv, op->key, &op->value, kv->index);
        else if (op->verb == KV_DELETE)
            kv_delete(kv, op->key);
        if (op->verb == KV_SET || op->verb == KV_GET)
            reply_add(reply, kv_find(kv, op->key), op->verb == KV_GET);
    }
}
