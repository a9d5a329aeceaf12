/* What the files of this folder share. */
#pragma once

#include "control/request.h"
#include "lictor/control.h"
#include "lictor/doctor.h"

/* Counts of the view, which only the builder may read: fetched once a second. */
struct view_counts {
    size_t services, instances, nodes;
    char datacenter[64]; /* the local one; "" while it is not known */
    struct catalog_stats stats;
};

struct control {
    struct control_view view;
    struct control_socket *socket;
    struct admin *admin;
    struct doctor *doctor;
    struct event *refresh;
    struct view_counts counts;
    struct counts_job *counting; /* under way; NULL: none */
};

/* ---- documents (document.c) ---- */

/* New references. Main thread. */
json_t *document_status(const struct control *control);
json_t *document_why(const struct control *control);
json_t *document_zones(const struct control *control);
json_t *document_actions(const struct control *control);
/* Services with their counts, or everything about one; made on the builder. done gets JSON text that it
 * frees, or an error; always later, on main, also after control is gone. */
typedef void services_done(void *arg, char *json, const char *error);
void document_services(const struct control *control, const char *name, services_done *done, void *arg);
/* json_dumps without newlines; takes the reference. Never NULL. */
char *document_text(json_t *document);

/* ---- zones (zones.c) ---- */

struct call;
/* The command "zone". */
void zones_call(struct control *control, const json_t *args, struct call *call);

/* ---- metrics (metrics.c) ---- */

/* Appends the Prometheus text format, 0.0.4. */
void metrics_print(const struct control *control, struct buf *out);

/* ---- admin HTTP (http.c) ---- */

struct admin *admin_new(const struct control *control, const char *address, struct err *err);
void admin_free(struct admin *admin);
