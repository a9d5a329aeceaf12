#include "endpoint.h"

#include "lictor/xalloc.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0;
}

static int parse_socket(const char *path, struct endpoint *out, struct err *err)
{
    struct sockaddr_un sun;
    if (path[0] != '/' || path[1] == '\0')
        return err_set(err, "consul address \"%s\": a socket is written unix:///absolute/path", out->text);
    if (strlen(path) >= sizeof sun.sun_path)
        return err_set(err, "consul address \"%s\": a socket's path has at most %zu octets", out->text,
                       sizeof sun.sun_path - 1);
    out->socket = xstrdup(path);
    out->url = xstrdup("http://localhost");
    out->local = true;
    return 0;
}

static int parse_url(CURLU *url, const char *tls_server_name, struct endpoint *out, struct err *err)
{
    char *scheme = url_part(url, CURLUPART_SCHEME, 0);
    char *host = url_part(url, CURLUPART_HOST, 0);
    char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *path = url_part(url, CURLUPART_PATH, 0);
    char *user = url_part(url, CURLUPART_USER, 0);
    char *query = url_part(url, CURLUPART_QUERY, 0);
    char *fragment = url_part(url, CURLUPART_FRAGMENT, 0);
    int result = 0;

    if (!scheme || !host || !port || !path || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        result =
            err_set(err, "consul address \"%s\": only http://, https:// and unix:// are known", out->text);
    } else if (user) {
        /* The address is logged and shown in the status; a password must not be. */
        result = err_set(err, "consul address \"(hidden)\": no user or password in it; use CONSUL_HTTP_AUTH");
    } else if (query || fragment) {
        result = err_set(err, "consul address \"%s\": nothing may follow the path", out->text);
    } else {
        size_t path_len = strlen(path);
        while (path_len > 0 && path[path_len - 1] == '/')
            path_len--;
        out->local = is_loopback(host);
        const char *name = host;
        if (strcmp(scheme, "https") == 0) {
            /* libcurl verifies the name in the URL: let the URL bear the certificate's name, and connect
             * elsewhere. */
            if (tls_server_name && strcasecmp(tls_server_name, host) != 0) {
                out->connect_to = xasprintf("%s:%s:%s:%s", tls_server_name, port, host, port);
                name = tls_server_name;
            }
            out->tls_name = xstrdup(name);
        }
        out->url = xasprintf("%s://%s:%s%.*s", scheme, name, port, (int)path_len, path);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(user);
    curl_free(query);
    curl_free(fragment);
    return result;
}

int endpoint_parse(const char *text, const char *tls_server_name, struct endpoint *out, struct err *err)
{
    *out = (struct endpoint){.text = text};
    int result;
    if (strncmp(text, "unix://", 7) == 0) {
        result = parse_socket(text + 7, out, err);
    } else {
        CURLU *url = curl_url();
        CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, text, 0) : CURLUE_OUT_OF_MEMORY;
        if (code != CURLUE_OK)
            result = err_set(err, "consul address \"%s\": %s; write it like http://127.0.0.1:8500", text,
                             curl_url_strerror(code));
        else
            result = parse_url(url, tls_server_name, out, err);
        curl_url_cleanup(url);
    }
    if (result != 0)
        endpoint_free(out);
    return result;
}

void endpoint_free(struct endpoint *endpoint)
{
    free(endpoint->url);
    free(endpoint->socket);
    free(endpoint->connect_to);
    free(endpoint->tls_name);
    *endpoint = (struct endpoint){0};
}

unsigned ladder_pick(struct ladder *ladder, nstime now)
{
    if (ladder->current == 0 || now < ladder->first_again)
        return ladder->current;
    /* One request at a time goes first: the others must not wait for an address that may be dead. */
    ladder->first_again = now + LADDER_RETURN;
    return 0;
}

void ladder_result(struct ladder *ladder, unsigned used, bool worked, nstime now)
{
    if (worked) {
        if (used == 0)
            ladder->current = 0;
        return;
    }
    /* Of many transfers that fail together only the first moves on. */
    if (used != ladder->current)
        return;
    if (used == 0)
        ladder->first_again = now + LADDER_RETURN;
    ladder->current = (used + 1) % ladder->count;
}
