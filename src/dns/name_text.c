/* Names in presentation form (RFC 1035 section 5.1). */
#include "lictor/name.h"

#include "lictor/buf.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads one character of a label, escaped or not. Returns what it is (0 to 255), or -1 with err; moves *text
 * behind it. */
static int read_char(const char **text, const char *whole, struct err *err)
{
    const char *at = *text;
    if (*at != '\\') {
        (*text)++;
        return (uint8_t)*at;
    }
    if (is_digit(at[1])) {
        if (!is_digit(at[2]) || !is_digit(at[3]))
            return err_set(err, "name \"%.300s\": \\%c must be followed by two more digits (\\DDD)", whole,
                           at[1]);
        int value = (at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0');
        if (value > 255)
            return err_set(err, "name \"%.300s\": \\%.3s is above 255", whole, at + 1);
        *text += 4;
        return value;
    }
    if (!at[1])
        return err_set(err, "name \"%.300s\" ends in a lone backslash", whole);
    *text += 2;
    return (uint8_t)at[1];
}

int name_from_text(const char *text, const uint8_t *origin, uint8_t out[NAME_MAX_WIRE], struct err *err)
{
    static const uint8_t root[1] = {0};
    const char *whole = text;
    size_t len = 0;
    if (!*text)
        return err_set(err, "a name is empty; the root is written \".\"");
    if (!strcmp(text, ".")) {
        out[0] = 0;
        return 1;
    }
    if (!strcmp(text, "@") && origin) {
        len = name_len(origin);
        memcpy(out, origin, len);
        return (int)len;
    }
    bool absolute = false;
    while (*text) {
        size_t head = len++;
        while (*text && *text != '.') {
            int c = read_char(&text, whole, err);
            if (c < 0)
                return -1;
            if (len - head > 63)
                return err_set(err, "name \"%.300s\" has a label longer than 63 octets", whole);
            if (len + 2 > NAME_MAX_WIRE) /* this octet and the root label */
                return err_set(err, "name \"%.300s\" is longer than 255 octets", whole);
            out[len++] = (uint8_t)c;
        }
        if (len == head + 1)
            return err_set(err, "name \"%.300s\" has an empty label", whole);
        out[head] = (uint8_t)(len - head - 1);
        if (*text == '.') {
            text++;
            absolute = !*text;
        }
    }
    if (absolute || !origin)
        origin = root;
    size_t rest = name_len(origin);
    if (len + rest > NAME_MAX_WIRE)
        return err_set(err, "name \"%.300s\" is longer than 255 octets with its origin", whole);
    memcpy(out + len, origin, rest);
    return (int)(len + rest);
}

const char *name_to_text(const uint8_t *name, char out[NAME_MAX_TEXT])
{
    char *at = out;
    if (!*name)
        *at++ = '.';
    for (; *name; name += 1 + *name) {
        for (unsigned i = 1; i <= *name; i++) {
            uint8_t c = name[i];
            if (c <= ' ' || c >= 127) {
                *at++ = '\\';
                *at++ = (char)('0' + c / 100);
                *at++ = (char)('0' + c / 10 % 10);
                *at++ = (char)('0' + c % 10);
            } else {
                if (strchr(".\\\"();@$", c)) /* what a zone file would take as something else */
                    *at++ = '\\';
                *at++ = (char)c;
            }
        }
        *at++ = '.';
    }
    *at = 0;
    return out;
}

char *name_to_key(const uint8_t *name)
{
    uint8_t lower[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    struct buf out = {0};
    name_lower(name, lower);
    name_to_text(lower, text);
    size_t len = strlen(text);
    if (len > 1)
        len--; /* the trailing dot */
    for (size_t i = 0; i < len; i++)
        if (text[i] == '/' || text[i] == '%')
            buf_printf(&out, "%%%02x", (unsigned char)text[i]);
        else
            buf_append(&out, text + i, 1);
    return buf_steal(&out);
}
