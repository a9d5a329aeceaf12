/* The lists of checks against the view. A body of health/service/X is older or newer than a list, and either
 * may arrive late: of one check the state with the higher ModifyIndex counts. A check that the body does not
 * have is newer than the body if its ModifyIndex is above the body's X-Consul-Index (which is at least that
 * of every check in it), and gone otherwise. */
#include "view.h"

#include "lictor/xalloc.h"

#include <assert.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Of the texts of one view. */
#define WASTE_MAX 16384

static uint32_t append_text(struct view *view, const char *text, size_t len)
{
    if (len == 0)
        return 0; /* the pool begins with an empty string */
    uint32_t offset = view->pool_len;
    view->pool = xrealloc(view->pool, view->pool_len + len + 1);
    memcpy(view->pool + offset, text, len);
    view->pool[offset + len] = '\0';
    view->pool_len += (uint32_t)len + 1;
    view->wasted += (uint32_t)len + 1; /* of what it takes the place of */
    return offset;
}

/* An instance's checks say the same again and again: a text that one of them has needs no copy. */
static uint32_t known_text(struct view *view, const struct view_instance *instance, const char *text,
                           size_t len)
{
    for (uint32_t i = 0; i < instance->check_count; i++) {
        const struct view_check *check = &view->checks[instance->first_check + i];
        uint32_t texts[] = {check->name, check->id, check->output};
        for (size_t k = 0; k < 3; k++)
            if (strlen(view_text(view, texts[k])) == len && memcmp(view_text(view, texts[k]), text, len) == 0)
                return texts[k];
    }
    return append_text(view, text, len);
}

static void set_state(const struct view *view, struct view_instance *instance)
{
    instance->state = CHECK_PASSING;
    for (uint32_t i = 0; i < instance->check_count; i++) {
        uint8_t status = view->checks[instance->first_check + i].status;
        if (status > instance->state)
            instance->state = status;
    }
}

/* --- one check of one instance ------------------------------------------------------------------- */

static bool is_on(const struct view *view, const struct view_instance *instance, const char *node)
{
    return strcasecmp(view_text(view, instance->node), node) == 0;
}

static bool is_of(const struct view *view, const struct view_instance *instance,
                  const struct catalog_check *check)
{
    return is_on(view, instance, check->node) &&
           (!check->service_id[0] || strcmp(view_text(view, instance->id), check->service_id) == 0);
}

/* Its place among the view's checks, or -1. */
static int64_t find_check(const struct view *view, const struct view_instance *instance,
                          const struct catalog_check *wanted)
{
    bool node_level = !wanted->service_id[0];
    for (uint32_t i = instance->first_check; i < instance->first_check + instance->check_count; i++)
        if (view->checks[i].node_level == node_level &&
            strcmp(view_text(view, view->checks[i].id), wanted->id) == 0)
            return i;
    return -1;
}

/* Of the instances behind. */
static void shift_checks(struct view *view, const struct view_instance *instance, int by)
{
    for (uint32_t i = (uint32_t)(instance - view->instances) + 1; i < view->instance_count; i++)
        view->instances[i].first_check += (uint32_t)by;
}

static void insert_check(struct view *view, struct view_instance *instance, struct view_check check,
                         uint64_t modified)
{
    uint32_t at = instance->first_check + instance->check_count, behind = view->check_count - at;
    view->check_count++;
    view->checks = xrealloc(view->checks, view->check_count * sizeof(*view->checks));
    view->modified = xrealloc(view->modified, view->check_count * sizeof(*view->modified));
    memmove(&view->checks[at + 1], &view->checks[at], behind * sizeof(*view->checks));
    memmove(&view->modified[at + 1], &view->modified[at], behind * sizeof(*view->modified));
    view->checks[at] = check;
    view->modified[at] = modified;
    instance->check_count++;
    shift_checks(view, instance, 1);
}

static void remove_check(struct view *view, struct view_instance *instance, uint32_t at)
{
    uint32_t behind = view->check_count - at - 1;
    memmove(&view->checks[at], &view->checks[at + 1], behind * sizeof(*view->checks));
    memmove(&view->modified[at], &view->modified[at + 1], behind * sizeof(*view->modified));
    view->check_count--;
    instance->check_count--;
    shift_checks(view, instance, -1);
}

static int merge(struct view *view, struct view_instance *instance, const struct catalog_check *news)
{
    int64_t at = find_check(view, instance, news);
    if (at >= 0 ? news->modified <= view->modified[at] : news->modified <= view->index)
        return 0;
    struct view_check check = {.status = view_status(news->status), .node_level = !news->service_id[0]};
    const char *name = news->name[0] ? news->name : news->id;
    check.id = known_text(view, instance, news->id, strlen(news->id));
    check.name = known_text(view, instance, name, strlen(name));
    if (check.status != CHECK_PASSING)
        check.output = known_text(view, instance, news->output, view_output_len(news->output));
    if (at < 0) {
        insert_check(view, instance, check, news->modified);
    } else {
        view->modified[at] = news->modified;
        if (memcmp(&view->checks[at], &check, sizeof(check)) == 0)
            return 0;
        view->checks[at] = check;
    }
    set_state(view, instance);
    return 1;
}

/* Outputs that changed left their old text behind. A view that was written and read back is the same without
 * that. */
static void drop_waste(struct view *view)
{
    if (view->wasted < WASTE_MAX || view->wasted < view->pool_len / 2)
        return;
    struct buf text = {0};
    struct view_faults faults = {0}; /* were counted when the body came */
    view_write(view, "", &text);
    struct view *fresh = view_parse((const char *)text.data, text.len, false, &faults, NULL);
    buf_free(&text);
    assert(fresh && fresh->check_count == view->check_count);
    uint64_t *modified = view->modified;
    uint64_t index = view->index;
    view->modified = NULL;
    struct view old = *view;
    *view = *fresh;
    *fresh = old;
    view_free(fresh);
    free(view->modified);
    view->modified = modified;
    view->index = index;
}

