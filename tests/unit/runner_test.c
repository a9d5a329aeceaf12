/* The runner with real processes: short scripts in a temporary folder. */
#include "action/wire.h"
#include "lictor/privileges.h"
#include "lictor/runner.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The script that all actions run, told by its argument what to do; $1 is the folder, $2 the name. */
static const char script[] =
    "#!/bin/sh\n"
    "cd $1\n"
    "case $2 in\n"
    "plain) pwd > pwd; env > env; umask > umask; cat > stdin; ls -l /proc/self/fd > fds; ps -o pgid=,sid= $$ "
    "> ids;\n"
    "  echo out; echo err >&2; i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done;;\n"
    "fails) exit 3;;\n"
    "stubborn) trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > child; exec sleep 30' & echo $$ > leader; "
    "wait; sleep 30;;\n"
    "sleeps) echo $$ > leader; sleep 0.6; echo done > slept;;\n"
    "stray) setsid sh -c 'echo $$ > child; exec sleep 30' & while ! [ -s child ]; do sleep 0.01; done;;\n"
    "undo) echo $$ > undo; sleep 0.6; echo done > undone;;\n"
    "who) id -u > uid; grep -c . /proc/self/status > /dev/null; echo $HOME > home;;\n"
    "esac\n";

struct fixture {
    char dir[64], config_path[96];
    int port;
    struct config *config;
    struct runner *runner;
    struct event_base *base;
    /* the last result */
    unsigned results;
    char action[64], event_id[64], error[512];
    enum runner_outcome outcome;
    int status;
    nstime took;
    unsigned gone, acked, reloaded;
    bool clean;
    char reload_error[512];
};

static char *path_of(const struct fixture *f, const char *name)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *read_text(const struct fixture *f, const char *name)
{
    static char text[32768];
    text[0] = '\0';
    FILE *file = fopen(path_of(f, name), "r");
    if (file) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    return text;
}

static void sleep_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* Waits for a script to have written its process ID. */
static pid_t pid_in(const struct fixture *f, const char *name)
{
    for (int i = 0; i < 400; i++, sleep_ms(5)) {
        const char *text = read_text(f, name);
        if (strchr(text, '\n'))
            return (pid_t)atoi(text);
    }
    fail_msg("no process ID in %s", name);
    return -1;
}

/* A zombie that init has not collected yet is as dead as one that is gone. */
static bool lives(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    const char *state = len ? strrchr(text, ')') : NULL;
    return state && state[2] != 'Z' && state[2] != 'X';
}

static bool dies_within(pid_t pid, int ms)
{
    for (int waited = 0; waited <= ms; waited += 5, sleep_ms(5))
        if (!lives(pid))
            return true;
    return false;
}

static void on_result(void *arg, const struct runner_result *result)
{
    struct fixture *f = arg;
    f->results++;
    snprintf(f->action, sizeof(f->action), "%s", result->action);
    snprintf(f->event_id, sizeof(f->event_id), "%s", result->event_id);
    snprintf(f->error, sizeof(f->error), "%s", result->error ? result->error : "");
    f->outcome = result->outcome;
    f->status = result->status;
    f->took = result->took;
}

static void on_gone(void *arg)
{
    ((struct fixture *)arg)->gone++;
}

static void on_acked(void *arg, bool clean)
{
    struct fixture *f = arg;
    f->acked++;
    f->clean = clean;
}

static void on_reloaded(void *arg, const char *error)
{
    struct fixture *f = arg;
    f->reloaded++;
    snprintf(f->reload_error, sizeof(f->reload_error), "%s", error ? error : "");
}

static void write_config(struct fixture *f, const char *more)
{
    FILE *file = fopen(f->config_path, "w");
    assert_non_null(file);
    fprintf(file, "node = \"ns1\"\nlisten = {\"127.0.0.1:%d\"}\nworkers = 3\n", f->port);
    static const struct {
        const char *name, *when, *more;
    } actions[] = {
        {"plain", "promoted", ""},  {"fails", "promoted", ""},
        {"sleeps", "promoted", ""}, {"stray", "promoted", ""},
        {"undo", "demoted", ""},    {"stubborn", "promoted", "timeout = \"300ms\""},
        {"holds", "promoted", ""},  {"who", "promoted", "user = \"nobody\""},
    };
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        fprintf(file, "action \"%s\" { when = \"%s\" run = {\"%s/script\", \"%s\", \"%s\"} %s }\n",
                actions[i].name, actions[i].when, f->dir, f->dir,
                strcmp(actions[i].name, "holds") == 0 ? "stubborn" : actions[i].name, actions[i].more);
    fprintf(file, "action \"missing\" { when = \"promoted\" run = {\"%s/nowhere\"} }\n%s", f->dir, more);
    fclose(file);
}

