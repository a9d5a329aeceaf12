/* `zone` sections. */
#include "config/literal.h"
#include "config/read.h"

#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_apex(struct check *check, const struct config_zone *zone, const char *title)
{
    const struct config *config = check->config;
    for (size_t i = 0; i < config->zone_count; i++)
        if (name_equal(config->zones[i].apex, zone->apex))
            fault_add(check->faults, zone->line, "the zone `%s` is already at line %d; keep one of them",
                      title, config->zones[i].line);
    if (name_equal(zone->apex, (const uint8_t *)"\6lictor"))
        fault_add(check->faults, zone->line,
                  "`lictor.` is lictord's own zone for inspection; choose another name");
    if (config->services.enabled &&
        (name_equal(zone->apex, config->services.domain) ||
         (config->services.has_alt_domain && name_equal(zone->apex, config->services.alt_domain))))
        fault_add(check->faults, zone->line,
                  "the zone `%s` is the domain of `services`; its records come from Consul, so remove one",
                  title);
    for (size_t i = 0; i < config->services.reverse_count; i++)
        if (name_equal(zone->apex, config->services.reverse[i]))
            fault_add(check->faults, zone->line,
                      "the zone `%s` is in `reverse` of `services`; its records come from Consul, so remove "
                      "one",
                      title);
}

/* Did an earlier run leave its content in `state-dir`? Then a file that has gone must not keep the server,
 * and all of its other zones, from starting: the zone goes on from what was kept. */
static bool was_kept(const struct config *config, const struct config_zone *zone)
{
    if (!config->state_dir)
        return false;
    char *folder = xasprintf("%s/%s", config->state_dir, zone->store_kv ? "mirror" : "zones");
    char *name = name_to_key(zone->apex);
    char *path = statefile_path(folder, name, zone->store_kv ? ".base" : ".zone");
    bool kept = !access(path, R_OK);
    free(folder);
    free(name);
    free(path);
    return kept;
}

/* The content is the zone loader's to judge; that there is a file is judged here. */
static void read_zone_file(struct check *check, cfg_t *section, struct config_zone *zone)
{
    struct stat info;
    zone->file = read_path(check, section, "file", NULL);
    if (!zone->file) {
        fault_add(check->faults, read_line(section, "file"),
                  "the zone `%s` has no `file`; name its zone file", cfg_title(section));
    } else if (stat(zone->file, &info) || access(zone->file, R_OK)) {
        if (was_kept(check->config, zone))
            return; /* said when it is loaded, in the log and in `lictor zones` */
        fault_add(check->faults, read_line(section, "file"),
                  "`file` names `%s`, which cannot be read: %s; name a readable zone file", zone->file,
                  strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        fault_add(check->faults, read_line(section, "file"),
                  "`file` names `%s`, which is no regular file; name a zone file", zone->file);
    }
}

static void read_zone(struct check *check, cfg_t *section)
{
    static const char *const stores[] = {"file", "kv", NULL};
    struct config *config = check->config;
    struct config_zone zone = {.line = section_line(section)};
    struct err err;
    if (!*cfg_title(section) || name_from_text(cfg_title(section), NULL, zone.apex, &err) < 0) {
        fault_add(check->faults, zone.line, "the zone's name `%s`: %s", cfg_title(section),
                  *cfg_title(section) ? err.text : "it is empty; write a domain name");
        return;
    }
    name_lower(zone.apex, zone.apex);
    check_apex(check, &zone, cfg_title(section));
    bool election = cfg_size(check->root, "election") > 0;
    zone.store_kv = read_choice(check, section, "store", election, stores);
    if (zone.store_kv && !election)
        fault_add(
            check->faults, read_line(section, "store"),
            "`store = \"kv\"` keeps the zone in Consul's KV, which only a primary writes: add an `election` "
            "section, or write \"file\"");
    read_zone_file(check, section, &zone);
    read_acl(check, section, "transfer", &zone.transfer);
    read_update(check, section, &zone);
    read_notify(check, section, &zone.notify);
    read_records(check, section, &zone);
    config->zones = xrealloc(config->zones, (config->zone_count + 1) * sizeof(*config->zones));
    config->zones[config->zone_count++] = zone;
}

void read_zones(struct check *check)
{
    for (unsigned i = 0; i < cfg_size(check->root, "zone"); i++)
        read_zone(check, cfg_getnsec(check->root, "zone", i));
}
