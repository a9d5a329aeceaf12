/* `action` sections: when, and what. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHEN_FORMS \
    "write \"promoted\", \"demoted\" or \"service NAME is passing\" (or warning, critical, absent)"

/* The name is a file's, an environment variable's and a metric label's content. */
static bool valid_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len && len <= 63 && !name[len];
}

/* Splits at blanks: returns how many words there are, of which the first max are stored. */
static unsigned split(char *text, char **words, unsigned max)
{
    unsigned count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest), count++)
        if (count < max)
            words[count] = word;
    return count;
}

/* Returns false if the text is none of the forms that this version serves. */
static bool parse_when(struct config_action *action, char *text)
{
    static const char *const statuses[] = {"passing", "warning", "critical", "absent"}; /* as config_status */
    char *words[4];
    unsigned count = split(text, words, 4);
    if (count == 1 && (!strcmp(words[0], "promoted") || !strcmp(words[0], "demoted"))) {
        action->when = *words[0] == 'p' ? WHEN_PROMOTED : WHEN_DEMOTED;
        return true;
    }
    if (count != 4 || strcmp(words[0], "service") || strcmp(words[2], "is"))
        return false;
    for (int status = 0; status < 4; status++) {
        if (strcmp(words[3], statuses[status]))
            continue;
        action->when = WHEN_SERVICE;
        action->status = (enum config_status)status;
        action->service = xstrdup(words[1]);
        for (char *c = action->service; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        return true;
    }
    return false;
}

/* Events of a later version (check_unserved names them). */
static bool is_later_when(const char *text)
{
    return !strncmp(text, "check ", 6) || !strncmp(text, "event ", 6) || !strncmp(text, "every ", 6);
}

static void read_when(struct check *check, cfg_t *section, struct config_action *action)
{
    const struct value *value = value_at(section, "when", 0);
    if (!value) {
        fault_add(check->faults, action->line, "the action `%s` has no `when`; " WHEN_FORMS, action->name);
        return;
    }
    char *text = xstrdup(value->text);
    if (!parse_when(action, text) && !is_later_when(value->text))
        fault_add(check->faults, value->line, "`when` is `%s`; " WHEN_FORMS, value->text);
    else if (action->when == WHEN_SERVICE && !check->config->services.enabled)
        fault_add(check->faults, value->line,
                  "`when` speaks of a service, but there is no `services` block, whose view it watches; add "
                  "`services { }`");
    free(text);
}

/* A program that is missing is a fault now, rather than at the failover that needs it. */
static void check_program(struct check *check, const struct value *value)
{
    struct stat info;
    if (*value->text != '/')
        fault_add(check->faults, value->line,
                  "`run` begins with `%s`; write the program's absolute path, such as \"/usr/bin/%s\"",
                  value->text, *value->text ? value->text : "true");
    else if (stat(value->text, &info))
        fault_add(check->faults, value->line, "`run` names the program `%s`: %s; name one that is there",
                  value->text, strerror(errno));
    else if (!S_ISREG(info.st_mode) || access(value->text, X_OK))
        fault_add(check->faults, value->line,
                  "`run` names `%s`, which cannot be executed; name a program, or `chmod +x` it",
                  value->text);
}

static bool has_other_effect(cfg_t *section)
{
    return cfg_size(section, "vip") || cfg_size(section, "http") || cfg_size(section, "mail") ||
           cfg_size(section, "template");
}

static void read_run(struct check *check, cfg_t *section, struct config_action *action)
{
    size_t count = value_count(section, "run");
    action->run = xcalloc(count + 1, sizeof(*action->run));
    for (size_t i = 0; i < count; i++)
        action->run[i] = xstrdup(value_at(section, "run", i)->text);
    if (count)
        check_program(check, value_at(section, "run", 0));
    else if (!has_other_effect(section))
        fault_add(check->faults, action->line,
                  "the action `%s` does nothing; write run = {\"/path/to/program\", \"argument\"}",
                  action->name);
}

static void read_action(struct check *check, cfg_t *section)
{
    struct config *config = check->config;
    struct config_action action = {.line = section_line(section), .name = xstrdup(cfg_title(section))};
    if (!valid_name(action.name))
        fault_add(check->faults, action.line,
                  "the action's name is `%s`; write up to 63 letters, digits, `-`, `_` and `.`", action.name);
    for (size_t i = 0; i < config->action_count; i++)
        if (!strcmp(config->actions[i].name, action.name))
            fault_add(check->faults, action.line, "the action `%s` is already at line %d; rename one",
                      action.name, config->actions[i].line);
    read_when(check, section, &action);
    read_run(check, section, &action);
    action.timeout =
        read_duration(check, section, "timeout", 30 * NS_PER_S, 100 * NS_PER_MS, 24 * 3600 * NS_PER_S);
    action.user = read_text(section, "user", NULL);
    if (action.user)
        check_user(check, read_line(section, "user"), action.user);
    config->actions = xrealloc(config->actions, (config->action_count + 1) * sizeof(*config->actions));
    config->actions[config->action_count++] = action;
}

void read_actions(struct check *check)
{
    for (unsigned i = 0; i < cfg_size(check->root, "action"); i++)
        read_action(check, cfg_getnsec(check->root, "action", i));
}
