/* Zone files to zones: directives, owners, TTLs and classes (RFC 1035 section 5, RFC 2308 section 4). RDATA
 * is ldns' part (zonefile_rdata.c), grouping to RRsets that of zonefile_build.c. */
#include "lictor/zonefile.h"

#include "lictor/denial.h"
#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"
#include "zone/zonefile_build.h"
#include "zone/zonefile_generate.h"
#include "zone/zonefile_rdata.h"
#include "zone/zonefile_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define INCLUDE_DEPTH 8

struct source { /* a file that is being read, and who included it */
    struct scan scan;
    dev_t device;
    ino_t inode;
    const struct source *parent;
    unsigned depth;
    bool is_file;
};

struct loader {
    const uint8_t *apex;
    struct collection *records;
    struct rdata_reader rdata;
    struct buf wire, generated_owner, generated_rest;
    char **names; /* of files: records refer to them */
    size_t name_count;
    uint8_t origin[NAME_MAX_WIRE];
    uint8_t owner[NAME_MAX_WIRE]; /* the last one, lower-case */
    bool has_owner, has_ttl, has_last_ttl;
    uint32_t ttl, last_ttl; /* $TTL; the last one stated */
    char type_text[16];     /* the last type, since the next record is often of the same */
    int type;
    struct err *err, unseen; /* the caller's, or unseen if it wants none */
};

static int fail_at(const struct loader *loader, const struct source *source)
{
    return err_prefix(loader->err, "%s:%d", source->scan.name, source->scan.entry_line);
}

static void set_origin(struct loader *loader, const uint8_t *origin)
{
    memmove(loader->origin, origin, name_len(origin));
    rdata_reader_origin(&loader->rdata, loader->origin);
}

/* --- records -------------------------------------------------------------------------------------- */

/* TTL and class in either order, then the type; each of them may be missing but the type. */
struct fields {
    bool has_ttl;
    uint32_t ttl;
    uint16_t type;
    size_t rdata; /* the token that RDATA begins with */
};

static int take_class(const char *text, struct err *err)
{
    if (!strcasecmp(text, "IN"))
        return 1;
    bool other = !strcasecmp(text, "CH") || !strcasecmp(text, "HS") || !strcasecmp(text, "CS");
    if (!other && !strncasecmp(text, "CLASS", 5) && text[5] >= '0' && text[5] <= '9') {
        if (!strcmp(text + 5, "1"))
            return 1;
        other = true;
    }
    return other ? err_set(err, "class %s; a zone here has class IN only", text) : 0;
}

static int take_type(struct loader *loader, const char *text, uint16_t *out)
{
    if (strcmp(text, loader->type_text)) {
        int type = rdata_type(text);
        if (type < 0)
            return err_set(loader->err,
                           "`%.60s` is no type of record; write owner, TTL, class, type and data in this "
                           "order, such as: www 300 IN A 192.0.2.1",
                           text);
        if (!rdata_type_is_data((uint16_t)type))
            return err_set(loader->err, "type %.16s is for messages, not for zones; remove the record", text);
        loader->type = type;
        *loader->type_text = '\0';
        if (strlen(text) < sizeof(loader->type_text))
            memcpy(loader->type_text, text, strlen(text) + 1);
    }
    *out = (uint16_t)loader->type;
    return 0;
}

static int take_fields(struct loader *loader, struct scan *scan, size_t first, struct fields *out)
{
    bool has_class = false;
    *out = (struct fields){0};
    for (size_t i = first; i < scan->tokens; i++) {
        const char *text = scan_token(scan, i);
        if (!has_class) {
            int class = take_class(text, loader->err);
            if (class < 0)
                return -1;
            has_class = class;
            if (class)
                continue;
        }
        if (!out->has_ttl && *text >= '0' && *text <= '9') {
            if (ttl_parse(text, &out->ttl))
                return err_set(loader->err,
                               "`%.60s` is no TTL; write seconds up to 2147483647, or units such as 1h30m",
                               text);
            out->has_ttl = true;
            continue;
        }
        out->rdata = i + 1;
        return take_type(loader, text, &out->type);
    }
    return err_set(loader->err, "the record ends before its type; write it like: www 300 IN A 192.0.2.1");
}