static struct config *load_config(const struct fixture *f)
{
    struct buf faults = {0};
    struct config *config = config_load(f->config_path, &faults);
    if (!config)
        fail_msg("%s", buf_str(&faults));
    buf_free(&faults);
    return config;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int setup_files(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/runner_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    chmod(f->dir, 0777);
    snprintf(f->config_path, sizeof(f->config_path), "%s/lictord.conf", f->dir);
    write_file(path_of(f, "script"), script);
    chmod(path_of(f, "script"), 0755);
    write_file(path_of(f, "nowhere"), "#!/bin/sh\n"); /* there when the configuration is checked */
    chmod(path_of(f, "nowhere"), 0755);
    f->port = free_port();
    write_config(f, "");
    f->config = load_config(f);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    setup_files(state);
    struct fixture *f = *state;
    struct err err;
    f->runner = runner_start(f->config, &err);
    if (!f->runner)
        fail_msg("%s", err.text);
    f->base = event_base_new();
    struct runner_hooks hooks = {.result = on_result, .gone = on_gone, .arg = f};
    runner_attach(f->runner, f->base, &hooks);
    runner_deadline(f->runner, NS_NEVER);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    runner_stop(f->runner);
    if (f->base)
        event_base_free(f->base);
    config_free(f->config);
    snprintf(command, sizeof(command), "rm -r %s", f->dir);
    int removed = system(command);
    free(f);
    return removed;
}

/* Turns the loop until *counter reaches want; -1 after ms. */
static int wait_for(struct fixture *f, const unsigned *counter, unsigned want, int ms)
{
    nstime until = clock_boot() + ms * NS_PER_MS;
    while (*counter < want) {
        if (clock_boot() > until)
            return -1;
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        sleep_ms(1);
    }
    return 0;
}

static void order(struct fixture *f, const char *action, bool needs_right)
{
    struct err err;
    char *env[] = {"LICTOR_EVENT=promoted", "LICTOR_EPOCH=7", NULL};
    if (runner_run(f->runner, action, "7/promoted/ns1/1", env, "{\"event\":\"promoted\"}\n", needs_right,
                   &err) < 0)
        fail_msg("%s", err.text);
}

static void run_to_end(struct fixture *f, const char *action, int ms)
{
    unsigned before = f->results;
    order(f, action, true);
    assert_int_equal(wait_for(f, &f->results, before + 1, ms), 0);
}

static void a_run_gets_what_was_promised(void **state)
{
    struct fixture *f = *state;
    char expected[96];
    run_to_end(f, "plain", 5000);
    assert_string_equal(f->error, "");
    assert_int_equal(f->outcome, RUN_EXITED);
    assert_int_equal(f->status, 0);
    assert_string_equal(f->action, "plain");
    assert_string_equal(f->event_id, "7/promoted/ns1/1");
    assert_string_equal(read_text(f, "stdin"), "{\"event\":\"promoted\"}\n");
    assert_string_equal(read_text(f, "umask"), "0022\n");
    snprintf(expected, sizeof(expected), "%s\n", f->dir);
    assert_string_equal(read_text(f, "pwd"), expected);

    /* the environment: ours, and what a shell adds */
    char *env = read_text(f, "env");
    assert_non_null(strstr(env, "LICTOR_EVENT=promoted\n"));
    assert_non_null(strstr(env, "LICTOR_EPOCH=7\n"));
    assert_non_null(strstr(env, "LANG=C\n"));
    for (char *line = strtok(env, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "LICTOR_", 7) != 0 && strncmp(line, "PATH=", 5) != 0 &&
            strncmp(line, "HOME=", 5) != 0 && strncmp(line, "LANG=", 5) != 0 &&
            strncmp(line, "PWD=", 4) != 0 && strncmp(line, "OLDPWD=", 7) != 0 &&
            strncmp(line, "_=", 2) != 0 && strncmp(line, "SHLVL=", 6) != 0)
            fail_msg("leaked: %s", line);

    /* 0, 1, 2 and the one that ls itself opens */
    unsigned descriptors = 0;
    for (char *line = strtok(read_text(f, "fds"), "\n"); line; line = strtok(NULL, "\n"))
        descriptors += strstr(line, " -> ") != NULL;
    assert_int_equal(descriptors, 4);

    int group, session;
    assert_int_equal(sscanf(read_text(f, "ids"), "%d %d", &group, &session), 2);
    assert_int_equal(group, session);
    assert_int_not_equal(group, getpgrp());
}

static void failures_are_told(void **state)
{
    struct fixture *f = *state;
    run_to_end(f, "fails", 5000);
    assert_int_equal(f->outcome, RUN_EXITED);
    assert_int_equal(WEXITSTATUS(f->status), 3);
    assert_non_null(strstr(f->error, "exit status 3"));
    unlink(path_of(f, "nowhere"));
    run_to_end(f, "missing", 5000);
    assert_int_equal(f->outcome, RUN_UNABLE);
    assert_int_equal(f->status, -1);
    assert_non_null(strstr(f->error, "nowhere: No such file"));
}

static void what_is_not_configured_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    run_to_end(f, "no-such", 2000);
    assert_int_equal(f->outcome, RUN_REFUSED);
    assert_non_null(strstr(f->error, "no action \"no-such\""));

