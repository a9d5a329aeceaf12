/* `query-log { }`: which queries are logged, and where to. */
#include "config/read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MAX 100000
#define MILLION  1000000

/* "1%", "0.05%", "100%" in millionths. Returns 0 if it is none of them. */
static uint32_t millionths(const char *text)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;
    if (!digits || strcmp(text + digits, "%") != 0)
        return 0;
    double share = strtod(text, &end);
    if (end != text + digits || share > 100)
        return 0;
    return (uint32_t)lround(share * (MILLION / 100));
}

static uint32_t read_sample(struct check *check, cfg_t *section)
{
    const struct value *value = value_at(section, "sample", 0);
    uint32_t sample = value ? millionths(value->text) : MILLION / 100;
    if (!sample)
        fault_add(
            check->faults, value->line,
            "`sample` is `%s`; write the share of queries to log, from \"0.0001%%\" to \"100%%\", or remove "
            "the section to log none",
            value->text);
    return sample;
}

void read_query_log(struct check *check)
{
    static const char *const answers[] = {"all", "negative", NULL};
    cfg_t *section = section_get(check->root, "query-log");
    struct config_query_log *log = &check->config->query_log;
    if (!section)
        return;
    log->enabled = true;
    log->sample = read_sample(check, section);
    log->rate = read_number(check, section, "rate", 100, 1, RATE_MAX);
    log->negative = read_choice(check, section, "answers", 0, answers) == 1;
    log->file = read_path(check, section, "file", NULL);
}
