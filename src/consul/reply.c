#include "reply.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct slice {
    const char *at;
    size_t len;
};

static struct slice trimmed(const char *at, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", at[len - 1]))
        len--;
    while (len > 0 && (*at == ' ' || *at == '\t'))
        at++, len--;
    return (struct slice){at, len};
}

static bool equals(struct slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

/* Digits only, and no overflow: anything else counts as absent. */
static uint64_t number(struct slice text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.at[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    return value;
}

/* The preferred form of HTTP (RFC 9110 section 5.6.7), which Go writes. */
static int64_t date(struct slice text)
{
    static const char format[] = "%a, %d %b %Y %H:%M:%S GMT";
    char copy[40];
    struct tm tm = {0};
    if (text.len >= sizeof copy)
        return 0;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    const char *end = strptime(copy, format, &tm);
    return end && *end == '\0' ? (int64_t)timegm(&tm) : 0;
}

int reply_header(struct reply_head *head, const char *line, size_t len)
{
    if (len > REPLY_HEAD_MAX - head->octets)
        return -1;
    size_t octets = head->octets + len;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        *head = (struct reply_head){.octets = octets};
        return 0;
    }
    head->octets = octets;

    const char *colon = memchr(line, ':', len);
    if (!colon)
        return 0;
    /* The wire has X-Consul-Knownleader and, over HTTP/2, lower case. */
    struct slice name = {line, (size_t)(colon - line)};
    struct slice value = trimmed(colon + 1, len - name.len - 1);
    if (equals(name, "X-Consul-Index")) {
        head->index = number(value);
    } else if (equals(name, "X-Consul-KnownLeader")) {
        head->known_leader = equals(value, "true");
    } else if (equals(name, "X-Consul-LastContact")) {
        uint64_t ms = number(value);
        head->last_contact_ms = ms <= INT64_MAX ? (int64_t)ms : INT64_MAX;
    } else if (equals(name, "X-Consul-Results-Filtered-By-ACLs")) {
        head->filtered_by_acl = equals(value, "true");
    } else if (equals(name, "Date")) {
        head->date = date(value);
    }
    return 0;
}

bool reply_is_bomb(size_t unpacked, size_t received)
{
    return unpacked > 1024 * 1024 && unpacked / 250 > received;
}

/* A log line or a terminal must survive what comes from outside: control characters become '?', and so does
 * what is not ASCII. */
static void sanitise(const char *text, size_t len, char out[REPLY_ERROR_SIZE])
{
    size_t n = 0;
    for (; n < len && n < REPLY_ERROR_SIZE - 1 && text[n] != '\n' && text[n] != '\r'; n++)
        out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
}

/* {"Results":null,"Errors":[{"OpIndex":0,"What":"..."}]} */
static bool transaction_error(const void *body, size_t len, char out[REPLY_ERROR_SIZE])
{
    json_t *root = json_loadb(body, len, 0, NULL);
    json_t *first = json_array_get(json_object_get(root, "Errors"), 0);
    const char *what = json_string_value(json_object_get(first, "What"));
    if (what) {
        char text[REPLY_ERROR_SIZE];
        snprintf(text, sizeof text, "operation %" JSON_INTEGER_FORMAT ": %s",
                 json_integer_value(json_object_get(first, "OpIndex")), what);
        sanitise(text, strlen(text), out);
    }
    json_decref(root);
    return what != NULL;
}

void reply_error_text(int status, const void *body, size_t len, char out[REPLY_ERROR_SIZE])
{
    if (status == 409 && len <= REPLY_HEAD_MAX && transaction_error(body, len, out))
        return;
    struct slice text = {body, len};
    while (text.len > 0 && strchr(" \t\r\n", *text.at))
        text.at++, text.len--;
    sanitise(text.at, text.len, out);
    if (out[0] == '\0')
        snprintf(out, REPLY_ERROR_SIZE, "HTTP status %d without a text", status);
}
