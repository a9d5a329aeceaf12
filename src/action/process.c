#include "action/process.h"

#include "action/run.h"
#include "action/strays.h"
#include "action/wire.h"
#include "lictor/log.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECHECK_MS 20 /* while processes are dying whose end nobody signals to us */

struct process {
    struct channel daemon;
    struct channel_input input;
    int signals, timer;
    char *path;
    struct config *config;
    struct identity **identities; /* one an action; NULL: stay */
    nstime act_until;
    struct run *runs;
    unsigned strays; /* counted when a run ended last */
    bool daemon_gone;
    bool quiescing;
    int64_t quiesce_id;
};

static void free_identities(struct identity **identities, const struct config *config)
{
    for (size_t i = 0; config && i < config->action_count; i++)
        free(identities[i]);
    free(identities);
}

/* Reads the file; it must be the very file that the daemon read. On -1 the old configuration stays. */
static int load(struct process *process, const char *hash, struct err *err)
{
    struct buf faults = {0};
    struct config *config = config_load(process->path, &faults);
    if (!config) {
        char *first = strtok(buf_str(&faults), "\n"); /* the daemon tells them all; here one is enough */
        err_set(err, "the runner cannot read the configuration: %.400s", first ? first : "");
        buf_free(&faults);
        return -1;
    }
    buf_free(&faults);
    struct identity **identities = xcalloc(config->action_count + 1, sizeof(*identities));
    int result = 0;
    if (strcmp(config->hash, hash) != 0)
        result = err_set(err, "%s changed while it was being read; try again", process->path);
    for (size_t i = 0; result == 0 && i < config->action_count; i++) {
        const struct config_action *action = &config->actions[i];
        const char *user = action->user ? action->user : config->user;
        if (!user || geteuid() != 0)
            continue;
        identities[i] = xmalloc(sizeof(**identities));
        if (identity_lookup(user, identities[i], err) < 0)
            result = err_prefix(err, "%s:%d: action \"%s\"", process->path, action->line, action->name);
    }
    if (result < 0) {
        free_identities(identities, config);
        config_free(config);
        return -1;
    }
    free_identities(process->identities, process->config);
    config_free(process->config);
    process->config = config;
    process->identities = identities;
    return 0;
}

/* What the daemon is told is lost with the daemon; a full queue means that it is stopped and will die or take
 * it for unclean. */
static void tell(struct process *process, const struct wire *message)
{
    struct err err;
    if (!process->daemon_gone && channel_send(&process->daemon, message, &err) < 0)
        log_warn("cannot tell the daemon: %s", err.text);
}

static void tell_text(struct process *process, enum wire_kind kind, const char *text)
{
    tell(process, &(struct wire){.kind = kind, .texts = {text}, .count = 1});
}

static void tell_result(struct process *process, const struct runner_result *result)
{
    if (result->error)
        log_warn("action %s (%s): %s", result->action, result->event_id, result->error);
    tell(process,
         &(struct wire){.kind = WIRE_RESULT,
                        .flag = result->outcome,
                        .number = result->status,
                        .extra = result->took,
                        .texts = {result->action, result->event_id, result->error ? result->error : ""},
                        .count = 3});
}

/* ---- orders ---- */

/* NAME=value with NAME in LICTOR_[A-Z0-9_]* and no control characters: what the network side says must not
 * reach a shell as anything but data, and not the dynamic linker at all. */