    static const char *const bad[] = {"PATH=/tmp", "LD_PRELOAD=/tmp/x.so", "LICTOR_=x",     "LICTOR_x=1",
                                      "LICTOR_A",  "LICTOR_A=b\nPATH=/x",  "LICTOR_A=\x1b", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char *env[] = {(char *)bad[i], NULL};
        unsigned before = f->results;
        assert_int_equal(runner_run(f->runner, "fails", "1", env, "{}", true, &err), 0);
        assert_int_equal(wait_for(f, &f->results, before + 1, 2000), 0);
        assert_int_equal(f->outcome, RUN_REFUSED);
        assert_non_null(strstr(f->error, "environment"));
    }
}

static void bounds_hold(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char *json = xmalloc(RUNNER_JSON_MAX + 2);
    memset(json, 'x', RUNNER_JSON_MAX + 1);
    json[RUNNER_JSON_MAX + 1] = '\0';
    assert_int_equal(runner_run(f->runner, "fails", "1", NULL, json, true, &err), -1);
    assert_non_null(strstr(err.text, "longer than 65536"));
    json[RUNNER_JSON_MAX] = '\0';
    assert_int_equal(runner_run(f->runner, "plain", "1", NULL, json, true, &err), 0);
    assert_int_equal(wait_for(f, &f->results, 1, 5000), 0);
    assert_string_equal(f->error, "");
    struct stat info;
    assert_int_equal(stat(path_of(f, "stdin"), &info), 0);
    assert_int_equal(info.st_size, RUNNER_JSON_MAX);

    char *env[RUNNER_ENV_PAIRS + 2] = {0};
    for (size_t i = 0; i < RUNNER_ENV_PAIRS + 1; i++)
        env[i] = "LICTOR_A=b";
    assert_int_equal(runner_run(f->runner, "fails", "1", env, "{}", true, &err), -1);
    env[RUNNER_ENV_PAIRS] = NULL;
    char *pair = xmalloc(2048);
    memset(pair, 'x', 2047);
    pair[2047] = '\0';
    memcpy(pair, "LICTOR_A=", 9);
    for (size_t i = 0; i < RUNNER_ENV_PAIRS; i++)
        env[i] = pair;
    assert_int_equal(runner_run(f->runner, "fails", "1", env, "{}", true, &err), 0);
    assert_int_equal(wait_for(f, &f->results, 2, 5000), 0);
    assert_int_equal(f->outcome, RUN_REFUSED);
    free(pair);
    free(json);
}

static void a_timeout_ends_the_whole_group(void **state)
{
    struct fixture *f = *state;
    order(f, "stubborn", true);
    pid_t leader = pid_in(f, "leader"), child = pid_in(f, "child");
    assert_true(lives(child));
    order(f, "stubborn", true); /* one at a time */
    assert_int_equal(wait_for(f, &f->results, 1, 1000), 0);
    assert_non_null(strstr(f->error, "still running"));
    assert_int_equal(wait_for(f, &f->results, 2, 4000), 0);
    assert_int_equal(f->outcome, RUN_TIMEOUT);
    assert_non_null(strstr(f->error, "timed out"));
    assert_true(f->took >= 2300 * NS_PER_MS); /* 300 ms, and the grace before KILL: it ignores TERM */
    assert_false(lives(leader));
    assert_false(lives(child));
}

