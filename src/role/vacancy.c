/* Nobody is primary: why. */
#include "internal.h"

#include "lictor/buf.h"
#include "lictor/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY_AFTER (10 * NS_PER_S)
#define SAY_AGAIN (60 * NS_PER_S)

nstime role_vacancy(const struct role *role)
{
    const struct election *e = &role->election;
    nstime now = clock_boot();
    if (role->client == NULL || role->free_since == 0 || !e->seen.free || election_holds(e) ||
        now - e->seen.started > e->config.lease)
        return 0;
    return now - role->free_since;
}

unsigned role_obstacles(const struct role *role)
{
    if (role->client == NULL)
        return 0;
    return (role->candidate ? 0U : (unsigned)ROLE_NO_CANDIDATE) |
           (role->ready ? 0U : (unsigned)ROLE_NOT_READY) |
           (role->election.paused ? (unsigned)ROLE_HELD_BY_PAUSE : 0U) |
           (role->election.session[0] != '\0' ? 0U : (unsigned)ROLE_NO_SESSION);
}

void vacancy_text(const struct role *role, nstime vacancy, char *out, size_t size)
{
    struct buf text = {0};
    char pause[600];
    buf_printf(&text, "no primary for %lld s: ", (long long)(vacancy / NS_PER_S));
    for (size_t i = 0; i < role->member_count; i++) {
        const struct member_value *member = &role->members[i].value;
        bool candidate = strcmp(member->reason, MEMBER_NO_CANDIDATE) != 0;
        buf_printf(&text, "%s%s %s%s", i > 0 ? ", " : "", member->node,
                   member->ready ? "is ready"
                   : candidate   ? "is not ready: "
                                 : "is ",
                   member->ready ? "" : member->reason);
    }
    if (role->member_count == 0)
        buf_puts(&text, "no member has a session");
    if (pause_text(role, pause, sizeof pause)[0] != '\0')
        buf_printf(&text, "; %s", pause);
    snprintf(out, size, "%s", buf_str(&text));
    buf_free(&text);
}

void report_vacancy(struct role *role)
{
    nstime vacancy = role_vacancy(role), now = clock_boot();
    char text[1200];
    if (vacancy == 0)
        role->vacancy_told = 0;
    if (vacancy < SAY_AFTER || (role->vacancy_told != 0 && now - role->vacancy_told < SAY_AGAIN))
        return;
    vacancy_text(role, vacancy, text, sizeof text);
    log_warn("election: %s", text);
    if (role->vacancy_told == 0)
        report_decision(role, "%s", text);
    role->vacancy_told = now;
}
