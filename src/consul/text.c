/* Texts for and from the HTTP API: percent-encoding, paths, base64. */
#include "lictor/consul.h"
#include "lictor/xalloc.h"

#include <stdlib.h>
#include <string.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_unreserved(char c) /* RFC 3986 section 2.3 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void escape_to(struct buf *out, const char *text, bool keep_slash)
{
    for (; *text; text++) {
        if (is_unreserved(*text) || (keep_slash && *text == '/'))
            buf_append(out, text, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

char *consul_escape(const char *text)
{
    struct buf out = {0};
    escape_to(&out, text, false);
    return buf_steal(&out);
}

char *consul_path(const char *prefix, const char *name, const char *query)
{
    struct buf out = {0};
    buf_puts(&out, prefix);
    escape_to(&out, name, true);
    if (query) {
        buf_puts(&out, "?");
        buf_puts(&out, query);
    }
    return buf_steal(&out);
}

void consul_base64_encode(const void *data, size_t len, struct buf *out)
{
    const uint8_t *in = data;
    buf_reserve(out, (len + 2) / 3 * 4);
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t group = (uint32_t)in[i] << 16;
        if (n > 1)
            group |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            group |= in[i + 2];
        char digits[4] = {base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                          n > 1 ? base64_digits[group >> 6 & 63] : '=',
                          n > 2 ? base64_digits[group & 63] : '='};
        buf_append(out, digits, sizeof digits);
    }
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Strict (RFC 4648 section 3.5): whole groups, padding only at the end, unused bits zero. */
int consul_base64_decode(const char *text, struct buf *out)
{
    size_t len = strlen(text);
    if (len % 4 != 0)
        return -1;
    size_t before = out->len;
    buf_reserve(out, len / 4 * 3);
    for (size_t i = 0; i < len; i += 4) {
        size_t digits = 4;
        if (i + 4 == len && text[i + 3] == '=')
            digits = text[i + 2] == '=' ? 2 : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k < digits ? digit_value(text[i + k]) : 0;
            if (value < 0)
                goto malformed;
            group = group << 6 | (uint32_t)value;
        }
        if (group & ((UINT32_C(1) << (8 * (4 - digits))) - 1))
            goto malformed;
        uint8_t octets[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
        buf_append(out, octets, digits - 1);
    }
    return 0;

malformed:
    out->len = before;
    return -1;
}
