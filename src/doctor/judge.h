/* From facts to findings: pure functions, one a check. */
#pragma once

#include "facts.h"
#include "finding.h"

typedef void judge_fn(const struct facts *facts, struct findings *findings);

judge_fn judge_consul, judge_agent, judge_token, judge_rights,
    judge_view;                                                           /* judge_consul.c, judge_rights.c */
judge_fn judge_ready, judge_lease, judge_members, judge_addresses;        /* judge_election.c */
judge_fn judge_answers, judge_name_servers, judge_serials, judge_updates; /* judge_dns.c */
judge_fn judge_state_dir, judge_files, judge_control, judge_user, judge_udp, judge_clock, judge_loop,
    judge_builder; /* judge_system.c */

/* The table of checks, in the order they are told. */
extern const struct check {
    const char *name;
    judge_fn *judge;
} checks[];
extern const size_t check_count;

/* All checks; a new reference, as doctor_done says. */
json_t *judge(const struct facts *facts);
