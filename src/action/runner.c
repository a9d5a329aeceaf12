#include "lictor/runner.h"

#include "action/process.h"
#include "action/wire.h"
#include "lictor/log.h"
#include "lictor/sockets.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS      10000 /* for the runner's answers before the loop runs */
#define QUIESCE_LIMIT (1 * NS_PER_S)
#define STOP_MS       2000

struct runner {
    pid_t pid;
    bool gone;
    struct channel channel;
    struct channel_input input;
    struct event *readable, *writable, *limit;
    struct runner_hooks hooks;
    int64_t quiesce_id;
    void (*acked)(void *arg, bool clean); /* NULL: no quiesce under way */
    void *acked_arg;
    void (*reloaded)(void *arg, const char *error); /* NULL: no reload under way */
    void *reloaded_arg;
};

/* ---- start-up: blocking ---- */

static int receive_blocking(struct runner *runner, enum wire_kind kind, struct err *err)
{
    nstime until = clock_boot() + START_MS * NS_PER_MS;
    for (;;) {
        int got = channel_receive(&runner->channel, &runner->input, err);
        if (got < 0)
            return err_prefix(err, "the runner process ended");
        if (got > 0)
            break;
        nstime left = until - clock_boot();
        struct pollfd poll_one = {.fd = runner->channel.fd, .events = POLLIN};
        if (left <= 0 || (poll(&poll_one, 1, (int)(left / NS_PER_MS) + 1) < 0 && errno != EINTR))
            return err_set(err, "the runner process does not answer");
    }
    if (runner->input.wire.kind != (uint32_t)kind || runner->input.wire.count < 1)
        return err_set(err, "the runner process sent a message of kind %u instead of %u",
                       runner->input.wire.kind, (unsigned)kind);
    if (runner->input.wire.texts[0][0])
        return err_set(err, "%s", runner->input.wire.texts[0]);
    return 0;
}

struct runner *runner_start(const struct config *config, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        err_set(err, "no socket for the runner process: %s", strerror(errno));
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        _exit(runner_main(pair[1], config->path, config->hash));
    }
    int code = errno;
    close(pair[1]); /* so that the runner's death is seen as end of file, and ours by it */
    if (pid < 0) {
        close(pair[0]);
        err_set(err, "cannot fork the runner process: %s", strerror(code));
        return NULL;
    }
    struct runner *runner = xcalloc(1, sizeof(*runner));
    runner->pid = pid;
    channel_init(&runner->channel, pair[0]);
    if (receive_blocking(runner, WIRE_READY, err) < 0) {
        runner_stop(runner);
        return NULL;
    }
    return runner;
}

pid_t runner_pid(const struct runner *runner)
{
    return runner->pid;
}

static void close_sockets(struct server_listen *listen, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        if (listen->udp[i] >= 0)
            close(listen->udp[i]);
        if (listen->tcp[i] >= 0)
            close(listen->tcp[i]);
    }
    free(listen->udp);
    free(listen->tcp);
    listen->udp = listen->tcp = NULL;
}

/* The sockets of one address come in one or more messages: first the UDP ones, then the TCP ones. */
static int receive_sockets(struct runner *runner, size_t index, unsigned workers,
                           struct server_listen *listen, struct err *err)
{
    for (size_t have = 0; have < 2 * (size_t)workers;) {
        if (receive_blocking(runner, WIRE_SOCKETS, err) < 0)
            return -1;
        const struct channel_input *input = &runner->input;
        bool fits = input->fd_count > 0 && input->fd_count <= 2 * (size_t)workers - have &&
                    input->wire.number == (int64_t)index && input->wire.count == 2;
        for (size_t i = 0; i < input->fd_count; i++) {
            if (!fits)
                close(input->fds[i]);
            else if (have < workers)
                listen->udp[have++] = input->fds[i];
            else
                listen->tcp[have++ - workers] = input->fds[i];
        }
        if (!fits)
            return err_set(err, "the runner process passed other sockets than were asked for");
        if (sockaddr_parse(input->wire.texts[1], &listen->address, err) < 0)
            return -1;
    }
    return 0;
}

