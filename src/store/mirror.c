#include "store/mirror.h"

#include "lictor/log.h"
#include "lictor/statefile.h"
#include "lictor/wire.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define VERSION   1
#define FRAME     8 /* length 4, CRC 4 */
#define FRAME_MAX (64u << 20)
/* The log is written anew, with what is still to be kept, when it has grown to this. */
#define REWRITE_MIN (4u << 20)

struct mirror {
    char *folder, *name, *base, *log, *aside;
    size_t log_size, log_kept; /* octets of the log; of them after it was last written whole */
    bool failing;
    struct err fault;
};

struct mirror *mirror_new(const char *folder, const char *name)
{
    struct mirror *mirror = xcalloc(1, sizeof *mirror);
    mirror->folder = xstrdup(folder);
    mirror->name = xstrdup(name);
    mirror->base = statefile_path(folder, name, ".base");
    mirror->log = statefile_path(folder, name, ".log");
    mirror->aside = statefile_path(folder, name, ".aside");
    return mirror;
}

void mirror_free(struct mirror *mirror)
{
    if (!mirror)
        return;
    free(mirror->folder);
    free(mirror->name);
    free(mirror->base);
    free(mirror->log);
    free(mirror->aside);
    free(mirror);
}

const char *mirror_fault(const struct mirror *mirror)
{
    return mirror->failing ? mirror->fault.text : NULL;
}

static void tell(struct mirror *mirror, int result, const struct err *err)
{
    if (result && !mirror->failing)
        log_error("zone %s: its mirror is not saved, will be tried again; a restart would have to read the "
                  "zone from "
                  "Consul: %s",
                  mirror->name, err->text);
    else if (!result && mirror->failing)
        log_info("zone %s: its mirror is saved again", mirror->name);
    mirror->failing = result != 0;
    if (result)
        mirror->fault = *err;
}

/* --- frames ----------------------------------------------------------------------------------------- */

static void frame(struct buf *out, const void *data, size_t len)
{
    uint8_t head[FRAME];
    put32(head, (uint32_t)len);
    put32(head + 4, (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)len));
    buf_append(out, head, FRAME);
    buf_append(out, data, len);
}

static void frame_entry(struct buf *out, const struct store_entry *entry)
{
    struct buf octets = {0};
    store_entry_encode(entry, &octets);
    frame(out, octets.data, octets.len);
    buf_free(&octets);
}

/* The entries in data up to the first that is cut off or damaged; *good: how many octets those are. */
static struct store_entry **unframe(const struct buf *data, size_t *count, size_t *good)
{
    struct store_entry **entries = NULL;
    *count = *good = 0;
    while (data->len - *good >= FRAME) {
        const uint8_t *at = data->data + *good;
        uint32_t len = get32(at);
        struct err err;
        if (len > FRAME_MAX || data->len - *good - FRAME < len ||
            crc32(crc32(0, NULL, 0), at + FRAME, len) != get32(at + 4))
            break;
        struct store_entry *entry = store_entry_parse(at + FRAME, len, &err);
        if (!entry)
            break;
        entries = xrealloc(entries, (*count + 1) * sizeof(*entries));
        entries[(*count)++] = entry;
        *good += FRAME + (size_t)len;
    }
    return entries;
}

/* --- reading ---------------------------------------------------------------------------------------- */

static int read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int result = buf_read(out, fd);
    close(fd);
    return result;
}

static struct store_entry *load_base(struct mirror *mirror)
{
    struct buf octets = {0};
    struct err err;
    struct store_entry *base = NULL;
    int result = statefile_read(mirror->base, "zone-base", VERSION, &octets, &err);
    if (!result && !(base = store_entry_parse(octets.data, octets.len, &err)))
        result = -1;
    if (result < 0)
        log_error("zone %s: its mirror is damaged, it will be read from Consul: %s", mirror->name, err.text);
    buf_free(&octets);
    return base;
}

