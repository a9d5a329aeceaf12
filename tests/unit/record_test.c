/* The state machine of a health-driven record: a table of stories, and random ones held against a model. */
#include "lictor/record.h"
#include "lictor/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S     NS_PER_S
#define START (1000 * S)

/* --- stories ------------------------------------------------------------------------------------- */

/* One step: how candidates look at a time, and what is then answered.
 * Views, one a candidate, separated by spaces: a letter an endpoint, upper case: healthy; "-": none
 * registered; "?": not live; "=": a fixed address.
 * Answer: the endpoints' letters, prefixed by the candidate's number ("0:Ab" means a and b of candidate 0;
 * case does not matter); "down:..." for when-all-down; "committed", "nodata", "servfail". */
struct step {
    double at;
    const char *views, *answer;
    unsigned ttl;
    double next; /* when to look again; 0: never */
    enum record_force force;
};

struct story {
    const char *name;
    unsigned candidates, min_healthy;
    double rise, fall;
    enum config_all_down all_down;
    struct step steps[10];
};

#define NONE RECORD_FORCE_NONE
#define UP   RECORD_FORCE_UP
#define DOWN RECORD_FORCE_DOWN

static const struct story stories[] = {
    {"health is followed",
     1,
     1,
     0,
     0,
     ALL_DOWN_ALL,
     {{0, "ABc", "0:ab", 5, 0, NONE},
      {1, "aBC", "0:bc", 5, 0, NONE},
      {2, "ABCD", "0:abcd", 5, 0, NONE},
      {3, "A", "0:a", 5, 0, NONE}}},
    {"nothing is decided before the view is live",
     2,
     1,
     0,
     0,
     ALL_DOWN_NONE,
     {{0, "? B", "committed", 5, 0, NONE},
      {1, "a B", "1:b", 5, 0, NONE},
      {2, "A ?", "0:a", 5, 0, NONE},
      {3, "a ?", "committed", 5, 0, NONE}}},
    {"the first good candidate answers",
     3,
     1,
     0,
     0,
     ALL_DOWN_ALL,
     {{0, "A B =", "0:a", 5, 0, NONE},
      {1, "a B =", "1:b", 5, 0, NONE},
      {2, "a b =", "2:z", 5, 0, NONE},
      {3, "- B =", "1:b", 5, 0, NONE},
      {4, "A b =", "0:a", 5, 0, NONE}}},
    {"the first one needs min-healthy, a fallback one",
     2,
     2,
     0,
     0,
     ALL_DOWN_ALL,
     {{0, "AB CD", "0:ab", 5, 0, NONE},
      {1, "Ab CD", "1:cd", 5, 0, NONE},
      {2, "Ab Cd", "1:c", 5, 0, NONE},
      {3, "Ab cd", "down:ab", 5, 0, NONE}}},
    {"all: whatever is registered first",
     2,
     1,
     0,
     0,
     ALL_DOWN_ALL,
     {{0, "ab c", "down:ab", 5, 0, NONE},
      {1, "- cd", "down:cd", 5, 0, NONE},
      {2, "- -", "committed", 5, 0, NONE},
      {3, "Ab -", "0:a", 5, 0, NONE},
      {4, "- -", "last:a", 5, 0, NONE}}},
    {"last: what was healthy last",
     1,
     1,
     0,
     0,
     ALL_DOWN_LAST,
     {{0, "ab", "committed", 5, 0, NONE},
      {1, "ABc", "0:ab", 5, 0, NONE},
      {2, "aBc", "0:b", 5, 0, NONE},
      {3, "abc", "last:b", 5, 0, NONE},
      {4, "-", "last:b", 5, 0, NONE},
      {5, "abC", "0:c", 5, 0, NONE}}},
    {"none, servfail, addresses",
     1,
     1,
     0,
     0,
     ALL_DOWN_NONE,
     {{0, "A", "0:a", 5, 0, NONE}, {1, "a", "nodata", 5, 0, NONE}}},
    {"servfail",
     1,
     1,
     0,
     0,
     ALL_DOWN_SERVFAIL,
     {{0, "A", "0:a", 5, 0, NONE}, {1, "a", "servfail", 5, 0, NONE}, {2, "A", "0:a", 5, 0, NONE}}},
    {"addresses",
     1,
     1,
     0,
     0,
     ALL_DOWN_ADDRESS,
     {{0, "A", "0:a", 5, 0, NONE}, {1, "a", "down:y", 5, 0, NONE}}},
    {"how it is at first counts at once", 1, 1, 10, 10, ALL_DOWN_ALL, {{0, "Ab", "0:a", 5, 0, NONE}}},
    {"rise: the TTL counts down to it",
     1,
     1,
     10,
     0,
     ALL_DOWN_ALL,
     {{0, "Ab", "0:a", 5, 0, NONE},
      {1, "AB", "0:a", 5, 6, NONE},
      {6, "AB", "0:a", 5, 7, NONE},
      {7.5, "AB", "0:a", 3, 8, NONE},
      {10.5, "AB", "0:a", 0, 11, NONE},
      {11, "AB", "0:ab", 5, 0, NONE},
      {12, "aB", "0:b", 5, 0, NONE}}},
    {"rise: a relapse begins anew",
     1,
     1,
     10,
     0,
     ALL_DOWN_ALL,
     {{0, "Ab", "0:a", 5, 0, NONE},
      {1, "AB", "0:a", 5, 6, NONE},
      {9, "Ab", "0:a", 5, 0, NONE},
      {10, "AB", "0:a", 5, 15, NONE},
      {12, "AB", "0:a", 5, 15, NONE},
      {19, "AB", "0:a", 1, 20, NONE},
      {20, "AB", "0:ab", 5, 0, NONE}}},
    {"fall",
     2,
     1,
     0,
     4,
     ALL_DOWN_ALL,
     {{0, "A B", "0:a", 5, 0, NONE},
      {1, "a B", "0:a", 4, 2, NONE},
      {2.25, "a B", "0:a", 2, 3, NONE},
      {5, "a B", "1:b", 5, 0, NONE},
      {6, "A B", "0:a", 5, 0, NONE}}},
    {"a new one has to rise, one that is gone is gone",
     1,
     1,
     10,
     10,
     ALL_DOWN_ALL,
     {{0, "A", "0:a", 5, 0, NONE},
      {1, "AB", "0:a", 5, 6, NONE},
      {2, "-", "last:a", 5, 0, NONE},
      {3, "B", "down:b", 5, 8, NONE},
      {13, "B", "0:b", 5, 0, NONE}}},
    {"what follows the answering candidate does not limit the TTL",
     2,
     1,
     10,
     0,
     ALL_DOWN_ALL,
     {{0, "A b", "0:a", 5, 0, NONE},
      {1, "A B", "0:a", 5, 0, NONE},
      {2, "a B", "down:a", 5, 6, NONE},
      {11, "a B", "1:b", 5, 0, NONE}}},
    {"fixed addresses neither rise nor fall",
     2,
     1,
     60,
     60,
     ALL_DOWN_ALL,
     {{0, "a =", "1:z", 5, 0, NONE}, {1, "- =", "1:z", 5, 0, NONE}}},
    {"a view that was lost begins anew",
     1,
     1,
     60,
     60,
     ALL_DOWN_ALL,
     {{0, "A", "0:a", 5, 0, NONE},
      {1, "?", "committed", 5, 0, NONE},
      {2, "a", "down:a", 5, 0, NONE},
      {3, "?", "committed", 5, 0, NONE},
      {4, "A", "0:a", 5, 0, NONE}}},
    {"forced down, and back",
     2,
     1,
     0,
     0,
     ALL_DOWN_ALL,
     {{0, "A B", "0:a", 5, 0, NONE}, {1, "A B", "down:a", 5, 0, DOWN}, {2, "A B", "0:a", 5, 0, NONE}}},
    {"forced down does not move what was healthy last",
     1,
     1,
     0,
     0,
     ALL_DOWN_LAST,
     {{0, "AB", "0:ab", 5, 0, NONE},
      {1, "ab", "0:ab", 5, 0, UP},
      {2, "aB", "last:ab", 5, 0, DOWN},
      {3, "aB", "0:b", 5, 0, NONE}}},
    {"forced down needs no view",
     1,
     1,
     0,
     0,
     ALL_DOWN_ADDRESS,
     {{0, "?", "down:y", 5, 0, DOWN}, {1, "?", "committed", 5, 0, NONE}}},
    {"forced up: as if all were healthy",
     2,
     2,
     0,
     0,
     ALL_DOWN_NONE,
     {{0, "ab B", "1:b", 5, 0, NONE},
      {1, "ab B", "0:ab", 5, 0, UP},
      {2, "- B", "1:b", 5, 0, UP},
      {3, "? B", "committed", 5, 0, UP}}},
};

