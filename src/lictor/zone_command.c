#include "zone_command.h"

#include "lictor/buf.h"
#include "lictor/difference.h"
#include "lictor/xalloc.h"
#include "lictor/zonefile.h"
#include "show_zone.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

const char zone_usage[] =
    "usage: lictor [--control PATH] [--json] zone VERB NAME ...\n"
    "\n"
    "  show NAME         serial, content, state, who may transfer, and what is answered but not committed\n"
    "  export NAME       the zone as text that any name server reads; --committed: without what follows\n"
    "                    health at this moment\n"
    "  history NAME      its commits: serial, time, by whom, how many records; -v with the records\n"
    "  diff NAME         between two of them: --from SERIAL --to SERIAL (default: the last one)\n"
    "  diff NAME FILE    what an import of FILE would change, and what only --replace would drop\n"
    "  import NAME FILE  what changed in FILE since the last import goes into the zone; records that came "
    "by\n"
    "                    UPDATE stay. Where both changed the same: --merge (default) refuses and names it,\n"
    "                    --ours keeps the zone's. --replace: the zone becomes FILE, whatever its serial\n"
    "  rollback NAME     back to an older content, as a new commit: --to SERIAL or --steps N\n"
    "  freeze NAME [WHY] refuses UPDATE and imports until it is thawed, also after a takeover\n"
    "  thaw NAME         ends that\n"
    "\n"
    "On any instance; what the primary alone can do is passed on to it.\n";

/* Which options a verb takes: their letters. */
static const struct zone_word {
    const char *name, *options;
    show_fn *show;
    bool file, needs_file, reason;
} verbs[] = {
    {"import", "moR", show_zone_change, true, true, false},
    {"export", "CA", show_zone_export, false, false, false},
    {"show", "", show_zone_about, false, false, false},
    {"diff", "FT", show_zone_diff, true, false, false},
    {"history", "v", show_zone_history, false, false, false},
    {"freeze", "", show_zone_change, false, false, true},
    {"thaw", "", show_zone_change, false, false, false},
    {"rollback", "TS", show_zone_change, false, false, false},
};

static const struct option options[] = {
    {"merge", no_argument, NULL, 'm'},
    {"ours", no_argument, NULL, 'o'},
    {"replace", no_argument, NULL, 'R'},
    {"committed", no_argument, NULL, 'C'},
    {"answers", no_argument, NULL, 'A'},
    {"from", required_argument, NULL, 'F'},
    {"to", required_argument, NULL, 'T'},
    {"steps", required_argument, NULL, 'S'},
    {"verbose", no_argument, NULL, 'v'},
    {"json", no_argument, NULL, 'j'},
    {"control", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char *option_name(int letter)
{
    for (const struct option *option = options; option->name; option++)
        if (option->val == letter)
            return option->name;
    return "?";
}

static const struct zone_word *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

static int set_number(json_t *args, const char *key, const char *text, struct err *err)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || number > UINT32_MAX)
        return err_set(err, "--%s takes a number up to 4294967295, not \"%.60s\"", key, text);
    json_object_set_new(args, key, json_integer((json_int_t)number));
    return 0;
}

static int set_option(struct zone_command *out, int letter, const char *value, struct err *err)
{
    switch (letter) {
    case 'm':
    case 'o':
    case 'R':
        if (json_object_get(out->args, "mode"))
            return err_set(err, "--merge, --ours and --replace exclude each other");
        json_object_set_new(out->args, "mode", json_string(option_name(letter)));
        return 0;
    case 'C':
    case 'A':
        if (json_object_get(out->args, "committed"))
            return err_set(err, "--committed and --answers exclude each other");
        json_object_set_new(out->args, "committed", json_boolean(letter == 'C'));
        return 0;
    case 'v':
        json_object_set_new(out->args, "records", json_true());
        return 0;
    default:
        return set_number(out->args, option_name(letter), value, err);
    }
}

/* The zone file as the daemon takes it: here it is read with the operator's own rights, its faults have the
 * operator's own file names, and $INCLUDE works. */