int runner_bind(struct runner *runner, const struct config *config, struct server_listen *listens,
                struct err *err)
{
    if (channel_send(&runner->channel, &(struct wire){.kind = WIRE_BIND}, err) < 0)
        return -1;
    for (size_t i = 0; i < config->listen_count; i++) {
        listens[i] = (struct server_listen){.address = config->listen[i]};
        listens[i].udp = xmalloc(config->workers * sizeof(int));
        listens[i].tcp = xmalloc(config->workers * sizeof(int));
        memset(listens[i].udp, -1, config->workers * sizeof(int));
        memset(listens[i].tcp, -1, config->workers * sizeof(int));
        if (receive_sockets(runner, i, config->workers, &listens[i], err) < 0) {
            for (size_t k = 0; k <= i; k++)
                close_sockets(&listens[k], config->workers);
            return -1;
        }
    }
    return 0;
}

/* ---- in the loop ---- */

/* The callback may start the next one: forget it first. */
static void finish_quiesce(struct runner *runner, bool clean)
{
    void (*acked)(void *, bool) = runner->acked;
    if (!acked)
        return;
    runner->acked = NULL;
    if (runner->limit)
        event_del(runner->limit);
    acked(runner->acked_arg, clean);
}

static void finish_reload(struct runner *runner, const char *error)
{
    void (*done)(void *, const char *) = runner->reloaded;
    runner->reloaded = NULL;
    if (done)
        done(runner->reloaded_arg, error);
}

/* How it died, for the log; not waiting for it. */
static void describe_end(struct runner *runner)
{
    int status;
    pid_t ended = waitpid(runner->pid, &status, WNOHANG);
    if (ended == runner->pid && WIFSIGNALED(status))
        log_error("the runner process %d was ended by signal %d", (int)runner->pid, WTERMSIG(status));
    else
        log_error("the runner process %d is gone", (int)runner->pid);
    if (ended == runner->pid)
        runner->pid = -1;
}

static void lose(struct runner *runner)
{
    if (runner->gone)
        return;
    runner->gone = true;
    if (runner->readable)
        event_del(runner->readable);
    if (runner->writable)
        event_del(runner->writable);
    describe_end(runner);
    if (runner->hooks.gone)
        runner->hooks.gone(runner->hooks.arg);
    finish_quiesce(runner, false);
    finish_reload(runner, "the runner process is gone");
}

static void take_result(struct runner *runner, const struct wire *wire)
{
    if (wire->count != 3 || wire->flag > RUN_DEADLINE || !runner->hooks.result)
        return;
    struct runner_result result = {.action = wire->texts[0],
                                   .event_id = wire->texts[1],
                                   .outcome = (enum runner_outcome)wire->flag,
                                   .status = (int)wire->number,
                                   .error = wire->texts[2][0] ? wire->texts[2] : NULL,
                                   .took = wire->extra};
    runner->hooks.result(runner->hooks.arg, &result);
}