static struct record_endpoint endpoint(char letter)
{
    struct record_endpoint out = {.id = (uint64_t)(letter | 0x20), .healthy = !(letter & 0x20)};
    out.target.has_ipv4 = true;
    out.target.ipv4[3] = (uint8_t)(letter | 0x20);
    return out;
}

struct scene {
    struct record_view views[4];
    struct record_endpoint items[4][16];
};

static void read_views(const char *text, struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    for (size_t i = 0; *text; i++) {
        struct record_view *view = &scene->views[i];
        view->items = scene->items[i];
        view->live = *text != '?';
        for (; *text && *text != ' '; text++) {
            if (*text == '=') {
                view->fixed = true;
                scene->items[i][view->count++] = endpoint('Z');
            } else if (*text != '?' && *text != '-') {
                scene->items[i][view->count++] = endpoint(*text);
            }
        }
        text += *text == ' ';
    }
}

static const char *describe(const struct record_outcome *outcome, char out[64])
{
    static const char *const plain[] = {"committed", "", "nodata", "servfail"};
    if (outcome->answer != RECORD_TARGETS)
        return plain[outcome->answer];
    int len;
    if (outcome->state == RECORD_ALL_DOWN)
        len = sprintf(out, "down:");
    else
        len = sprintf(out, "%d:", outcome->candidate);
    for (size_t i = 0; i < outcome->count; i++)
        out[len++] = (char)outcome->targets[i].ipv4[3];
    out[len] = '\0';
    return out;
}

