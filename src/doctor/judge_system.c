/* The host and the process. */
#include "judge.h"

#include <inttypes.h>
#include <string.h>

#define FREE_LEAST    (UINT64_C(64) << 20) /* a view of some thousand services and its zones, twice */
#define FILES_LEAST   1024
#define TURN_LIMIT    (20 * NS_PER_MS)
#define BUILDER_SLOW  (2 * NS_PER_S)
#define BUILDER_STUCK (30 * NS_PER_S)

void judge_state_dir(const struct facts *facts, struct findings *f)
{
    if (!facts->state_writable)
        finding_add(f, LEVEL_FAULT,
                    "Epochs and the view cannot be saved: a restart during an outage has nothing to answer "
                    "from.",
                    "Give the folder to the daemon's `user`, and mount it writable.",
                    "%s cannot be written: %s", facts->state_dir, strerror(facts->state_errno));
    else if (facts->state_free < FREE_LEAST)
        finding_add(f, LEVEL_WARN, "On a full disk epochs and the view are not saved.",
                    "Make room; 64 MiB are enough.", "%s: %" PRIu64 " MiB are free", facts->state_dir,
                    facts->state_free >> 20);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "%s can be written, %" PRIu64 " MiB free", facts->state_dir,
                    facts->state_free >> 20);
}

void judge_files(const struct facts *facts, struct findings *f)
{
    static const char remedy[] = "Raise the limit: LimitNOFILE= of the unit, or ulimit -n.";
    if (facts->files_open * 5 > facts->files_limit * 4)
        finding_add(f, LEVEL_WARN, "Without free descriptors TCP clients and Consul are turned away.", remedy,
                    "%" PRIu64 " of %" PRIu64 " file descriptors are open", facts->files_open,
                    facts->files_limit);
    else if (facts->files_limit < FILES_LEAST)
        finding_add(f, LEVEL_WARN, "Many TCP clients at once will be turned away.", remedy,
                    "only %" PRIu64 " file descriptors are allowed", facts->files_limit);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "%" PRIu64 " of %" PRIu64 " file descriptors are open",
                    facts->files_open, facts->files_limit);
}

void judge_control(const struct facts *facts, struct findings *f)
{
    if (!facts->control_mode)
        finding_add(f, LEVEL_WARN, "The next `lictor` will not find this instance.",
                    "Somebody removed the file, or took its place: restart lictord.", "%s is gone",
                    facts->control);
    else if (facts->control_mode & 0002)
        finding_add(f, LEVEL_WARN, "Everybody on this host may take the role away.",
                    "chmod o-w the socket; its group is who may.", "%s: everybody may write (%o)",
                    facts->control, facts->control_mode);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "%s has permissions %04o", facts->control, facts->control_mode);
}

void judge_user(const struct facts *facts, struct findings *f)
{
    if (facts->root)
        finding_add(f, LEVEL_WARN, "A fault in what answers the network would be a fault with root's rights.",
                    "Create the user `lictor`, or set `user`.", "the daemon runs as root");
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "the daemon does not run as root");
}

void judge_udp(const struct facts *facts, struct findings *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < facts->drops_count; i++) {
        sum += facts->drops[i].drops;
        if (facts->drops[i].drops)
            finding_add(f, LEVEL_WARN, "Clients waited for an answer that never came, and asked again.",
                        "More `workers`, or larger buffers (sysctl net.core.rmem_default).",
                        "%s: the kernel dropped %" PRIu64 " queries since the start, its buffer was full",
                        facts->drops[i].listen, facts->drops[i].drops);
    }
    if (!sum && facts->drops_count)
        finding_add(f, LEVEL_OK, NULL, NULL, "the kernel dropped no query");
}

void judge_clock(const struct facts *facts, struct findings *f)
{
    if (facts->clock_synchronised)
        finding_add(f, LEVEL_OK, NULL, NULL, "synchronised");
    else
        finding_add(f, LEVEL_NOTE,
                    "The lease does not depend on it, but certificates, logs and the age of saved data do.",
                    "Run chrony, ntpd or systemd-timesyncd (in a container: on its host).",
                    "the kernel says that the clock is not synchronised");
}

void judge_loop(const struct facts *facts, struct findings *f)
{
    char longest[32];
    duration_format(facts->longest_turn, longest);
    if (facts->longest_turn > TURN_LIMIT)
        finding_add(f, LEVEL_WARN, "Meanwhile nothing confirms the lease and beats the check.",
                    "Report it, with the log around it: no turn should take more than 20ms.",
                    "one turn of the main loop took %s", longest);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "the longest turn of the main loop took %s", longest);
}

void judge_builder(const struct facts *facts, struct findings *f)
{
    char busy[32];
    duration_format(facts->builder_busy, busy);
    if (facts->builder_busy > BUILDER_STUCK)
        finding_add(f, LEVEL_FAULT, "Nothing new is served, and the instance is not ready.",
                    "Report it, with a core of the process; restarting lictord ends it.",
                    "the builder has been at one job for %s, %u wait", busy, facts->builder_queued);
    else if (facts->builder_busy > BUILDER_SLOW)
        finding_add(f, LEVEL_NOTE, "Changes show that much later.", NULL,
                    "the builder has been at one job for %s, %u wait", busy, facts->builder_queued);
    else
        finding_add(f, LEVEL_OK, NULL, NULL, "the builder keeps up");
}