/* One run that ignores TERM, under a deadline: did it live until shortly before, and was it dead at it? */
static bool ends_in_time(struct fixture *f)
{
    unlink(path_of(f, "leader"));
    unlink(path_of(f, "child"));
    unsigned before = f->results;
    nstime until = clock_boot() + 700 * NS_PER_MS;
    runner_deadline(f->runner, until);
    order(f, "holds", true);
    pid_t leader = pid_in(f, "leader"), child = pid_in(f, "child");
    while (clock_boot() < until - 60 * NS_PER_MS)
        sleep_ms(1);
    bool lived = lives(leader);
    while (clock_boot() < until)
        usleep(200);
    bool dead = !lives(leader) && !lives(child);
    assert_int_equal(wait_for(f, &f->results, before + 1, 1000), 0);
    assert_int_equal(f->outcome, RUN_DEADLINE);
    return lived && dead;
}

static void nothing_outlives_the_deadline(void **state)
{
    struct fixture *f = *state;
    /* On a machine that is overloaded a try may be late; a fault is late in all of them. */
    bool in_time = false;
    for (int i = 0; i < 3 && !in_time; i++)
        in_time = ends_in_time(f);
    assert_true(in_time);
    /* and nothing is started after it */
    run_to_end(f, "fails", 1000);
    assert_int_equal(f->outcome, RUN_REFUSED);
    assert_non_null(strstr(f->error, "the right to act ended"));
    /* but what undoes */
    unsigned before = f->results;
    order(f, "undo", false);
    assert_int_equal(wait_for(f, &f->results, before + 1, 3000), 0);
    assert_string_equal(f->error, "");
    runner_deadline(f->runner, clock_boot() + NS_PER_S);
    run_to_end(f, "fails", 1000);
    assert_int_equal(f->outcome, RUN_EXITED);
}

static void a_heartbeat_moves_the_deadline(void **state)
{
    struct fixture *f = *state;
    runner_deadline(f->runner, clock_boot() + 500 * NS_PER_MS);
    order(f, "sleeps", true); /* 600 ms */
    for (int i = 0; i < 8 && !f->results; i++) {
        runner_deadline(f->runner, clock_boot() + 500 * NS_PER_MS);
        wait_for(f, &f->results, 1, 100);
    }
    assert_int_equal(f->results, 1);
    assert_string_equal(f->error, "");
    assert_string_equal(read_text(f, "slept"), "done\n");
}

static void quiesce_ends_what_needs_the_right(void **state)
{
    struct fixture *f = *state;
    runner_deadline(f->runner, clock_boot() + 10 * NS_PER_S);
    order(f, "holds", true);
    order(f, "undo", false);
    pid_t child = pid_in(f, "child");
    pid_in(f, "undo");
    nstime asked = clock_boot();
    runner_quiesce(f->runner, on_acked, f);
    runner_quiesce(f->runner, on_acked, f); /* a second one is told no at once */
    assert_int_equal(f->acked, 1);
    assert_false(f->clean);
    sleep_ms(100);
    assert_true(lives(child)); /* it ignores TERM, and has 200 ms */
    assert_int_equal(wait_for(f, &f->acked, 2, 900), 0);
    assert_true(f->clean);
    assert_false(lives(child));
    assert_true(clock_boot() - asked < 600 * NS_PER_MS);
    assert_int_equal(wait_for(f, &f->results, 1, 500), 0);
    assert_int_equal(f->outcome, RUN_DEADLINE);
    run_to_end(f, "fails", 1000);
    assert_int_equal(f->outcome, RUN_REFUSED);
    assert_int_equal(wait_for(f, &f->results, 3, 2000), 0);
    assert_string_equal(f->action, "undo");
    assert_string_equal(f->error, "");
    /* a deadline may also come nearer */
    runner_deadline(f->runner, clock_boot() + 5 * NS_PER_S);
    unlink(path_of(f, "child"));
    order(f, "holds", true);
    child = pid_in(f, "child");
    nstime until = clock_boot() + 100 * NS_PER_MS;
    runner_deadline(f->runner, until);
    while (clock_boot() < until)
        usleep(200);
    assert_false(lives(child));
    assert_int_equal(wait_for(f, &f->results, 4, 2000), 0);
    /* with nothing to end it is immediate */
    asked = clock_boot();
    runner_quiesce(f->runner, on_acked, f);
    assert_int_equal(wait_for(f, &f->acked, 3, 900), 0);
    assert_true(f->clean);
    assert_true(clock_boot() - asked < 50 * NS_PER_MS);
}

