#include "lictor/utf8.h"

#include <stddef.h>
#include <stdint.h>

/* The length of the well-formed sequence that begins here, 0 if there is none (RFC 3629 section 4). */
static size_t sequence(const uint8_t *at)
{
    uint8_t first = at[0], low = 0x80, high = 0xbf;
    size_t len = first < 0x80   ? 1
                 : first < 0xc2 ? 0
                 : first < 0xe0 ? 2
                 : first < 0xf0 ? 3
                 : first < 0xf5 ? 4
                                : 0;
    if (first == 0xe0)
        low = 0xa0; /* else overlong */
    else if (first == 0xed)
        high = 0x9f; /* else a surrogate */
    else if (first == 0xf0)
        low = 0x90;
    else if (first == 0xf4)
        high = 0x8f; /* else above U+10FFFF */
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf)
        if (at[i] < low || at[i] > high) /* the NUL at the end, too */
            return 0;
    return len;
}

char *utf8_clean(char *text)
{
    for (uint8_t *at = (uint8_t *)text; *at;) {
        size_t len = sequence(at);
        if (!len)
            *at = '?';
        at += len ? len : 1;
    }
    return text;
}
