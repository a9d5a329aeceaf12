/* `consul { }`. Every value that the file does not set comes from Consul's own environment variables
 * (https://developer.hashicorp.com/consul/commands#environment-variables), so that what makes `consul
 * members` work makes lictord work. */
#include "config/read.h"

#include "lictor/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DEFAULT_ADDRESS "127.0.0.1:8500"

/* An empty variable counts as absent, as for Consul itself. */
static const char *environment(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

/* Go's strconv.ParseBool, which Consul's client uses. */
static bool environment_bool(struct check *check, const char *name, bool fallback)
{
    static const char *const words[2][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                            {"1", "t", "T", "true", "TRUE", "True"}};
    const char *text = environment(name);
    if (!text)
        return fallback;
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 6; i++)
            if (!strcmp(text, words[value][i]))
                return value;
    fault_add(check->faults, LINE_NONE, "the environment has %s=%s; write true or false, or unset it", name,
              text);
    return fallback;
}

static bool valid_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port = digits && digits <= 5 && !text[digits] ? strtoul(text, NULL, 10) : 0;
    return port >= 1 && port <= 65535;
}

/* host, host:port or [ipv6]:port, of characters that can stand in a URL's authority. */
static bool valid_authority(const char *text)
{
    const char *rest;
    if (*text == '[') {
        size_t len = strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (!len || text[1 + len] != ']')
            return false;
        rest = text + len + 2;
    } else {
        size_t len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_");
        if (!len)
            return false;
        rest = text + len;
    }
    return !*rest || (*rest == ':' && valid_port(rest + 1));
}

/* Gives an address the form that the client takes: with a scheme, without a slash at the end. NULL if it is
 * none of Consul's forms. */
static char *normal_address(const char *text, bool tls, bool force_tls)
{
    if (!strncasecmp(text, "unix://", 7))
        return text[7] == '/' && text[8] ? xasprintf("unix://%s", text + 7) : NULL;
    if (!strncasecmp(text, "https://", 8)) {
        text += 8;
        tls = true;
    } else if (!strncasecmp(text, "http://", 7)) {
        text += 7;
        tls = force_tls;
    } else if (strstr(text, "://")) {
        return NULL;
    }
    size_t len = strlen(text);
    if (len && text[len - 1] == '/')
        len--;
    char *authority = xasprintf("%.*s", (int)len, text);
    char *address =
        valid_authority(authority) ? xasprintf("%s://%s", tls ? "https" : "http", authority) : NULL;
    free(authority);
    return address;
}

static void read_addresses(struct check *check, cfg_t *block)
{
    struct config_strings *addresses = &check->config->consul.addresses;
    bool tls = environment_bool(check, "CONSUL_HTTP_SSL", false);
    for (size_t i = 0; i < value_count(block, "address"); i++) {
        const struct value *value = value_at(block, "address", i);
        char *address = normal_address(value->text, tls, false);
        if (address)
            strings_add(addresses, address);
        else
            fault_add(check->faults, value->line,
                      "`address` is `%s`; write \"http://host:port\", \"https://host:port\" or "
                      "\"unix:///path\"",
                      value->text);
    }
    if (value_count(block, "address"))
        return;

    const char *variable = environment("CONSUL_HTTP_ADDR");
    /* Consul's client never goes back to plain HTTP once TLS was asked for, whatever the scheme. */
    char *address = normal_address(variable ? variable : DEFAULT_ADDRESS, tls, tls);
    if (address)
        strings_add(addresses, address);
    else
        fault_add(check->faults, LINE_NONE,
                  "the environment has CONSUL_HTTP_ADDR=%s; write host:port, http://host:port, "
                  "https://host:port or unix:///path",
                  variable);
}

/* A file named by the block or else by a variable. */
static char *read_file(struct check *check, cfg_t *block, const char *key, const char *variable)
{
    if (value_count(block, key))
        return read_readable_path(check, block, key);
    const char *path = environment(variable);
    if (path && access(path, R_OK))
        fault_add(check->faults, LINE_NONE, "the environment has %s=%s, which cannot be read: %s", variable,
                  path, strerror(errno));
    return xstrdup_null(path);
}

