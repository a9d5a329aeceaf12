/* lictor: the operator's command. Options, one request to the control socket, and what came back. */
#include "client.h"
#include "lictor/buf.h"
#include "show.h"
#include "zone_command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONTROL "/run/lictor/control.sock"

static const char usage[] =
    "usage: lictor [--control PATH] [--json] VERB [NAME]\n"
    "\n"
    "  status           who is primary, the view of Consul, zones, actions; --watch redraws each second\n"
    "  why              why this instance is what it is: reasons, faults and what happened\n"
    "  services [NAME]  the health view; with NAME its instances, and why one is not in the answers\n"
    "  zones            zones, serials and where they came from\n"
    "  zone VERB NAME   one zone; `lictor zone --help` lists the verbs\n"
    "  actions          actions, how often they ran and how that ended\n"
    "  handover [NODE]  makes a standby (or NODE) primary\n"
    "  resign           the primary gives up the role: to a ready standby, or to nobody\n"
    "  pause [REASON]   nobody takes over by itself, but for the last primary; --for DURATION ends it\n"
    "  resume           ends a pause\n"
    "  record force up|down|clear NAME\n"
    "                   a health-driven record as if all (or nothing) of what it follows were healthy\n"
    "  reload           reads the configuration and the zone files again: all of it or nothing\n"
    "  doctor           looks for what is wrong or will go wrong: Consul, rights, lease, DNS, system\n"
    "\n"
    "  --control PATH   socket of the instance (default $LICTOR_CONTROL, or " DEFAULT_CONTROL ")\n"
    "  --json           the result as JSON; what went wrong is {\"error\": ...}\n"
    "  --for DURATION   with pause: how long, such as 30m or 2h\n"
    "  --watch          with status: again each second, until Ctrl-C\n"
    "  --version, --help\n"
    "\n"
    "The exit status is 0 only on success; of doctor, when it finds no fault.\n";

/* Warnings are advice, and a monitoring system asks each minute: they leave the exit status 0. */
static bool no_faults(const json_t *result)
{
    const json_t *faults = json_object_get(result, "faults");
    return json_is_integer(faults) && json_integer_value(faults) == 0;
}

static const struct verb {
    const char *name;
    const char *argument; /* NULL: takes none */
    show_fn *show;
    int seconds;                        /* how long to wait: a reload loads every zone */
    bool (*good)(const json_t *result); /* is the exit status 0? NULL: whenever there is a result */
} verbs[] = {
    {"status", NULL, show_status, 10, NULL},
    {"why", NULL, show_why, 10, NULL},
    {"services", "NAME", show_services, 10, NULL},
    {"zones", NULL, show_zones, 10, NULL},
    {"actions", NULL, show_actions, 10, NULL},
    {"handover", "NODE", show_done, 12, NULL},
    {"resign", NULL, show_done, 12, NULL},
    {"pause", "REASON", show_done, 10, NULL},
    {"resume", NULL, show_done, 10, NULL},
    {"reload", NULL, show_done, 60, NULL},
    {"doctor", NULL, show_doctor, 10, no_faults},
    {"record", "force up|down|clear NAME", show_done, 10, NULL},
};

/* Whose words and options are its own (zone.c). */
static const struct verb zone_verb = {"zone", "VERB", NULL, 150, NULL};

