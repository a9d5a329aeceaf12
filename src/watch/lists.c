#include "lists.h"

#include "base/siphash.h"

#include "lictor/buf.h"
#include "lictor/json.h"
#include "lictor/rng.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* Of an output; the view keeps less. */
#define OUTPUT_KEPT 200

char *list_fold(const char *text)
{
    char *folded = xstrdup(text);
    for (char *c = folded; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    return folded;
}

/* --- services ------------------------------------------------------------------------------------ */

/* FNV-1a, summed over the tags: it only decides when to read a service before the next sweep would. */
static unsigned digest_of(const json_t *tags)
{
    unsigned sum = 0;
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        unsigned hash = 2166136261U;
        for (const char *c = tag ? tag : ""; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 16777619U;
        sum += hash;
    }
    return sum;
}

static void listed_free(void *arg)
{
    struct listed *listed = arg;
    free(listed->name);
    free(listed);
}

void services_list_free(struct strmap *list)
{
    strmap_free(list, listed_free);
}

/* {"web": ["tag", ...], ...}: what merely looks like it must not become a service that does not exist. */
static bool is_services_list(const json_t *json)
{
    const char *name;
    json_t *tags, *tag;
    size_t i;
    if (json_is_null(json))
        return true;
    if (!json_is_object(json))
        return false;
    json_object_foreach((json_t *)json, name, tags)
    {
        if (!json_is_array(tags) && !json_is_null(tags))
            return false;
        json_array_foreach(tags, i, tag)
        {
            if (!json_is_string(tag))
                return false;
        }
    }
    return true;
}

struct strmap *services_list_parse(const char *body, size_t len, struct err *err)
{
    json_t *json = json_load_bounded(body, len, "list of services", err);
    if (!json)
        return NULL;
    struct strmap *list = NULL;
    if (!is_services_list(json)) {
        err_set(err, "list of services: the body is not an object of names with lists of tags");
    } else {
        const char *name;
        json_t *tags;
        list = strmap_new();
        json_object_foreach(json, name, tags)
        {
            char *folded = list_fold(name);
            struct listed *listed = strmap_gets(list, folded);
            if (!listed && name[0]) {
                listed = xcalloc(1, sizeof(*listed));
                listed->name = xstrdup(name);
                strmap_puts(list, folded, listed);
            }
            if (listed)
                listed->digest += digest_of(tags);
            free(folded);
        }
    }
    json_decref(json);
    return list;
}

/* --- checks -------------------------------------------------------------------------------------- */

/* The strings of one check, the node's name first. Two lists in a row share those of a check that stayed. */
struct texts {
    unsigned refs;
    char text[];
};

struct check_list {
    struct catalog_check *checks; /* node is the text of a struct texts */
    uint64_t *digests;            /* of the octets that each one was read from; 0: not to be relied on */
    size_t *next;                 /* of the same owner: index + 1 */
    size_t count, cap;
    struct strmap *keys;   /* node (folded), check, service ID -> index + 1 */
    struct strmap *seen;   /* digest -> index + 1 */
    uint64_t secret[2];    /* of the digests: whoever registers checks cannot make two equal */
    struct strmap *owners; /* '.' and folded service, or '@' and folded node -> index + 1 of the last one */
};

static struct texts *texts_of(const struct catalog_check *check)
{
    return (struct texts *)(uintptr_t)(check->node - offsetof(struct texts, text));
}

static void drop_texts(const struct catalog_check *check)
{
    struct texts *texts = texts_of(check);
    if (--texts->refs == 0)
        free(texts);
}

void checks_list_free(struct check_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        drop_texts(&list->checks[i]);
    free(list->checks);
    free(list->digests);
    free(list->next);
    strmap_free(list->keys, NULL);
    strmap_free(list->seen, NULL);
    strmap_free(list->owners, NULL);
    free(list);
}

size_t checks_list_count(const struct check_list *list)
{
    return list->count;
}

const struct catalog_check *checks_list_all(const struct check_list *list)
{
    return list->checks;
}

static void *as_value(size_t index)
{
    return (void *)(uintptr_t)(index + 1);
}

/* --- keys: names of nodes and services are the same in any case ---------------------------------- */

static void append_folded(struct buf *out, const char *text)
{
    size_t start = out->len, len = strlen(text);
    buf_append(out, text, len + 1);
    for (uint8_t *c = out->data + start; c < out->data + start + len; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (uint8_t)(*c + ('a' - 'A'));
}

static void put_key(struct buf *out, const struct catalog_check *check)
{
    out->len = 0;
    append_folded(out, check->node);
    buf_append(out, check->id, strlen(check->id) + 1);
    buf_append(out, check->service_id, strlen(check->service_id) + 1);
}

static void put_owner(struct buf *out, char kind, const char *name)
{
    out->len = 0;
    buf_append(out, &kind, 1);
    append_folded(out, name);
}

static const struct catalog_check *find(const struct check_list *list, const struct catalog_check *check,
                                        struct buf *key)
{
    if (!list || list->count == 0)
        return NULL;
    put_key(key, check);
    uintptr_t index = (uintptr_t)strmap_get(list->keys, key->data, key->len);
    return index ? &list->checks[index - 1] : NULL;
}

/* --- reading ------------------------------------------------------------------------------------- */

/* The check with its strings in one block. */
static struct catalog_check copy_of(const json_t *item)
{
    static const char *const members[] = {"Node",        "CheckID", "Name",  "ServiceID",
                                          "ServiceName", "Status",  "Output"};
    enum { TEXTS = sizeof(members) / sizeof(members[0]) };
    size_t offsets[TEXTS];
    struct buf block = {0};
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = json_string_value(json_object_get(item, members[i]));
        size_t len = !text ? 0 : i == TEXTS - 1 ? strcspn(text, "\r\n") : strlen(text);
        if (i == TEXTS - 1 && len > OUTPUT_KEPT)
            len = OUTPUT_KEPT; /* an HTTP check's holds the whole page */
        offsets[i] = block.len;
        buf_append(&block, text ? text : "", len);
        buf_append(&block, "", 1);
    }
    json_int_t modified = json_integer_value(json_object_get(item, "ModifyIndex"));
    struct texts *texts = xmalloc(sizeof(*texts) + block.len);
    texts->refs = 1;
    memcpy(texts->text, block.data, block.len);
    buf_free(&block);
    return (struct catalog_check){
        .node = texts->text,
        .id = texts->text + offsets[1],
        .name = texts->text + offsets[2],
        .service_id = texts->text + offsets[3],
        .service = texts->text + offsets[4],
        .status = texts->text + offsets[5],
        .output = texts->text + offsets[6],
        .modified = modified > 0 ? (uint64_t)modified : 0,
    };
}

/* One check twice: the newer one counts. */
static bool replace(struct check_list *list, const struct catalog_check *check, struct buf *key)
{
    struct catalog_check *known = (struct catalog_check *)find(list, check, key);
    if (!known)
        return false;
    struct catalog_check loser = *check;
    if (check->modified > known->modified && strcmp(check->service, known->service) == 0) {
        loser = *known;
        *known = *check;
    }
    drop_texts(&loser);
    list->digests[known - list->checks] = 0;
    return true;
}

static void add(struct check_list *list, struct catalog_check check, uint64_t digest)
{
    struct buf key = {0};
    if (!replace(list, &check, &key)) {
        if (list->count == list->cap) {
            list->cap = list->cap ? 2 * list->cap : 16;
            list->checks = xrealloc(list->checks, list->cap * sizeof(*list->checks));
            list->digests = xrealloc(list->digests, list->cap * sizeof(*list->digests));
            list->next = xrealloc(list->next, list->cap * sizeof(*list->next));
        }
        size_t index = list->count++;
        list->checks[index] = check;
        list->digests[index] = digest;
        strmap_put(list->seen, &digest, sizeof(digest), as_value(index));
        put_key(&key, &check);
        strmap_put(list->keys, key.data, key.len, as_value(index));
        put_owner(&key, check.service_id[0] ? '.' : '@', check.service_id[0] ? check.service : check.node);
        list->next[index] = (size_t)(uintptr_t)strmap_put(list->owners, key.data, key.len, as_value(index));
    }
    buf_free(&key);
}

struct reading {
    struct check_list *list;
    const struct check_list *before;
    uint64_t digest; /* of the entry under way */
};

static bool is_known(void *arg, const char *text, size_t len)
{
    struct reading *reading = arg;
    const struct check_list *before = reading->before;
    uint64_t digest = reading->digest = siphash(text, len, reading->list->secret);
    size_t at = before ? (size_t)(uintptr_t)strmap_get(before->seen, &digest, sizeof(digest)) : 0;
    if (at == 0 || before->digests[at - 1] != digest)
        return false;
    const struct catalog_check *check = &before->checks[at - 1];
    texts_of(check)->refs++;
    add(reading->list, *check, digest);
    return true;
}

static int read_check(void *arg, size_t number, const json_t *item, struct err *err)
{
    struct reading *reading = arg;
    if (!json_is_object(item) || !json_is_string(json_object_get(item, "CheckID")) ||
        !json_is_string(json_object_get(item, "Node")))
        return err_set(err, "list of checks: entry %zu is not a check of a node", number);
    add(reading->list, copy_of(item), reading->digest);
    return 0;
}

struct check_list *checks_list_parse(const struct check_list *before, const char *body, size_t len,
                                     struct err *err)
{
    struct check_list *list = xcalloc(1, sizeof(*list));
    struct reading reading = {.list = list, .before = before};
    list->keys = strmap_new();
    list->seen = strmap_new();
    list->owners = strmap_new();
    if (before)
        memcpy(list->secret, before->secret, sizeof(list->secret));
    else
        rng_secure(list->secret, sizeof(list->secret));
    if (json_each_new(body, len, "list of checks", is_known, read_check, &reading, err) == 0)
        return list;
    checks_list_free(list);
    return NULL;
}

/* --- comparing and finding ----------------------------------------------------------------------- */

void checks_list_diff(const struct check_list *before, const struct check_list *now, check_visit *entered,
                      check_visit *left, void *arg)
{
    struct buf key = {0};
    for (size_t i = 0; i < now->count; i++) {
        const struct catalog_check *old = find(before, &now->checks[i], &key);
        if (!old || now->checks[i].modified > old->modified)
            entered(arg, &now->checks[i]);
    }
    for (size_t i = 0; before && i < before->count; i++)
        if (!find(now, &before->checks[i], &key))
            left(arg, &before->checks[i]);
    buf_free(&key);
}

static void visit_owner(const struct check_list *list, char kind, const char *name, check_visit *visit,
                        void *arg)
{
    if (!list || list->count == 0)
        return;
    struct buf key = {0};
    put_owner(&key, kind, name);
    size_t at = (size_t)(uintptr_t)strmap_get(list->owners, key.data, key.len);
    buf_free(&key);
    for (; at > 0; at = list->next[at - 1])
        visit(arg, &list->checks[at - 1]);
}

void checks_list_of_service(const struct check_list *list, const char *service, check_visit *visit, void *arg)
{
    visit_owner(list, '.', service, visit, arg);
}

void checks_list_of_node(const struct check_list *list, const char *node, check_visit *visit, void *arg)
{
    visit_owner(list, '@', node, visit, arg);
}