static char *read_or_environment(cfg_t *block, const char *key, const char *variable)
{
    return value_count(block, key) ? read_text(block, key, NULL) : xstrdup_null(environment(variable));
}

/* One of two: what the file sets wins over the environment; of the environment, Consul's client lets the
 * token file win. */
static void read_token(struct check *check, cfg_t *block)
{
    struct config_consul *consul = &check->config->consul;
    bool token = value_count(block, "token"), file = value_count(block, "token-file");
    if (token || !file)
        consul->token = read_or_environment(block, "token", "CONSUL_HTTP_TOKEN");
    if (file || !token)
        consul->token_file = read_file(check, block, "token-file", "CONSUL_HTTP_TOKEN_FILE");
    if (token && file && consul->token && consul->token_file)
        fault_add(check->faults, read_line(block, "token"),
                  "both `token` and `token-file` are set; keep one of them");
    else if (consul->token && consul->token_file) {
        free(consul->token);
        consul->token = NULL;
    }
}

/* A value goes into one HTTP header line. */
static void check_header(struct check *check, cfg_t *block, const char *key, const char *text)
{
    for (const char *c = text; c && *c; c++)
        if (*c <= ' ' || *c > '~') {
            fault_add(check->faults, read_line(block, key),
                      "`%s` has a blank or a character that no HTTP header takes; check it", key);
            return;
        }
}

void read_consul(struct check *check)
{
    struct config_consul *consul = &check->config->consul;
    cfg_t *block = section_get(check->root, "consul");
    consul->stale_for =
        read_duration(check, block, "stale-for", 24 * 3600 * NS_PER_S, 0, 365 * 24 * 3600 * NS_PER_S);
    consul->tls_verify = true;
    consul->configured =
        block || section_get(check->root, "services") || section_get(check->root, "election");
    if (!consul->configured)
        return; /* then a broken variable is nobody's trouble */

    read_addresses(check, block);
    read_token(check, block);
    check_header(check, block, "token", consul->token);
    consul->http_auth = read_or_environment(block, "http-auth", "CONSUL_HTTP_AUTH");
    if (consul->http_auth && !strchr(consul->http_auth, ':'))
        fault_add(check->faults, read_line(block, "http-auth"),
                  "`http-auth` (or CONSUL_HTTP_AUTH) has no colon; write \"user:password\"");
    consul->ca_file = read_file(check, block, "ca-file", "CONSUL_CACERT");
    consul->ca_path = read_file(check, block, "ca-path", "CONSUL_CAPATH");
    consul->cert_file = read_file(check, block, "cert-file", "CONSUL_CLIENT_CERT");
    consul->key_file = read_file(check, block, "key-file", "CONSUL_CLIENT_KEY");
    if (!consul->cert_file != !consul->key_file)
        fault_add(check->faults, read_line(block, consul->cert_file ? "cert-file" : "key-file"),
                  "a client certificate needs both `cert-file` and `key-file`; %s is missing",
                  consul->cert_file ? "`key-file`" : "`cert-file`");
    consul->tls_server_name = read_or_environment(block, "tls-server-name", "CONSUL_TLS_SERVER_NAME");
    consul->tls_verify = value_count(block, "tls-verify")
                             ? read_bool(check, block, "tls-verify", true)
                             : environment_bool(check, "CONSUL_HTTP_SSL_VERIFY", true);
    consul->datacenter = read_text(block, "datacenter", NULL);
    const char *datacenter = consul->datacenter ? consul->datacenter : "x";
    size_t len = strspn(datacenter, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (datacenter[len] || len > 63)
        fault_add(check->faults, read_line(block, "datacenter"),
                  "`datacenter` is `%s`; Consul's names have letters, digits, `-` and `_`, 63 at most",
                  datacenter);
}
