#include "zone/zonefile_generate.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MAX 255 /* a name has no more octets */

static bool parse_number(const char **text, uint32_t *out)
{
    if (**text < '0' || **text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long number = strtoul(*text, &end, 10);
    *text = end;
    *out = (uint32_t)number;
    return !errno && number <= INT32_MAX;
}

int range_parse(const char *text, struct range *out, struct err *err)
{
    const char *at = text;
    out->step = 1;
    if (!parse_number(&at, &out->start) || *at++ != '-' || !parse_number(&at, &out->stop) ||
        (*at == '/' && (at++, !parse_number(&at, &out->step))) || *at || !out->step || out->start > out->stop)
        return err_set(
            err, "`%.60s` is no range for $GENERATE; write start-stop or start-stop/step, such as 1-254",
            text);
    if ((out->stop - out->start) / out->step >= GENERATE_MAX)
        return err_set(err, "$GENERATE %.60s makes more than %d records; use several lines", text,
                       GENERATE_MAX);
    return 0;
}

/* Lowest nibble first, a dot before each further one; the width counts the dots. */
static void put_nibbles(uint64_t value, unsigned width, bool upper, struct buf *out)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (;;) {
        buf_append(out, &digits[value & 15], 1);
        value >>= 4;
        width -= width > 0;
        if (!width && !value)
            return;
        buf_append(out, ".", 1);
        width -= width > 0;
        if (!width && !value)
            return;
    }
}

struct modifier {
    int64_t offset;
    uint32_t width;
    char base;
};

/* Reads "{offset[,width[,base]]}"; *at stands on the brace; if all is well it is moved
 * behind the other one. */
static bool parse_modifier(const char **at, struct modifier *out)
{
    const char *c = *at + 1;
    bool negative = *c == '-';
    uint32_t offset;
    if (negative || *c == '+')
        c++;
    if (!parse_number(&c, &offset))
        return false;
    out->offset = negative ? -(int64_t)offset : offset;
    if (*c == ',' && (c++, !parse_number(&c, &out->width) || out->width > WIDTH_MAX))
        return false;
    if (*c == ',') {
        out->base = c[1];
        if (!c[1] || !strchr("doxXnN", c[1]))
            return false;
        c += 2;
    }
    if (*c != '}')
        return false;
    *at = c + 1;
    return true;
}

static int put_number(const char **at, uint32_t number, struct buf *out, struct err *err)
{
    struct modifier modifier = {.base = 'd'};
    if (**at == '{' && !parse_modifier(at, &modifier))
        return err_set(err,
                       "`$%.40s` is no modifier of $GENERATE; write ${offset}, ${offset,width} or "
                       "${offset,width,base} with base d, o, x, X, n or N",
                       *at);
    int64_t value = (int64_t)number + modifier.offset;
    if (value < 0)
        return err_set(err, "the offset of $GENERATE makes %u negative; begin the range at %lld", number,
                       (long long)-modifier.offset);
    int width = (int)modifier.width;
    switch (modifier.base) {
    case 'd':
        buf_printf(out, "%0*lld", width, (long long)value);
        break;
    case 'o':
        buf_printf(out, "%0*llo", width, (unsigned long long)value);
        break;
    case 'x':
        buf_printf(out, "%0*llx", width, (unsigned long long)value);
        break;
    case 'X':
        buf_printf(out, "%0*llX", width, (unsigned long long)value);
        break;
    default:
        put_nibbles((uint64_t)value, modifier.width, modifier.base == 'N', out);
    }
    return 0;
}

int generate_expand(const char *template, uint32_t number, struct buf *out, struct err *err)
{
    for (const char *at = template; *at;) {
        if (*at == '$' && at[1] == '$') {
            buf_puts(out, "$");
            at += 2;
        } else if (*at == '$') {
            at++;
            if (put_number(&at, number, out, err))
                return -1;
        } else {
            size_t len = *at == '\\' && at[1] ? 2 : 1;
            buf_append(out, at, len);
            at += len;
        }
    }
    buf_str(out);
    return 0;
}
