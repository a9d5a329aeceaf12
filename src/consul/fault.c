/* Why there is no answer: libcurl's and OpenSSL's codes in a person's words. */
#include "client.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

/* libcurl's own text; it may quote what the peer sent. */
static const char *detail(struct consul_request *request, CURLcode code)
{
    for (char *c = request->curl_error; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return request->curl_error[0] ? request->curl_error : curl_easy_strerror(code);
}

static void describe_certificate(struct consul_request *request, CURLcode code, char *out, size_t size)
{
    const struct config_consul *config = request->client->config;
    const char *name = request->endpoint->tls_name;
    long verdict = X509_V_OK;
    curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
    switch (verdict) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* libcurl compares names before it asks OpenSSL */
        snprintf(out, size,
                 "its certificate does not bear the name %s (%s); tls-server-name says which name to expect",
                 name, detail(request, code));
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        snprintf(out, size, "its certificate %s by this host's clock",
                 verdict == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not yet valid");
        return;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        if (config->ca_file || config->ca_path)
            snprintf(out, size, "its certificate is not signed by %s %s (%s)",
                     config->ca_file ? "ca-file" : "ca-path",
                     config->ca_file ? config->ca_file : config->ca_path,
                     X509_verify_cert_error_string(verdict));
        else
            snprintf(out, size,
                     "its certificate is not signed by any authority this host knows (%s); name Consul's "
                     "with ca-file",
                     X509_verify_cert_error_string(verdict));
        return;
    default:
        snprintf(out, size, "its certificate is refused: %s", X509_verify_cert_error_string(verdict));
    }
}

/* The peer's objections come as TLS alerts, in OpenSSL's texts. */
static bool describe_alert(struct consul_request *request, CURLcode code, char *out, size_t size)
{
    const char *text = detail(request, code);
    if (strstr(text, "alert certificate required") || strstr(text, "alert bad certificate") ||
        strstr(text, "alert handshake failure")) {
        snprintf(out, size, "it %s (%s)",
                 request->client->config->cert_file
                     ? "does not accept the certificate in cert-file"
                     : "wants a client certificate: set cert-file and key-file",
                 text);
        return true;
    }
    if (strstr(text, "alert unknown ca")) {
        snprintf(out, size, "it does not know the authority that signed cert-file (%s)", text);
        return true;
    }
    if (strstr(text, "wrong version number")) {
        snprintf(out, size, "it does not speak TLS on this port (%s)", text);
        return true;
    }
    return false;
}

static bool has_answer_begun(const struct consul_request *request)
{
    return request->head.octets > 0;
}

/* An agent over its limit (http_max_conns_per_client) closes without reading: an EOF, or a reset when the
 * request had arrived. */
static bool is_closed(CURLcode code, long os_errno)
{
    switch (code) {
    case CURLE_GOT_NOTHING:
        return true;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
        return os_errno == ECONNRESET || os_errno == EPIPE || os_errno == ENOTCONN ||
               (os_errno == 0 && code != CURLE_HTTP2);
    default:
        return false;
    }
}

/* In TLS 1.3 the handshake is over before the server has seen our certificate: its objection may be lost in
 * the reset that follows it. */
static const char *closed_by_tls(const struct consul_request *request)
{
    if (!request->endpoint->tls_name)
        return "";
    return request->client->config->cert_file ? ", or cert-file not accepted"
                                              : ", or a client certificate wanted (cert-file and key-file)";
}

static void describe(struct consul_request *request, CURLcode code, char *out, size_t size)
{
    char duration[32];
    if (request->timed_out) {
        snprintf(out, size, "%s within %s",
                 has_answer_begun(request) ? "the answer was not complete" : "no answer",
                 duration_format(request->timeout, duration));
        return;
    }
    if (request->body_too_large) {
        snprintf(out, size, "the answer is larger than %zu octets, or packed beyond reason, and was cut off",
                 request->max_body);
        return;
    }
    if (request->head_too_large) {
        snprintf(out, size, "the answer's header is larger than %d octets", REPLY_HEAD_MAX);
        return;
    }
    long os_errno = 0;
    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        describe_certificate(request, code, out, size);
        return;
    case CURLE_COULDNT_CONNECT:
        snprintf(out, size, "cannot connect: %s", os_errno ? strerror((int)os_errno) : detail(request, code));
        return;
    case CURLE_SEND_FAIL_REWIND:
        snprintf(out, size,
                 "the connection was lost after the request was sent; whether it was carried out is unknown");
        return;
    case CURLE_PARTIAL_FILE:
        snprintf(out, size, "the answer was cut off after %zu octets", request->body.len);
        return;
    default:
        break;
    }
    if (describe_alert(request, code, out, size))
        return;
    if (is_closed(code, os_errno) && !has_answer_begun(request)) {
        snprintf(out, size, "closed without an answer: the agent's connection limit%s? (%s)",
                 closed_by_tls(request), detail(request, code));
        return;
    }
    snprintf(out, size, "%s", detail(request, code));
}

void fault_describe(struct consul_request *request, CURLcode code)
{
    int n = snprintf(request->error, sizeof request->error, "%s: ", request->endpoint->text);
    if (n < 0 || (size_t)n >= sizeof request->error)
        n = 0;
    describe(request, code, request->error + n, sizeof request->error - (size_t)n);
}
