/* What the ACL token may not read, by the names that policies give it. Consul filters lists in silence, so a
 * right that is missing looks like a catalog without nodes or services (hashicorp/consul 3015, 10723): asked
 * at the start and now and then, and told in the log and the status. `lictor doctor` looks at the rights to
 * write, too.
 *
 * /v1/acl/token/self tells whether ACLs are on and whether Consul knows the token, but not what its policies
 * say (that takes acl:read). So each right is shown by something that is always there: the node of the
 * leader, whose address takes no right to know, and the service `consul`. */
#include "internal.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* While all is well only an ACL change can matter, and who makes one may wait for a while. */
#define ASK_EVERY (600 * NS_PER_S)
#define ASK_AGAIN (10 * NS_PER_S)

/* NODES only if LEADER shows nothing: it may be known by another address. */
enum step { TOKEN, ADDRESS, LEADER, NODES, SERVICE, STEPS };

struct rights {
    struct watch *watch;
    struct consul_request *request;
    struct event *timer;
    enum step step;
    char leader[64];
    const char *missing, *told; /* literals; NULL: nothing */
    unsigned failures;
};

static void answered(void *arg, struct consul_response *response);

static void ask(struct rights *rights, enum step step)
{
    static const char *const paths[STEPS] = {
        [TOKEN] = "/v1/acl/token/self",
        [ADDRESS] = "/v1/status/leader",
        [NODES] = "/v1/catalog/nodes?stale",
        [SERVICE] = "/v1/health/service/consul?stale",
    };
    struct consul_options options = {
        .method = "GET", .path = paths[step], .timeout = READ_TIMEOUT, .no_dc = step == TOKEN};
    char *path = NULL;
    if (step == LEADER) {
        char *filter = xasprintf("Address == \"%s\"", rights->leader), *escaped = consul_escape(filter);
        options.path = path = xasprintf("/v1/catalog/nodes?stale&filter=%s", escaped);
        free(escaped);
        free(filter);
    }
    rights->step = step;
    rights->request = consul_send(rights->watch->config.client, &options, answered, rights);
    free(path);
}

static void due(evutil_socket_t fd, short what, void *arg)
{
    struct rights *rights = arg;
    (void)fd, (void)what;
    ask(rights, TOKEN);
}

static void wait_for(struct rights *rights, nstime delay)
{
    struct timeval after = clock_timeval(delay);
    event_add(rights->timer, &after);
}

static void tell(struct rights *rights, const char *missing)
{
    rights->missing = missing;
    if (missing && missing != rights->told)
        log_warn("acl: %s (contrib/consul/policy.hcl has all that is needed)", missing);
    if (!missing && rights->told) {
        log_info("acl: the token can read nodes and services now");
        contact_read_anew(rights->watch);
    }
    rights->told = missing;
    rights->failures = 0;
    wait_for(rights, missing ? ASK_AGAIN : ASK_EVERY);
}

/* `[]`, `null`: no need to take apart what may be large. */
static bool is_empty(const struct consul_response *response)
{
    const struct buf *body = response->body;
    return !memchr(body->data, '{', body->len < 16 ? body->len : 16);
}

/* "192.0.2.1:8300" with its quotes. Nothing but what an address is made of goes into a filter. */
static bool take_leader(struct rights *rights, const struct buf *body)
{
    size_t len = body->len;
    const char *text = (const char *)body->data;
    while (len > 0 && text[len - 1] != ':')
        len--;
    if (len < 3 || text[0] != '"')
        return false;
    text++, len -= 2;
    if (*text == '[' && text[len - 1] == ']')
        text++, len -= 2;
    if (len == 0 || len >= sizeof(rights->leader))
        return false;
    memcpy(rights->leader, text, len);
    rights->leader[len] = '\0';
    return strspn(rights->leader, "0123456789abcdefABCDEF.:") == len;
}

/* What comes next, after an answer. */
static void go_on(struct rights *rights, const struct consul_response *response)
{
    switch (rights->step) {
    case TOKEN:
        ask(rights, ADDRESS);
        return;
    case ADDRESS:
        ask(rights, take_leader(rights, response->body) ? LEADER : NODES);
        return;
    case LEADER:
        ask(rights, is_empty(response) ? NODES : SERVICE);
        return;
    case NODES:
        if (is_empty(response))
            tell(rights,
                 "token cannot read node_prefix \"\": nodes are absent from DNS, and every service on "
                 "them");
        else
            ask(rights, SERVICE);
        return;
    case SERVICE:
    case STEPS:
        tell(rights, is_empty(response)
                         ? "token cannot read service_prefix \"\": services are absent from DNS; not even "
                           "`consul` is seen, which every cluster has"
                         : NULL);
    }
}

static void answered(void *arg, struct consul_response *response)
{
    struct rights *rights = arg;
    rights->request = NULL;
    if (rights->step == TOKEN && response->status == 401) /* "ACL support disabled" */
        tell(rights, NULL);
    else if (response->status == 403)
        tell(rights, "Consul does not know the token, or none is set where one is needed: it reads nothing");
    else if (response->status == 200)
        go_on(rights, response);
    else
        wait_for(rights, consul_backoff(rights->failures++, response->status));
}

struct rights *rights_start(struct watch *watch)
{
    struct rights *rights = xcalloc(1, sizeof(*rights));
    rights->watch = watch;
    rights->timer = evtimer_new(watch->config.base, due, rights);
    ask(rights, TOKEN);
    return rights;
}

void rights_stop(struct rights *rights)
{
    if (!rights)
        return;
    consul_cancel(rights->request);
    event_free(rights->timer);
    free(rights);
}

const char *rights_missing(const struct rights *rights)
{
    return rights ? rights->missing : NULL;
}
