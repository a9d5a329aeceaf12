/* `record "NAME" { }` in a zone: names that follow health. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define TTL_DEFAULT  (5 * NS_PER_S)
#define DURATION_MAX (3600 * NS_PER_S)
#define QUERY_PREFIX "query:"

/* --- one candidate -------------------------------------------------------------------------------- */

static bool read_ip(const char *text, struct config_address *out)
{
    memset(out->ip, 0, sizeof(out->ip));
    out->ipv6 = inet_pton(AF_INET6, text, out->ip) == 1;
    return out->ipv6 || inet_pton(AF_INET, text, out->ip) == 1;
}

/* "192.0.2.7", "2001:db8::7", and with a port "192.0.2.7:80", "[2001:db8::7]:80". */
static bool read_address(const char *text, struct config_address *out)
{
    char copy[64];
    *out = (struct config_address){0};
    if (strlen(text) >= sizeof(copy))
        return false;
    if (read_ip(text, out))
        return true;
    strcpy(copy, text);
    char *colon = strrchr(copy, ':'), *host = copy;
    if (!colon)
        return false;
    *colon = '\0';
    if (*host == '[' && colon[-1] == ']') {
        host++;
        colon[-1] = '\0';
    } else if (strchr(host, ':')) {
        return false;
    }
    const char *port = colon + 1;
    size_t digits = strspn(port, "0123456789");
    if (!digits || digits > 5 || port[digits] || atoi(port) < 1 || atoi(port) > 65535)
        return false;
    out->port = (uint16_t)atoi(port);
    return read_ip(host, out);
}

static bool looks_like_address(const char *text)
{
    return strchr(text, ':') || text[strspn(text, "0123456789.")] == '\0';
}

static bool needs_port(struct check *check, int line, const char *key, const char *text, bool srv,
                       const struct config_address *address)
{
    if (srv == (address->port > 0))
        return true;
    if (srv)
        fault_add(check->faults, line,
                  "`%s` has `%.80s`; SRV records need a port: write \"192.0.2.7:80\" or "
                  "\"[2001:db8::7]:80\"",
                  key, text);
    else
        fault_add(check->faults, line,
                  "`%s` has `%.80s`; A and AAAA records have no port: write the address alone, or type = "
                  "\"SRV\"",
                  key, text);
    return false;
}

/* "web", "tag.web", "web@dc2". */
static bool read_service(struct check *check, int line, const char *key, const char *text,
                         struct config_candidate *out)
{
    const char *at = strrchr(text, '@');
    size_t len = at ? (size_t)(at - text) : strlen(text);
    if (!len || len > 250 || memchr(text, '@', len) || *text == '.' || text[len - 1] == '.' ||
        strcspn(text, " \t/") < len) {
        fault_add(check->faults, line,
                  "`%s` has `%.80s`; write a service as \"web\", \"tag.web\" or \"web@dc2\"%s", key, text,
                  strcmp(key, "fallback") ? "" : ", an address, or \"query:NAME\"");
        return false;
    }
    if (at && !is_datacenter(at + 1)) {
        fault_add(check->faults, line,
                  "`%s` has `%.80s`; behind the `@` write the name of one of Consul's datacenters, such as "
                  "\"web@dc2\"",
                  key, text);
        return false;
    }
    out->kind = CANDIDATE_SERVICE;
    out->name = pattern_fold(text, len);
    out->datacenter = at ? pattern_fold(at + 1, strlen(at + 1)) : NULL;
    return true;
}

static bool read_query(struct check *check, int line, const char *key, const char *name,
                       struct config_candidate *out)
{
    if (!*name || strlen(name) > 250 || strpbrk(name, " \t/?")) {
        fault_add(check->faults, line, "`%s` has `%.80s`, which is no name of a prepared query", key, name);
        return false;
    }
    out->kind = CANDIDATE_QUERY;
    out->name = xstrdup(name);
    return true;
}

static bool read_candidate(struct check *check, int line, const char *key, const char *text, bool srv,
                           struct config_candidate *out)
{
    if (!strncmp(text, QUERY_PREFIX, strlen(QUERY_PREFIX)))
        return read_query(check, line, key, text + strlen(QUERY_PREFIX), out);
    if (!looks_like_address(text))
        return read_service(check, line, key, text, out);
    out->kind = CANDIDATE_ADDRESS;
    if (!read_address(text, &out->address)) {
        fault_add(check->faults, line,
                  "`%s` has `%.80s`, which is no address; write \"198.51.100.7\" or \"2001:db8::7\"", key,
                  text);
        return false;
    }
    return needs_port(check, line, key, text, srv, &out->address);
}