static void take(struct runner *runner)
{
    const struct wire *wire = &runner->input.wire;
    for (size_t i = 0; i < runner->input.fd_count; i++)
        close(runner->input.fds[i]);
    switch (wire->kind) {
    case WIRE_RESULT:
        take_result(runner, wire);
        break;
    case WIRE_QUIESCED:
        if (wire->number == runner->quiesce_id) /* a late one of a quiesce that was given up */
            finish_quiesce(runner, true);
        break;
    case WIRE_RELOADED:
        if (wire->count == 1)
            finish_reload(runner, wire->texts[0][0] ? wire->texts[0] : NULL);
        break;
    default:
        log_warn("the runner sent a message of kind %u that the daemon does not take", wire->kind);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct runner *runner = arg;
    struct err err;
    for (int turn = 0; turn < 64 && !runner->gone; turn++) {
        int got = channel_receive(&runner->channel, &runner->input, &err);
        if (got == 0)
            return;
        if (got > 0)
            take(runner);
        else
            lose(runner);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct runner *runner = arg;
    channel_flush(&runner->channel); /* a lost runner is noticed by reading */
    if (!runner->channel.head)
        event_del(runner->writable);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    log_error("the runner did not show within a second that all actions are ended");
    finish_quiesce(arg, false);
}

void runner_attach(struct runner *runner, struct event_base *base, const struct runner_hooks *hooks)
{
    runner->hooks = *hooks;
    runner->readable = event_new(base, runner->channel.fd, EV_READ | EV_PERSIST, on_readable, runner);
    runner->writable = event_new(base, runner->channel.fd, EV_WRITE | EV_PERSIST, on_writable, runner);
    runner->limit = evtimer_new(base, on_limit, runner);
    if (!runner->readable || !runner->writable || !runner->limit || event_add(runner->readable, NULL) < 0)
        abort(); /* out of memory */
}

static int send_order(struct runner *runner, const struct wire *order, struct err *err)
{
    if (runner->gone)
        return err_set(err, "the runner process is gone");
    if (channel_send(&runner->channel, order, err) < 0)
        return -1;
    if (runner->channel.head && runner->writable)
        event_add(runner->writable, NULL);
    return 0;
}

int runner_run(struct runner *runner, const char *action, const char *event_id, char *const *env,
               const char *json, bool needs_right, struct err *err)
{
    struct wire order = {
        .kind = WIRE_RUN, .flag = needs_right, .texts = {action, event_id, json}, .count = 3};
    if (strlen(json) > RUNNER_JSON_MAX)
        return err_set(err, "JSON document longer than %d octets", RUNNER_JSON_MAX);
    for (; env && *env; env++) {
        if (order.count == 3 + RUNNER_ENV_PAIRS)
            return err_set(err, "more than %d environment variables", RUNNER_ENV_PAIRS);
        order.texts[order.count++] = *env;
    }
    return send_order(runner, &order, err);
}

void runner_deadline(struct runner *runner, nstime act_until)
{
    struct err err;
    /* One that is lost only shortens what actions may use. */
    if (send_order(runner, &(struct wire){.kind = WIRE_DEADLINE, .number = act_until}, &err) < 0 &&
        !runner->gone)
        log_warn("heartbeat to the runner: %s", err.text);
}

void runner_quiesce(struct runner *runner, void (*acked)(void *arg, bool clean), void *arg)
{
    struct err err;
    if (runner->acked) {
        acked(arg, false);
        return;
    }
    struct wire order = {.kind = WIRE_QUIESCE, .number = ++runner->quiesce_id};
    if (send_order(runner, &order, &err) < 0) {
        log_error("cannot end actions: %s", err.text);
        acked(arg, false);
        return;
    }
    runner->acked = acked;
    runner->acked_arg = arg;
    struct timeval limit = {.tv_sec = QUIESCE_LIMIT / NS_PER_S};
    evtimer_add(runner->limit, &limit);
}

void runner_reload(struct runner *runner, const char *hash, void (*done)(void *arg, const char *error),
                   void *arg)
{
    struct err err;
    if (runner->reloaded) {
        done(arg, "another reload is under way");
        return;
    }
    if (send_order(runner, &(struct wire){.kind = WIRE_RELOAD, .texts = {hash}, .count = 1}, &err) < 0) {
        done(arg, err.text);
        return;
    }
    runner->reloaded = done;
    runner->reloaded_arg = arg;
}

static void await_end(struct runner *runner)
{
    int ended = pidfd_open(runner->pid, 0);
    if (ended >= 0) {
        struct pollfd poll_one = {.fd = ended, .events = POLLIN};
        nstime until = clock_boot() + STOP_MS * NS_PER_MS, left;
        while ((left = until - clock_boot()) > 0 && poll(&poll_one, 1, (int)(left / NS_PER_MS) + 1) < 0 &&
               errno == EINTR)
            ;
        close(ended);
    }
    if (waitpid(runner->pid, NULL, WNOHANG) == 0)
        log_info("the runner process %d goes on until the `demoted` actions have ended", (int)runner->pid);
}

void runner_stop(struct runner *runner)
{
    if (!runner)
        return;
    if (runner->readable)
        event_free(runner->readable);
    if (runner->writable)
        event_free(runner->writable);
    channel_close(&runner->channel); /* end of file is the order to end */
    finish_quiesce(runner, false);
    finish_reload(runner, "the daemon is stopping");
    if (runner->limit)
        event_free(runner->limit);
    if (runner->pid > 0)
        await_end(runner);
    free(runner);
}
