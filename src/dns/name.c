/* Names on the wire and in memory: reading, comparing, ordering. */
#include "lictor/name.h"

#include <string.h>

/* RFC 4343: only the 26 ASCII letters have case. */
static inline uint8_t lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c;
}

int name_from_wire(const uint8_t *msg, size_t msg_len, size_t *pos, uint8_t out[NAME_MAX_WIRE])
{
    size_t at = *pos, len = 0;
    size_t barrier = at; /* a pointer must lead before the run of labels it ends: no loop is possible */
    unsigned jumps = 0;
    for (;;) {
        if (at >= msg_len)
            return -1;
        uint8_t c = msg[at];
        if (c == 0) {
            if (len + 1 > NAME_MAX_WIRE)
                return -1;
            out[len++] = 0;
            if (!jumps)
                *pos = at + 1;
            return (int)len;
        }
        if (c < 64) {
            if (at + 1 + c > msg_len || len + 1 + c + 1 > NAME_MAX_WIRE)
                return -1;
            memcpy(out + len, msg + at, 1 + (size_t)c);
            len += 1 + (size_t)c;
            at += 1 + (size_t)c;
            continue;
        }
        if (c < 192 || at + 2 > msg_len) /* 01 and 10 are not label types in use (RFC 6891 section 5) */
            return -1;
        size_t target = (size_t)(c & 0x3f) << 8 | msg[at + 1];
        /* Who compresses has a label before each pointer. Pointers to pointers without end would cost a
         * thousand times what reading the message does. */
        if (target >= barrier || jumps == NAME_MAX_LABELS)
            return -1;
        if (!jumps++)
            *pos = at + 2;
        at = barrier = target;
    }
}

size_t name_len(const uint8_t *name)
{
    size_t at = 0;
    while (name[at])
        at += 1 + (size_t)name[at];
    return at + 1;
}

unsigned name_labels(const uint8_t *name)
{
    unsigned labels = 0;
    for (; *name; name += 1 + *name)
        labels++;
    return labels;
}

size_t name_lower(const uint8_t *name, uint8_t out[NAME_MAX_WIRE])
{
    /* A length octet is at most 63, below 'A': the whole name can be folded without looking at labels. */
    size_t len = name_len(name);
    for (size_t i = 0; i < len; i++)
        out[i] = lower(name[i]);
    return len;
}

static bool octets_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool name_equal(const uint8_t *a, const uint8_t *b)
{
    size_t len = name_len(a);
    return len == name_len(b) && octets_equal(a, b, len);
}

bool name_is_under(const uint8_t *name, const uint8_t *parent)
{
    unsigned labels = name_labels(name), wanted = name_labels(parent);
    if (labels < wanted)
        return false;
    for (; labels > wanted; labels--)
        name += 1 + *name;
    return name_equal(name, parent);
}

static unsigned label_starts(const uint8_t *name, const uint8_t *starts[NAME_MAX_LABELS])
{
    unsigned labels = 0;
    for (; *name && labels < NAME_MAX_LABELS; name += 1 + *name)
        starts[labels++] = name;
    return labels;
}

int name_compare(const uint8_t *a, const uint8_t *b)
{
    const uint8_t *in_a[NAME_MAX_LABELS], *in_b[NAME_MAX_LABELS];
    unsigned labels_a = label_starts(a, in_a), labels_b = label_starts(b, in_b);
    /* RFC 4034 section 6.1: label by label from the root, each as an octet string in lower case. */
    while (labels_a && labels_b) {
        const uint8_t *x = in_a[--labels_a], *y = in_b[--labels_b];
        unsigned shorter = *x < *y ? *x : *y;
        for (unsigned i = 1; i <= shorter; i++) {
            int difference = lower(x[i]) - lower(y[i]);
            if (difference)
                return difference;
        }
        if (*x != *y)
            return *x - *y;
    }
    return (labels_a > 0) - (labels_b > 0);
}

int name_prepend(const uint8_t *label, size_t label_len, const uint8_t *name, uint8_t out[NAME_MAX_WIRE])
{
    size_t len = name_len(name);
    if (label_len < 1 || label_len > 63 || 1 + label_len + len > NAME_MAX_WIRE)
        return -1;
    out[0] = (uint8_t)label_len;
    memcpy(out + 1, label, label_len);
    memcpy(out + 1 + label_len, name, len);
    return (int)(1 + label_len + len);
}