static void strays_end_with_the_run(void **state)
{
    struct fixture *f = *state;
    run_to_end(f, "stray", 5000);
    assert_string_equal(f->error, "");
    assert_true(dies_within(pid_in(f, "child"), 500));
}

static void a_killed_runner_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct err err;
    order(f, "holds", true);
    pid_t leader = pid_in(f, "leader");
    kill(runner_pid(f->runner), SIGTERM); /* these do not end it */
    kill(runner_pid(f->runner), SIGINT);
    assert_int_equal(wait_for(f, &f->gone, 1, 100), -1);
    kill(runner_pid(f->runner), SIGKILL);
    assert_int_equal(wait_for(f, &f->gone, 1, 1000), 0);
    assert_true(dies_within(leader, 500));
    assert_int_equal(runner_run(f->runner, "fails", "1", NULL, "{}", true, &err), -1);
    assert_string_equal(err.text, "the runner process is gone");
    runner_quiesce(f->runner, on_acked, f);
    assert_int_equal(f->acked, 1);
    assert_false(f->clean);
    kill(pid_in(f, "child"), SIGKILL); /* no runner, no mercy: the test cleans up */
}

/* A daemon that is killed while two actions run. */
static void a_killed_daemon_ends_its_runs(void **state)
{
    struct fixture *f = *state;
    pid_t daemon = fork();
    if (daemon == 0) {
        struct err err;
        struct runner *runner = runner_start(f->config, &err);
        if (!runner)
            _exit(1);
        runner_deadline(runner, clock_boot() + 60 * NS_PER_S);
        runner_run(runner, "holds", "1", NULL, "{}", true, &err);
        runner_run(runner, "undo", "1", NULL, "{}", false, &err);
        char text[32];
        snprintf(text, sizeof(text), "%d\n", (int)runner_pid(runner));
        write_file(path_of(f, "runner"), text);
        pause();
        _exit(1);
    }
    pid_t leader = pid_in(f, "leader"), child = pid_in(f, "child"), runner = pid_in(f, "runner");
    pid_in(f, "undo");
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    sleep_ms(100);
    assert_true(lives(leader)); /* it ignores TERM, and has 200 ms */
    assert_true(dies_within(leader, 400));
    assert_true(dies_within(child, 400));
    assert_true(lives(runner)); /* `undo` has 600 ms to go */
    assert_true(dies_within(runner, 2000));
    assert_string_equal(read_text(f, "undone"), "done\n");
}

static void a_reload_takes_only_the_same_file(void **state)
{
    struct fixture *f = *state;
    runner_reload(f->runner, f->config->hash, on_reloaded, f);
    assert_int_equal(wait_for(f, &f->reloaded, 1, 2000), 0);
    assert_string_equal(f->reload_error, "");

    write_config(f, "action \"more\" { when = \"promoted\" run = {\"/bin/true\"} }\n");
    runner_reload(f->runner, f->config->hash, on_reloaded, f);
    assert_int_equal(wait_for(f, &f->reloaded, 2, 2000), 0);
    assert_non_null(strstr(f->reload_error, "changed"));
    run_to_end(f, "more", 1000);
    assert_int_equal(f->outcome, RUN_REFUSED);

    struct config *wanted = load_config(f);
    runner_reload(f->runner, wanted->hash, on_reloaded, f);
    assert_int_equal(wait_for(f, &f->reloaded, 3, 2000), 0);
    assert_string_equal(f->reload_error, "");
    run_to_end(f, "more", 1000);
    assert_string_equal(f->error, "");

    write_file(f->config_path, "node = ");
    runner_reload(f->runner, wanted->hash, on_reloaded, f);
    assert_int_equal(wait_for(f, &f->reloaded, 4, 2000), 0);
    assert_non_null(strstr(f->reload_error, "cannot read"));
    run_to_end(f, "more", 1000);
    assert_string_equal(f->error, "");
    config_free(wanted);
}

static void a_start_needs_the_same_file(void **state)
{
    struct fixture *f = *state;
    struct err err;
    write_config(f, "action \"more\" { when = \"promoted\" run = {\"/bin/true\"} }\n");
    assert_null(runner_start(f->config, &err));
    assert_non_null(strstr(err.text, "changed"));
}

