#include "judge.h"

const struct check checks[] = {
    {"consul", judge_consul},
    {"agent", judge_agent},
    {"token", judge_token},
    {"rights", judge_rights},
    {"view", judge_view},
    {"ready", judge_ready},
    {"lease", judge_lease},
    {"members", judge_members},
    {"addresses", judge_addresses},
    {"answers", judge_answers},
    {"name servers", judge_name_servers},
    {"serials", judge_serials},
    {"updates", judge_updates},
    {"state-dir", judge_state_dir},
    {"files", judge_files},
    {"control", judge_control},
    {"user", judge_user},
    {"udp", judge_udp},
    {"clock", judge_clock},
    {"loop", judge_loop},
    {"builder", judge_builder},
};
const size_t check_count = sizeof(checks) / sizeof(*checks);

json_t *judge(const struct facts *facts)
{
    struct findings findings = {.list = json_array()};
    for (size_t i = 0; i < check_count; i++) {
        findings.check = checks[i].name;
        checks[i].judge(facts, &findings);
    }
    return json_pack("{s:i, s:i, s:i, s:o}", "faults", (int)findings.count[LEVEL_FAULT], "warnings",
                     (int)findings.count[LEVEL_WARN], "notes", (int)findings.count[LEVEL_NOTE], "findings",
                     findings.list);
}
