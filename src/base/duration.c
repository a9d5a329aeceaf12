/* Times and durations as people write them. Apart from the clocks, which the simulations put their own in
 * place of. */
#include "lictor/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *text; /* a longer unit before the one it begins with */
    nstime ns;
} units[] = {
    {"ms", NS_PER_MS}, {"us", NS_PER_US},    {"ns", 1},
    {"s", NS_PER_S},   {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

/* A decimal number with at most 9 digits of fraction: digits * scale is the number. */
static int parse_number(const char **text, nstime *whole, nstime *fraction)
{
    const char *p = *text;
    nstime scale = NS_PER_S / 10;
    *whole = *fraction = 0;
    if (!isdigit((unsigned char)*p))
        return -1;
    for (; isdigit((unsigned char)*p); p++)
        if (__builtin_mul_overflow(*whole, 10, whole) || __builtin_add_overflow(*whole, *p - '0', whole))
            return -1;
    if (*p == '.') {
        p++;
        if (!isdigit((unsigned char)*p))
            return -1;
        for (; isdigit((unsigned char)*p); p++, scale /= 10)
            *fraction += (*p - '0') * scale;
    }
    *text = p;
    return 0;
}

int duration_parse(const char *text, nstime *out)
{
    nstime total = 0;
    if (!strcmp(text, "0")) {
        *out = 0;
        return 0;
    }
    do {
        nstime whole, fraction, part;
        size_t i;
        if (parse_number(&text, &whole, &fraction))
            return -1;
        for (i = 0; i < sizeof units / sizeof *units; i++)
            if (!strncmp(text, units[i].text, strlen(units[i].text)))
                break;
        if (i == sizeof units / sizeof *units)
            return -1;
        text += strlen(units[i].text);
        /* fraction counts 1e-9 of the unit; the unit is at most 3.6e12 ns: divide first to stay in range. */
        nstime extra = (nstime)((__int128)fraction * units[i].ns / NS_PER_S);
        if (__builtin_mul_overflow(whole, units[i].ns, &part) || __builtin_add_overflow(part, extra, &part) ||
            __builtin_add_overflow(total, part, &total))
            return -1;
    } while (*text);
    *out = total;
    return 0;
}

const char *duration_format(nstime duration, char out[32])
{
    if (duration == NS_NEVER)
        snprintf(out, 32, "for ever");
    else if (duration < 0)
        snprintf(out, 32, "-%.3fs", -(double)duration / 1e9);
    else if (duration == 0)
        snprintf(out, 32, "0s");
    else if (duration < NS_PER_MS)
        snprintf(out, 32, "%" PRId64 "us", duration / NS_PER_US);
    else if (duration < NS_PER_S)
        snprintf(out, 32, "%" PRId64 "ms", duration / NS_PER_MS);
    else if (duration < 60 * NS_PER_S)
        snprintf(out, 32, "%.3gs", (double)duration / 1e9);
    else if (duration < 3600 * NS_PER_S)
        snprintf(out, 32, "%" PRId64 "m%" PRId64 "s", duration / (60 * NS_PER_S), duration / NS_PER_S % 60);
    else
        snprintf(out, 32, "%" PRId64 "h%" PRId64 "m", duration / (3600 * NS_PER_S),
                 duration / (60 * NS_PER_S) % 60);
    return out;
}

static size_t put_seconds(nstime real, char out[TIME_TEXT])
{
    time_t seconds = (time_t)(real / NS_PER_S);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
}

const char *time_format(nstime real, char out[TIME_TEXT])
{
    size_t len = put_seconds(real, out);
    snprintf(out + len, TIME_TEXT - len, "Z");
    return out;
}

const char *time_format_ms(nstime real, char out[TIME_TEXT])
{
    size_t len = put_seconds(real, out);
    snprintf(out + len, TIME_TEXT - len, ".%03dZ", (int)(real % NS_PER_S / NS_PER_MS));
    return out;
}
