/* The control protocol: what a request may be, and what clients can do to the socket. */
#include "control/request.h"
#include "control/socket.h"
#include "control/zone_request.h"
#include "lictor/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void requests(void **state)
{
    (void)state;
    static const struct {
        const char *line, *error; /* NULL: good */
        enum verb verb;
        const char *name;
    } table[] = {
        {"{\"cmd\":\"status\"}", NULL, VERB_STATUS, NULL},
        {"{\"cmd\":\"status\",\"args\":{}}", NULL, VERB_STATUS, NULL},
        {" {\"args\":{\"name\":\"web\"},\"cmd\":\"services\"} ", NULL, VERB_SERVICES, "web"},
        {"{\"cmd\":\"handover\",\"args\":{\"name\":\"ns2\"}}", NULL, VERB_HANDOVER, "ns2"},
        {"{\"cmd\":\"resign\"}", NULL, VERB_RESIGN, NULL},
        {"{\"cmd\":\"pause\",\"args\":{\"for\":\"30m\",\"name\":\"kernel\"}}", NULL, VERB_PAUSE, "kernel"},
        {"{\"cmd\":\"resume\"}", NULL, VERB_RESUME, NULL},
        {"{\"cmd\":\"resume\",\"args\":{\"for\":\"30m\"}}", "takes no argument", 0, NULL},
        {"{\"cmd\":\"pause\",\"args\":{\"for\":\"30\"}}", "must be a duration", 0, NULL},
        {"{\"cmd\":\"pause\",\"args\":{\"for\":\"0\"}}", "must be a duration", 0, NULL},
        {"{\"cmd\":\"pause\",\"args\":{\"for\":\"99999h\"}}", "longer than ten years", 0, NULL},
        {"{\"cmd\":\"pause\",\"args\":{\"for\":60}}", "must be a duration", 0, NULL},
        {"", "not JSON", 0, NULL},
        {"status", "not JSON", 0, NULL},
        {"{\"cmd\":\"status\"} x", "not JSON", 0, NULL},
        {"{\"cmd\":\"status\",\"cmd\":\"why\"}", "not JSON", 0, NULL},
        {"{\"cmd\":\"\xff\"}", "not JSON", 0, NULL},
        {"[]", "is an object", 0, NULL},
        {"{}", "needs \"cmd\"", 0, NULL},
        {"{\"cmd\":1}", "needs \"cmd\"", 0, NULL},
        {"{\"cmd\":\"nosuch\"}", "unknown command \"nosuch\"", 0, NULL},
        {"{\"cmd\":\"status\",\"x\":1}", "unknown member \"x\"", 0, NULL},
        {"{\"cmd\":\"status\",\"args\":[]}", "must be an object", 0, NULL},
        {"{\"cmd\":\"status\",\"args\":{\"name\":\"web\"}}", "takes no argument", 0, NULL},
        {"{\"cmd\":\"services\",\"args\":{\"other\":\"web\"}}", "takes no argument", 0, NULL},
        {"{\"cmd\":\"services\",\"args\":{\"name\":7}}", "must be a string", 0, NULL},
        {"{\"cmd\":\"services\",\"args\":{\"name\":\"\"}}", "must be a string", 0, NULL},
        {"{\"cmd\":\"services\",\"args\":{\"name\":\"a\\nb\"}}", "control character", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct request request;
        struct err err;
        int result = request_parse(table[i].line, strlen(table[i].line), &request, &err);
        if ((result < 0) != (table[i].error != NULL))
            fail_msg("%s: %d", table[i].line, result);
        if (table[i].error && !strstr(err.text, table[i].error))
            fail_msg("%s: \"%s\" does not say \"%s\"", table[i].line, err.text, table[i].error);
        if (table[i].error)
            continue;
        assert_int_equal(request.verb, table[i].verb);
        assert_int_equal(request.has_name, table[i].name != NULL);
        if (table[i].name)
            assert_string_equal(request.name, table[i].name);
    }
}

static void bounds_of_requests(void **state)
{
    (void)state;
    struct request request;
    struct err err;
    char text[REQUEST_LINE_MAX + 2];
    memset(text, '[', sizeof(text));
    assert_int_equal(request_parse(text, REQUEST_LINE_MAX, &request, &err), -1);
    assert_int_equal(request_parse(text, REQUEST_LINE_MAX + 1, &request, &err), -1);
    assert_non_null(strstr(err.text, "at most"));
    for (int len = REQUEST_NAME_MAX; len <= REQUEST_NAME_MAX + 1; len++) {
        int n = snprintf(text, sizeof(text), "{\"cmd\":\"services\",\"args\":{\"name\":\"%0*d\"}}", len, 0);
        assert_int_equal(request_parse(text, (size_t)n, &request, &err), len > REQUEST_NAME_MAX ? -1 : 0);
    }
}

static void errors_are_one_line(void **state)
{
    (void)state;
    struct buf out = {0};
    reply_error(&out, "two\nlines \"quoted\"");
    assert_string_equal(buf_str(&out), "{\"ok\":false,\"error\":\"two\\nlines \\\"quoted\\\"\"}\n");
    buf_free(&out);
    reply_error(&out, "not \xff UTF-8");
    assert_non_null(strstr(buf_str(&out), "\"ok\":false"));
    buf_free(&out);
}

/* ---- zones ---- */

#define Z "\"name\":\"Example.COM\","

static void zone_requests(void **state)
{
    (void)state;
    static const struct {
        const char *args, *error; /* NULL: good */
        bool for_primary;
    } table[] = {
        {"{" Z "\"verb\":\"show\"}", NULL, false},
        {"{" Z "\"verb\":\"export\",\"committed\":true}", NULL, false},
        {"{" Z "\"verb\":\"history\",\"records\":true}", NULL, false},
        {"{" Z "\"verb\":\"diff\",\"from\":1,\"to\":4294967295}", NULL, false},
        {"{" Z "\"verb\":\"diff\",\"upload\":true}", NULL, true},
        {"{" Z "\"verb\":\"import\",\"mode\":\"ours\"}", NULL, true},
        {"{" Z "\"verb\":\"freeze\",\"reason\":\"moving\"}", NULL, true},
        {"{" Z "\"verb\":\"thaw\"}", NULL, true},
        {"{" Z "\"verb\":\"rollback\",\"steps\":3}", NULL, true},
        {"{" Z "\"verb\":\"rollback\",\"to\":7}", NULL, true},
        {"{}", "needs a `verb`", false},
        {"{" Z "\"verb\":\"explode\"}", "needs a `verb`", false},
        {"{\"verb\":\"show\"}", "needs a `name`", false},
        {"{\"verb\":\"show\",\"name\":\"a..b\"}", "is no zone's name", false},
        {"{\"verb\":\"show\",\"name\":7}", "needs a `name`", false},
        {"{" Z "\"verb\":\"show\",\"mode\":\"ours\"}", "takes no argument \"mode\"", false},
        {"{" Z "\"verb\":\"import\",\"mode\":\"mine\"}", "`mode` must be", false},
        {"{" Z "\"verb\":\"diff\",\"from\":-1}", "must be a serial", false},
        {"{" Z "\"verb\":\"diff\",\"to\":4294967296}", "must be a serial", false},
        {"{" Z "\"verb\":\"diff\",\"to\":1,\"upload\":true}", "not both", false},
        {"{" Z "\"verb\":\"rollback\"}", "needs `to`", false},
        {"{" Z "\"verb\":\"rollback\",\"to\":1,\"steps\":1}", "needs `to`", false},
        {"{" Z "\"verb\":\"rollback\",\"steps\":0}", "`steps` must be", false},
        {"{" Z "\"verb\":\"freeze\",\"reason\":\"a\\nb\"}", "control character", false},
        {"{" Z "\"verb\":\"export\",\"committed\":1}", "true or false", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct zone_request request;
        struct err err = {""};
        json_t *args = json_loads(table[i].args, 0, NULL);
        assert_non_null(args);
        int result = zone_request_parse(args, &request, &err);
        if ((result < 0) != (table[i].error != NULL))
            fail_msg("%s: %d %s", table[i].args, result, err.text);
        if (table[i].error && !strstr(err.text, table[i].error))
            fail_msg("%s: \"%s\" does not say \"%s\"", table[i].args, err.text, table[i].error);
        if (!table[i].error) {
            assert_memory_equal(request.apex, "\7example\3com", 13); /* lower case */
            assert_int_equal(zone_request_for_primary(&request), table[i].for_primary);
        }
        json_decref(args);
    }
}

/* ---- the socket ---- */

struct fixture {
    char dir[64], path[96];
    struct event_base *base;
    struct control_socket *control;
    unsigned handled;
    struct call *held; /* `why` is answered when the test says so */
    size_t large;      /* `services` answers a string of this size */
};

static void handle(void *arg, const struct request *request, struct call *call)
{
    struct fixture *f = arg;
    f->handled++;
    if (request->verb == VERB_WHY) {
        f->held = call;
    } else if (request->verb == VERB_SERVICES) {
        char *json = xmalloc(f->large + 3);
        memset(json, 'x', f->large + 2);
        json[0] = json[f->large + 1] = '"';
        json[f->large + 2] = '\0';
        call_reply(call, json);
    } else if (request->verb == VERB_RELOAD) {
        call_fail(call, "no");
    } else if (request->verb == VERB_ZONE) {
        struct buf octets;
        call_take_upload(call, &octets);
        call_reply(call, xasprintf("\"%.*s\"", (int)octets.len, octets.len ? (char *)octets.data : ""));
        buf_free(&octets);
    } else {
        call_reply(call, xasprintf("\"%s\"", request->has_name ? request->name : ""));
    }
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err;
    strcpy(f->dir, "/tmp/control_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/control.sock", f->dir);
    f->base = event_base_new();
    f->control = control_socket_new(f->base, f->path, handle, f, &err);
    if (!f->control)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_socket_free(f->control);
    event_base_free(f->base);
    unlink(f->path);
    int result = rmdir(f->dir);
    free(f);
    return result;
}

static void turn(struct fixture *f, int times)
{
    for (int i = 0; i < times; i++)
        event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static int try_connect(const struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, f->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void say(struct fixture *f, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(f, 20);
}

/* What came, up to 4095 octets; "" when nothing did, NULL at the end. */
static const char *hear(struct fixture *f, int fd)
{
    static char text[4096];
    turn(f, 5);
    ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
    if (len < 0 && errno == EAGAIN)
        return "";
    if (len <= 0)
        return NULL;
    text[len] = '\0';
    return text;
}

static void lines_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f);
    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    say(f, fd, "{\"cmd\":\"sta");
    assert_string_equal(hear(f, fd), "");
    say(f, fd,
        "tus\"}\n{\"cmd\":\"handover\",\"args\":{\"name\":\"ns2\"}}\nnonsense\n{\"cmd\":\"reload\"}\n");
    assert_string_equal(hear(f, fd),
                        "{\"ok\":true,\"result\":\"\"}\n"
                        "{\"ok\":true,\"result\":\"ns2\"}\n"
                        "{\"ok\":false,\"error\":\"the request is not JSON: '[' or '{' expected near "
                        "'nonsense'\"}\n{\"ok\":false,\"error\":\"no\"}\n");
    /* one request at a time: the next one waits for the reply to the first */
    say(f, fd, "{\"cmd\":\"why\"}\n{\"cmd\":\"status\"}\n");
    assert_string_equal(hear(f, fd), "");
    assert_int_equal(f->handled, 4);
    call_reply(f->held, xstrdup("[]"));
    assert_string_equal(hear(f, fd), "{\"ok\":true,\"result\":[]}\n{\"ok\":true,\"result\":\"\"}\n");
    close(fd);
}

/* Each client's are its own, and taken once. */
static void uploads_go_with_the_next_zone(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f), other = try_connect(f);
    say(f, fd, "{\"cmd\":\"upload\",\"args\":{\"data\":\"YWJj\"}}\n");
    say(f, fd, "{\"cmd\":\"upload\",\"args\":{\"data\":\"ZGU=\"}}\n");
    assert_string_equal(hear(f, fd), "{\"ok\":true,\"result\":3}\n{\"ok\":true,\"result\":5}\n");
    say(f, fd, "{\"cmd\":\"upload\",\"args\":{\"data\":\"?\"}}\n");
    assert_non_null(strstr(hear(f, fd), "takes `data`, base64, alone"));
    say(f, other, "{\"cmd\":\"zone\"}\n");
    assert_string_equal(hear(f, other), "{\"ok\":true,\"result\":\"\"}\n");
    say(f, fd, "{\"cmd\":\"zone\",\"args\":{\"verb\":\"import\"}}\n{\"cmd\":\"zone\"}\n");
    assert_string_equal(hear(f, fd), "{\"ok\":true,\"result\":\"abcde\"}\n{\"ok\":true,\"result\":\"\"}\n");
    say(f, fd, "{\"cmd\":\"upload\",\"args\":{\"data\":\"YWJj\"}}\n");
    assert_string_equal(hear(f, fd), "{\"ok\":true,\"result\":3}\n");
    close(fd); /* what nobody took goes with it */
    close(other);
}

static void half_closed_clients_get_their_replies(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f);
    send(fd, "{\"cmd\":\"why\"}\n", 14, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    turn(f, 20);
    call_reply(f->held, xstrdup("[]"));
    assert_string_equal(hear(f, fd), "{\"ok\":true,\"result\":[]}\n");
    assert_null(hear(f, fd));
    close(fd);
}

static void a_client_that_left_does_no_harm(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f);
    say(f, fd, "{\"cmd\":\"why\"}\n");
    close(fd);
    turn(f, 20);
    call_reply(f->held, xstrdup("[]"));
    turn(f, 20);
    fd = try_connect(f);
    say(f, fd, "{\"cmd\":\"why\"}\n");
    control_socket_free(f->control); /* and a socket that is closed with a request under way */
    f->control = NULL;
    call_fail(f->held, "stopping");
    close(fd);
}