static void sockets_are_passed_and_not_kept(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct server_listen listen;
    struct runner *runner = runner_start(f->config, &err);
    assert_non_null(runner);
    if (runner_bind(runner, f->config, &listen, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; i < f->config->workers; i++) {
        int type = 0;
        socklen_t len = sizeof(type);
        getsockopt(listen.udp[i], SOL_SOCKET, SO_TYPE, &type, &len);
        assert_int_equal(type, SOCK_DGRAM);
        getsockopt(listen.tcp[i], SOL_SOCKET, SO_TYPE, &type, &len);
        assert_int_equal(type, SOCK_STREAM);
        assert_true(fcntl(listen.udp[i], F_GETFD) & FD_CLOEXEC);
    }
    struct sockaddr_in bound;
    socklen_t len = sizeof(bound);
    getsockname(listen.tcp[0], (struct sockaddr *)&bound, &len);
    assert_int_equal(ntohs(bound.sin_port), f->port);

    /* a second runner cannot have them, and says so */
    struct runner *second = runner_start(f->config, &err);
    struct server_listen again;
    assert_int_equal(runner_bind(second, f->config, &again, &err), -1);
    assert_non_null(strstr(err.text, "is taken"));

    /* once the daemon's are closed the port refuses, although the runner lives */
    for (unsigned i = 0; i < f->config->workers; i++) {
        close(listen.udp[i]);
        close(listen.tcp[i]);
    }
    free(listen.udp);
    free(listen.tcp);
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(probe, (struct sockaddr *)&bound, sizeof(bound)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(probe);
    runner_stop(second);
    runner_stop(runner);
}

static void actions_run_as_their_user(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0)
        skip();
    run_to_end(f, "who", 5000);
    assert_string_equal(f->error, "");
    assert_int_equal(atoi(read_text(f, "uid")), 65534);
}

static void privileges_do_not_come_back(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    pid_t pid = fork();
    if (pid == 0) {
        struct err err;
        if (privileges_drop("no-such-user", &err) == 0 || geteuid() != 0)
            _exit(1);
        if (privileges_drop("nobody", &err) < 0 || getuid() != 65534 || setuid(0) == 0)
            _exit(2);
        _exit(open("/etc/shadow", O_RDONLY) < 0 ? 0 : 3);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Every cut and every flipped octet of a message is refused or decodes within bounds (the sanitizers watch).
 */
static void hostile_messages(void **state)
{
    (void)state;
    struct wire out, in = {.kind = WIRE_RUN, .texts = {"plain", "1", "{}", "LICTOR_A=b"}, .count = 4};
    struct buf data = {0};
    struct err err;
    assert_int_equal(wire_encode(&in, &data, &err), 0);
    assert_int_equal(wire_decode(data.data, data.len, &out, &err), 0);
    assert_int_equal(out.count, 4);
    assert_string_equal(out.texts[3], "LICTOR_A=b");
    for (size_t len = 0; len < data.len; len++) {
        uint8_t *copy = xmemdup(data.data, len ? len : 1);
        assert_int_equal(wire_decode(copy, len, &out, &err), -1);
        free(copy);
    }
    for (size_t i = 0; i < data.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *copy = xmemdup(data.data, data.len);
            copy[i] ^= (uint8_t)(1 << bit);
            if (wire_decode(copy, data.len, &out, &err) == 0)
                for (size_t k = 0; k < out.count; k++)
                    assert_true(strlen(out.texts[k]) < data.len);
            free(copy);
        }
    in.count = WIRE_TEXTS + 1;
    assert_int_equal(wire_encode(&in, &data, &err), -1);
    buf_free(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_messages),
        cmocka_unit_test(privileges_do_not_come_back),
        cmocka_unit_test_setup_teardown(a_run_gets_what_was_promised, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_configured_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timeout_ends_the_whole_group, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_outlives_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(a_heartbeat_moves_the_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(quiesce_ends_what_needs_the_right, setup, teardown),
        cmocka_unit_test_setup_teardown(strays_end_with_the_run, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_runner_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_daemon_ends_its_runs, setup_files, teardown),
        cmocka_unit_test_setup_teardown(a_reload_takes_only_the_same_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_needs_the_same_file, setup_files, teardown),
        cmocka_unit_test_setup_teardown(sockets_are_passed_and_not_kept, setup_files, teardown),
        cmocka_unit_test_setup_teardown(actions_run_as_their_user, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