static struct config_record config_of(const struct story *story, struct config_candidate candidates[4],
                                      struct config_address *down)
{
    static char names[4][2] = {"0", "1", "2", "3"};
    for (size_t i = 0; i < 4; i++)
        candidates[i] = (struct config_candidate){.text = names[i]};
    *down = (struct config_address){.ip = {0, 0, 0, 'y'}};
    return (struct config_record){.candidates = candidates,
                                  .candidate_count = story->candidates,
                                  .min_healthy = story->min_healthy,
                                  .all_down = story->all_down,
                                  .down = down,
                                  .down_count = 1,
                                  .ttl = 5 * S,
                                  .rise = (nstime)(story->rise * (double)S),
                                  .fall = (nstime)(story->fall * (double)S)};
}

static void tell(const struct story *story)
{
    struct config_candidate candidates[4];
    struct config_address down;
    struct config_record config = config_of(story, candidates, &down);
    struct record_machine *machine = record_machine_new(&config);
    for (size_t i = 0; i < sizeof(story->steps) / sizeof(story->steps[0]) && story->steps[i].views; i++) {
        const struct step *step = &story->steps[i];
        struct scene scene;
        struct record_outcome outcome;
        char text[64];
        read_views(step->views, &scene);
        record_machine_look(machine, scene.views, START + (nstime)(step->at * (double)S), step->force,
                            &outcome);
        const char *got = describe(&outcome, text), *want = step->answer;
        /* "last" is a way of being all down: the answer comes from no view */
        if (!strncmp(want, "last:", 5) && !strncmp(got, "down:", 5)) {
            assert_int_equal(outcome.candidate, -1);
            want += 5;
            got += 5;
        }
        if (strcmp(got, want))
            fail_msg("%s: at %g %s: answers %s, not %s", story->name, step->at, step->views, got, want);
        if (outcome.ttl != step->ttl)
            fail_msg("%s: at %g: TTL %u, not %u", story->name, step->at, outcome.ttl, step->ttl);
        nstime next = step->next > 0 ? START + (nstime)(step->next * (double)S) : NS_NEVER;
        if (outcome.next != next)
            fail_msg("%s: at %g: looks again at %g, not %g", story->name, step->at,
                     (double)(outcome.next - START) / (double)S, step->next);
        assert_int_equal(outcome.forced, step->force != RECORD_FORCE_NONE);
    }
    record_machine_free(machine);
}

static void stories_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        tell(&stories[i]);
}

/* --- random views against a plain model -------------------------------------------------------------- */

/* Each endpoint by itself, with its whole past: it is as it was seen through the last `rise` or `fall`. */
struct past {
    bool known, up, turning;
    nstime since;
};

static void model_step(struct past *past, bool first, bool there, bool healthy, nstime now, nstime rise,
                       nstime fall)
{
    if (!there) {
        *past = (struct past){0};
        return;
    }
    if (!past->known)
        *past = (struct past){.known = true, .up = first && healthy};
    if (past->up == healthy)
        past->turning = false;
    else if (!past->turning)
        past->turning = true, past->since = now;
    if (past->turning && now - past->since >= (past->up ? fall : rise))
        past->up = healthy, past->turning = false;
}

