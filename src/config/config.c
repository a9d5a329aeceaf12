/* Loading: file -> prepared text -> tree -> checked struct. */
#include "lictor/config.h"

#include "config/read.h"
#include "config/text.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1024 * 1024) /* a configuration of thousands of zones has a tenth of it */

static char *absolute(const char *path)
{
    char here[PATH_MAX];
    if (*path == '/' || !getcwd(here, sizeof(here)))
        return xstrdup(path);
    return path_absolute(here, path);
}

static void hash(const char *text, size_t len, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!EVP_Digest(text, len, digest, &size, EVP_sha256(), NULL) || size != 32)
        abort(); /* a libcrypto without SHA-256 cannot be worked with */
    for (unsigned i = 0; i < 32; i++)
        snprintf(out + i * 2, 3, "%02x", digest[i]);
}

/* The tree into a configuration; faults say whether it is one. */
static struct config *read_tree(const char *path, cfg_t *root, struct faults *faults)
{
    struct config *config = xcalloc(1, sizeof(*config));
    config->path = absolute(path);
    char *copy = xstrdup(config->path);
    struct check check = {.config = config, .root = root, .faults = faults, .folder = dirname(copy)};
    read_global(&check);
    read_consul(&check);
    read_services(&check);
    read_keys(&check);
    read_services_transfer(&check);
    read_election(&check);
    read_query_log(&check);
    read_zones(&check);
    read_actions(&check);
    check_unserved(&check);
    free(copy);
    return config;
}

struct config *config_parse(const char *path, const char *text, size_t len, struct buf *out)
{
    struct faults faults = {0};
    struct buf prepared = {0};
    struct config *config = NULL;
    if (len > FILE_MAX) {
        fault_add(&faults, LINE_NONE, "has %zu octets; a configuration has at most %d", len, FILE_MAX);
    } else if (!text_prepare(text, len, &prepared, &faults)) {
        cfg_t *root = schema_read(buf_str(&prepared), &faults);
        if (root) {
            config = read_tree(path, root, &faults);
            hash(text, len, config->hash);
            schema_free(root);
        }
    }
    buf_free(&prepared);
    if (faults.count) {
        config_free(config);
        config = NULL;
    }
    faults_write(&faults, path, out);
    return config;
}

static int read_file(int fd, struct buf *text)
{
    struct stat info;
    if (fstat(fd, &info))
        return -1;
    if (!S_ISREG(info.st_mode)) {
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    /* One octet more than allowed tells a file that is too long. */
    while (text->len <= FILE_MAX) {
        char chunk[16384];
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (!got)
            break;
        buf_append(text, chunk, (size_t)got);
    }
    return 0;
}

struct config *config_load(const char *path, struct buf *out)
{
    struct buf text = {0};
    struct config *config = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up a reload */
    if (fd < 0 || read_file(fd, &text)) {
        struct faults faults = {0};
        fault_add(&faults, LINE_NONE, "cannot be read: %s; name a readable configuration file",
                  strerror(errno));
        faults_write(&faults, path, out);
    } else {
        const char *content = buf_str(&text);
        config = config_parse(path, content, text.len, out);
    }
    if (fd >= 0)
        close(fd);
    buf_free(&text);
    return config;
}

/* --- freeing -------------------------------------------------------------------------------------- */

static void free_strings(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
}

static void free_consul(struct config_consul *consul)
{
    free_strings(&consul->addresses);
    free(consul->token);
    free(consul->token_file);
    free(consul->http_auth);
    free(consul->ca_file);
    free(consul->ca_path);
    free(consul->cert_file);
    free(consul->key_file);
    free(consul->tls_server_name);
    free(consul->datacenter);
}

static void free_zone(struct config_zone *zone)
{
    free(zone->file);
    free_strings(&zone->transfer);
    free_strings(&zone->update);
    update_policies_free(zone);
    notifies_free(&zone->notify);
    for (size_t i = 0; i < zone->record_count; i++)
        config_record_free(&zone->records[i]);
    free(zone->records);
}

static void free_action(struct config_action *action)
{
    free(action->name);
    free(action->service);
    for (char **word = action->run; word && *word; word++)
        free(*word);
    free(action->run);
    free(action->user);
}

static void free_key(struct config_key *key)
{
    free(key->algorithm);
    free(key->secret_file);
    free(key->secret);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    free(config->path);
    free(config->node);
    free(config->listen);
    free(config->state_dir);
    free(config->http);
    free(config->control);
    free(config->user);
    free_strings(&config->inspect_from);
    free_consul(&config->consul);
    config_services_free(&config->services);
    free(config->election.cluster);
    free(config->election.advertise);
    free(config->election.peer_key);
    free(config->query_log.file);
    for (size_t i = 0; i < config->key_count; i++)
        free_key(&config->keys[i]);
    free(config->keys);
    for (size_t i = 0; i < config->zone_count; i++)
        free_zone(&config->zones[i]);
    free(config->zones);
    for (size_t i = 0; i < config->action_count; i++)
        free_action(&config->actions[i]);
    free(config->actions);
    free(config);
}