static int take_owner(struct loader *loader, const char *text)
{
    if (name_from_text(text, loader->origin, loader->owner, loader->err) < 0)
        return -1;
    name_lower(loader->owner, loader->owner);
    loader->has_owner = true;
    return 0;
}

/* Without a TTL of its own: $TTL; else the last one stated (RFC 1035 section 5.1); else, for the SOA that
 * begins an old file, its MINIMUM (RFC 2308 section 4). */
static int choose_ttl(struct loader *loader, struct fields *fields)
{
    if (fields->has_ttl) {
        loader->last_ttl = fields->ttl;
    } else if (loader->has_ttl) {
        fields->ttl = loader->ttl;
        return 0;
    } else if (loader->has_last_ttl) {
        fields->ttl = loader->last_ttl;
        return 0;
    } else if (fields->type == DNS_SOA && loader->wire.len >= 4) {
        const uint8_t *minimum = loader->wire.data + loader->wire.len - 4;
        loader->last_ttl = fields->ttl =
            (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 | (uint32_t)minimum[2] << 8 | minimum[3];
    } else {
        return err_set(
            loader->err,
            "no TTL: neither here, nor in $TTL, nor before; put `$TTL 1h` at the head of the file");
    }
    loader->has_last_ttl = true;
    return 0;
}

static int add_record(struct loader *loader, const struct source *source, struct fields *fields,
                      const char *rdata)
{
    char name[NAME_MAX_TEXT], apex[NAME_MAX_TEXT];
    if (!name_is_under(loader->owner, loader->apex))
        return err_set(loader->err,
                       "%.200s is outside of the zone %.200s; remove it, or check $ORIGIN and final dots",
                       name_to_text(loader->owner, name), name_to_text(loader->apex, apex));
    loader->wire.len = 0;
    if (rdata_read(&loader->rdata, fields->type, rdata, &loader->wire, loader->err) ||
        choose_ttl(loader, fields))
        return -1;
    if (loader->wire.len > UINT16_MAX)
        return err_set(loader->err, "%zu octets of data; a record has at most 65535", loader->wire.len);
    collection_add(loader->records, loader->owner, fields->type, fields->ttl, loader->wire.data,
                   loader->wire.len, source->scan.name, source->scan.entry_line);
    return 0;
}

static int read_record(struct loader *loader, struct source *source)
{
    struct scan *scan = &source->scan;
    struct fields fields;
    size_t first = 0;
    if (!scan->leading_blank) {
        if (take_owner(loader, scan_token(scan, first++)))
            return -1;
    } else if (!loader->has_owner) {
        return err_set(loader->err,
                       "the line begins with a blank, but there is no record before it whose owner "
                       "it could share; write the owner");
    }
    if (take_fields(loader, scan, first, &fields))
        return -1;
    return add_record(loader, source, &fields, scan_rest(scan, fields.rdata));
}

/* --- directives ----------------------------------------------------------------------------------- */

static int read_file(struct loader *loader, const char *path, const struct source *parent);

static int read_origin(struct loader *loader, struct scan *scan)
{
    uint8_t origin[NAME_MAX_WIRE];
    if (scan->tokens != 2)
        return err_set(loader->err, "$ORIGIN takes one name; write $ORIGIN example.com.");
    if (name_from_text(scan_token(scan, 1), loader->origin, origin, loader->err) < 0)
        return -1;
    set_origin(loader, origin);
    return 0;
}

static int read_ttl(struct loader *loader, struct scan *scan)
{
    if (scan->tokens != 2 || ttl_parse(scan_token(scan, 1), &loader->ttl))
        return err_set(loader->err,
                       "$TTL takes one TTL: seconds up to 2147483647, or units; write $TTL 3600 or $TTL 1h");
    loader->has_ttl = true;
    return 0;
}

/* A file name may be quoted, for its blanks. */
static char *unquoted(char *text)
{
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text[len - 1] = '\0';
        return text + 1;
    }
    return text;
}

/* Relative to the file that includes: zone files are moved together with what they include. */
static char *include_path(const struct source *source, const char *path)
{
    const char *slash = strrchr(source->scan.name, '/');
    if (*path == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - source->scan.name), source->scan.name, path);
}

