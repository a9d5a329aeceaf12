/* Time. One unit everywhere: nanoseconds in an int64_t.
 *
 * Instants that decide rights (the lease, timeouts, ages) are CLOCK_BOOTTIME: unlike
 * CLOCK_MONOTONIC it goes on while the host is suspended, so a lease cannot survive a suspend.
 * CLOCK_REALTIME is used only for what is saved across boots and for people. */
#pragma once

#include <stdint.h>
#include <sys/time.h>

/* Nanoseconds: an instant on CLOCK_BOOTTIME, or a duration. The name says which. */
typedef int64_t nstime;

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
#define NS_NEVER  INT64_MAX

/* The present instant. Any thread, any process; instants compare across processes of one boot. */
nstime clock_boot(void);

/* Wall clock, ns since 1970. For persistence and display only. Any thread. */
nstime clock_real(void);

/* Writes the kernel's boot ID (36 characters and NUL), or an empty string when it cannot be read. */
void clock_boot_id(char out[37]);

/* What event_add wants: never less than the duration, and 0 for what is over already. */
static inline struct timeval clock_timeval(nstime duration)
{
    nstime us = duration > 0 ? (duration - 1) / NS_PER_US + 1 : 0;
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

/* Writes wall clock time in UTC as RFC 3339 has it, "2026-11-22T01:05:00Z" or "2026-11-22T01:05:00.250Z".
 * Returns out. Any thread. */
#define TIME_TEXT 40
const char *time_format(nstime real, char out[TIME_TEXT]);
const char *time_format_ms(nstime real, char out[TIME_TEXT]);

/* Parses "2s", "500ms", "1h30m", "0", "24h": Go's duration form, which Consul's configuration uses.
 * A bare number other than 0 is an error (Consul refuses it too). Returns 0, or -1 if malformed,
 * negative or beyond 290 years. */
int duration_parse(const char *text, nstime *out);

/* Writes a duration the way duration_parse reads it, rounded to a readable precision ("1.5s").
 * Returns out. */
const char *duration_format(nstime duration, char out[32]);
