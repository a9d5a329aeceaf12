/* libcurl's multi_socket interface on libevent: one event a socket, one timer. */
#include "client.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdlib.h>

static void socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct consul_client *client = arg;
    int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(client->multi, fd, mask, &running);
    client_collect(client);
}

static void timer_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct consul_client *client = arg;
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_collect(client);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int action, void *arg, void *assigned)
{
    (void)easy;
    struct consul_client *client = arg;
    struct event *event = assigned;
    if (event)
        event_del(event);
    if (action == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        free(event);
        return 0;
    }
    if (!event) {
        event = xcalloc(1, sizeof *event);
        curl_multi_assign(client->multi, fd, event);
    }
    short what = EV_PERSIST;
    if (action & CURL_POLL_IN)
        what |= EV_READ;
    if (action & CURL_POLL_OUT)
        what |= EV_WRITE;
    if (event_assign(event, client->base, fd, what, socket_ready, client) != 0 || event_add(event, NULL) != 0)
        log_error("consul %s: cannot watch socket %d", client->name, (int)fd);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct consul_client *client = arg;
    if (timeout_ms < 0) {
        event_del(&client->timer);
    } else {
        /* 0 too goes through the loop: libcurl must not be entered from within itself, and consul_send never
         * calls back. */
        struct timeval delay = clock_timeval(timeout_ms * NS_PER_MS);
        event_add(&client->timer, &delay);
    }
    return 0;
}

void loop_attach(struct consul_client *client)
{
    evtimer_assign(&client->timer, client->base, timer_due, client);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
}

void loop_detach(struct consul_client *client)
{
    event_del(&client->timer);
}
