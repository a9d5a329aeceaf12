#include "control/internal.h"
#include "control/socket.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- verbs ---- */

static void on_services(void *arg, char *json, const char *error)
{
    if (json)
        call_reply(arg, json);
    else
        call_fail(arg, error);
}

static void done(struct call *call, const char *verb, const char *error)
{
    if (error)
        call_fail(call, error);
    else
        call_reply(call, xasprintf("{\"%s\":\"done\"}", verb));
}

static void on_handover(void *arg, const char *error)
{
    done(arg, "handover", error);
}

static void on_resign(void *arg, const char *error)
{
    done(arg, "resign", error);
}

static void on_pause(void *arg, const char *error)
{
    done(arg, "pause", error);
}

static void on_resume(void *arg, const char *error)
{
    done(arg, "resume", error);
}

static void on_reload(void *arg, const char *error)
{
    done(arg, "reload", error);
}

static void on_record(void *arg, const char *error)
{
    done(arg, "record", error);
}

/* `force up www.example.com`. */
static void force(struct control *control, const struct request *request, struct call *call)
{
    char word[16], name[REQUEST_NAME_MAX + 1], rest[2];
    if (sscanf(request->name, "force %15s %255s %1s", word, name, rest) != 2) {
        call_fail(call,
                  "write `record force up NAME`, `record force down NAME` or `record force clear NAME`");
        return;
    }
    log_info("control: record %s", request->name);
    control->view.force(control->view.arg, word, name, on_record, call);
}

static void on_doctor(void *arg, json_t *result, const char *error)
{
    if (error)
        call_fail(arg, error);
    else
        call_reply(arg, document_text(result));
}

/* The verbs that are about the election. */
static void elect(struct control *control, const struct request *request, struct call *call)
{
    struct role *role = control->view.role;
    const char *name = request->has_name ? request->name : NULL;
    if (!control->view.config->election.enabled)
        call_fail(call, "there is no `election` block: this instance is the only one, and always primary");
    else if (request->verb == VERB_HANDOVER)
        role_handover(role, name, on_handover, call);
    else if (request->verb == VERB_RESIGN)
        role_resign(role, on_resign, call);
    else if (request->verb == VERB_PAUSE)
        role_pause(role, request->duration, name, on_pause, call);
    else
        role_resume(role, on_resume, call);
}

static void on_call(void *arg, const struct request *request, struct call *call)
{
    struct control *control = arg;
    switch (request->verb) {
    case VERB_STATUS:
        call_reply(call, document_text(document_status(control)));
        break;
    case VERB_WHY:
        call_reply(call, document_text(document_why(control)));
        break;
    case VERB_SERVICES:
        document_services(control, request->has_name ? request->name : NULL, on_services, call);
        break;
    case VERB_ZONES:
        call_reply(call, document_text(document_zones(control)));
        break;
    case VERB_ACTIONS:
        call_reply(call, document_text(document_actions(control)));
        break;
    case VERB_HANDOVER:
        log_info("control: handover%s%s", request->has_name ? " to " : "", request->name);
        elect(control, request, call);
        break;
    case VERB_RESIGN:
        log_info("control: resign");
        elect(control, request, call);
        break;
    case VERB_PAUSE:
        log_info("control: pause%s%s", request->has_name ? ": " : "", request->name);
        elect(control, request, call);
        break;
    case VERB_RESUME:
        log_info("control: resume");
        elect(control, request, call);
        break;
    case VERB_RELOAD:
        log_info("control: reload");
        control->view.reload(control->view.arg, on_reload, call);
        break;
    case VERB_DOCTOR:
        doctor_examine(control->doctor, control->view.config, on_doctor, call);
        break;
    case VERB_ZONE:
        zones_call(control, request->args, call);
        break;
    case VERB_RECORD:
        force(control, request, call);
        break;
    case VERB_UPLOAD: /* the socket's own */
    case VERBS:
        break;
    }
}

/* ---- counts of the view ---- */

struct counts_job {
    struct control *control; /* NULL once it is gone */
    const struct catalog *catalog;
    struct view_counts counts;
};

static void count_view(void *arg)
{
    struct counts_job *job = arg;
    const char *datacenter = catalog_datacenter(job->catalog);
    snprintf(job->counts.datacenter, sizeof(job->counts.datacenter), "%s", datacenter ? datacenter : "");
    job->counts.services = catalog_service_count(job->catalog, NULL);
    job->counts.instances = catalog_instance_count(job->catalog, NULL);
    job->counts.nodes = catalog_node_count(job->catalog, NULL);
    catalog_stats(job->catalog, &job->counts.stats);
}

static void counted(void *arg)
{
    struct counts_job *job = arg;
    if (job->control) {
        job->control->counts = job->counts;
        job->control->counting = NULL;
    }
    free(job);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct control *control = arg;
    if (control->counting) /* the builder is busy: the last counts stand */
        return;
    control->counting = xcalloc(1, sizeof(*control->counting));
    control->counting->control = control;
    control->counting->catalog = control->view.catalog;
    builder_post(control->view.builder, count_view, counted, control->counting);
}

/* ---- life ---- */

struct control *control_new(const struct control_view *view, struct err *err)
{
    struct control *control = xcalloc(1, sizeof(*control));
    control->view = *view;
    control->doctor = doctor_new(&(struct doctor_view){.base = view->base,
                                                       .builder = view->builder,
                                                       .slot = view->slot,
                                                       .consul = &view->config->consul,
                                                       .role = view->role,
                                                       .watch = view->watch,
                                                       .connections = view->connections,
                                                       .longest_turn = view->longest_turn,
                                                       .zones = view->zones,
                                                       .not_ready = view->not_ready,
                                                       .arg = view->arg});
    control->socket = control_socket_new(view->base, view->config->control, on_call, control, err);
    if (!control->socket) {
        control_free(control);
        return NULL;
    }
    if (view->config->http) {
        control->admin = admin_new(control, view->config->http, err);
        if (!control->admin) {
            control_free(control);
            return NULL;
        }
    }
    if (view->catalog) {
        control->refresh = event_new(view->base, -1, EV_PERSIST, on_refresh, control);
        if (!control->refresh || event_add(control->refresh, &(struct timeval){.tv_sec = 1}) < 0)
            abort(); /* out of memory */
    }
    return control;
}

void control_free(struct control *control)
{
    if (!control)
        return;
    if (control->refresh)
        event_free(control->refresh);
    if (control->counting)
        control->counting->control = NULL;
    doctor_free(control->doctor);
    admin_free(control->admin);
    control_socket_free(control->socket);
    free(control);
}

void control_set_config(struct control *control, const struct config *config)
{
    control->view.config = config;
}