int view_apply_check(struct view *view, const struct catalog_check *check)
{
    int result = -1;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        struct view_instance *instance = &view->instances[i];
        if (!is_of(view, instance, check))
            continue;
        int changed = merge(view, instance, check);
        if (changed > result)
            result = changed;
    }
    drop_waste(view);
    return result;
}

/* --- all checks of a node ------------------------------------------------------------------------ */

struct node_checks {
    const struct catalog_check *checks;
    size_t count;
    uint64_t index;
    bool has_own; /* one that belongs to no instance: without any, they may be hidden from the token */
};

static const struct catalog_check *find_news(const struct view *view, const struct view_instance *instance,
                                             const struct view_check *check, const struct node_checks *in)
{
    const char *owner = check->node_level ? "" : view_text(view, instance->id);
    for (size_t i = 0; i < in->count; i++)
        if (strcmp(in->checks[i].service_id, owner) == 0 &&
            strcmp(in->checks[i].id, view_text(view, check->id)) == 0)
            return &in->checks[i];
    return NULL;
}

static int apply_to_instance(struct view *view, struct view_instance *instance, const struct node_checks *in,
                             bool *unclear)
{
    int changed = 0;
    for (uint32_t at = instance->first_check; at < instance->first_check + instance->check_count;) {
        const struct view_check *check = &view->checks[at];
        const struct catalog_check *news = find_news(view, instance, check, in);
        if (news) {
            changed |= merge(view, instance, news);
        } else if (view->modified[at] <= in->index && check->node_level && in->has_own) {
            remove_check(view, instance, at);
            set_state(view, instance);
            changed = 1;
            continue;
        } else if (view->modified[at] <= in->index) {
            *unclear = true;
        }
        at++;
    }
    return changed;
}

int view_apply_node(struct view *view, const char *node, const struct catalog_check *checks, size_t count,
                    uint64_t index, bool *unclear)
{
    struct node_checks in = {checks, count, index, false};
    for (size_t i = 0; i < count; i++)
        in.has_own |= !checks[i].service_id[0];
    int changed = 0;
    *unclear = false;
    for (uint32_t i = 0; i < view->instance_count; i++)
        if (is_on(view, &view->instances[i], node))
            changed |= apply_to_instance(view, &view->instances[i], &in, unclear);
    drop_waste(view);
    return changed;
}

/* --- what left a list ---------------------------------------------------------------------------- */

bool view_is_behind(const struct view *view, const struct catalog_check *left)
{
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        if (!is_of(view, instance, left))
            continue;
        int64_t at = find_check(view, instance, left);
        if (at >= 0 ? view->modified[at] <= left->modified : view->index <= left->modified)
            return true;
    }
    return false;
}

static bool has_node(const struct view *view, const char *node)
{
    for (uint32_t i = 0; i < view->instance_count; i++)
        if (is_on(view, &view->instances[i], node))
            return true;
    return false;
}

/* A node's check moves the index of those services that have an instance there: if the body has none, one
 * that we still have may have been removed before the check changed. */
uint64_t view_newest(const struct view *view, const struct view *body)
{
    uint64_t newest = view->index;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct view_instance *instance = &view->instances[i];
        for (uint32_t at = instance->first_check; at < instance->first_check + instance->check_count; at++)
            if (view->modified[at] > newest &&
                (!view->checks[at].node_level || has_node(body, view_text(view, instance->node))))
                newest = view->modified[at];
    }
    return newest;
}

/* --- what is not believed to be gone ------------------------------------------------------------- */

static const struct view_instance *find_instance(const struct view *view, const struct view *other,
                                                 const struct view_instance *wanted)
{
    for (uint32_t i = 0; i < view->instance_count; i++)
        if (is_on(view, &view->instances[i], view_text(other, wanted->node)) &&
            strcmp(view_text(view, view->instances[i].id), view_text(other, wanted->id)) == 0)
            return &view->instances[i];
    return NULL;
}

/* The ModifyIndexes, which the text does not have. */
static void copy_modified(struct view *to, const struct view *from)
{
    for (uint32_t i = 0; i < to->instance_count; i++) {
        const struct view_instance *instance = &to->instances[i], *source = find_instance(from, to, instance);
        if (source && source->check_count == instance->check_count && source->check_count > 0)
            memcpy(&to->modified[instance->first_check], &from->modified[source->first_check],
                   source->check_count * sizeof(*to->modified));
    }
}

struct view *view_keep(struct view *body, const struct view *old)
{
    struct buf text = {0};
    struct view_faults faults = {0};
    view_write(body, "", &text);
    text.len--; /* the closing bracket */
    bool first = body->instance_count == 0;
    for (uint32_t i = 0; i < old->instance_count; i++) {
        if (find_instance(body, old, &old->instances[i]))
            continue;
        buf_puts(&text, first ? "" : ",");
        view_write_instance(old, &old->instances[i], "", &text);
        first = false;
    }
    buf_puts(&text, "]");
    struct view *all = view_parse((const char *)text.data, text.len, false, &faults, NULL);
    assert(all);
    buf_free(&text);
    copy_modified(all, old);
    copy_modified(all, body);
    all->index = body->index;
    view_free(body);
    return all;
}

void view_forget_indexes(struct view *view)
{
    view->index = 0;
    if (view->check_count > 0)
        memset(view->modified, 0, view->check_count * sizeof(*view->modified));
}