static int read_file(struct zone_command *out, const char *name, const char *path, struct err *err)
{
    static struct zone_state state;
    uint8_t apex[NAME_MAX_WIRE];
    if (name_from_text(name, (const uint8_t *)"", apex, err) < 0)
        return err_prefix(err, "the zone's name");
    struct zone *zone = zonefile_load(path, apex, ZONE_AUTHORITATIVE, &state, err);
    if (!zone)
        return -1;
    struct difference *difference = difference_between(NULL, zone);
    difference_encode(difference, &out->upload);
    difference_unref(difference);
    zone_unref(zone);
    out->has_upload = true;
    return 0;
}

static int set_words(struct zone_command *out, const struct zone_word *verb, char **words, int count,
                     struct err *err)
{
    if (count < 1)
        return err_set(err, "zone %s: a zone's name is missing", verb->name);
    if (!json_object_set_new(out->args, "name", json_string(words[0])) && verb->reason && count > 1) {
        struct buf reason = {0};
        for (int i = 1; i < count; i++)
            buf_printf(&reason, "%s%s", i > 1 ? " " : "", words[i]);
        int result = json_object_set_new(out->args, "reason", json_string(buf_str(&reason)));
        buf_free(&reason);
        return result ? err_set(err, "the reason is not UTF-8") : 0;
    }
    if (!json_object_get(out->args, "name"))
        return err_set(err, "the zone's name is not UTF-8");
    if (verb->needs_file && count < 2)
        return err_set(err, "zone %s: the zone file is missing", verb->name);
    if (count > 1 + verb->file && !verb->reason)
        return err_set(err, "zone %s: too many words: %.100s", verb->name, words[1 + verb->file]);
    if (!verb->file || count < 2)
        return 0;
    if (!strcmp(verb->name, "diff"))
        json_object_set_new(out->args, "upload", json_true());
    return read_file(out, words[0], words[1], err);
}

static int parse(char **words, int count, struct zone_command *out, struct err *err)
{
    const struct zone_word *verb = NULL;
    struct {
        int letter;
        const char *value;
    } given[16];
    size_t given_count = 0;
    int letter;
    optind = 0; /* getopt begins anew, and puts what is no option behind */
    while ((letter = getopt_long(count, words, "vjc:h", options, NULL)) != -1) {
        if (letter == '?')
            return err_set(err, "`lictor zone --help` lists what there is");
        if (letter == 'h')
            out->help = true;
        else if (letter == 'j')
            out->json = true;
        else if (letter == 'c')
            out->control = optarg;
        else if (given_count < sizeof given / sizeof *given)
            given[given_count].letter = letter, given[given_count++].value = optarg;
        else
            return err_set(err, "too many options");
    }
    if (out->help)
        return 0;
    if (optind == count || !(verb = find_verb(words[optind])))
        return err_set(err, "zone: %s%.60s; `lictor zone --help` lists them",
                       optind == count ? "a verb is missing" : "there is no verb ",
                       optind == count ? "" : words[optind]);
    for (size_t i = 0; i < given_count; i++) {
        if (!strchr(verb->options, given[i].letter))
            return err_set(err, "--%s does not go with zone %s; `lictor zone --help` tells with which",
                           option_name(given[i].letter), verb->name);
        if (set_option(out, given[i].letter, given[i].value, err))
            return -1;
    }
    bool serial = json_object_get(out->args, "to"), steps = json_object_get(out->args, "steps");
    if (!strcmp(verb->name, "rollback") && serial == steps)
        return err_set(err, "zone rollback takes --to SERIAL or --steps N; `lictor zone history` lists them");
    if (!strcmp(verb->name, "diff") && count - optind > 2 && (serial || json_object_get(out->args, "from")))
        return err_set(err, "zone diff compares with a file, or two versions (--from, --to), not both");
    json_object_set_new(out->args, "verb", json_string(verb->name));
    out->show = verb->show;
    return set_words(out, verb, words + optind + 1, count - optind - 1, err);
}

int zone_command_parse(char **words, int count, struct zone_command *out, struct err *err)
{
    *out = (struct zone_command){.args = json_object()};
    if (!parse(words, count, out, err))
        return 0;
    zone_command_free(out);
    return -1;
}

void zone_command_free(struct zone_command *command)
{
    json_decref(command->args);
    buf_free(&command->upload);
    command->args = NULL;
}
