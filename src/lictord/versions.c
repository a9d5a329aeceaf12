/* Transfer versions of the catalog's zones: when they are cut (main), and from what (builder). */
#include "daemon.h"

#include "lictor/xalloc.h"

#include <stdlib.h>

/* --- builder ---------------------------------------------------------------------------------------- */

static void publish(void *arg, struct zone *zone)
{
    struct daemon *daemon = arg;
    publisher_put(&daemon->publisher, zone);
}

static void wanted(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->serials && !daemon->stopping)
        serials_wanted(daemon->serials);
}

/* A view that is not whole yet is answered by nothing, and no version either. */
static bool may_cut(const struct daemon *daemon)
{
    return daemon->cuts && !atomic_load(&daemon->services_state.held);
}

static void want_cut(struct daemon *daemon)
{
    if (may_cut(daemon) && cuts_pending(daemon->cuts))
        builder_to_main(daemon->builder, wanted, daemon);
}

void daemon_publish_catalog(struct daemon *daemon)
{
    struct zone *zones[CATALOG_ZONES_MAX];
    size_t count = catalog_take_zones(daemon->catalog, zones);
    for (size_t i = 0; i < count; i++)
        publish(daemon, daemon->cuts ? cuts_dress(daemon->cuts, zones[i]) : zones[i]);
    want_cut(daemon);
}

struct serial_job {
    struct daemon *daemon;
    uint32_t serial;
};

static void run_floor(void *arg)
{
    struct serial_job *job = arg;
    cuts_floor(job->daemon->cuts, job->serial, publish, job->daemon);
    want_cut(job->daemon);
}

static void run_cut(void *arg)
{
    struct serial_job *job = arg;
    if (may_cut(job->daemon))
        cuts_cut(job->daemon->cuts, job->serial, publish, job->daemon);
}

/* --- main ------------------------------------------------------------------------------------------- */

static void post(struct daemon *daemon, job_fn *run, uint32_t serial)
{
    struct serial_job *job = xmalloc(sizeof *job);
    *job = (struct serial_job){daemon, serial};
    builder_post(daemon->builder, run, free, job);
}

static void on_floor(void *arg, uint32_t serial)
{
    post(arg, run_floor, serial);
}

static void on_cut(void *arg, uint32_t serial)
{
    post(arg, run_cut, serial);
}

static const char *session(void *arg)
{
    return role_session(((struct daemon *)arg)->role);
}

bool daemon_wants_versions(const struct config *config)
{
    const struct config_services *services = &config->services;
    return services->enabled && (services->transfer.count || services->notify.count);
}

void daemon_start_serials(struct daemon *daemon, uint32_t shown)
{
    struct serials_config config = {
        .base = daemon->base,
        .builder = daemon->builder,
        .gate = &daemon->gate,
        .client = daemon->election_client ? daemon->watch_client : NULL,
        .cluster = daemon->config->election.cluster,
        .state_dir = daemon->config->state_dir,
        .session = session,
        .floor = on_floor,
        .cut = on_cut,
        .arg = daemon,
        .shown = shown,
    };
    daemon->serials = serials_new(&config);
    if (role_is_primary(daemon->role))
        serials_promoted(daemon->serials);
}

/* --- a reload that is the first to want them ---------------------------------------------------------- */

struct beginning {
    struct daemon *daemon;
    uint32_t shown;
};

/* The next publishing of the catalog dresses all of its zones, since a reload renders them anew. */
static void run_begin(void *arg)
{
    struct beginning *beginning = arg;
    const struct snapshot *snapshot = beginning->daemon->publisher.current;
    for (size_t i = 0; i < snapshot_zone_count(snapshot); i++) {
        const struct zone *zone = snapshot_zone(snapshot, i);
        if (zone_kind(zone) == ZONE_CATALOG && zone_serial(zone) > beginning->shown)
            beginning->shown = zone_serial(zone);
    }
    beginning->daemon->cuts = cuts_new();
}

static void begun(void *arg)
{
    struct beginning *beginning = arg;
    if (!beginning->daemon->stopping && !beginning->daemon->serials)
        daemon_start_serials(beginning->daemon, beginning->shown);
    free(beginning);
}

void daemon_begin_versions(struct daemon *daemon)
{
    if (daemon->versions || !daemon_wants_versions(daemon->config))
        return;
    daemon->versions = true;
    struct beginning *beginning = xmalloc(sizeof *beginning);
    *beginning = (struct beginning){daemon, 0};
    builder_post(daemon->builder, run_begin, begun, beginning);
}
