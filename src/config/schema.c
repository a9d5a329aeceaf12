#include "config/schema.h"

#include "config/text.h"
#include "lictor/nearest.h"
#include "lictor/xalloc.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the keys ------------------------------------------------------------------------------------- */

struct key {
    const char *name;
    bool list; /* takes {"a", "b"}, or one value alone */
};

struct section {
    const char *name;
    const char *parent; /* "root" is libconfuse's name of the top level */
    bool titled;
    bool opaque; /* of a later version, whose keys this one does not know */
    struct key keys[40];
};

static const struct section sections[] = {
    {.name = "root",
     .keys = {{"node", false},
              {"listen", true},
              {"workers", false},
              {"state-dir", false},
              {"http", false},
              {"control", false},
              {"user", false},
              {"inspect-from", true},
              {"log", false}}},
    {.name = "consul",
     .parent = "root",
     .keys = {{"address", true},
              {"token", false},
              {"token-file", false},
              {"http-auth", false},
              {"ca-file", false},
              {"ca-path", false},
              {"cert-file", false},
              {"key-file", false},
              {"tls-server-name", false},
              {"tls-verify", false},
              {"datacenter", false},
              {"stale-for", false}}},
    {.name = "services",
     .parent = "root",
     .keys = {{"domain", false},
              {"alt-domain", false},
              {"node-ttl", false},
              {"service-ttl", true},
              {"negative-ttl", false},
              {"only-passing", false},
              {"answers", false},
              {"watch", false},
              {"datacenters", true},
              {"reverse", true},
              {"reverse-ttl", false},
              {"compat", false},
              {"ns", true},
              {"transfer", true},
              {"notify", true},
              {"udp-answer-limit", false},
              {"a-record-limit", false},
              {"enable-truncate", false},
              {"enable-additional-node-meta-txt", false},
              {"translate-wan-addrs", false},
              {"disable-compression", false},
              {"allow-stale", false},
              {"max-stale", false},
              {"use-cache", false},
              {"cache-max-age", false},
              {"recursors", true},
              {"recursor-timeout", false},
              {"recursor-strategy", false},
              {"prefer-namespace", false}}},
    {.name = "soa",
     .parent = "services",
     .keys = {{"refresh", false}, {"retry", false}, {"expire", false}, {"min-ttl", false}}},
    {.name = "service",
     .parent = "services",
     .titled = true,
     .keys = {{"answers", false},
              {"order", false},
              {"last-resort", false},
              {"ttl", false},
              {"only-passing", false},
              {"txt", false},
              {"metadata", false},
              {"datacenters", true}}},
    {.name = "election",
     .parent = "root",
     .keys = {{"cluster", false},
              {"lease", false},
              {"standby", false},
              {"candidate", false},
              {"priority", false},
              {"advertise", false},
              {"peer-key", false},
              {"failsafe", false}}},
    {.name = "query-log",
     .parent = "root",
     .keys = {{"sample", false}, {"rate", false}, {"answers", false}, {"file", false}}},
    {.name = "key",
     .parent = "root",
     .titled = true,
     .keys = {{"algorithm", false}, {"secret-file", false}, {"secret", false}}},
    {.name = "zone",
     .parent = "root",
     .titled = true,
     .keys = {{"file", false}, {"store", false}, {"transfer", true}, {"update", true}, {"notify", true}}},
    {.name = "update-policy", .parent = "zone", .titled = true, .keys = {{"names", true}, {"types", true}}},
    {.name = "record",
     .parent = "zone",
     .titled = true,
     .keys = {{"service", false},
              {"query", false},
              {"fallback", true},
              {"type", false},
              {"ttl", false},
              {"min-healthy", false},
              {"when-all-down", true},
              {"rise", false},
              {"fall", false},
              {"weights", false},
              {"answers", false}}},
    {.name = "action",
     .parent = "root",
     .titled = true,
     .keys = {{"when", false}, {"run", true}, {"timeout", false}, {"user", false}}},
    {.name = "vip", .parent = "action", .opaque = true},
    {.name = "http", .parent = "action", .opaque = true},
    {.name = "mail", .parent = "action", .opaque = true},
    {.name = "template", .parent = "action", .opaque = true},
};
#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))
#define KEY_COUNT     (sizeof(sections[0].keys) / sizeof(sections[0].keys[0]))

