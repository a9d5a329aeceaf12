#include "action/run.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIXED_ENV 3

/* The child, between fork and exec. Reports an errno through exec_error, which closes by itself on success.
 */
static _Noreturn void child(const struct run_order *order, char *const *env, pid_t parent, int in, int out,
                            int exec_error)
{
    setsid();
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        goto failed;
    if (exec_error > 3 && close_range(3, (unsigned)exec_error - 1, 0) < 0)
        goto failed;
    if (close_range((unsigned)exec_error + 1, ~0U, 0) < 0)
        goto failed;
    for (int number = 1; number < NSIG; number++)
        signal(number,
               SIG_DFL); /* ignored signals would stay ignored across exec; KILL and STOP just refuse */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    if (chdir("/") < 0 || (order->identity && identity_assume(order->identity) < 0))
        goto failed;
    /* The last line of defence if the runner itself is killed: what needs the right must not live on with
     * nobody to end it. After the change of user, which would clear it. */
    if (order->needs_right) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(127);
    }
    execve(order->argv[0], order->argv, env);
failed:;
    int code = errno;
    ssize_t written = write(exec_error, &code, sizeof(code));
    _exit(written == sizeof(code) ? 127 : 126);
}

static int json_file(const char *json, struct err *err)
{
    int fd = memfd_create("lictor-event", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, "cannot hold the event: %s", strerror(errno));
    size_t len = strlen(json);
    for (size_t done = 0; done < len;) {
        ssize_t written = write(fd, json + done, len - done);
        if (written < 0) {
            err_set(err, "cannot hold the event: %s", strerror(errno));
            close(fd);
            return -1;
        }
        done += (size_t)written;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* A descriptor that dup2 onto 0, 1 and 2 cannot hit. */
static int above_standard(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return moved;
}

struct run *run_start(const struct run_order *order, struct err *err)
{
    int in = json_file(order->json, err), out[2] = {-1, -1}, code[2] = {-1, -1};
    char home[300];
    char **env = xcalloc(order->env_count + FIXED_ENV + 1, sizeof(*env));
    struct run *run = NULL;
    if (in < 0)
        goto out;
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(code, O_CLOEXEC) < 0 || (code[1] = above_standard(code[1])) < 0) {
        err_set(err, "no pipe for %s: %s", order->argv[0], strerror(errno));
        goto out;
    }
    snprintf(home, sizeof(home), "HOME=%s", order->identity ? order->identity->home : "/");
    env[0] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    env[1] = home;
    env[2] = "LANG=C";
    for (size_t i = 0; i < order->env_count; i++)
        env[FIXED_ENV + i] = (char *)order->env[i];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        child(order, env, parent, in, out[1], code[1]);
    if (pid < 0) {
        err_set(err, "cannot fork for %s: %s", order->argv[0], strerror(errno));
        goto out;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(code[0], F_SETFL, O_NONBLOCK);
    nstime now = clock_boot();
    run = xcalloc(1, sizeof(*run));
    run->action = xstrdup(order->action);
    run->event_id = xstrdup(order->event_id);
    run->program = xstrdup(order->argv[0]);
    run->needs_right = order->needs_right;
    run->started = now;
    run->timeout_at = order->timeout > NS_NEVER - now ? NS_NEVER : now + order->timeout;
    run->kill_at = NS_NEVER;
    run->pid = pid;
    run->output = out[0];
    run->exec_error = code[0];
    out[0] = code[0] = -1;
out:
    free(env);
    for (int i = 0; i < 2; i++) {
        if (out[i] >= 0)
            close(out[i]);
        if (code[i] >= 0)
            close(code[i]);
    }
    if (in >= 0)
        close(in);
    return run;
}

void run_free(struct run *run)
{
    if (run->output >= 0)
        close(run->output);
    close(run->exec_error);
    free(run->action);
    free(run->event_id);
    free(run->program);
    free(run);
}

/* The group's number is its own as long as the leader is not waited for. Before the child's setsid has taken
 * effect there might be no group yet: then the leader alone gets the signal. */
static void signal_group(const struct run *run, int number)
{
    if (!run->reaped && kill(-run->pid, number) < 0 && errno == ESRCH)
        kill(run->pid, number);
}

void run_kill(struct run *run)
{
    if (run->killed)
        return;
    signal_group(run, SIGKILL);
    run->killed = true;
}

void run_terminate(struct run *run, nstime kill_at, enum runner_outcome outcome, const char *why)
{
    if (run->kill_at == NS_NEVER) {
        if (!run->reaped) {
            run->outcome = outcome;
            run->ended_by = why;
        }
        signal_group(run, SIGTERM);
        signal_group(run, SIGCONT); /* a stopped process would never see the TERM */
    }
    if (kill_at < run->kill_at)
        run->kill_at = kill_at;
    run->right_ended |= outcome == RUN_DEADLINE;
    if (run->kill_at <= clock_boot())
        run_kill(run);
}

static nstime right_ends(const struct run *run, nstime act_until, nstime margin)
{
    if (!run->needs_right || run->right_ended || act_until == NS_NEVER)
        return NS_NEVER;
    return act_until - margin;
}

nstime run_due(const struct run *run, nstime act_until)
{
    if (run->killed || run->reaped)
        return NS_NEVER;
    nstime kill = right_ends(run, act_until, RUN_KILL_MARGIN);
    nstime term = right_ends(run, act_until, RUN_RIGHT_GRACE);
    if (run->kill_at < kill)
        kill = run->kill_at;
    if (run->kill_at == NS_NEVER && term < kill)
        kill = term;
    if (run->kill_at == NS_NEVER && run->timeout_at < kill)
        kill = run->timeout_at;
    return kill;
}

void run_tick(struct run *run, nstime act_until, nstime now)
{
    if (run->reaped)
        return;
    if (now >= right_ends(run, act_until, RUN_RIGHT_GRACE))
        run_terminate(run, act_until - RUN_KILL_MARGIN, RUN_DEADLINE, "the right to act ended");
    else if (now >= run->timeout_at)
        run_terminate(run, run->timeout_at + RUN_TERM_GRACE, RUN_TIMEOUT, "timed out");
    if (now >= run->kill_at)
        run_kill(run);
}

void run_reap(struct run *run)
{
    run->killed = false; /* newcomers of the group since the last KILL */
    run_kill(run);
    while (waitpid(run->pid, &run->status, 0) < 0 && errno == EINTR)
        ;
    run->reaped = true;
}

bool run_gone(const struct run *run)
{
    return run->reaped && kill(-run->pid, 0) < 0 && errno == ESRCH;
}

static void log_line(struct run *run)
{
    if (run->lines < RUN_OUTPUT_LINES)
        log_info("action %s: %.*s%s", run->action, (int)run->line_len, run->line,
                 run->line_cut ? " [cut]" : "");
    else if (run->lines == RUN_OUTPUT_LINES)
        log_warn("action %s: more than %d lines of output; the rest of this run is not logged", run->action,
                 RUN_OUTPUT_LINES);
    if (run->lines <= RUN_OUTPUT_LINES)
        run->lines++;
    run->line_len = 0;
    run->line_cut = false;
}

void run_read(struct run *run)
{
    char data[4096];
    /* A few blocks a turn: an endless writer must not keep the runner from its deadlines. */
    for (int turn = 0; turn < 16 && run->output >= 0; turn++) {
        ssize_t len = read(run->output, data, sizeof(data));
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (len <= 0) {
            close(run->output);
            run->output = -1;
            return;
        }
        for (ssize_t i = 0; i < len; i++) {
            if (data[i] == '\n')
                log_line(run);
            else if (run->line_len < sizeof(run->line))
                run->line[run->line_len++] = data[i];
            else
                run->line_cut = true;
        }
    }
}

void run_end_output(struct run *run)
{
    run_read(run);
    if (run->output >= 0)
        close(run->output); /* somebody outside the group still holds the other end, or too much is in it */
    run->output = -1;
    if (run->line_len)
        log_line(run);
}

void run_result(struct run *run, nstime now, struct runner_result *out, char text[512])
{
    int code;
    char took[32];
    *out = (struct runner_result){.action = run->action,
                                  .event_id = run->event_id,
                                  .outcome = run->outcome,
                                  .status = -1,
                                  .error = text,
                                  .took = now - run->started};
    duration_format(out->took, took);
    if (read(run->exec_error, &code, sizeof(code)) == (ssize_t)sizeof(code)) {
        out->outcome = RUN_UNABLE;
        snprintf(text, 512, "cannot run %s: %s", run->program, strerror(code));
    } else if (run->outcome != RUN_EXITED) {
        snprintf(text, 512, "%s; ended after %s", run->ended_by, took);
    } else {
        out->status = run->status;
        if (WIFSIGNALED(run->status))
            snprintf(text, 512, "ended by signal %d (%s) after %s", WTERMSIG(run->status),
                     strsignal(WTERMSIG(run->status)), took);
        else if (WEXITSTATUS(run->status))
            snprintf(text, 512, "exit status %d after %s", WEXITSTATUS(run->status), took);
        else
            out->error = NULL;
    }
}
