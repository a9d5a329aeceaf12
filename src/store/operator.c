/* What `lictor zone` asks of a zone's content: files that come over the wire, what they would change, and the
 * way back to an older version. */
#include "store/store_body.h"

#include "store/merge.h"

#include "lictor/xalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct zone *store_read(const struct store *store, const uint8_t *apex, const struct buf *octets,
                        struct err *err)
{
    const struct zone_entry *entry = store_find(store, apex);
    if (!entry) {
        err_set(err, "the zone is not one of this instance's");
        return NULL;
    }
    struct difference *difference = difference_decode(octets->data, octets->len, err);
    if (!difference)
        return NULL;
    struct zone_edit *edit = zone_edit_new(entry->apex, ZONE_AUTHORITATIVE, entry->state, NULL, NULL);
    if (difference_apply(difference, edit, err)) {
        zone_edit_abort(edit);
        difference_unref(difference);
        return NULL;
    }
    difference_unref(difference);
    struct zone *zone = zone_edit_commit(edit);
    if (!zone_check(zone, err))
        return zone;
    zone_unref(zone);
    return NULL;
}

void store_preview(struct store *store, struct zone *file, store_preview_fn *done, void *arg)
{
    struct submission *submission = xcalloc(1, sizeof *submission);
    submission->file = file;
    submission->mode = STORE_IMPORT_MERGE;
    submission->previewed = done;
    submission->arg = arg;
    store_submit(store, zone_apex(file), "", submission);
}

/* --- rollback ----------------------------------------------------------------------------------------- */

struct rollback {
    struct store *store;
    uint8_t apex[NAME_MAX_WIRE];
    uint32_t to;
    unsigned steps;
    char author[STORE_AUTHOR];
    store_done_fn *done;
    void *arg;
    struct strmap *health;      /* the RRsets that commits of health have set since */
    struct zone *from, *target; /* the zone as it was when this began, and as it is to be */
    struct err err;
};

static void end(struct rollback *rollback)
{
    if (rollback->from)
        zone_unref(rollback->from);
    if (rollback->target)
        zone_unref(rollback->target);
    strmap_free(rollback->health, NULL);
    free(rollback);
}

static bool of_health(const struct store_entry *entry)
{
    return !strcmp(entry->author, STORE_HEALTH);
}

/* The first of the log's entries that is to be undone, or count with err. */
static size_t first_undone(const struct rollback *rollback, struct store_entry *const *log, size_t count,
                           struct err *err)
{
    size_t first = count;
    unsigned steps = 0;
    while (rollback->steps && first > 0 && steps < rollback->steps)
        steps += !of_health(log[--first]);
    if (rollback->steps && steps == rollback->steps)
        return first;
    if (rollback->steps) {
        err_set(err, "the history has %u commits, not %u; `lictor zone history` lists them", steps,
                rollback->steps);
        return count;
    }
    while (first > 0 && difference_from(log[first - 1]->difference) != rollback->to)
        first--;
    if (first > 0)
        return first - 1;
    err_set(err,
            "the history does not begin as early as serial %" PRIu32 ", or never had it; `lictor zone "
            "history` lists the serials that it has",
            rollback->to);
    return count;
}

/* The version before log[first], from the current one. */
static struct zone *version_before(const struct zone *current, struct store_entry *const *log, size_t first,
                                   size_t count, struct err *err)
{
    struct zone_edit *edit = zone_edit_begin(current);
    for (size_t i = count; i-- > first;) {
        if (i + 1 < count && log[i]->at.serial != difference_from(log[i + 1]->difference)) {
            err_set(err,
                    "the history has a gap behind serial %" PRIu32 ", so what was before it is not known",
                    log[i]->at.serial);
            zone_edit_abort(edit);
            return NULL;
        }
        struct difference *back = difference_reverse(log[i]->difference);
        int result = difference_apply(back, edit, err);
        difference_unref(back);
        if (result) {
            zone_edit_abort(edit);
            return NULL;
        }
    }
    return zone_edit_commit(edit);
}

static int find_target(struct rollback *rollback, struct err *err)
{
    const struct zone_entry *entry = store_find(rollback->store, rollback->apex);
    struct zone *current = entry ? core_zone(entry->core) : NULL;
    struct store_entry *const *log;
    if (!current)
        return err_set(err, "the zone has no content");
    if (!rollback->steps && zone_serial(current) == rollback->to)
        return err_set(err, "serial %" PRIu32 " is the current one", rollback->to);
    size_t count = core_log(entry->core, &log), first = first_undone(rollback, log, count, err);
    if (first == count)
        return -1;
    rollback->target = version_before(current, log, first, count, err);
    if (!rollback->target)
        return -1;
    rollback->from = zone_ref(current);
    rollback->health = strmap_new();
    for (size_t i = first; i < count; i++)
        if (of_health(log[i]))
            merge_set_apart(rollback->health, log[i]->difference);
    return 0;
}

/* Changes that came in between stay, unless they are about the same: then it is refused. */
static int undo(void *arg, struct zone_edit *edit, const struct zone *current, struct err *err)
{
    struct rollback *rollback = arg;
    return merge_back(edit, current, rollback->from, rollback->target, rollback->health, err) ? 1 : 0;
}

static void on_done(void *arg, const struct store_result *result)
{
    struct rollback *rollback = arg;
    rollback->done(rollback->arg, result);
    end(rollback);
}

static void find(void *arg)
{
    struct rollback *rollback = arg;
    if (find_target(rollback, &rollback->err) && !rollback->err.text[0])
        err_set(&rollback->err, "the version is not known");
}

static void found(void *arg)
{
    struct rollback *rollback = arg;
    if (rollback->target)
        store_commit(rollback->store, rollback->apex, rollback->author, undo, on_done, rollback);
    else
        on_done(rollback, &(struct store_result){.outcome = STORE_REFUSED, .error = rollback->err.text});
}

void store_rollback(struct store *store, const uint8_t *apex, uint32_t to, unsigned steps, const char *author,
                    store_done_fn *done, void *arg)
{
    struct rollback *rollback = xcalloc(1, sizeof *rollback);
    *rollback = (struct rollback){.store = store, .to = to, .steps = steps, .done = done, .arg = arg};
    name_lower(apex, rollback->apex);
    snprintf(rollback->author, sizeof rollback->author, "%s", author);
    builder_post(store->config.builder, find, found, rollback);
}
