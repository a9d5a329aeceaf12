/* The daemon: what there is, who owns it, and the order in which it starts and ends. Everything here is
 * main's, unless a line says otherwise. */
#pragma once

#include "inspection.h"
#include "instance.h"
#include "publisher.h"
#include "turns.h"
#include "zones.h"

#include "lictor/action.h"
#include "lictor/ask.h"
#include "lictor/builder.h"
#include "lictor/catalog.h"
#include "lictor/config.h"
#include "lictor/consul.h"
#include "lictor/control.h"
#include "lictor/cuts.h"
#include "lictor/datacenters.h"
#include "lictor/gate.h"
#include "lictor/notify.h"
#include "lictor/ondemand.h"
#include "lictor/records.h"
#include "lictor/role.h"
#include "lictor/runner.h"
#include "lictor/serials.h"
#include "lictor/serve.h"
#include "lictor/store.h"
#include "lictor/tasks.h"
#include "lictor/transfer.h"
#include "lictor/update.h"
#include "lictor/watch.h"

#include <stdbool.h>

struct event;
struct reload;

/* An unchanged view is saved again this often, since a restart goes by its age. */
#define VIEW_CONFIRM_INTERVAL (60 * NS_PER_S)

struct daemon {
    struct config *config;       /* in force */
    struct config *started_with; /* the same until the first reload */
    struct runner *runner;
    struct event_base *base;
    struct turns *turns;
    struct event *signals[4];
    struct event *second; /* what is looked at each second: texts, view */
    nstime started;

    struct builder *builder;
    struct instance instance;         /* after start the builder's: it fsyncs */
    _Atomic uint64_t epoch_seen;      /* main writes */
    bool epoch_failing, view_failing; /* builder: could not be saved last time */
    struct publisher publisher;       /* builder */
    struct inspection *inspection;    /* builder */
    struct catalog *catalog;          /* builder */
    bool view_dirty;                  /* builder: changed since it was saved */
    struct view_saving *view_saving;  /* builder: under way */
    nstime view_saved;                /* builder: the confirmation that the saved one carries */
    _Atomic nstime
        view_confirmed; /* CLOCK_REALTIME of the last contact of a live view; 0: never. Main writes */
    char *view_path;

    struct snapshot_slot slot;
    struct gate gate;
    struct zone_state services_state;
    struct hosted_zones *zones;
    struct records *records;     /* builder */
    struct followers *followers; /* what records need of main */
    struct store *store;         /* NULL: no election */
    struct tasks *tasks;         /* likewise */
    bool zones_loaded;           /* the first load has ended */
    bool view_restored;          /* a view from disk is being served */
    bool triggers_armed;

    struct acl *inspect_from;
    struct transfers *transfers;
    struct notify *notify;
    bool versions;           /* the catalog's zones are cut into transfer versions */
    struct cuts *cuts;       /* builder; NULL: they are not */
    struct serials *serials; /* for them */
    struct cut_version *cut_versions;
    struct overlay_slot overlay;
    struct ondemand *ondemand;
    struct desk *desk;       /* for names that need Consul first; NULL without `services` */
    struct inbox *inbox;     /* UPDATE, from the workers */
    struct updates *updates; /* and what becomes of it */
    struct query_log *query_log;
    struct server *server;
    struct consul_client *watch_client, *ondemand_client, *election_client, *store_client;
    struct watch *watch;
    struct datacenters *datacenters;
    struct role *role;
    struct action_engine *actions;
    struct control *control;

    struct reload *reloading; /* NULL: none under way */
    bool reload_again;        /* a SIGHUP came meanwhile */
    bool stopping;
    nstime stop_by; /* the last instant that a clean stop waits for actions */
    int exit_code;
};

/* Everything up to the running loop. config belongs to the daemon from now on. Returns 0, or -1 with err. */
int daemon_start(struct daemon *daemon, struct config *config, struct err *err);
/* Runs until a signal or a fault ends it. Returns the exit code. */
int daemon_run(struct daemon *daemon);
/* Frees what there is, in the order that the ownership asks for; also after a failed start. */
void daemon_free(struct daemon *daemon);

/* Begins the end: hand-over first, then everything else. */
void daemon_stop(struct daemon *daemon, int exit_code, const char *reason);

/* One line when saving begins to fail, one when it works again. err: NULL if it worked. Builder. */
void daemon_told_saved(bool *failing, const char *what, const struct err *err);

/* Tells systemd (Type=notify); nothing elsewhere. */
void daemon_notify(const char *state);
/* Leaves the loop: the last step of every end. arg: the daemon. */
void daemon_end_loop(void *arg);
/* The view on disk carries the time at which Consul was last known to say the same. Main. */
void daemon_confirm_view(struct daemon *daemon);