bool mirror_load(struct mirror *mirror, struct core *core)
{
    struct buf log = {0}, lost = {0};
    struct err err;
    size_t count = 0, aside_count = 0, good = 0, lost_good = 0;
    struct store_entry *base = load_base(mirror), **entries = NULL, **aside = NULL;
    if (base && !read_file(mirror->log, &log))
        entries = unframe(&log, &count, &good);
    if (good < log.len) {
        log_warn(
            "zone %s: the last %zu octets of its log were cut off or damaged: it goes on from before them",
            mirror->name, log.len - good);
        if (truncate(mirror->log, (off_t)good))
            mirror->failing = true; /* written anew before the next entry */
    }
    if (statefile_read(mirror->aside, "zone-aside", VERSION, &lost, &err) == 0)
        aside = unframe(&lost, &aside_count, &lost_good);
    mirror->log_size = mirror->log_kept = good;
    bool content = core_restore(core, base, entries, count, aside, aside_count);
    free(entries);
    free(aside);
    buf_free(&log);
    buf_free(&lost);
    return content;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static int write_aside(struct mirror *mirror, struct core *core, struct err *err)
{
    struct store_entry *const *aside;
    size_t count = core_aside(core, &aside);
    struct buf octets = {0};
    if (!count)
        return unlink(mirror->aside) && errno != ENOENT
                   ? err_set(err, "%s: cannot be removed: %s", mirror->aside, strerror(errno))
                   : 0;
    for (size_t i = 0; i < count; i++)
        frame_entry(&octets, aside[i]);
    int result = statefile_write(mirror->aside, "zone-aside", VERSION, octets.data, octets.len, err);
    buf_free(&octets);
    return result;
}

static int write_all(struct mirror *mirror, struct core *core, struct err *err)
{
    struct buf octets = {0};
    struct store_entry *const *log;
    size_t count = core_log(core, &log);
    if (mkdir(mirror->folder, 0750) && errno != EEXIST)
        return err_set(err, "%s: %s", mirror->folder, strerror(errno));
    /* Lost commits first: the new base does not contain them any more. */
    if (write_aside(mirror, core, err))
        return -1;
    struct store_entry *base = core_base(core);
    store_entry_encode(base, &octets);
    store_entry_free(base);
    int result = statefile_write(mirror->base, "zone-base", VERSION, octets.data, octets.len, err);
    octets.len = 0;
    for (size_t i = 0; i < count; i++)
        frame_entry(&octets, log[i]);
    if (!result)
        result = statefile_replace(mirror->log, octets.data, octets.len, err);
    if (!result)
        mirror->log_size = mirror->log_kept = octets.len;
    buf_free(&octets);
    return result;
}

void mirror_all(struct mirror *mirror, struct core *core)
{
    struct err err;
    if (core_zone(core))
        tell(mirror, write_all(mirror, core, &err), &err);
}

static int append(struct mirror *mirror, const struct buf *octets, struct err *err)
{
    int fd = open(mirror->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_set(err, "%s: %s", mirror->log, strerror(errno));
    struct buf framed = {0};
    frame(&framed, octets->data, octets->len);
    ssize_t n = write(fd, framed.data, framed.len);
    int result = 0;
    if (n < 0 || (size_t)n < framed.len || fdatasync(fd)) {
        result =
            err_set(err, "%s: %s", mirror->log, strerror(n < 0 || (size_t)n == framed.len ? errno : ENOSPC));
        if (ftruncate(fd, (off_t)mirror->log_size))
            result = -1; /* what is cut off is noticed when it is read */
    } else {
        mirror->log_size += framed.len;
    }
    close(fd);
    buf_free(&framed);
    return result;
}

void mirror_add(struct mirror *mirror, struct core *core, const struct buf *octets)
{
    struct err err;
    size_t limit = 2 * mirror->log_kept > REWRITE_MIN ? 2 * mirror->log_kept : REWRITE_MIN;
    if (mirror->failing || mirror->log_size > limit)
        mirror_all(mirror, core);
    else
        tell(mirror, append(mirror, octets, &err), &err);
}

void mirror_retry(struct mirror *mirror, struct core *core)
{
    if (mirror->failing)
        mirror_all(mirror, core);
}
