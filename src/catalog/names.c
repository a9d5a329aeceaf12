#include "names.h"

#include "lictor/xalloc.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *fold_case(const char *text)
{
    char *folded = xstrdup(text);
    for (char *c = folded; *c; c++)
        *c = lower(*c);
    return folded;
}

/* A space or a control character in a name never matches a question in Consul; outside ASCII there is no
 * agreed form. */
static bool copy_label(const char *text, size_t len, bool fold, uint8_t *out)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
        out[i] = (uint8_t)(fold ? lower(text[i]) : text[i]);
    }
    return true;
}

int name_under(const char *dotted, bool fold, const uint8_t *parent, uint8_t out[NAME_MAX_WIRE])
{
    size_t text_len = strlen(dotted), tail = name_len(parent);
    /* The wire form of the text is one octet longer than the text: a length before each label, no dots. */
    if (text_len == 0 || text_len + 1 + tail > NAME_MAX_WIRE)
        return -1;
    uint8_t *at = out;
    for (const char *label = dotted;;) {
        size_t len = strcspn(label, ".");
        if (len == 0 || len > 63)
            return -1;
        *at++ = (uint8_t)len;
        if (!copy_label(label, len, fold, at))
            return -1;
        at += len;
        if (label[len] == '\0')
            break;
        label += len + 1;
    }
    memcpy(at, parent, tail);
    return (int)((size_t)(at - out) + tail);
}

int name_under_label(const char *prefix, const char *label, bool fold, const uint8_t *parent,
                     uint8_t out[NAME_MAX_WIRE])
{
    char text[64];
    size_t prefix_len = prefix ? strlen(prefix) : 0, len = strlen(label);
    if (len == 0 || prefix_len + len > 63 || memchr(label, '.', len))
        return -1;
    if (prefix_len > 0)
        memcpy(text, prefix, prefix_len);
    memcpy(text + prefix_len, label, len + 1);
    return name_under(text, fold, parent, out);
}

bool is_host_name(const char *text)
{
    size_t total = strlen(text), digits = 0, label = 0;
    if (total > 0 && text[total - 1] == '.')
        total--;
    if (total == 0 || total > NAME_MAX_WIRE - 2)
        return false;
    for (size_t i = 0; i < total; i++) {
        char c = lower(text[i]);
        if (c == '.') {
            if (label == 0)
                return false;
            label = digits = 0;
            continue;
        }
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
            return false;
        digits += digit;
        if (++label > 63)
            return false;
    }
    return label > 0 && digits < label;
}