static void free_candidate(struct config_candidate *candidate)
{
    free(candidate->text);
    free(candidate->name);
    free(candidate->datacenter);
}

/* Other datacenters that a record names are watched as configured ones are. */
static void want_datacenter(struct check *check, int line, const char *name)
{
    struct config_strings *wanted = &check->config->services.datacenters;
    for (size_t i = 0; i < wanted->count; i++)
        if (!strcmp(wanted->items[i], name))
            return;
    if (wanted->count >= CONFIG_DATACENTERS_MAX)
        fault_add(check->faults, line,
                  "`%s` would be one more datacenter to watch; there are %d already, the most that can be",
                  name, CONFIG_DATACENTERS_MAX);
    else
        strings_add(wanted, xstrdup(name));
}

static void add_candidate(struct check *check, const struct value *value, const char *key, char *text,
                          struct config_record *record)
{
    struct config_candidate candidate = {.text = text};
    bool good = read_candidate(check, value->line, key, text, record->srv, &candidate);
    for (size_t i = 0; good && i < record->candidate_count; i++)
        if (!strcmp(record->candidates[i].text, text)) {
            fault_add(check->faults, value->line, "the record `%s` names `%s` twice; keep one", record->name,
                      text);
            good = false;
        }
    if (!good) {
        free_candidate(&candidate);
        return;
    }
    if (candidate.datacenter)
        want_datacenter(check, value->line, candidate.datacenter);
    record->candidates =
        xrealloc(record->candidates, (record->candidate_count + 1) * sizeof(*record->candidates));
    record->candidates[record->candidate_count++] = candidate;
}

static void read_candidates(struct check *check, cfg_t *block, struct config_record *record)
{
    const struct value *service = value_at(block, "service", 0), *query = value_at(block, "query", 0);
    size_t faults = check->faults->count;
    if (service && query)
        fault_add(check->faults, query->line,
                  "the record `%s` has both `service` and `query`; keep one, and write the other into "
                  "`fallback`",
                  record->name);
    if (service)
        add_candidate(check, service, "service", xstrdup(service->text), record);
    else if (query)
        add_candidate(check, query, "query", xasprintf(QUERY_PREFIX "%s", query->text), record);
    else
        fault_add(check->faults, record->line,
                  "the record `%s` has neither `service` nor `query`; name what it follows", record->name);
    for (size_t i = 0; i < value_count(block, "fallback"); i++) {
        const struct value *value = value_at(block, "fallback", i);
        add_candidate(check, value, "fallback", xstrdup(value->text), record);
    }
    if (check->faults->count == faults && record->candidates[0].kind == CANDIDATE_ADDRESS)
        fault_add(check->faults, service->line,
                  "`service` is an address, which is always healthy; name a service, or write a plain record "
                  "into the zone's file");
}

/* --- when all is down ----------------------------------------------------------------------------- */

static void read_all_down(struct check *check, cfg_t *block, struct config_record *record)
{
    static const char *const words[] = {[ALL_DOWN_ALL] = "all",
                                        [ALL_DOWN_LAST] = "last",
                                        [ALL_DOWN_NONE] = "none",
                                        [ALL_DOWN_SERVFAIL] = "servfail",
                                        NULL};
    size_t count = value_count(block, "when-all-down");
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(block, "when-all-down", i);
        struct config_address address;
        for (int w = 0; words[w] && count == 1; w++)
            if (!strcmp(value->text, words[w])) {
                record->all_down = (enum config_all_down)w;
                return;
            }
        if (!read_address(value->text, &address)) {
            fault_add(check->faults, value->line,
                      "`when-all-down` is `%.80s`; write \"all\" (all instances, healthy or not), \"last\" "
                      "(what was healthy last), \"none\" (no such record), \"servfail\", or addresses",
                      value->text);
            continue;
        }
        if (!needs_port(check, value->line, "when-all-down", value->text, record->srv, &address))
            continue;
        record->all_down = ALL_DOWN_ADDRESS;
        record->down = xrealloc(record->down, (record->down_count + 1) * sizeof(*record->down));
        record->down[record->down_count++] = address;
    }
}

/* --- a block -------------------------------------------------------------------------------------- */

