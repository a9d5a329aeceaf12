#include "examination.h"
#include "judge.h"

#include "lictor/xalloc.h"

#include <stdlib.h>

struct waiter {
    struct waiter *next;
    doctor_done *done;
    void *arg;
};

struct doctor {
    struct doctor_view view;
    struct examination *examination; /* under way; NULL: none */
    struct waiter *waiters;
};

static void tell(struct doctor *doctor, json_t *result, const char *error)
{
    struct waiter *list = doctor->waiters;
    doctor->waiters = NULL; /* one that asks from within its callback begins anew */
    while (list) {
        struct waiter *waiter = list;
        list = waiter->next;
        waiter->done(waiter->arg, json_incref(result), error);
        free(waiter);
    }
}

static void on_facts(void *arg, struct examination *examination)
{
    struct doctor *doctor = arg;
    json_t *result = judge(examination->facts);
    doctor->examination = NULL;
    examination_end(examination);
    tell(doctor, result, NULL);
    json_decref(result);
}

struct doctor *doctor_new(const struct doctor_view *view)
{
    struct doctor *doctor = xcalloc(1, sizeof(*doctor));
    doctor->view = *view;
    return doctor;
}

void doctor_free(struct doctor *doctor)
{
    if (!doctor)
        return;
    if (doctor->examination)
        examination_end(doctor->examination);
    doctor->examination = NULL;
    tell(doctor, NULL, "lictord is stopping");
    free(doctor);
}

void doctor_examine(struct doctor *doctor, const struct config *config, doctor_done *done, void *arg)
{
    struct waiter *waiter = xcalloc(1, sizeof(*waiter));
    *waiter = (struct waiter){doctor->waiters, done, arg};
    doctor->waiters = waiter;
    if (!doctor->examination)
        doctor->examination = examination_new(&doctor->view, config, on_facts, doctor);
}
