#include "metadata.h"

#include <stdbool.h>
#include <string.h>

#define STRING_MAX 255

static void quote_key(const char *key, struct buf *out)
{
    size_t len = strlen(key), first = strspn(key, " "), last = len;
    while (last > first && key[last - 1] == ' ')
        last--;
    for (size_t i = 0; i < len; i++) {
        bool edge = i < first || i >= last;
        if (key[i] == '`' || key[i] == '=' || edge)
            buf_puts(out, "`");
        buf_append(out, key + i, 1);
    }
}

static void quote_value(const char *value, struct buf *out)
{
    for (const char *c = value; *c; c++)
        buf_append(out, *c == '`' ? "``" : c, *c == '`' ? 2 : 1);
}

void metadata_rdata(const char *key, const char *value, struct buf *rdata)
{
    static const char bare[] = "rfc1035-";
    struct buf text = {0};
    if (strncmp(key, bare, sizeof(bare) - 1) == 0) {
        buf_puts(&text, value);
    } else {
        quote_key(key, &text);
        buf_puts(&text, "=");
        quote_value(value, &text);
    }
    const char *all = buf_str(&text);
    size_t at = 0;
    do {
        size_t rest = text.len - at, len = rest > STRING_MAX ? STRING_MAX : rest;
        uint8_t octet = (uint8_t)len;
        buf_append(rdata, &octet, 1);
        buf_append(rdata, all + at, len);
        at += len;
    } while (at < text.len);
    buf_free(&text);
}
