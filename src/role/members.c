/* The members' keys: our own, acquired with our session so that `Session` shows who lives, and the others'.
 */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *own_path(const struct role *role, const char *query)
{
    char *name = xasprintf("members/%s", role->instance);
    char *path = role_kv_path(role, name, query);
    free(name);
    return path;
}

static void written(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    role->member_writing = false;
    if (response->status == 200)
        report_works(role, "writing our member key");
    if (response->status == 200 && consul_is_true(response->body)) {
        members_refresh(role);
        return;
    }
    if (response->status == 200)
        log_warn("election: our member key is held by another session; trying again");
    else
        report_error(role, "writing our member key", response);
    free(role->member_written);
    role->member_written = NULL;
    role->member_retry = clock_boot() + NS_PER_S;
}

/* Mirrors follow each commit; the key follows them at most once in 10 s, but at once if one breaks. */
#define MIRROR_INTERVAL (10 * NS_PER_S)

static void tell_mirror(struct role *role)
{
    nstime now = clock_boot();
    if (role->mirror_told_at && now - role->mirror_told_at < MIRROR_INTERVAL &&
        strcmp(role->mirror.broken, role->mirror_told.broken) == 0)
        return;
    role->mirror_told_at = now;
    role->mirror_told = role->mirror;
}

bool members_further(const struct role *role)
{
    for (size_t i = 0; i < role->member_count; i++) {
        const struct member_value *value = &role->members[i].value;
        bool further =
            value->mirror.epoch > role->mirror.epoch ||
            (value->mirror.epoch == role->mirror.epoch && value->mirror.sequence > role->mirror.sequence);
        if (further && value->ready && strcmp(value->instance, role->instance) != 0)
            return true;
    }
    return false;
}

void members_refresh(struct role *role)
{
    if (role->presence != PRESENCE_LIVE || role->election.session_doubted || role->member_writing ||
        clock_boot() < role->member_retry)
        return;
    const struct election *e = &role->election;
    struct member_value value = {
        .primary = e->state == ELECTION_PRIMARY, .priority = role->priority, .epoch = e->epoch};
    snprintf(value.node, sizeof value.node, "%s", role->node);
    snprintf(value.instance, sizeof value.instance, "%s", role->instance);
    snprintf(value.address, sizeof value.address, "%s", role->address);
    tell_mirror(role);
    value.mirror = role->mirror_told;
    value.ready = role->ready && role->candidate; /* paused or not: a hand-over on purpose works */
    snprintf(value.reason, sizeof value.reason, "%s",
             value.ready    ? ""
             : !role->ready ? role->ready_reason
                            : MEMBER_NO_CANDIDATE);
    struct buf text = {0};
    member_value_encode(&value, &text);
    if (role->member_written != NULL && strcmp(role->member_written, buf_str(&text)) == 0) {
        buf_free(&text);
        return;
    }
    free(role->member_written);
    role->member_written = buf_steal(&text);
    role->member_writing = true;
    char *query = xasprintf("acquire=%s", e->session);
    call_send(role, "PUT", own_path(role, query), role->member_written, ROLE_ASK, written, 0);
    free(query);
}

static size_t living(const struct role *role, const struct consul_kv *entries, size_t count,
                     struct living_member *out, size_t max, char old_session[ELECTION_ID_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct living_member *member = &out[used];
        if (used == max || entries[i].session[0] == '\0' ||
            !member_value_decode(entries[i].value.data, entries[i].value.len, &member->value))
            continue;
        /* The key's name is checked by Consul's ACL, the value is anybody's word. */
        const char *slash = strrchr(entries[i].key, '/');
        if (slash == NULL || strcmp(slash + 1, member->value.instance) != 0)
            continue;
        snprintf(member->session, sizeof member->session, "%s", entries[i].session);
        member->create_index = entries[i].create_index;
        if (old_session != NULL && strcmp(member->value.instance, role->instance) == 0)
            snprintf(old_session, ELECTION_ID_SIZE, "%s", entries[i].session);
        used++;
    }
    return used;
}

size_t members_parse(const struct role *role, const struct buf *body, struct living_member *out, size_t max,
                     char old_session[ELECTION_ID_SIZE])
{
    struct consul_kv *entries;
    size_t count;
    struct err err;
    if (consul_kv_parse(body, &entries, &count, &err) != 0) {
        log_warn("election: the members' keys: %s", err.text);
        return 0;
    }
    size_t used = living(role, entries, count, out, max, old_session);
    consul_kv_free(entries, count);
    return used;
}

/* Two that started at the same moment with one name: the one whose key came later goes. */
static void mind_name(struct role *role)
{
    uint64_t own = 0;
    for (size_t i = 0; i < role->member_count; i++)
        if (strcmp(role->members[i].value.instance, role->instance) == 0)
            own = role->members[i].create_index;
    for (size_t i = 0; own != 0 && !role->leaving && i < role->member_count; i++) {
        const struct living_member *member = &role->members[i];
        if (strcmp(member->value.node, role->node) != 0 || member->create_index >= own)
            continue;
        char reason[512];
        snprintf(reason, sizeof reason,
                 "another living member is called %s too (instance %s, %s); give each its own `node`",
                 role->node, member->value.instance, member->value.address);
        role_fatal(role, reason);
        return;
    }
}

static void answered(void *arg, struct consul_response *response, bool changed)
{
    struct role *role = arg;
    struct consul_kv *entries;
    size_t count;
    if (!changed || !role_read_list(response, &entries, &count))
        return;
    role->member_count = living(role, entries, count, role->members, ROLE_MEMBERS, NULL);
    burial_note(role, entries, count);
    consul_kv_free(entries, count);
    role_tell(role, ROLE_OBSERVED, role->election.epoch, "the members changed");
    consent_refresh(role);
    mind_name(role);
}

void members_start(struct role *role)
{
    role->members_watch = role_watch_list(role, "members/", answered);
}

void members_stop(struct role *role)
{
    consul_watch_free(role->members_watch);
    role->members_watch = NULL;
    burial_note(role, NULL, 0);
    free(role->member_written);
    role->member_written = NULL;
}

size_t role_members(const struct role *role, struct role_member *out, size_t max)
{
    size_t count = 0;
    for (; count < role->member_count && count < max; count++) {
        const struct member_value *value = &role->members[count].value;
        struct role_member *member = &out[count];
        snprintf(member->node, sizeof member->node, "%s", value->node);
        snprintf(member->instance, sizeof member->instance, "%s", value->instance);
        snprintf(member->address, sizeof member->address, "%s", value->address);
        member->ready = value->ready;
        member->primary = value->primary;
        member->mirror = value->mirror;
        member->self = strcmp(value->instance, role->instance) == 0;
    }
    return count;
}