static void long_lines_are_refused(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f);
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 1000 && send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0; i++)
        turn(f, 2);
    turn(f, 20);
    assert_int_equal(f->handled, 0);
    close(fd);
    fd = try_connect(f);
    say(f, fd, "{\"cmd\":\"status\"}\n");
    assert_non_null(strstr(hear(f, fd), "\"ok\":true"));
    close(fd);
}

static void replies_do_not_pile_up(void **state)
{
    struct fixture *f = *state;
    int fd = try_connect(f);
    f->large = 1 << 20;
    for (int i = 0; i < 50; i++)
        send(fd, "{\"cmd\":\"services\"}\n", 19, MSG_NOSIGNAL);
    turn(f, 100);
    assert_int_equal(f->handled, 1);
    size_t got = 0;
    char block[65536];
    for (ssize_t len; got < 2 << 20;) {
        turn(f, 2);
        if ((len = recv(fd, block, sizeof(block), 0)) > 0)
            got += (size_t)len;
    }
    assert_true(f->handled >= 2 && f->handled <= 4);
    close(fd);
}

static void clients_are_counted(void **state)
{
    struct fixture *f = *state;
    int fds[40];
    unsigned refused = 0;
    for (int i = 0; i < 40; i++) {
        fds[i] = try_connect(f);
        assert_true(fds[i] >= 0);
        turn(f, 5);
    }
    for (int i = 0; i < 40; i++) {
        const char *text = hear(f, fds[i]);
        refused += text && strstr(text, "too many") != NULL;
    }
    assert_int_equal(refused, 8);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    turn(f, 20);
    int fd = try_connect(f);
    say(f, fd, "{\"cmd\":\"status\"}\n");
    assert_non_null(strstr(hear(f, fd), "\"ok\":true"));
    close(fd);
}