static const struct section *section_find(const char *name)
{
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (!strcmp(sections[i].name, name))
            return &sections[i];
    return NULL;
}

/* --- unknown keys --------------------------------------------------------------------------------- */

/* libconfuse stops at a key that it does not know. To name all of them, the key becomes known to the next
 * attempt, in that section alone, and its values are thrown away. */
#define UNKNOWN_MAX 32

struct unknown {
    const struct section *section;
    char *name;
};

struct reading {
    struct faults *faults;
    struct unknown unknown[UNKNOWN_MAX];
    size_t unknown_count;
    bool again;
};

/* Under read_lock. libconfuse hands no argument of ours to its callbacks. */
static pthread_mutex_t read_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reading *reading;

static bool is_unknown(const struct section *section, const char *name)
{
    for (size_t i = 0; i < reading->unknown_count; i++)
        if (reading->unknown[i].section == section && !strcmp(reading->unknown[i].name, name))
            return true;
    return false;
}

static void report_unknown(const struct section *section, int line, const char *name)
{
    if (section->opaque)
        return;
    const char *best = NULL;
    unsigned best_distance = nearest_limit(name);
    for (size_t k = 0; k < KEY_COUNT && section->keys[k].name; k++)
        nearest_consider(name, section->keys[k].name, &best, &best_distance);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (sections[i].parent && !strcmp(sections[i].parent, section->name))
            nearest_consider(name, sections[i].name, &best, &best_distance);
    if (best) {
        fault_add(reading->faults, line, "unknown key `%.60s`; did you mean `%s`?", name, best);
        return;
    }
    for (size_t i = 0; i < SECTION_COUNT; i++)
        for (size_t k = 0; k < KEY_COUNT && sections[i].keys[k].name; k++)
            if (!strcmp(sections[i].keys[k].name, name)) {
                fault_add(reading->faults, line, "unknown key `%.60s` %s; it belongs %s%s%s", name,
                          section->parent ? "here" : "at the top level",
                          sections[i].parent ? "into a `" : "to the top level",
                          sections[i].parent ? sections[i].name : "", sections[i].parent ? "` block" : "");
                return;
            }
    fault_add(reading->faults, line, "unknown key `%.60s`; remove it, or see the table of keys in the README",
              name);
}

/* --- what libconfuse calls ------------------------------------------------------------------------ */

/* libconfuse's messages, by their format, in words that say what would be right. */
static const struct {
    const char *theirs, *ours;
} messages[] = {
    {"premature end of file", "the file ends in the middle of `key = value` or of a section"},
    {"unexpected closing brace", "`}` closes nothing; remove it"},
    {"unexpected token '%s'", "`%s` is not expected here; write `key = value`, with lists as {\"a\", \"b\"}"},
    {"missing equal sign after option '%s'", "no `=` after `%s`; write `%1$s = value`"},
    {"missing opening brace for section '%s'", "no `{` after `%s`; it is a section: write `%1$s { ... }`"},
    {"missing title for section '%s'", "no name after `%s`; write `%1$s \"name\" { ... }`"},
};

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    if (!strcmp(fmt, "no such option '%s'")) {
        const char *name = va_arg(ap, const char *);
        const struct section *section = section_find(cfg->name);
        report_unknown(section, cfg->line, name);
        if (reading->unknown_count < UNKNOWN_MAX) {
            reading->unknown[reading->unknown_count++] =
                (struct unknown){.section = section, .name = xstrdup(name)};
            reading->again = true;
        }
        return;
    }
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (strcmp(fmt, messages[i].theirs))
            continue;
        const char *what = strstr(fmt, "%s") ? va_arg(ap, const char *) : "";
        /* An unknown section was reported as an unknown key already. */
        if (strstr(fmt, "equal sign") && is_unknown(section_find(cfg->name), what))
            return;
        struct buf text = {0};
        for (const char *c = messages[i].ours; *c; c++) {
            if (!strncmp(c, "%s", 2) || !strncmp(c, "%1$s", 4)) {
                buf_puts(&text, what);
                c += c[1] == 's' ? 1 : 3;
            } else {
                buf_append(&text, c, 1);
            }
        }
        fault_add(reading->faults, cfg->line, "%s", buf_str(&text));
        buf_free(&text);
        return;
    }
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    fault_add(reading->faults, cfg->line, "%s", text);
}