/* The origin and the owner are put back afterwards, whatever the included file did (RFC 1035 section 5.1). */
static int read_include(struct loader *loader, struct source *source)
{
    struct scan *scan = &source->scan;
    if (scan->tokens != 2 && scan->tokens != 3)
        return err_set(loader->err, "$INCLUDE takes a file name and perhaps an origin; write $INCLUDE "
                                    "hosts.zone sub.example.com.");
    if (!source->is_file)
        return err_set(loader->err, "$INCLUDE in text that is no file; put the records here");
    if (source->depth + 1 >= INCLUDE_DEPTH)
        return err_set(loader->err, "$INCLUDE is nested more than %d deep", INCLUDE_DEPTH);
    uint8_t origin[NAME_MAX_WIRE], inner[NAME_MAX_WIRE], owner[NAME_MAX_WIRE];
    bool has_owner = loader->has_owner;
    memcpy(origin, loader->origin, sizeof(origin));
    memcpy(owner, loader->owner, sizeof(owner));
    char *path = include_path(source, unquoted(scan_token(scan, 1)));
    if (scan->tokens == 3) {
        if (name_from_text(scan_token(scan, 2), loader->origin, inner, loader->err) < 0) {
            free(path);
            return -1;
        }
        set_origin(loader, inner);
    }
    int result = read_file(loader, path, source);
    free(path);
    set_origin(loader, origin);
    memcpy(loader->owner, owner, sizeof(owner));
    loader->has_owner = has_owner;
    return result;
}

static int read_generate(struct loader *loader, struct source *source)
{
    struct scan *scan = &source->scan;
    struct range range;
    struct fields fields;
    if (scan->tokens < 5)
        return err_set(loader->err,
                       "$GENERATE takes a range, an owner, a type and data; write $GENERATE 1-254 "
                       "host-$ A 192.0.2.$");
    const char *owner = scan_token(scan, 2);
    if (range_parse(scan_token(scan, 1), &range, loader->err) || take_fields(loader, scan, 3, &fields))
        return -1;
    /* BIND wants data of several fields in one pair of quotes; it is taken with and without them. */
    char *rest = scan_rest(scan, fields.rdata);
    if (fields.type != DNS_TXT && scan->tokens == fields.rdata + 1)
        rest = unquoted(rest);
    for (uint64_t number = range.start; number <= range.stop; number += range.step) {
        loader->generated_owner.len = loader->generated_rest.len = 0;
        struct fields one = fields;
        if (generate_expand(owner, (uint32_t)number, &loader->generated_owner, loader->err) ||
            generate_expand(rest, (uint32_t)number, &loader->generated_rest, loader->err) ||
            take_owner(loader, buf_str(&loader->generated_owner)) ||
            add_record(loader, source, &one, buf_str(&loader->generated_rest)))
            return -1;
    }
    return 0;
}

static int read_directive(struct loader *loader, struct source *source)
{
    struct scan *scan = &source->scan;
    const char *name = scan_token(scan, 0);
    if (!strcasecmp(name, "$ORIGIN"))
        return read_origin(loader, scan);
    if (!strcasecmp(name, "$TTL"))
        return read_ttl(loader, scan);
    if (!strcasecmp(name, "$GENERATE"))
        return read_generate(loader, source);
    return err_set(loader->err, "`%.60s` is no directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE",
                   name);
}

/* --- files ---------------------------------------------------------------------------------------- */

static int read_source(struct loader *loader, struct source *source)
{
    struct scan *scan = &source->scan;
    int found;
    while ((found = scan_next(scan, loader->err)) > 0) {
        const char *entry = (const char *)scan->entry.data;
        if (scan->leading_blank || *entry != '$') {
            if (read_record(loader, source))
                return fail_at(loader, source);
        } else if (!strncasecmp(entry, "$INCLUDE ", 9)) {
            size_t before = loader->name_count;
            /* What is wrong in the included file says its own file and line. */
            if (read_include(loader, source))
                return loader->name_count > before ? -1 : fail_at(loader, source);
        } else if (read_directive(loader, source)) {
            return fail_at(loader, source);
        }
    }
    return found;
}

static int check_file(const struct loader *loader, const char *path, const struct stat *info,
                      const struct source *parent)
{
    if (!S_ISREG(info->st_mode))
        return err_set(loader->err, "%s is no regular file; name a zone file", path);
    for (const struct source *up = parent; up; up = up->parent)
        if (up->device == info->st_dev && up->inode == info->st_ino)
            return err_set(loader->err, "$INCLUDE of %s, which is being read already: a loop; remove it",
                           path);
    return 0;
}

