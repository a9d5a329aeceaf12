/* The workers' life: made, started, stopped, summed up. */
#include "lictor/serve.h"

#include "lictor/dns.h"
#include "lictor/log.h"
#include "lictor/xalloc.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TCP_CLIENTS_DEFAULT 1000
#define TCP_IDLE_DEFAULT    (10 * NS_PER_S)
/* No fragments on any sane path: 1280, the least MTU of IPv6, less IPv6 and UDP headers (DNS flag day 2020).
 */

/* Descriptors that TCP clients never get: Consul, the files of the state, the control socket. A flood of
 * connections must not cost the lease. */
#define DESCRIPTORS_RESERVED 256

struct server {
    struct server_config config; /* its listens and their arrays are our own copies */
    struct worker *workers;
    bool owns_sockets;
};

static void copy_config(struct server *server, const struct server_config *config)
{
    server->config = *config;
    struct server_config *own = &server->config;
    own->listens = xmemdup(config->listens, config->listen_count * sizeof(*config->listens));
    for (size_t i = 0; i < own->listen_count; i++) {
        own->listens[i].udp = xmemdup(config->listens[i].udp, config->workers * sizeof(int));
        own->listens[i].tcp = xmemdup(config->listens[i].tcp, config->workers * sizeof(int));
    }
    if (!own->tcp_clients)
        own->tcp_clients = TCP_CLIENTS_DEFAULT;
    if (!own->tcp_idle)
        own->tcp_idle = TCP_IDLE_DEFAULT;
    if (!own->udp_max)
        own->udp_max = SERVER_UDP_SAFE;
}

/* Raises the limit of open files as far as it may; what then still does not fit is cut. */
static void fit_descriptors(struct server_config *config)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)config->workers * config->tcp_clients + DESCRIPTORS_RESERVED;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur >= wanted)
        return;
    rlim_t left = limit.rlim_cur > DESCRIPTORS_RESERVED ? limit.rlim_cur - DESCRIPTORS_RESERVED : 0;
    config->tcp_clients = left > config->workers ? (unsigned)(left / config->workers) : 1;
    log_warn("this process may have %llu open files, which allows %u TCP clients a worker; LimitNOFILE=%llu "
             "in its systemd unit would allow all",
             (unsigned long long)limit.rlim_cur, config->tcp_clients, (unsigned long long)wanted);
}

struct server *server_new(const struct server_config *config, struct err *err)
{
    if (config->workers == 0 || config->listen_count == 0) {
        err_set(err, "the server needs at least one worker and one listen address");
        return NULL;
    }
    if (config->udp_max && (config->udp_max < DNS_UDP_MIN || config->udp_max > 4096)) {
        err_set(err, "the limit for UDP replies must be from %d to 4096 octets, not %u", DNS_UDP_MIN,
                config->udp_max);
        return NULL;
    }
    struct server *server = xcalloc(1, sizeof(*server));
    copy_config(server, config);
    fit_descriptors(&server->config);
    size_t size = config->workers * sizeof(*server->workers);
    server->workers = aligned_alloc(64, size);
    if (!server->workers)
        abort();
    memset(server->workers, 0, size);
    for (unsigned i = 0; i < config->workers; i++)
        server->workers[i].epoll = server->workers[i].wake.fd = -1;
    for (unsigned i = 0; i < config->workers; i++)
        if (worker_open(&server->workers[i], &server->config, i, err) != 0) {
            server_free(server);
            return NULL;
        }
    server->owns_sockets = true;
    return server;
}

int server_start(struct server *server, struct err *err)
{
    sigset_t all, before;
    int error = 0;
    if (!atomic_load_explicit(&server->config.slot->current, memory_order_acquire))
        return err_set(err, "the server was started before a snapshot was published");
    /* A new thread inherits the mask: no signal is ever handled on a worker. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < server->config.workers && error == 0; i++) {
        struct worker *worker = &server->workers[i];
        error = pthread_create(&worker->thread, NULL, worker_run, worker);
        worker->started = error == 0;
        char name[24];
        snprintf(name, sizeof(name), "worker-%u", i);
        name[15] = 0; /* what the kernel takes */
        if (worker->started)
            pthread_setname_np(worker->thread, name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return err_set(err, "cannot start a worker thread: %s", strerror(error));
    return 0;
}

static void close_one(int fd)
{
    if (fd >= 0) /* else its worker closed it when it stopped */
        close(fd);
}

static void close_sockets(const struct server *server)
{
    for (size_t i = 0; i < server->config.listen_count; i++)
        for (unsigned k = 0; k < server->config.workers; k++) {
            close_one(server->config.listens[i].udp[k]);
            close_one(server->config.listens[i].tcp[k]);
        }
}

void server_free(struct server *server)
{
    if (!server)
        return;
    for (unsigned i = 0; i < server->config.workers; i++) {
        struct worker *worker = &server->workers[i];
        atomic_store_explicit(&worker->stop, true, memory_order_release);
        if (worker->started && write(worker->wake.fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
            log_error("worker %u cannot be woken: %s", i, strerror(errno));
    }
    for (unsigned i = 0; i < server->config.workers; i++) {
        if (server->workers[i].started)
            pthread_join(server->workers[i].thread, NULL);
        worker_close(&server->workers[i]);
    }
    if (server->owns_sockets)
        close_sockets(server);
    for (size_t i = 0; i < server->config.listen_count; i++) {
        free(server->config.listens[i].udp);
        free(server->config.listens[i].tcp);
    }
    free(server->config.listens);
    free(server->workers);
    free(server);
}

int server_barrier(struct server *server, nstime timeout)
{
    (void)server; /* the workers are the readers */
    return rcu_synchronize(timeout);
}

void server_stats_sum(const struct server *server, struct server_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < server->config.workers; i++)
        for (int stat = 0; stat < SERVER_STATS; stat++)
            out->value[stat] += atomic_load_explicit(&server->workers[i].stats[stat], memory_order_relaxed);
}
