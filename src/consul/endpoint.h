/* Where Consul is asked: the configured addresses, parsed once, and the order in which they are tried. Pure.
 */
#pragma once

#include "lictor/clock.h"
#include "lictor/err.h"

#include <stdbool.h>

struct endpoint {
    const char *text; /* as configured; borrowed */
    char *url;        /* what libcurl is given, without a trailing slash: "https://10.0.0.1:8501" */
    char *socket;     /* path of a unix socket, or NULL */
    char *connect_to; /* CURLOPT_CONNECT_TO, when the certificate's name differs from the host; or NULL */
    char *tls_name;   /* the name that the certificate must bear; NULL without TLS */
    bool local;       /* loopback or unix socket: compression costs more than it saves */
    bool failing;     /* logged as failing, and has not worked since */
    nstime logged;    /* when that was; 0: never */
};

/* text must outlive the address. tls_server_name may be NULL. Returns 0, or -1 with err. */
int endpoint_parse(const char *text, const char *tls_server_name, struct endpoint *out, struct err *err);
void endpoint_free(struct endpoint *endpoint);

/* The order of trying: the one that worked last; after a failure the next; the first again every 30 s, since
 * it is the local agent as a rule. */
#define LADDER_RETURN (30 * NS_PER_S)
struct ladder {
    unsigned count, current;
    nstime first_again; /* when the first is tried again; used while current is not 0 */
};
unsigned ladder_pick(struct ladder *ladder, nstime now);
void ladder_result(struct ladder *ladder, unsigned used, bool worked, nstime now);
