/* The keys outside of any block. */
#include "config/literal.h"
#include "config/read.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define WORKERS_MAX 256
#define NODE_MAX    128 /* leaves room for `.ns.` and the domain in a name of 255 octets */

/* The node's name becomes `<node>.ns.<domain>` and NSID: labels of letters, digits, `-` and `_`. */
static bool valid_node(const char *name)
{
    size_t label = 0, total = strlen(name);
    if (!total || total > NODE_MAX)
        return false;
    for (const char *c = name;; c++) {
        if (*c == '.' || !*c) {
            if (!label || label > 63 || c[-1] == '-')
                return false;
            label = 0;
            if (!*c)
                return true;
            continue;
        }
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *c) ||
            (*c == '-' && !label))
            return false;
        label++;
    }
}

static void read_node(struct check *check)
{
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    const struct value *value = value_at(check->root, "node", 0);
    const char *name = value ? value->text : host;
    check->config->node = xstrdup(name);
    if (valid_node(name))
        return;
    fault_add(check->faults, value ? value->line : LINE_NONE,
              "%s `%s`; %swrite labels of letters, digits, `-` and `_`, up to 63 each and 128 in all, "
              "separated by dots",
              value ? "`node` is" : "the host name, which is the default of `node`, is", name,
              value ? "" : "set `node`: ");
}

static void add_listen(struct check *check, int line, const char *text)
{
    struct config *config = check->config;
    struct sockaddr_storage address;
    struct err err;
    if (literal_parse(text, &address, &err)) {
        fault_add(check->faults, line, "`listen`: %s", err.text);
        return;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        if (literal_equal(&config->listen[i], &address)) {
            fault_add(check->faults, line, "`listen` has `%s` twice; remove one", text);
            return;
        }
    }
    config->listen = xrealloc(config->listen, (config->listen_count + 1) * sizeof(*config->listen));
    config->listen[config->listen_count++] = address;
}

static void read_listen(struct check *check)
{
    size_t count = value_count(check->root, "listen");
    for (size_t i = 0; i < count; i++) {
        const struct value *value = value_at(check->root, "listen", i);
        add_listen(check, value->line, value->text);
    }
    if (!count) {
        add_listen(check, LINE_NONE, "127.0.0.1:8653");
        add_listen(check, LINE_NONE, "[::1]:8653");
    }
}

static void read_http(struct check *check)
{
    const struct config *config = check->config;
    char *text = read_text(check->root, "http", "127.0.0.1:8654");
    check->config->http = text;
    struct sockaddr_storage address;
    struct err err;
    if (!text)
        return;
    if (literal_parse(text, &address, &err)) {
        fault_add(check->faults, read_line(check->root, "http"), "`http`: %s; \"\" turns it off", err.text);
        return;
    }
    for (size_t i = 0; i < config->listen_count; i++)
        if (literal_equal(&address, &config->listen[i]))
            fault_add(check->faults, read_line(check->root, "http"),
                      "`http` is `%s`, which `listen` uses for DNS; choose another port", text);
}

static void read_paths(struct check *check)
{
    struct config *config = check->config;
    config->state_dir = read_path(check, check->root, "state-dir", "/var/lib/lictor");
    if (!config->state_dir)
        fault_add(check->faults, read_line(check->root, "state-dir"),
                  "`state-dir` is empty; name a folder, such as \"/var/lib/lictor\"");
    config->control = read_path(check, check->root, "control", "/run/lictor/control.sock");
    size_t limit = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (!config->control)
        fault_add(check->faults, read_line(check->root, "control"),
                  "`control` is empty; name a socket, such as \"/run/lictor/control.sock\"");
    else if (strlen(config->control) > limit)
        fault_add(check->faults, read_line(check->root, "control"),
                  "`control` is %zu octets long; a socket's path takes at most %zu", strlen(config->control),
                  limit);
}

/* Without the key: the user `lictor` where the package has made one, else whoever started the daemon. */
static void read_user(struct check *check)
{
    const struct value *value = value_at(check->root, "user", 0);
    if (!value) {
        struct passwd found, *result = NULL;
        char space[4096];
        if (!getpwnam_r("lictor", &found, space, sizeof(space), &result) && result)
            check->config->user = xstrdup("lictor");
        return;
    }
    check->config->user = read_text(check->root, "user", NULL);
    if (check->config->user)
        check_user(check, value->line, value->text);
}

static void read_inspect_from(struct check *check)
{
    for (size_t i = 0; i < value_count(check->root, "inspect-from"); i++) {
        const struct value *value = value_at(check->root, "inspect-from", i);
        struct err err;
        if (prefix_check(value->text, &err))
            fault_add(check->faults, value->line, "`inspect-from`: %s", err.text);
        else
            strings_add(&check->config->inspect_from, xstrdup(value->text));
    }
}

static void read_workers(struct check *check)
{
    unsigned workers = read_number(check, check->root, "workers", 0, 0, WORKERS_MAX);
    if (!workers) {
        cpu_set_t cpus;
        workers = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
        if (workers > WORKERS_MAX)
            workers = WORKERS_MAX;
    }
    check->config->workers = workers;
}

static void read_log(struct check *check)
{
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL}; /* as enum log_level */
    check->config->log_level = read_choice(check, check->root, "log", LOG_LEVEL_INFO, levels);
}

void read_global(struct check *check)
{
    read_node(check);
    read_listen(check);
    read_workers(check);
    read_paths(check);
    read_http(check);
    read_user(check);
    read_inspect_from(check);
    read_log(check);
}