static void check_name(struct check *check, const struct config_zone *zone, struct config_record *record)
{
    struct err err;
    if (!*record->name || name_from_text(record->name, zone->apex, record->owner, &err) < 0) {
        fault_add(check->faults, record->line, "the record's name `%s`: %s", record->name,
                  *record->name ? err.text : "it is empty; write \"@\" for the zone's own name");
        memcpy(record->owner, zone->apex, sizeof(zone->apex));
        return;
    }
    if (!strcmp(record->name, "@"))
        memcpy(record->owner, zone->apex, sizeof(zone->apex));
    name_lower(record->owner, record->owner);
    if (!name_is_under(record->owner, zone->apex))
        fault_add(check->faults, record->line,
                  "the record `%s` is outside of its zone; write its name without the zone", record->name);
    for (size_t i = 0; i < zone->record_count; i++)
        if (name_equal(zone->records[i].owner, record->owner) && zone->records[i].srv == record->srv)
            fault_add(check->faults, record->line,
                      "the record `%s` is already at line %d; keep one, and name all that it may follow in "
                      "`service` and `fallback`",
                      record->name, zone->records[i].line);
    /* Targets stand below the record's name, and an asterisk has nothing below it that is found. */
    if (record->srv && record->owner[0] == 1 && record->owner[1] == '*')
        fault_add(check->faults, record->line,
                  "the record `%s` has type = \"SRV\", whose targets stand below its name; an SRV record "
                  "cannot be a wildcard",
                  record->name);
}

static void check_use(struct check *check, cfg_t *section, const struct config_zone *zone,
                      const struct config_record *record)
{
    const struct config_services *services = &check->config->services;
    if (!services->enabled)
        fault_add(check->faults, record->line,
                  "the record `%s` follows Consul's health, which only a `services` block has read; add one",
                  record->name);
    else if (services->watch_asked)
        fault_add(check->faults, record->line,
                  "the record `%s` needs `watch = \"all\"` in `services`: with \"asked\" only services that "
                  "somebody asked for are watched",
                  record->name);
    if (!zone->store_kv && cfg_size(check->root, "election") > 0 &&
        (zone->transfer.count || zone->notify.count))
        fault_add(check->faults, section_line(section),
                  "the zone has `store = \"file\"`, a `record` and secondaries: each instance has its own "
                  "copy of such a zone, so no serial could tell secondaries of changes in health; write "
                  "store = \"kv\", or remove `transfer` and `notify`");
}

static void read_record(struct check *check, cfg_t *section, cfg_t *block, struct config_zone *zone)
{
    static const char *const types[] = {"A/AAAA", "SRV", NULL};
    struct config_record record = {.name = xstrdup(cfg_title(block)), .line = section_line(block)};
    record.srv = read_choice(check, block, "type", 0, types) == 1;
    check_name(check, zone, &record);
    check_use(check, section, zone, &record);
    read_candidates(check, block, &record);
    read_all_down(check, block, &record);
    record.ttl = read_ttl(check, block, "ttl", TTL_DEFAULT);
    record.rise = read_duration(check, block, "rise", 0, 0, DURATION_MAX);
    record.fall = read_duration(check, block, "fall", 0, 0, DURATION_MAX);
    record.min_healthy = read_number(check, block, "min-healthy", 1, 1, 65535);
    record.weights = read_bool(check, block, "weights", true);
    record.answers = read_number(check, block, "answers", check->config->services.answers, 0, 65535);
    zone->records = xrealloc(zone->records, (zone->record_count + 1) * sizeof(*zone->records));
    zone->records[zone->record_count++] = record;
}

void read_records(struct check *check, cfg_t *section, struct config_zone *zone)
{
    for (unsigned i = 0; i < cfg_size(section, "record"); i++)
        read_record(check, section, cfg_getnsec(section, "record", i), zone);
}

/* --- copies --------------------------------------------------------------------------------------- */

void config_record_copy(struct config_record *out, const struct config_record *record)
{
    *out = *record;
    out->name = xstrdup(record->name);
    out->candidates = xcalloc(record->candidate_count + 1, sizeof(*out->candidates));
    for (size_t i = 0; i < record->candidate_count; i++) {
        out->candidates[i] = record->candidates[i];
        out->candidates[i].text = xstrdup(record->candidates[i].text);
        out->candidates[i].name = xstrdup_null(record->candidates[i].name);
        out->candidates[i].datacenter = xstrdup_null(record->candidates[i].datacenter);
    }
    out->down = xcalloc(record->down_count + 1, sizeof(*out->down));
    if (record->down_count)
        memcpy(out->down, record->down, record->down_count * sizeof(*out->down));
}

void config_record_free(struct config_record *record)
{
    free(record->name);
    for (size_t i = 0; i < record->candidate_count; i++)
        free_candidate(&record->candidates[i]);
    free(record->candidates);
    free(record->down);
}
