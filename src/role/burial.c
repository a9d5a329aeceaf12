/* Members' keys that no session holds: who wrote them is dead, or about to write again. The primary takes
 * them away when they stayed so for some time. */
#include "internal.h"

#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A daemon that is restarted finds its key still there; the key of one that is not says nothing any more. */
#define GRACE (10 * NS_PER_S)

struct dead_member {
    struct dead_member *next;
    uint64_t modify_index; /* of the release: a new life and death is another one */
    nstime remove_at;
    char key[];
};

static struct dead_member *take_known(struct dead_member **list, const struct consul_kv *entry)
{
    for (; *list != NULL; list = &(*list)->next) {
        struct dead_member *member = *list;
        if (member->modify_index == entry->modify_index && strcmp(member->key, entry->key) == 0) {
            *list = member->next;
            return member;
        }
    }
    return NULL;
}

static struct dead_member *first_seen(const struct consul_kv *entry)
{
    size_t len = strlen(entry->key);
    struct dead_member *member = xmalloc(sizeof *member + len + 1);
    member->modify_index = entry->modify_index;
    member->remove_at = clock_boot() + GRACE;
    memcpy(member->key, entry->key, len + 1);
    return member;
}

void burial_note(struct role *role, const struct consul_kv *entries, size_t count)
{
    struct dead_member *before = role->dead_members;
    char *own_name = xasprintf("members/%s", role->instance), *own = role_key(role, own_name);
    role->dead_members = NULL;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].session[0] != '\0' || strcmp(entries[i].key, own) == 0)
            continue;
        struct dead_member *member = take_known(&before, &entries[i]);
        if (member == NULL)
            member = first_seen(&entries[i]);
        member->next = role->dead_members;
        role->dead_members = member;
    }
    for (struct dead_member *next; before != NULL; before = next) {
        next = before->next;
        free(before);
    }
    free(own_name);
    free(own);
}

static void removed(struct role *role, struct consul_response *response, uint64_t tag)
{
    (void)tag;
    if (response->status != 200 && response->status != 409) /* 409: it lives again, or the lock is lost */
        report_error(role, "removing the key of a dead member", response);
    else
        report_works(role, "removing the key of a dead member");
}

void burial_mind(struct role *role)
{
    nstime now = clock_boot();
    if (role->election.state != ELECTION_PRIMARY)
        return;
    for (struct dead_member *member = role->dead_members; member != NULL; member = member->next) {
        if (now < member->remove_at)
            continue;
        member->remove_at = now + GRACE;
        report_decision(role, "removing the key of a dead member: %s", member->key);
        remove_key(role, member->key, member->modify_index, removed);
    }
}