static void whose_file_it_is(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct stat info;
    assert_null(control_socket_new(f->base, f->path, handle, f, &err));
    assert_non_null(strstr(err.text, "in use by another lictord"));

    /* what a killed one left is replaced; the old one then leaves the new file alone */
    char aside[128];
    snprintf(aside, sizeof(aside), "%s/aside", f->dir);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, aside);
    assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
    close(stale);
    struct control_socket *second = control_socket_new(f->base, aside, handle, f, &err);
    if (!second)
        fail_msg("%s", err.text);
    assert_int_equal(rename(aside, f->path), 0);
    control_socket_free(f->control);
    f->control = NULL;
    assert_int_equal(lstat(f->path, &info), 0);
    control_socket_free(second);

    /* a file of somebody's is not */
    unlink(f->path);
    close(open(f->path, O_CREAT | O_WRONLY, 0600));
    assert_null(control_socket_new(f->base, f->path, handle, f, &err));
    assert_non_null(strstr(err.text, "is no socket"));
    assert_null(control_socket_new(f->base, "/nonexistent/control.sock", handle, f, &err));
    assert_non_null(strstr(err.text, "cannot listen on /nonexistent/control.sock"));
    char longer[200];
    memset(longer, 'x', sizeof(longer));
    longer[199] = '\0';
    assert_null(control_socket_new(f->base, longer, handle, f, &err));
    assert_non_null(strstr(err.text, "longer than 107"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(bounds_of_requests),
        cmocka_unit_test(errors_are_one_line),
        cmocka_unit_test(zone_requests),
        cmocka_unit_test_setup_teardown(uploads_go_with_the_next_zone, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_are_answered_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(half_closed_clients_get_their_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_left_does_no_harm, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_do_not_pile_up, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(whose_file_it_is, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
