#include "instance.h"

#include "lictor/rng.h"
#include "lictor/statefile.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIND    "identity"
#define VERSION 1

static int lock_directory(const char *state_dir, struct err *err)
{
    char *path = xasprintf("%s/lock", state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        err_set(err, "%s: cannot be opened: %s; `state-dir` must be writable by lictord", path,
                strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB)) {
        err_set(err, "%s: held by another lictord; give each instance a `state-dir` of its own", path);
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

static int write_file(struct instance *instance, struct err *err)
{
    json_t *json =
        json_pack("{s:s, s:I}", "instance", instance->id, "epoch_seen", (json_int_t)instance->epoch_seen);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    int result = statefile_write(instance->path, KIND, VERSION, text, strlen(text), err);
    free(text);
    if (!result)
        instance->epoch_saved = instance->epoch_seen;
    return result;
}

static int read_file(struct instance *instance, struct err *err)
{
    struct buf text = {0};
    int result = statefile_read(instance->path, KIND, VERSION, &text, err);
    if (result == 0) {
        json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
        const char *id;
        json_int_t epoch;
        if (json && !json_unpack(json, "{s:s, s:I}", "instance", &id, "epoch_seen", &epoch) &&
            strlen(id) == 36 && epoch >= 0) {
            memcpy(instance->id, id, 37);
            instance->epoch_seen = instance->epoch_saved = (uint64_t)epoch;
        } else {
            result = err_set(err, "%s: is not an identity", instance->path);
        }
        json_decref(json);
    }
    buf_free(&text);
    if (result < 0) {
        struct err why = *err;
        err_set(err,
                "%s; put it back from a backup, or remove it: this becomes a new instance then, and what "
                "it knows about earlier epochs is in Consul alone",
                why.text);
    }
    return result;
}

int instance_open(struct instance *instance, const char *state_dir, struct err *err)
{
    *instance = (struct instance){.lock_fd = -1};
    if (mkdir(state_dir, 0750) && errno != EEXIST)
        return err_set(err, "%s: cannot be created: %s; make it, or set `state-dir`", state_dir,
                       strerror(errno));
    instance->lock_fd = lock_directory(state_dir, err);
    if (instance->lock_fd < 0)
        return -1;
    instance->path = xasprintf("%s/identity", state_dir);
    int result = read_file(instance, err);
    if (result == 1) {
        rng_uuid(instance->id);
        result = write_file(instance, err);
    }
    if (result)
        instance_close(instance);
    return result;
}

int instance_save_epoch(struct instance *instance, uint64_t epoch, struct err *err)
{
    if (epoch > instance->epoch_seen)
        instance->epoch_seen = epoch;
    if (instance->epoch_seen == instance->epoch_saved)
        return 0;
    return write_file(instance, err);
}

void instance_close(struct instance *instance)
{
    if (instance->lock_fd >= 0)
        close(instance->lock_fd);
    free(instance->path);
    *instance = (struct instance){.lock_fd = -1};
}