/* A name that lives as long as the loader. */
static const char *keep_name(struct loader *loader, const char *name)
{
    loader->names = xrealloc(loader->names, (loader->name_count + 1) * sizeof(*loader->names));
    return loader->names[loader->name_count++] = xstrdup(name);
}

static int read_file(struct loader *loader, const char *path, const struct source *parent)
{
    struct buf text = {0};
    struct stat info;
    int result = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold the builder up */
    if (fd < 0 || fstat(fd, &info)) {
        err_set(loader->err, "%s cannot be read: %s; name a readable zone file", path, strerror(errno));
    } else if (!check_file(loader, path, &info, parent)) {
        buf_reserve(&text, (size_t)info.st_size + 1); /* one octet more, to see the end without growing */
        if (buf_read(&text, fd)) {
            err_set(loader->err, "%s cannot be read: %s", path, strerror(errno));
        } else {
            struct source source = {
                .scan = {.name = keep_name(loader, path),
                         .text = (char *)text.data,
                         .len = text.len,
                         .line = 1},
                .device = info.st_dev,
                .inode = info.st_ino,
                .parent = parent,
                .depth = parent ? parent->depth + 1 : 0,
                .is_file = true,
            };
            result = read_source(loader, &source);
            scan_end(&source.scan);
        }
    }
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return result;
}

static void loader_begin(struct loader *loader, const uint8_t *apex, struct err *err)
{
    *loader = (struct loader){.apex = apex, .records = collection_new(apex)};
    loader->err = err ? err : &loader->unseen;
    set_origin(loader, apex);
}

/* zone_check names the offending owner before a colon, and knows no lines. */
static int fail_check(const struct loader *loader, const char *name)
{
    char text[sizeof(loader->err->text)], *colon;
    uint8_t owner[NAME_MAX_WIRE];
    const char *file;
    int line;
    memcpy(text, loader->err->text, sizeof(text));
    if ((colon = strstr(text, ".: ")))
        colon[1] = '\0';
    if (!colon || name_from_text(text, NULL, owner, NULL) < 0 || name_equal(owner, loader->apex) ||
        !collection_where(loader->records, owner, &file, &line))
        return err_prefix(loader->err, "%s", name); /* something is missing: no line has it */
    return err_prefix(loader->err, "%s:%d", file, line);
}

static void warn_of_signing(const struct zone *zone)
{
    char apex[NAME_MAX_TEXT], complaint[256];
    if (*zone_signing_complaint(zone, clock_real() / NS_PER_S, complaint))
        log_warn("zone %.250s: %s", name_to_text(zone_apex(zone), apex), complaint);
}

/* Ends the loader; makes the zone if all went well. */
static struct zone *loader_end(struct loader *loader, int result, const char *name, enum zone_kind kind,
                               struct zone_state *state)
{
    struct zone *zone = result ? NULL : collection_build(loader->records, kind, state, loader->err);
    if (zone && zone_check(zone, loader->err)) {
        fail_check(loader, name);
        zone_unref(zone);
        zone = NULL;
    }
    if (zone && zone_is_signed(zone))
        warn_of_signing(zone);
    collection_free(loader->records);
    rdata_reader_free(&loader->rdata);
    buf_free(&loader->wire);
    buf_free(&loader->generated_owner);
    buf_free(&loader->generated_rest);
    for (size_t i = 0; i < loader->name_count; i++)
        free(loader->names[i]);
    free(loader->names);
    return zone;
}

struct zone *zonefile_load(const char *path, const uint8_t *apex, enum zone_kind kind,
                           struct zone_state *state, struct err *err)
{
    struct loader loader;
    loader_begin(&loader, apex, err);
    return loader_end(&loader, read_file(&loader, path, NULL), path, kind, state);
}

struct zone *zonefile_parse(const char *name, const char *text, size_t len, const uint8_t *apex,
                            enum zone_kind kind, struct zone_state *state, struct err *err)
{
    struct loader loader;
    struct source source = {.scan = {.name = name, .text = text, .len = len, .line = 1}};
    loader_begin(&loader, apex, err);
    int result = read_source(&loader, &source);
    struct zone *zone = loader_end(&loader, result, name, kind, state);
    scan_end(&source.scan);
    return zone;
}