static int keep_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
    const struct section *section = section_find(cfg->name);
    if (is_unknown(section, opt->name))
        report_unknown(section, cfg->line, opt->name);
    struct value *value = xmalloc(sizeof(*value));
    *value = (struct value){.line = cfg->line, .text = xstrdup(text)};
    *(void **)result = value;
    return 0;
}

static void free_value(void *pointer)
{
    struct value *value = pointer;
    free(value->text);
    free(value);
}

/* --- reading -------------------------------------------------------------------------------------- */

static cfg_opt_t option(const char *name, bool list)
{
    return (cfg_opt_t){.name = name,
                       .type = CFGT_PTR,
                       .flags = list ? CFGF_LIST : CFGF_NONE,
                       .parsecb = keep_value,
                       .freecb = free_value};
}

/* The options of one section as libconfuse wants them; it copies them. Freed by free_options. */
static cfg_opt_t *make_options(const struct section *section)
{
    cfg_opt_t *options = xcalloc(KEY_COUNT + SECTION_COUNT + UNKNOWN_MAX + 2, sizeof(*options));
    size_t n = 0;
    if (section->parent)
        options[n++] = option(TEXT_LINE_KEY, false);
    for (size_t k = 0; k < KEY_COUNT && section->keys[k].name; k++)
        options[n++] = option(section->keys[k].name, section->keys[k].list);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (sections[i].parent && !strcmp(sections[i].parent, section->name))
            options[n++] = (cfg_opt_t){.name = sections[i].name,
                                       .type = CFGT_SEC,
                                       .flags = CFGF_MULTI | (sections[i].titled ? CFGF_TITLE : 0),
                                       .subopts = make_options(&sections[i])};
    for (size_t i = 0; i < reading->unknown_count; i++)
        if (reading->unknown[i].section == section)
            options[n++] = option(reading->unknown[i].name, true);
    return options; /* calloc has written the end mark */
}

static void free_options(cfg_opt_t *options)
{
    for (size_t i = 0; options[i].name; i++)
        if (options[i].subopts)
            free_options(options[i].subopts);
    free(options);
}

static cfg_t *read_once(const char *text)
{
    cfg_opt_t *options = make_options(section_find("root"));
    cfg_t *root = cfg_init(options, CFGF_NONE);
    free_options(options);
    if (!root)
        abort(); /* out of memory, or a schema that names a key twice */
    cfg_set_error_function(root, on_error);
    if (cfg_parse_buf(root, text) == CFG_SUCCESS)
        return root;
    cfg_free(root);
    return NULL;
}

cfg_t *schema_read(const char *text, struct faults *faults)
{
    struct reading this = {.faults = faults};
    size_t before = faults->count;
    pthread_mutex_lock(&read_lock);
    reading = &this;
    cfg_t *root;
    do {
        this.again = false;
        root = read_once(text);
    } while (!root && this.again);
    reading = NULL;
    pthread_mutex_unlock(&read_lock);

    for (size_t i = 0; i < this.unknown_count; i++)
        free(this.unknown[i].name);
    if (!root && faults->count == before)
        fault_add(faults, LINE_NONE, "cannot be read as `key = value` and sections");
    return root;
}

void schema_free(cfg_t *root)
{
    cfg_free(root);
}

/* --- the tree ------------------------------------------------------------------------------------- */

size_t value_count(cfg_t *section, const char *key)
{
    return section ? cfg_size(section, key) : 0;
}

const struct value *value_at(cfg_t *section, const char *key, size_t i)
{
    return i < value_count(section, key) ? cfg_getnptr(section, key, (unsigned)i) : NULL;
}

cfg_t *section_get(cfg_t *root, const char *name)
{
    return cfg_size(root, name) ? cfg_getnsec(root, name, 0) : NULL;
}

int section_line(cfg_t *section)
{
    if (!section || !strcmp(section->name, "root"))
        return LINE_NONE;
    return atoi(value_at(section, TEXT_LINE_KEY, 0)->text);
}
