/* One transfer: libcurl's options and the callbacks that take the answer in. */
#include "client.h"

#include "lictor/log.h"
#include "lictor/xalloc.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000L
/* A peer that vanished without a word: the kernel gives up after this long without an acknowledgement. It
 * matters over HTTP/2, where a request may join a connection that is dead already. */
#define SILENT_PEER_MS   5000
#define CA_CACHE_SECONDS 60L /* a renewed ca-file is noticed within this time */

/* Options can fail only by lack of memory or a mistake here. */
#define set(easy, option, value) \
    do { \
        CURLcode set_code = curl_easy_setopt(easy, option, value); \
        if (set_code != CURLE_OK) { \
            log_error("libcurl refuses %s: %s", #option, curl_easy_strerror(set_code)); \
            abort(); \
        } \
    } while (0)

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    struct consul_request *request = arg;
    if (reply_header(&request->head, line, size * count) != 0) {
        request->head_too_large = true;
        return 0;
    }
    return size * count;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct consul_request *request = arg;
    size_t len = size * count;
    curl_off_t received = 0;
    curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    if (len > request->max_body - request->body.len ||
        reply_is_bomb(request->body.len + len, (size_t)received)) {
        request->body_too_large = true;
        return 0;
    }
    buf_append(&request->body, data, len);
    return len;
}

static size_t give_body(char *out, size_t size, size_t count, void *arg)
{
    struct consul_request *request = arg;
    size_t len = request->upload_len - request->uploaded;
    if (len > size * count)
        len = size * count;
    if (len > 0)
        memcpy(out, request->upload + request->uploaded, len);
    request->uploaded += len;
    return len;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *endpoint)
{
    (void)purpose;
    struct consul_client *client = arg;
    int fd = socket(endpoint->family, endpoint->socktype | SOCK_CLOEXEC, endpoint->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (endpoint->family != AF_UNIX) {
        unsigned silent_ms = SILENT_PEER_MS;
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent_ms, sizeof silent_ms);
    }
    client->stats.connections++;
    return fd;
}

static int close_socket(void *arg, curl_socket_t fd)
{
    struct consul_client *client = arg;
    client->stats.connections--;
    return close(fd);
}

void easy_header(struct consul_request *request, const char *line)
{
    struct curl_slist *list = curl_slist_append(request->headers, line);
    if (!list)
        abort();
    request->headers = list;
}

static void set_headers(struct consul_request *request, nstime now)
{
    const char *token = token_get(&request->client->token, now);
    if (token) {
        char *line = xasprintf("X-Consul-Token: %s", token);
        easy_header(request, line);
        free(line);
    }
    if (request->upload) {
        easy_header(request, "Content-Type: application/json");
        easy_header(request, "Expect:");
    }
    set(request->easy, CURLOPT_HTTPHEADER, request->headers);
    const char *auth = request->client->config->http_auth;
    if (auth) {
        set(request->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        set(request->easy, CURLOPT_USERPWD, auth);
    }
}

static void set_tls(struct consul_request *request)
{
    const struct config_consul *config = request->client->config;
    CURL *easy = request->easy;
    set(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    set(easy, CURLOPT_SSL_VERIFYPEER, config->tls_verify ? 1L : 0L);
    set(easy, CURLOPT_SSL_VERIFYHOST, config->tls_verify ? 2L : 0L);
    /* A private CA replaces the system's, as in Consul's own client. Without a folder libcurl keeps what it
     * has read of the file: the system's takes tens of ms. */
    set(easy, CURLOPT_CAPATH, config->ca_path);
    if (config->ca_file || config->ca_path) {
        set(easy, CURLOPT_CAINFO, config->ca_file);
        set(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
    }
    if (config->cert_file) {
        set(easy, CURLOPT_SSLCERT, config->cert_file);
        set(easy, CURLOPT_SSLKEY, config->key_file ? config->key_file : config->cert_file);
    }
    /* Blocked queries share a connection instead of using up the agent's limit. */
    set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    set(easy, CURLOPT_PIPEWAIT, 1L);
}

/* A body goes out by a callback that cannot rewind: libcurl repeats a request by itself when a kept
 * connection dies under it, and a transaction that was carried out and is then repeated would be reported as
 * refused (409). Without a way to rewind the repetition fails instead, and the caller knows that it does not
 * know. */
static void set_method(struct consul_request *request, const char *method)
{
    CURL *easy = request->easy;
    if (request->upload) {
        set(easy, CURLOPT_UPLOAD, 1L);
        set(easy, CURLOPT_READFUNCTION, give_body);
        set(easy, CURLOPT_READDATA, request);
        set(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_len);
    } else if (strcmp(method, "GET") != 0) {
        set(easy, CURLOPT_CUSTOMREQUEST, method);
    }
}

void easy_prepare(struct consul_request *request, const char *method, const char *path_query)
{
    struct consul_client *client = request->client;
    const struct endpoint *endpoint = request->endpoint;
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    request->easy = easy;

    char *url = xasprintf("%s%s", endpoint->url, path_query);
    set(easy, CURLOPT_URL, url);
    free(url);
    set(easy, CURLOPT_PATH_AS_IS, 1L);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_PROXY, "");
    set(easy, CURLOPT_NOPROXY, "*");
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_QUICK_EXIT, 1L); /* cancelling must not wait for the resolver's thread */
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_TCP_KEEPIDLE, 15L);
    set(easy, CURLOPT_TCP_KEEPINTVL, 5L);
    set(easy, CURLOPT_USERAGENT, "lictor/" LICTOR_VERSION);
    set(easy, CURLOPT_PRIVATE, request);
    set(easy, CURLOPT_ERRORBUFFER, request->curl_error);
    set(easy, CURLOPT_HEADERFUNCTION, take_header);
    set(easy, CURLOPT_HEADERDATA, request);
    set(easy, CURLOPT_WRITEFUNCTION, take_body);
    set(easy, CURLOPT_WRITEDATA, request);
    set(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(easy, CURLOPT_OPENSOCKETDATA, client);
    set(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    set(easy, CURLOPT_CLOSESOCKETDATA, client);
    if (endpoint->socket)
        set(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint->socket);
    if (!endpoint->local)
        set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    if (endpoint->connect_to) {
        struct curl_slist *to = curl_slist_append(NULL, endpoint->connect_to);
        if (!to)
            abort();
        request->connect_to = to;
        set(easy, CURLOPT_CONNECT_TO, to);
    }
    if (endpoint->tls_name)
        set_tls(request);
    set_method(request, method);
    set_headers(request, clock_boot());
}