#define CANDIDATES 3
#define ENDPOINTS  5

static void random_views(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng);
    const char *given = getenv("LICTOR_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : rng_next(&rng);
    print_message("LICTOR_TEST_SEED=%llu\n", (unsigned long long)seed);
    rng = (struct rng){{seed, ~seed}};
    for (int round = 0; round < 300; round++) {
        struct story story = {
            "random",           CANDIDATES,    1 + rng_below(&rng, 3),       rng_below(&rng, 4),
            rng_below(&rng, 4), ALL_DOWN_NONE, {{0, NULL, NULL, 0, 0, NONE}}};
        struct config_candidate candidates[4];
        struct config_address down;
        struct config_record config = config_of(&story, candidates, &down);
        struct record_machine *machine = record_machine_new(&config);
        struct past past[CANDIDATES][ENDPOINTS] = {{{0}}};
        nstime now = START;
        for (int i = 0; i < 200; i++, now += (1 + rng_below(&rng, 6)) * (S / 4)) {
            struct scene scene;
            struct record_outcome outcome;
            int want = -1;
            unsigned want_count = 0;
            memset(&scene, 0, sizeof(scene));
            for (int c = 0; c < CANDIDATES; c++) {
                unsigned up = 0;
                scene.views[c] = (struct record_view){.live = true, .items = scene.items[c]};
                for (int e = 0; e < ENDPOINTS; e++) {
                    bool there = rng_below(&rng, 10) > 0, healthy = rng_below(&rng, 3) > 0;
                    if (there) {
                        scene.items[c][scene.views[c].count] = endpoint((char)((healthy ? 'A' : 'a') + e));
                        scene.items[c][scene.views[c].count++].target.port = (uint16_t)c;
                    }
                    model_step(&past[c][e], i == 0, there, healthy, now, config.rise, config.fall);
                    up += past[c][e].up;
                }
                if (want < 0 && up >= (c ? 1 : story.min_healthy))
                    want = c, want_count = up;
            }
            record_machine_look(machine, scene.views, now, RECORD_FORCE_NONE, &outcome);
            assert_int_equal(outcome.candidate, want);
            assert_int_equal(outcome.count, want_count);
            for (size_t t = 0; t < outcome.count; t++) {
                assert_int_equal(outcome.targets[t].port, want);
                assert_true(past[want][outcome.targets[t].ipv4[3] - 'a'].up);
            }
            /* No cache holds it past the next turn of what it may depend on. */
            for (int c = 0; c <= (want < 0 ? CANDIDATES - 1 : want); c++)
                for (int e = 0; e < ENDPOINTS; e++)
                    if (past[c][e].turning) {
                        nstime turns = past[c][e].since + (past[c][e].up ? config.fall : config.rise);
                        assert_true(now + outcome.ttl * S <= turns);
                        assert_true(outcome.next <= turns && outcome.next > now);
                    }
        }
        record_machine_free(machine);
    }
}

static void a_reload_keeps_what_was_learnt(void **state)
{
    (void)state;
    struct story story = {"", 1, 1, 10, 0, ALL_DOWN_LAST, {{0, NULL, NULL, 0, 0, NONE}}};
    struct config_candidate candidates[4];
    struct config_address down;
    struct config_record config = config_of(&story, candidates, &down), other = config;
    struct record_machine *machine = record_machine_new(&config);
    struct record_outcome outcome;
    struct scene scene;
    char text[64];
    read_views("Ab", &scene);
    record_machine_look(machine, scene.views, START, RECORD_FORCE_NONE, &outcome);
    /* Another candidate comes before it: the one that was there is found by its name. */
    struct config_candidate swapped[2] = {candidates[1], candidates[0]};
    other.candidates = swapped;
    other.candidate_count = 2;
    record_machine_configure(machine, &other);
    read_views("c AB", &scene);
    record_machine_look(machine, scene.views, START + S, RECORD_FORCE_NONE, &outcome);
    assert_string_equal(describe(&outcome, text), "1:a"); /* b still rises */
    assert_int_equal(record_machine_count(machine, 1).healthy, 1);
    assert_int_equal(record_machine_count(machine, 1).total, 2);
    record_machine_free(machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_come_out),
        cmocka_unit_test(random_views),
        cmocka_unit_test(a_reload_keeps_what_was_learnt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
