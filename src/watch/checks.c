/* The checks that are critical or warning. One that enters such a list is applied at once, from the list
 * itself, whatever service it belongs to. One that left may be passing, in the other list, or gone: only a
 * read of its service, or of its node's checks, brings anything back. Builder. */
#include "sentinel.h"

#include <stdlib.h>

/* Subjects go by the folded name; a check has it as registered. */
static void touch(struct list_job *job, const struct catalog_check *check)
{
    char *folded = list_fold(check->service);
    names_add(&job->touched, folded);
    free(folded);
}

/* New in the list, or there with another output. */
static void entered(void *arg, const struct catalog_check *check)
{
    struct list_job *job = arg;
    int changed = catalog_put_check(job->watch->config.catalog, job->watch->config.datacenter, check);
    if (changed > 0)
        judge_flush(job->watch);
    /* Its instance is not known yet, or Consul does not say when it changed: the list keeps it until the
     * registration is read. */
    if (check->service_id[0] && (changed < 0 || check->modified == 0))
        touch(job, check);
}

static void left(void *arg, const struct catalog_check *check)
{
    struct list_job *job = arg;
    if (!catalog_is_behind(job->watch->config.catalog, job->watch->config.datacenter, check))
        return;
    if (check->service_id[0])
        touch(job, check);
    else
        names_add(&job->nodes, check->node);
}

void checks_run(struct list_job *job)
{
    struct check_list **last = &job->watch->checks[job->which];
    struct check_list *now = checks_list_parse(*last, (const char *)job->body.data, job->body.len, &job->err);
    if (!now) {
        job->faulty = true;
        return;
    }
    checks_list_diff(*last, now, entered, left, job);
    checks_list_free(*last);
    *last = now;
}

/* --- a body of health/service/X ------------------------------------------------------------------ */

struct merging {
    struct watch *watch;
    struct catalog_update *update;
};

static void merge(void *arg, const struct catalog_check *check)
{
    catalog_update_check(((struct merging *)arg)->update, check);
}

static void merge_node(void *arg, const char *node)
{
    struct merging *merging = arg;
    checks_list_of_node(merging->watch->checks[SENTINEL_CRITICAL], node, merge, merging);
    checks_list_of_node(merging->watch->checks[SENTINEL_WARNING], node, merge, merging);
}

void checks_merge(struct watch *watch, const char *service, struct catalog_update *update)
{
    struct merging merging = {watch, update};
    checks_list_of_service(watch->checks[SENTINEL_CRITICAL], service, merge, &merging);
    checks_list_of_service(watch->checks[SENTINEL_WARNING], service, merge, &merging);
    catalog_update_nodes(update, merge_node, &merging);
}
