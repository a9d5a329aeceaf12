/* `lictor zone ...`: which zone is meant, and who does it. */
#include "control/internal.h"

#include "control/socket.h"
#include "control/zone_jobs.h"

#include "lictor/log.h"
#include "lictor/nearest.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

/* A zone of a million records is uploaded, merged and written within it. */
#define FILE_WITHIN   (120 * NS_PER_S)
#define CHANGE_WITHIN (20 * NS_PER_S)

static void zone_text(const uint8_t *apex, char out[NAME_MAX_TEXT])
{
    name_to_text(apex, out);
    if (out[1])
        out[strlen(out) - 1] = 0;
}

/* NULL with err, which names the zone that may have been meant. */
static const struct config_zone *find_zone(const struct config *config, const uint8_t *apex, struct err *err)
{
    char wanted[NAME_MAX_TEXT], names[NAME_MAX_TEXT], best_name[NAME_MAX_TEXT] = "";
    const char *best = NULL;
    zone_text(apex, wanted);
    unsigned distance = nearest_limit(wanted);
    for (size_t i = 0; i < config->zone_count; i++) {
        if (name_equal(config->zones[i].apex, apex))
            return &config->zones[i];
        zone_text(config->zones[i].apex, names);
        best = NULL;
        nearest_consider(wanted, names, &best, &distance);
        if (best)
            strcpy(best_name, names);
    }
    if (best_name[0])
        err_set(err, "there is no zone %.200s here; did you mean %.200s?", wanted, best_name);
    else
        err_set(err, "there is no zone %.200s here; `lictor zones` lists those that there are", wanted);
    return NULL;
}

static const struct config_zone *read_request(const struct control *control, const json_t *args,
                                              struct zone_request *request, struct err *err)
{
    if (zone_request_parse(args, request, err))
        return NULL;
    const struct config_zone *zone = find_zone(control->view.config, request->apex, err);
    if (!zone || !zone_request_for_primary(request))
        return zone;
    const char *verb = zone_verb_text(request->verb);
    if (!control->view.store)
        err_set(err,
                "`zone %s` is for zones in Consul's KV, and there is no `election` block: change the zone's "
                "file and `lictor reload`",
                verb);
    else if (!zone->store_kv)
        err_set(err,
                "`zone %s` is for zones in Consul's KV, and this one has `store = \"file\"`: change its file "
                "and `lictor reload`",
                verb);
    else
        return zone;
    return NULL;
}

static struct zone_place place(const struct control *control)
{
    return (struct zone_place){control->view.builder, control->view.slot, control->view.store};
}

/* --- this instance's own answers ---------------------------------------------------------------------- */

static void on_done(void *arg, char *result, const char *error)
{
    if (result)
        call_reply(arg, result);
    else
        call_fail(arg, error);
}

static json_t *strings(const struct config_strings *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

/* What `lictor zones` tells of it, and who may do what. */
static json_t *about(const struct control *control, const struct config_zone *zone)
{
    char name[NAME_MAX_TEXT];
    json_t *all = control->view.zones ? control->view.zones(control->view.arg) : json_array();
    json_t *object = NULL, *each;
    size_t i;
    zone_text(zone->apex, name);
    json_array_foreach(all, i, each)
    {
        const char *text = json_string_value(json_object_get(each, "zone"));
        if (text && !strcmp(text, name))
            object = json_incref(each);
    }
    json_decref(all);
    if (!object)
        object = json_pack("{s:s}", "zone", name);
    json_object_set_new(object, "transfer", strings(&zone->transfer));
    json_object_set_new(object, "update", strings(&zone->update));
    return object;
}

void zones_call(struct control *control, const json_t *args, struct call *call)
{
    struct zone_request request;
    struct err err;
    struct buf octets;
    call_take_upload(call, &octets);
    const struct config_zone *zone = read_request(control, args, &request, &err);
    if (!zone) {
        call_fail(call, err.text);
    } else if (!zone_request_for_primary(&request)) {
        struct zone_place where = place(control);
        zone_jobs_read(&where, &request, request.verb == ZONE_SHOW ? about(control, zone) : NULL, on_done,
                       call);
    } else if (!control->view.tasks) {
        call_fail(call, "there is no `election` block: nobody to pass this on to");
    } else {
        bool file = request.verb == ZONE_IMPORT || request.verb == ZONE_DIFF;
        char name[NAME_MAX_TEXT];
        zone_text(request.apex, name);
        log_info("control: zone %s %s", zone_verb_text(request.verb), name);
        tasks_ask(control->view.tasks, json_pack("{s:O}", "zone", args), &octets,
                  file ? FILE_WITHIN : CHANGE_WITHIN, on_done, call);
    }
    buf_free(&octets);
}

/* --- the primary: what was asked here or elsewhere -------------------------------------------------------
 */

void control_task(struct control *control, const json_t *task, const char *from, struct buf *body,
                  task_done_fn *done, void *arg)
{
    struct zone_request request;
    struct err err = {""};
    const json_t *args = json_object_get(task, "zone");
    if (!args)
        done(arg, NULL, "this instance does not know what is asked; are both of one version?");
    else if (!read_request(control, args, &request, &err))
        done(arg, NULL, err.text);
    else if (!zone_request_for_primary(&request))
        done(arg, NULL, "that is not for the primary alone");
    else {
        struct zone_place where = place(control);
        zone_jobs_change(&where, &request, from, body, done, arg);
    }
}