static bool env_pair_ok(const char *pair)
{
    if (strncmp(pair, "LICTOR_", 7) != 0)
        return false;
    size_t name = strspn(pair, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (name < 8 || name > 64 || pair[name] != '=')
        return false;
    for (const char *at = pair + name; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

static int check_order(const struct wire *wire, struct err *err)
{
    if (wire->count < 3 || wire->count > 3 + RUNNER_ENV_PAIRS)
        return err_set(err, "malformed order");
    if (strlen(wire->texts[1]) > RUNNER_ID_MAX)
        return err_set(err, "event ID longer than %d octets", RUNNER_ID_MAX);
    if (strlen(wire->texts[2]) > RUNNER_JSON_MAX)
        return err_set(err, "JSON document longer than %d octets", RUNNER_JSON_MAX);
    size_t total = 0;
    for (size_t i = 3; i < wire->count; i++) {
        if (!env_pair_ok(wire->texts[i]))
            return err_set(err, "environment may hold LICTOR_* without control characters, not \"%.60s\"",
                           wire->texts[i]);
        total += strlen(wire->texts[i]) + 1;
    }
    return total > RUNNER_ENV_MAX ? err_set(err, "environment longer than %d octets", RUNNER_ENV_MAX) : 0;
}

static const struct config_action *find_action(const struct process *process, const char *name, size_t *index)
{
    for (*index = 0; *index < process->config->action_count; ++*index)
        if (strcmp(process->config->actions[*index].name, name) == 0)
            return &process->config->actions[*index];
    return NULL;
}

static bool is_running(const struct process *process, const char *action)
{
    for (const struct run *run = process->runs; run; run = run->next)
        if (strcmp(run->action, action) == 0)
            return true;
    return false;
}

static enum runner_outcome try_order(struct process *process, const struct wire *wire, struct err *err)
{
    size_t index;
    if (check_order(wire, err) < 0)
        return RUN_REFUSED;
    const struct config_action *action = find_action(process, wire->texts[0], &index);
    if (!action) {
        err_set(err, "no action \"%.100s\" in %s", wire->texts[0], process->path);
        return RUN_REFUSED;
    }
    if (is_running(process, action->name)) {
        err_set(err, "action \"%s\" is still running", action->name);
        return RUN_REFUSED;
    }
    /* `demoted` is the one event whose actions run without the right; the file must say so as well. */
    bool needs_right = wire->flag || action->when != WHEN_DEMOTED;
    nstime now = clock_boot();
    if (needs_right && process->act_until != NS_NEVER && now >= process->act_until - RUN_KILL_MARGIN) {
        char late[32];
        if (process->act_until <= 0)
            err_set(err, "not started: this instance has no right to act");
        else
            err_set(err, "not started: the right to act ended %s ago",
                    duration_format(now > process->act_until ? now - process->act_until : 0, late));
        return RUN_REFUSED;
    }
    struct run_order order = {.action = action->name,
                              .event_id = wire->texts[1],
                              .json = wire->texts[2],
                              .argv = action->run,
                              .env = wire->texts + 3,
                              .env_count = wire->count - 3,
                              .identity = process->identities[index],
                              .timeout = action->timeout,
                              .needs_right = needs_right};
    struct run *run = run_start(&order, err);
    if (!run)
        return RUN_UNABLE;
    run->next = process->runs;
    process->runs = run;
    log_debug("action %s: started as process %d for %s", run->action, (int)run->pid, run->event_id);
    return RUN_EXITED;
}

static void order_run(struct process *process, const struct wire *wire)
{
    struct err err;
    enum runner_outcome outcome = try_order(process, wire, &err);
    if (outcome != RUN_EXITED)
        tell_result(process, &(struct runner_result){.action = wire->count > 0 ? wire->texts[0] : "",
                                                     .event_id = wire->count > 1 ? wire->texts[1] : "",
                                                     .outcome = outcome,
                                                     .status = -1,
                                                     .error = err.text});
}

/* The right is gone before its time: ends what needs it, never later than the deadline that was in force. */
static void end_right(struct process *process, const char *why)
{
    nstime kill_at = clock_boot() + RUN_RIGHT_GRACE;
    if (process->act_until != NS_NEVER && kill_at > process->act_until - RUN_KILL_MARGIN)
        kill_at = process->act_until - RUN_KILL_MARGIN;
    for (struct run *run = process->runs; run; run = run->next)
        if (run->needs_right && !run->reaped)
            run_terminate(run, kill_at, RUN_DEADLINE, why);
    process->act_until = 0;
}

static void order_deadline(struct process *process, nstime act_until)
{
    if (act_until <= 0) {
        end_right(process, "the right to act ended");
    } else {
        process->act_until = act_until;
        process->quiescing = false;
    }
}

/* ---- sockets ---- */

static int bind_one(struct process *process, size_t index, struct err *err)
{
    unsigned workers = process->config->workers;
    size_t count = 2 * (size_t)workers;
    int *fds = xcalloc(count, sizeof(*fds));
    int result = sockets_bind(&process->config->listen[index], workers, fds, fds + workers, err);
    if (result == 0) {
        struct sockaddr_storage bound = {0};
        socklen_t len = sizeof(bound);
        char text[SOCKADDR_TEXT];
        getsockname(fds[0], (struct sockaddr *)&bound, &len); /* port 0 has become a real one */
        sockaddr_format(&bound, text);
        struct wire reply = {.kind = WIRE_SOCKETS, .number = (int64_t)index, .texts = {"", text}, .count = 2};
        for (size_t sent = 0; result == 0 && sent < count; sent += WIRE_FDS) {
            size_t part = count - sent < WIRE_FDS ? count - sent : WIRE_FDS;
            result = channel_send_fds(&process->daemon, &reply, fds + sent, part, err);
        }
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
    }
    free(fds);
    return result;
}

static void order_bind(struct process *process)
{
    for (size_t i = 0; i < process->config->listen_count; i++) {
        struct err err;
        if (bind_one(process, i, &err) < 0) {
            struct wire reply = {
                .kind = WIRE_SOCKETS, .number = (int64_t)i, .texts = {err.text, ""}, .count = 2};
            tell(process, &reply);
            return;
        }
    }
}

/* ---- the loop ---- */

static bool is_known(void *arg, pid_t pid, pid_t group)
{
    const struct process *process = arg;
    for (const struct run *run = process->runs; run; run = run->next)
        if (run->pid == pid || run->pid == group)
            return true;
    return false;
}

static struct run *find_run(struct process *process, pid_t pid)
{
    for (struct run *run = process->runs; run; run = run->next)
        if (run->pid == pid && !run->reaped)
            return run;
    return NULL;
}

static void reap(struct process *process)
{
    for (;;) {
        siginfo_t info = {0};
        /* WNOWAIT: the leader of a run stays a zombie until its group has been killed by its number. */
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct run *run = find_run(process, info.si_pid);
        if (run)
            run_reap(run);
        else
            waitpid(info.si_pid, NULL, WNOHANG);
    }
}

/* Reports and frees runs that are wholly gone. */
static void collect(struct process *process)
{
    bool any = false;
    for (struct run **at = &process->runs; *at;) {
        struct run *run = *at;
        if (!run_gone(run)) {
            any |= run->reaped;
            at = &run->next;
            continue;
        }
        any = true;
        run_end_output(run);
        char text[512];
        struct runner_result result;
        run_result(run, clock_boot(), &result, text);
        *at = run->next;
        tell_result(process, &result);
        run_free(run);
    }
    if (any || process->strays || process->quiescing || process->daemon_gone)
        process->strays = strays_kill(is_known, process);
}

static bool right_runs(const struct process *process)
{
    for (const struct run *run = process->runs; run; run = run->next)
        if (run->needs_right)
            return true;
    return false;
}

static void acknowledge(struct process *process)
{
    if (!process->quiescing || right_runs(process) || process->strays)
        return;
    process->quiescing = false;
    tell(process, &(struct wire){.kind = WIRE_QUIESCED, .number = process->quiesce_id});
}

static void handle(struct process *process)
{
    const struct wire *wire = &process->input.wire;
    struct err err = {""};
    for (size_t i = 0; i < process->input.fd_count; i++)
        close(process->input.fds[i]); /* the daemon has no reason to pass any */
    switch (wire->kind) {
    case WIRE_BIND:
        order_bind(process);
        break;
    case WIRE_RUN:
        order_run(process, wire);
        break;
    case WIRE_DEADLINE:
        order_deadline(process, wire->number);
        break;
    case WIRE_QUIESCE:
        end_right(process, "the right to act was given up");
        process->quiescing = true;
        process->quiesce_id = wire->number;
        break;
    case WIRE_RELOAD:
        if (load(process, wire->count == 1 ? wire->texts[0] : "", &err) < 0)
            log_warn("reload refused: %s", err.text);
        tell_text(process, WIRE_RELOADED, err.text);
        break;
    default:
        log_warn("the daemon sent a message of kind %u that a runner does not take", wire->kind);
    }
}

static void lose_daemon(struct process *process, const char *why)
{
    log_debug("the daemon is gone (%s)", why);
    process->daemon_gone = true;
    process->quiescing = false;
    channel_close(&process->daemon);
    end_right(process, "the daemon is gone");
}

static void receive(struct process *process)
{
    struct err err;
    for (int turn = 0; turn < 64 && !process->daemon_gone; turn++) {
        int got = channel_receive(&process->daemon, &process->input, &err);
        if (got == 0)
            return;
        if (got > 0)
            handle(process);
        else
            lose_daemon(process, err.text);
    }
}

static void arm(const struct process *process)
{
    nstime due = NS_NEVER;
    for (const struct run *run = process->runs; run; run = run->next) {
        nstime next = run_due(run, process->act_until);
        if (next < due)
            due = next;
    }
    struct itimerspec when = {0};
    if (due != NS_NEVER) {
        if (due < 1)
            due = 1; /* zero would disarm */
        when.it_value.tv_sec = due / NS_PER_S;
        when.it_value.tv_nsec = due % NS_PER_S;
    }
    timerfd_settime(process->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Waits for something to happen; output of runs is read here. */
static void wait_turn(struct process *process)
{
    size_t count = 3;
    bool dying = process->strays > 0;
    for (const struct run *run = process->runs; run; run = run->next) {
        count++;
        dying |= run->reaped;
    }
    struct pollfd *polls = xcalloc(count, sizeof(*polls));
    polls[0] = (struct pollfd){.fd = process->signals, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = process->timer, .events = POLLIN};
    polls[2] = (struct pollfd){.fd = process->daemon.fd, /* negative once it is gone: ignored by poll */
                               .events = (short)(POLLIN | (process->daemon.head ? POLLOUT : 0))};
    size_t at = 3;
    for (const struct run *run = process->runs; run; run = run->next)
        polls[at++] = (struct pollfd){.fd = run->output, .events = POLLIN};
    if (poll(polls, count, dying ? RECHECK_MS : -1) > 0) {
        uint64_t expirations;
        struct signalfd_siginfo info;
        if (polls[0].revents)
            while (read(process->signals, &info, sizeof(info)) > 0)
                ;
        if (polls[1].revents && read(process->timer, &expirations, sizeof(expirations)) < 0 &&
            errno != EAGAIN)
            log_error("timer: %s", strerror(errno));
        at = 3;
        for (struct run *run = process->runs; run; run = run->next)
            if (polls[at++].revents)
                run_read(run);
        if (polls[2].revents & POLLOUT)
            channel_flush(&process->daemon);
        if (polls[2].revents & ~POLLOUT)
            receive(process);
    }
    free(polls);
}

static void serve(struct process *process)
{
    while (!process->daemon_gone || process->runs || process->strays) {
        arm(process);
        wait_turn(process);
        nstime now = clock_boot();
        for (struct run *run = process->runs; run; run = run->next)
            run_tick(run, process->act_until, now);
        reap(process);
        collect(process);
        acknowledge(process);
    }
}

/* Descriptors of the daemon (the lock of state-dir above all) must not live on in here. */
static int own_descriptors(int socket)
{
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
        if (fd > 2) {
            close(fd);
            break;
        }
    }
    if (socket > 3)
        close_range(3, (unsigned)socket - 1, 0);
    return close_range((unsigned)socket + 1, ~0U, 0);
}

/* On a busy host an ordinary process may wake many milliseconds late, and a deadline is a deadline. What runs
 * in here between two polls is short; actions themselves get the ordinary policy back (RESET_ON_FORK).
 * Without the privilege the margins must do. */
static void own_priority(void)
{
    struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) < 0)
        log_debug("no real-time priority: %s", strerror(errno));
}

static int own_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGQUIT};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int runner_main(int socket, const char *config_path, const char *hash)
{
    struct process *process = xcalloc(1, sizeof(*process));
    struct err err = {""};
    prctl(PR_SET_NAME, "lictord: runner");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    own_descriptors(socket);
    channel_init(&process->daemon, socket);
    process->path = xstrdup(config_path);
    process->signals = own_signals();
    process->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (process->signals < 0 || process->timer < 0)
        err_set(&err, "the runner has no timer or signal descriptor: %s", strerror(errno));
    else if (load(process, hash, &err) == 0)
        log_init("runner", (enum log_level)process->config->log_level);
    tell_text(process, WIRE_READY, err.text);
    if (!err.text[0]) {
        own_priority();
        serve(process);
    }
    channel_close(&process->daemon);
    free_identities(process->identities, process->config);
    config_free(process->config);
    free(process->path);
    free(process);
    return err.text[0] ? 1 : 0;
}
