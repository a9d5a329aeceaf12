/* What is told about this instance: the TXT records of `lictor.`, the text of EDE 20, the NS records of
 * `consul.`. Put together on main, where the role and the watch are, and rendered on the builder. */
#include "daemon.h"

#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 64

struct zone_line {
    struct zone_line *next;
    char *name, *line;
};

struct texts {
    struct daemon *daemon;
    char *status, *leader, *members, *primary; /* primary: NULL if none is known */
    struct zone_line *zones;
    char *node;
    char own[SOCKADDR_TEXT]; /* where this instance listens; "": on wildcards alone */
    struct role_member member[MEMBERS_MAX];
    size_t member_count;
};

/* The address part of "192.0.2.1:53" or "[2001:db8::1]:53", in out; false if it is no plain address. */
static bool address_only(const char *text, char out[64])
{
    struct sockaddr_storage address;
    if (sockaddr_parse(text, &address, NULL))
        return false;
    const void *raw = address.ss_family == AF_INET
                          ? (const void *)&((struct sockaddr_in *)&address)->sin_addr
                          : (const void *)&((struct sockaddr_in6 *)&address)->sin6_addr;
    return inet_ntop(address.ss_family, raw, out, 64) != NULL;
}

static void put_ns(const struct texts *texts)
{
    struct catalog_ns ns[MEMBERS_MAX];
    char address[MEMBERS_MAX][64];
    size_t count = 0;
    for (size_t i = 0; i < texts->member_count; i++)
        if (address_only(texts->member[i].address, address[count])) {
            ns[count] = (struct catalog_ns){texts->member[i].node, address[count]};
            count++;
        }
    /* No election, or nobody advertises: the zone's server is this one. A wildcard says nothing of where. */
    if (!count && address_only(texts->own, address[0]))
        ns[count++] = (struct catalog_ns){texts->node, address[0]};
    if (count && catalog_put_ns(texts->daemon->catalog, ns, count) > 0)
        daemon_view_changed(texts->daemon);
}

static void render(void *arg)
{
    struct texts *texts = arg;
    struct daemon *daemon = texts->daemon;
    inspection_put(daemon->inspection, "status", texts->status);
    inspection_put(daemon->inspection, "leader", texts->leader);
    inspection_put(daemon->inspection, "members", texts->members);
    for (const struct zone_line *z = texts->zones; z; z = z->next)
        inspection_put(daemon->inspection, z->name, z->line);
    inspection_publish(daemon->inspection);

    const struct snapshot_text *old = snapshot_text(daemon->publisher.current);
    if (!texts->primary != !old->primary || (texts->primary && strcmp(texts->primary, old->primary)))
        publisher_set_text(&daemon->publisher,
                           &(struct snapshot_text){texts->node, LICTOR_VERSION, texts->primary});
    if (daemon->catalog)
        put_ns(texts);
}

static void release(void *arg)
{
    struct texts *texts = arg;
    for (struct zone_line *z = texts->zones, *next; z; z = next) {
        next = z->next;
        free(z->name);
        free(z->line);
        free(z);
    }
    free(texts->status);
    free(texts->leader);
    free(texts->members);
    free(texts->primary);
    free(texts->node);
    free(texts);
}

static char *view_line(const struct daemon *daemon)
{
    if (!daemon->watch)
        return xstrdup("view=none (no `services`)");
    nstime contact = watch_last_contact(daemon->watch);
    nstime stale = atomic_load(&daemon->services_state.stale_from);
    nstime now = clock_boot();
    char age[32];
    if (watch_live(daemon->watch) && now < stale)
        return xstrdup("view=live");
    if (!contact && !daemon->view_restored)
        return xstrdup("view=none yet");
    return xasprintf("view=stale since=%s", duration_format(now - (stale < now ? stale : contact), age));
}

static char *status_text(const struct daemon *daemon, const struct role_primary *primary)
{
    struct buf text = {0};
    json_t *status = role_status(daemon->role);
    const char *role = json_string_value(json_object_get(status, "role"));
    const char *reason = json_string_value(json_object_get(status, "reason"));
    buf_printf(&text, "node=%s version=%s", daemon->config->node, LICTOR_VERSION);
    buf_printf(&text, "\nrole=%s epoch=%" PRIu64, role ? role : "?",
               atomic_load_explicit(&daemon->gate.epoch, memory_order_relaxed));
    if (primary->known)
        buf_printf(&text, "\nprimary=%s address=%s epoch=%" PRIu64, primary->node, primary->address,
                   primary->epoch);
    else
        buf_puts(&text, "\nprimary=none");
    char *view = view_line(daemon);
    buf_printf(&text, "\n%s", view);
    free(view);
    const json_t *paused = json_object_get(status, "paused");
    if (json_is_object(paused)) {
        const char *until = json_string_value(json_object_get(paused, "until"));
        buf_printf(&text, "\npaused=%s until=%s why=%s", json_string_value(json_object_get(paused, "who")),
                   until ? until : "resumed", json_string_value(json_object_get(paused, "why")));
    }
    if (reason && reason[0])
        buf_printf(&text, "\nreason=%s", reason);
    json_decref(status);
    return buf_steal(&text);
}

static char *members_text(const struct texts *texts)
{
    struct buf text = {0};
    for (size_t i = 0; i < texts->member_count; i++) {
        const struct role_member *m = &texts->member[i];
        buf_printf(&text, "%snode=%s address=%s ready=%s primary=%s", i ? "\n" : "", m->node, m->address,
                   m->ready ? "yes" : "no", m->primary ? "yes" : "no");
    }
    return buf_steal(&text);
}

static void add_zone(void *arg, const char *apex, const char *line)
{
    struct texts *texts = arg;
    struct zone_line *z = xmalloc(sizeof *z);
    struct buf lines = {0};
    buf_puts(&lines, line);
    records_lines(texts->daemon->records, apex, &lines);
    *z = (struct zone_line){
        texts->zones, xasprintf("%s%szone", strcmp(apex, ".") ? apex : "", strcmp(apex, ".") ? "." : ""),
        buf_steal(&lines)};
    texts->zones = z;
}

void daemon_refresh_texts(struct daemon *daemon)
{
    struct texts *texts = xcalloc(1, sizeof *texts);
    struct role_primary primary;
    role_primary(daemon->role, &primary);
    texts->daemon = daemon;
    texts->node = xstrdup(daemon->config->node);
    for (size_t i = daemon->config->listen_count; i-- > 0;)
        if (!sockaddr_is_wildcard(&daemon->config->listen[i]))
            sockaddr_format(&daemon->config->listen[i], texts->own);
    texts->member_count = role_members(daemon->role, texts->member, MEMBERS_MAX);
    texts->status = status_text(daemon, &primary);
    texts->members = members_text(texts);
    if (primary.known) {
        texts->leader =
            xasprintf("node=%s address=%s epoch=%" PRIu64, primary.node, primary.address, primary.epoch);
        texts->primary =
            xasprintf("primary is %s%s%s%s, epoch %" PRIu64, primary.node, primary.address[0] ? " (" : "",
                      primary.address, primary.address[0] ? ")" : "", primary.epoch);
    } else {
        texts->leader = xstrdup("none");
    }
    hosted_zones_each(daemon->zones, add_zone, texts);
    builder_post(daemon->builder, render, release, texts);
}
