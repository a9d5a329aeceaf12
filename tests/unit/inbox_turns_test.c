/* Messages for main: however long each takes, main has time for other things. */
#include "lictor/inbox.h"

#include "lictor/clock.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MESSAGES = 100 };

struct crowd {
    struct event_base *base;
    int taken, taken_at_timer;
};

static void take(void *arg, struct inbox_message *message)
{
    struct crowd *crowd = arg;
    for (nstime end = clock_boot() + NS_PER_MS; clock_boot() < end;)
        ;
    inbox_message_free(message);
    if (++crowd->taken == MESSAGES)
        event_base_loopbreak(crowd->base);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct crowd *crowd = arg;
    (void)fd, (void)what;
    crowd->taken_at_timer = crowd->taken;
}

static void main_goes_on(void **state)
{
    static const uint8_t msg[12];
    struct crowd crowd = {.base = event_base_new(), .taken_at_timer = -1};
    struct err err;
    (void)state;
    struct inbox *inbox = inbox_new(crowd.base, 1, take, &crowd, &err);
    assert_non_null(inbox);
    for (int i = 0; i < MESSAGES; i++)
        inbox_put(inbox, inbox_message_new(inbox, msg, sizeof msg));
    event_base_once(crowd.base, -1, EV_TIMEOUT, on_timer, &crowd, &(struct timeval){.tv_usec = 1000});
    event_base_dispatch(crowd.base);
    assert_int_equal(crowd.taken, MESSAGES);
    assert_in_range(crowd.taken_at_timer, 0, MESSAGES / 4);
    inbox_free(inbox);
    event_base_free(crowd.base);
}

static void no_more_than_so_many(void **state)
{
    static const uint8_t msg[60000];
    struct event_base *base = event_base_new();
    struct inbox_message *messages[INBOX_OCTETS / sizeof msg];
    struct err err;
    (void)state;
    struct inbox *inbox = inbox_new(base, 1, take, NULL, &err);
    assert_non_null(inbox);
    for (size_t i = 0; i < INBOX_OCTETS / sizeof msg; i++)
        assert_non_null(messages[i] = inbox_message_new(inbox, msg, sizeof msg));
    assert_null(inbox_message_new(inbox, msg, sizeof msg));
    for (size_t i = 0; i < INBOX_OCTETS / sizeof msg; i++)
        inbox_message_free(messages[i]);
    assert_int_equal(inbox_count(inbox), 0);
    inbox_free(inbox);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_goes_on),
        cmocka_unit_test(no_more_than_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
