#include "control/accept.h"

#include "lictor/clock.h"
#include "lictor/log.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>

#define PAUSE_USEC   100000
#define LOG_INTERVAL (60 * NS_PER_S)

static void look_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    evconnlistener_enable(arg);
}

void accept_pause(struct evconnlistener *listener, void *arg)
{
    static nstime logged; /* main's */
    int code = errno;
    nstime now = clock_boot();
    (void)arg;
    if (!logged || now >= logged + LOG_INTERVAL) {
        log_warn("control: cannot accept a client of `http` or `control`: %s; trying again each 100 ms",
                 strerror(code));
        logged = now;
    }
    if (!event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, look_again, listener,
                         &(struct timeval){.tv_usec = PAUSE_USEC}))
        evconnlistener_disable(listener);
}