static const struct option options[] = {
    {"control", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"watch", no_argument, NULL, 'w'},
    {"for", required_argument, NULL, 'f'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int put(const struct buf *text)
{
    if (fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "lictor: cannot write the result\n"); /* a full disk must not look like success */
    return EXIT_FAILURE;
}

/* For programs, too: what reads standard output finds out there. */
static void print_error(const char *error, bool json)
{
    fprintf(stderr, "lictor: %s\n", error);
    if (!json)
        return;
    json_t *document = json_pack("{s:s}", "error", error);
    char *text = document ? json_dumps(document, JSON_INDENT(2)) : NULL;
    if (text && puts(text) >= 0)
        fflush(stdout);
    free(text);
    json_decref(document);
}

static int print(const json_t *result, const struct verb *verb, bool json, bool redraw)
{
    struct buf text = {0};
    bool terminal = isatty(STDOUT_FILENO);
    const char *term = getenv("TERM");
    if (redraw && terminal)
        buf_puts(&text, "\033[H\033[J");
    if (json) {
        char *dump = json_dumps(result, JSON_INDENT(2) | JSON_ENCODE_ANY);
        buf_printf(&text, "%s\n", dump ? dump : "");
        free(dump);
    } else {
        verb->show(result, terminal && !getenv("NO_COLOR") && (!term || strcmp(term, "dumb") != 0), &text);
    }
    int code = put(&text);
    buf_free(&text);
    return code;
}

/* args: an object. */
static int run(const char *control, const struct verb *verb, json_t *args, const struct buf *upload,
               bool json, bool watch)
{
    for (;;) {
        char *error = NULL;
        json_t *result = client_ask(control, verb->name, json_incref(args), upload, verb->seconds, &error);
        if (result) {
            int code = print(result, verb, json, watch);
            if (verb->good && !verb->good(result))
                code = EXIT_FAILURE;
            json_decref(result);
            if (!watch || code != EXIT_SUCCESS)
                return code;
        } else {
            print_error(error, json);
            free(error);
            if (!watch || !isatty(STDOUT_FILENO)) /* on a screen: it may come back */
                return EXIT_FAILURE;
        }
        sleep(1);
    }
}

static int misuse(const char *what, const char *which)
{
    fprintf(stderr, "lictor: %s%s%s; `lictor --help` lists what there is\n", what, which ? " " : "",
            which ? which : "");
    return EXIT_FAILURE;
}

/* A reason may come as several words. */
static char *joined(char **words, int count)
{
    struct buf text = {0};
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", words[i]);
    return buf_steal(&text);
}

struct settings {
    const char *control, *duration;
    bool json, watch;
};

/* The next option; EXIT_SUCCESS when they told all that there is, EXIT_FAILURE when one is wrong, -1: go on.
 */
static int read_options(int argc, char **argv, const char *letters, struct settings *out)
{
    int option;
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->control = optarg;
            break;
        case 'j':
            out->json = true;
            break;
        case 'w':
            out->watch = true;
            break;
        case 'f':
            out->duration = optarg;
            break;
        case 'V':
            puts("lictor " LICTOR_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fprintf(stderr, "`lictor --help` lists what there is\n");
            return EXIT_FAILURE;
        }
    }
    return -1;
}

static int run_zone(struct settings *settings, char **words, int count)
{
    struct zone_command command;
    struct err err;
    if (settings->watch || settings->duration)
        return misuse("--watch and --for do not go with", "zone");
    for (int i = 0; i < count; i++)
        settings->json |= !strcmp(words[i], "--json"); /* for what is wrong with the words, too */
    if (zone_command_parse(words, count, &command, &err)) {
        print_error(err.text, settings->json);
        return EXIT_FAILURE;
    }
    struct verb verb = zone_verb;
    verb.show = command.show;
    int code = EXIT_SUCCESS;
    if (command.help)
        fputs(zone_usage, stdout);
    else
        code = run(command.control ? command.control : settings->control, &verb, command.args,
                   command.has_upload ? &command.upload : NULL, settings->json || command.json, false);
    zone_command_free(&command);
    return code;
}

/* A verb with at most one argument. */
static int run_verb(const struct settings *settings, char **words, int count)
{
    const struct verb *verb = find_verb(words[0]);
    const char *name = count > 1 ? words[1] : NULL;
    if (!verb)
        return misuse("there is no verb", words[0]);
    if (name && !verb->argument)
        return misuse("too many words:", name);
    bool pause = strcmp(verb->name, "pause") == 0;
    bool several = pause || strcmp(verb->name, "record") == 0; /* words */
    if (count > 2 && !several)
        return misuse("too many words:", words[2]);
    if (settings->watch && strcmp(verb->name, "status") != 0)
        return misuse("--watch goes with status, not with", verb->name);
    if (settings->duration && !pause)
        return misuse("--for goes with pause, not with", verb->name);
    char *text = name ? joined(words + 1, count - 1) : NULL;
    json_t *args = json_pack("{s:s*, s:s*}", "name", text, "for", settings->duration);
    int code = EXIT_FAILURE;
    if (args)
        code = run(settings->control, verb, args, NULL, settings->json, settings->watch);
    else
        misuse("this is not UTF-8:", text);
    json_decref(args);
    free(text);
    return code;
}

int main(int argc, char **argv)
{
    struct settings settings = {.control = getenv("LICTOR_CONTROL")};
    if (!settings.control || !settings.control[0])
        settings.control = DEFAULT_CONTROL;
    int code = read_options(argc, argv, "+c:jwf:Vh", &settings); /* up to the verb */
    if (code >= 0)
        return code;
    if (optind == argc)
        return misuse("a verb is missing", NULL);
    if (strcmp(argv[optind], "zone") == 0)
        return run_zone(&settings, argv + optind, argc - optind);
    argv += optind - 1;
    argc -= optind - 1;
    optind = 0; /* again from here, and around the words this time */
    code = read_options(argc, argv, "c:jwf:Vh", &settings);
    return code >= 0 ? code : run_verb(&settings, argv + optind, argc - optind);
}