/* --- hooks.c: what the modules tell the daemon and ask of it ---------------------------------------- */

struct role_hooks daemon_role_hooks(struct daemon *daemon);
struct runner_hooks daemon_runner_hooks(struct daemon *daemon);
/* What others pass on to this instance while it is primary. */
void daemon_start_tasks(struct daemon *daemon);
void daemon_control_hooks(struct daemon *daemon, struct control_view *view);
/* Builder job and tick. arg: the daemon. */
void daemon_save_epoch(void *arg);

/* --- secondaries.c: what secondaries are told and given ---------------------------------------------- */

/* NOTIFY: from the start on. */
void daemon_start_notify(struct daemon *daemon);
/* Adds the transfer versions of the catalog's zones to control_view.zones, and to all their "secondaries". */
void daemon_add_secondaries(const struct daemon *daemon, json_t *zones);
void daemon_forget_versions(struct daemon *daemon);

/* --- versions.c: transfer versions of the catalog's zones --------------------------------------------- */

/* Publishes what changed in the catalog's zones, and sees to it that it is cut. Builder. */
void daemon_publish_catalog(struct daemon *daemon);
/* Are there secondaries of the catalog's zones? */
bool daemon_wants_versions(const struct config *config);
/* shown: the highest serial that was shown without cutting; 0: none. After the role. */
void daemon_start_serials(struct daemon *daemon, uint32_t shown);
/* A reload may be the first to want versions: before the catalog is configured. */
void daemon_begin_versions(struct daemon *daemon);

/* --- texts.c: what is shown by dig and in replies -------------------------------------------------- */

/* Sends the present state of role, members, view and zones to the builder: `lictor.`, EDE 20's text, NS of
 * the `consul.` zone. Cheap when nothing has changed. */
void daemon_refresh_texts(struct daemon *daemon);
/* As the configuration says: at start, and after a reload. */
void daemon_set_query_log(struct daemon *daemon);

/* --- updates.c --------------------------------------------------------------------------------------- */

/* After store and role, before the server. Returns 0, or -1 with err. */
int daemon_start_updates(struct daemon *daemon, struct err *err);

/* --- view.c: the health view from and to the disk, and what follows a change of it ------------------ */

/* At start, on main before the builder has work: the view saved last, if there is one, marked stale. */
void daemon_restore_view(struct daemon *daemon);
/* After a reload: `stale-for` of a restored view, which is not the watch's before it is live. Main. */
void daemon_limit_restored_view(struct daemon *daemon);
/* Once the view is live: every service as it is now, since changes alone would not tell of what had changed
 * while a saved view was served. Main; cheap when done before. */
void daemon_arm_triggers(struct daemon *daemon);
/* watch_changed_fn. Builder. */
void daemon_view_changed(void *arg);
/* Builder tick: begins to save what has changed; the parts are jobs. */
void daemon_save_view(void *arg);
/* All of it, after the builder has ended. */
void daemon_save_view_now(struct daemon *daemon);
/* Builder tick: new orders for weighted RRsets that were asked. */
void daemon_redraw_orders(void *arg);

/* --- records.c: health-driven records ------------------------------------------------------------------ */

/* Before anything is published, and once the clients are there. */
void daemon_new_records(struct daemon *daemon);
void daemon_start_records(struct daemon *daemon);
/* After a reload, and once the first zones are there: which prepared queries are followed. Main. */
void daemon_configure_records(struct daemon *daemon);
/* Each second, and after a promotion: which views are live, and what should be committed. Main. */
void daemon_mind_records(struct daemon *daemon);
/* No request goes out any more; with the rest, after the builder. */
void daemon_stop_records(struct daemon *daemon);
void daemon_free_records(struct daemon *daemon);
/* Adds "health", what the records of a zone answer, to control_view.zones. */
void daemon_add_records(const struct daemon *daemon, json_t *zones);
/* control_view.force. */
void daemon_force_record(void *arg, const char *word, const char *name,
                         void (*done)(void *done_arg, const char *error), void *done_arg);

/* --- asks.c: questions that wait for Consul --------------------------------------------------------- */

/* Builder tick: the watch hears which services were asked for. */
void daemon_note_asked(void *arg);
/* Once desk, watch and datacenters are there. Main. */
void daemon_answer_asks(struct daemon *daemon);

/* --- reload.c --------------------------------------------------------------------------------------- */

/* control_view.reload: the whole new configuration, or nothing. One at a time. */
void daemon_reload(void *arg, void (*done)(void *done_arg, const char *error), void *done_arg);
/* SIGHUP: the same, or once more after the one that is under way, since nobody could be told to try again. */
void daemon_reload_signal(struct daemon *daemon);
