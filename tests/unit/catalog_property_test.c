/* Whatever happens to the catalog, and in whatever order: the zones are those of a catalog that was given the
 * last of everything at once. From a seed, which a failure prints; LICTOR_SEED runs that one, LICTOR_RUNS
 * another number of them. */
#include "catalog_kit.h"

#include "lictor/rng.h"

#define SERVICES    8
#define DATACENTERS 3
#define STEPS       150
#define POLICIES    4
#define ASKED       5

static const char *const service_names[SERVICES] = {"web",    "a.web", "b.a.web", "_web",
                                                    "web._x", "api",   "x",       "Api.x"};
static const char *const datacenter_names[DATACENTERS] = {NULL, "dc2", "dc3"};

static const char *const asked_names[ASKED] = {
    "t.and.a.web.service.consul", "not.t.web.service.consul", "a.and.not.t.x.service.dc1.consul",
    "x.b.a.and.t.api.service.dc2.consul", "t.and.a.a.web.service.consul"};

/* The last of everything. */
struct world {
    struct rng rng;
    struct config_services config;
    struct config_service policies[POLICIES];
    struct config_ttl_rule rules[2];
    char *bodies[DATACENTERS][SERVICES], *nodes[DATACENTERS], *coordinates;
    bool asked[ASKED]; /* ever */
    struct catalog_ns ns[3];
    size_t ns_count;
};

static const char *pick(struct world *w, const char *const *words, size_t count)
{
    return words[rng_below(&w->rng, (uint32_t)count)];
}
#define PICK(w, ...) \
    pick(w, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool one_in(struct world *w, uint32_t n)
{
    return rng_below(&w->rng, n) == 0;
}

static char *random_body(struct world *w)
{
    struct instance list[6];
    char ids[6][8];
    size_t count = rng_below(&w->rng, 7);
    bool hosts = one_in(w, 4);
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "i%zu", i);
        list[i] = (struct instance){
            .node = PICK(w, "n1", "N1", "n2", "n3", "n.4", "bad node"),
            .address = PICK(w, "10.0.0.1", "10.0.0.2", "2001:db8::1", "node.example", ""),
            .id = ids[i],
            .own =
                hosts ? PICK(w, "h1.example", "H2.example.", "web.service.consul", "api.service.consul")
                      : PICK(w, NULL, NULL, "10.1.0.1", "10.1.0.2", "2001:db8::2", "h1.example", "nonsense!"),
            .port = (int)rng_below(&w->rng, 3) + 80,
            .tags = PICK(w, NULL, "t", "T,a", "b.a,_x", "x.b.a,t,tcp", "udp,_x,x", "a,b,a b"),
            .meta = PICK(w, NULL, NULL, "k=v,lictor-priority=3", "k=w,lictor-ttl=7s", "lictor-ttl=99"),
            .status = PICK(w, NULL, "passing", "warning", "critical", "critical"),
            .weight = (int)rng_below(&w->rng, 4),
        };
    }
    struct buf out = {0};
    write_body(&out, list, count);
    return buf_steal(&out);
}

static char *random_nodes(struct world *w)
{
    static const char *const names[] = {"n1", "n2", "n3", "n.4"};
    struct buf out = {0};
    buf_puts(&out, "[");
    for (size_t i = 0, n = 0; i < 4; i++)
        if (!one_in(w, 3))
            buf_printf(&out, "%s{\"Node\":\"%s\",\"Address\":\"%s\"}", n++ > 0 ? "," : "", names[i],
                       PICK(w, "10.0.0.1", "10.0.0.2", "2001:db8::1", "node.example", ""));
    buf_puts(&out, "]");
    return buf_steal(&out);
}

static char *random_coordinates(struct world *w)
{
    static const char *const names[] = {"n1", "n2", "n3"};
    struct buf out = {0};
    buf_puts(&out, "[");
    for (size_t i = 0; i < 3; i++)
        buf_printf(&out, "%s{\"Node\":\"%s\",\"Coord\":{\"Vec\":[0.0%u],\"Height\":0.001}}", i > 0 ? "," : "",
                   names[i], (unsigned)rng_below(&w->rng, 10));
    buf_puts(&out, "]");
    return buf_steal(&out);
}

static void random_config(struct world *w)
{
    static char patterns[POLICIES][8] = {"web", "a*", "*.x", "*"}, tag[] = "t.web", all[] = "*",
                dc2[] = "dc2", dc3[] = "dc3";
    static char *lists[] = {dc2, dc3, dc2};
    w->config.service_count = 0;
    for (size_t i = 0; i < POLICIES; i++)
        if (!one_in(w, 3)) {
            size_t from = rng_below(&w->rng, 3);
            w->policies[w->config.service_count++] = (struct config_service){
                .pattern = patterns[i],
                .set = rng_below(&w->rng, 256),
                .answers = rng_below(&w->rng, 4),
                .order = (enum config_order)rng_below(&w->rng, 4),
                .last_resort = (enum config_last_resort)rng_below(&w->rng, 3),
                .ttl = rng_below(&w->rng, 5) * NS_PER_S,
                .only_passing = one_in(w, 2),
                .txt = one_in(w, 2),
                .metadata = one_in(w, 2),
                .datacenters = {lists + from, from == 1 ? 2 : 1},
            };
        }
    w->config.service = w->policies;
    w->rules[0] = (struct config_ttl_rule){tag, rng_below(&w->rng, 9) * NS_PER_S};
    w->rules[1] = (struct config_ttl_rule){all, rng_below(&w->rng, 9) * NS_PER_S};
    w->config.service_ttl = w->rules;
    w->config.service_ttl_count = rng_below(&w->rng, 3);
    w->config.only_passing = one_in(w, 3);
    w->config.node_ttl = rng_below(&w->rng, 3) * NS_PER_S;
    w->config.has_alt_domain = !one_in(w, 3);
}

/* --- giving it to a catalog ---------------------------------------------------------------------- */

static void check_err(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

static void give_service(struct catalog *catalog, const struct world *w, size_t dc, size_t i)
{
    struct err err = {""};
    const char *body = w->bodies[dc][i] ? w->bodies[dc][i] : "[]";
    check_err(catalog_put_service(catalog, datacenter_names[dc], service_names[i], body, strlen(body), &err),
              &err);
}

static void give_nodes(struct catalog *catalog, const struct world *w, size_t dc)
{
    struct err err = {""};
    const char *body = w->nodes[dc] ? w->nodes[dc] : "[]";
    check_err(catalog_put_nodes(catalog, datacenter_names[dc], body, strlen(body), &err), &err);
}

static void give_coordinates(struct catalog *catalog, const struct world *w)
{
    struct err err = {""};
    if (w->coordinates)
        check_err(catalog_put_coordinates(catalog, "n1", w->coordinates, strlen(w->coordinates), &err), &err);
}

/* Names come into the zone when they are asked for, once their tags are known. */
static void give_asked(struct catalog *catalog, const struct world *w)
{
    uint8_t name[NAME_MAX_WIRE];
    for (size_t i = 0; i < ASKED; i++)
        if (w->asked[i] && name_from_text(asked_names[i], NULL, name, NULL) > 0)
            catalog_ask_tags(catalog, name);
}

static void replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

/* Changes the world, and tells the catalog. */
static void step(struct world *w, struct catalog *catalog)
{
    size_t dc = rng_below(&w->rng, DATACENTERS), i = rng_below(&w->rng, SERVICES);
    switch (rng_below(&w->rng, 24)) {
    default:
        replace(&w->bodies[dc][i], random_body(w));
        give_service(catalog, w, dc, i);
        break;
    case 0:
    case 1:
        replace(&w->bodies[dc][i], NULL);
        give_service(catalog, w, dc, i);
        break;
    case 2:
        replace(&w->nodes[dc], random_nodes(w));
        give_nodes(catalog, w, dc);
        break;
    case 3:
        replace(&w->coordinates, random_coordinates(w));
        give_coordinates(catalog, w);
        break;
    case 4:
        random_config(w);
        catalog_configure(catalog, &w->config);
        break;
    case 5:
        w->ns_count = rng_below(&w->rng, 3);
        for (size_t k = 0; k < w->ns_count; k++)
            w->ns[k] = (struct catalog_ns){PICK(w, "ns1", "ns2"), PICK(w, "192.0.2.1", "2001:db8::53")};
        catalog_put_ns(catalog, w->ns, w->ns_count);
        break;
    case 6:
        if (dc == 0)
            break;
        catalog_remove_datacenter(catalog, datacenter_names[dc]);
        for (i = 0; i < SERVICES; i++)
            replace(&w->bodies[dc][i], NULL);
        replace(&w->nodes[dc], NULL);
        break;
    case 7:
        catalog_redraw(catalog, &w->rng);
        break;
    case 8:
        w->asked[rng_below(&w->rng, ASKED)] = true;
        give_asked(catalog, w);
        break;
    }
}

/* The numbers of datacenters go by the order in which they come. */
static struct catalog *new_catalog(const struct world *w, struct zone_state *state)
{
    struct catalog *catalog = catalog_new(&w->config, "dc1", state);
    for (size_t dc = 1; dc < DATACENTERS; dc++)
        catalog_add_datacenter(catalog, datacenter_names[dc]);
    return catalog;
}

static struct catalog *build_afresh(struct world *w, struct zone_state *state)
{
    struct catalog *catalog = new_catalog(w, state);
    size_t turn = rng_below(&w->rng, SERVICES);
    catalog_put_ns(catalog, w->ns, w->ns_count);
    for (size_t dc = DATACENTERS; dc-- > 0;) {
        for (size_t i = 0; i < SERVICES; i++)
            give_service(catalog, w, dc, (i + turn) % SERVICES);
        give_nodes(catalog, w, dc);
    }
    give_coordinates(catalog, w);
    return catalog;
}

/* --- comparing ------------------------------------------------------------------------------------ */

struct comparison {
    const struct zone *other;
    size_t rrsets;
    uint64_t seed;
    int step;
    bool count_only;
};

static int compare_rrset(void *arg, const uint8_t *owner, const struct piece *piece)
{
    struct comparison *c = arg;
    char name[NAME_MAX_TEXT], type[16];
    c->rrsets++;
    if (c->count_only || piece_type(piece) == DNS_SOA)
        return 0;
    const struct piece *other = zone_get(c->other, owner, piece_type(piece));
    if (!other || !piece_equal(piece, other) || piece_origin(piece) != piece_origin(other))
        fail_msg("seed %llu, step %d: %s %s: %s", (unsigned long long)c->seed, c->step,
                 name_to_text(owner, name), dns_type_text(piece_type(piece), type),
                 other ? "differs from the one built afresh" : "does not exist in a zone built afresh");
    return 0;
}

static void compare_zones(const struct zone *have, const struct zone *afresh, uint64_t seed, int at)
{
    struct comparison a = {.other = afresh, .seed = seed, .step = at},
                      b = {.other = have, .seed = seed, .step = at};
    struct err err = {""};
    zone_walk(have, compare_rrset, &a);
    zone_walk(afresh, compare_rrset, &b);
    assert_int_equal(a.rrsets, b.rrsets);
    if (zone_check(have, &err) < 0)
        fail_msg("seed %llu, step %d: %s", (unsigned long long)seed, at, err.text);
}

static void compare_versions(struct fixture *f, struct fixture *other, uint64_t seed, int at)
{
    take(f);
    take(other);
    for (size_t i = 0; i < other->count; i++)
        for (size_t k = 0; k < f->count; k++)
            if (name_equal(zone_apex(f->zones[k]), zone_apex(other->zones[i])))
                compare_zones(f->zones[k], other->zones[i], seed, at);
}

static void compare_reports(struct catalog *a, struct catalog *b, uint64_t seed, int at)
{
    for (size_t dc = 0; dc < DATACENTERS; dc++) {
        const char *datacenter = datacenter_names[dc];
        assert_int_equal(catalog_instance_count(a, datacenter), catalog_instance_count(b, datacenter));
        assert_int_equal(catalog_service_count(a, datacenter), catalog_service_count(b, datacenter));
        for (size_t i = 0; i < SERVICES; i++) {
            json_t *x = catalog_services_json(a, datacenter, service_names[i]),
                   *y = catalog_services_json(b, datacenter, service_names[i]);
            if (x && y ? !json_equal(x, y) : x != y)
                fail_msg("seed %llu, step %d: the report on %s differs", (unsigned long long)seed, at,
                         service_names[i]);
            json_decref(x);
            json_decref(y);
        }
    }
}

static void compare_with_afresh(struct fixture *f, struct world *w, uint64_t seed, int at)
{
    struct fixture afresh = {.catalog = build_afresh(w, &f->state)};
    give_asked(f->catalog, w); /* a service that went took them with it */
    give_asked(afresh.catalog, w);
    compare_versions(f, &afresh, seed, at);
    compare_reports(f->catalog, afresh.catalog, seed, at);
    stop(&afresh);
}

/* What is saved and read back is the same view. */
static void compare_with_restored(struct fixture *f, const struct world *w, uint64_t seed, int at)
{
    struct fixture restored = {.catalog = new_catalog(w, &f->state)};
    struct buf saved = {0};
    struct err err = {""};
    nstime as_of;
    for (size_t dc = 1; dc < DATACENTERS; dc++) { /* what was never read is not saved */
        struct zone_state *state = catalog_add_datacenter(f->catalog, datacenter_names[dc]);
        atomic_store(&state->held, false);
    }
    catalog_save(f->catalog, 1, &saved);
    check_err(catalog_restore(restored.catalog, (const char *)saved.data, saved.len, &as_of, &err), &err);
    buf_free(&saved);
    catalog_put_ns(restored.catalog, w->ns, w->ns_count);
    give_coordinates(restored.catalog, w);
    give_asked(restored.catalog, w);
    compare_versions(f, &restored, seed, at);
    compare_reports(f->catalog, restored.catalog, seed, at);
    stop(&restored);
}

static void run(uint64_t seed)
{
    struct fixture f;
    struct world w;
    memset(&w, 0, sizeof(w));
    w.rng = (struct rng){{seed, ~seed}};
    setup_config(&f);
    w.config = f.config;
    w.config.service_ttl_count = 0;
    name_from_text("alt.example", NULL, w.config.alt_domain, NULL);
    f.catalog = new_catalog(&w, &f.state);
    for (int at = 0; at < STEPS; at++) {
        step(&w, f.catalog);
        if (one_in(&w, 10) || at + 1 == STEPS)
            compare_with_afresh(&f, &w, seed, at);
    }
    compare_with_restored(&f, &w, seed, STEPS);
    stop(&f);
    for (size_t dc = 0; dc < DATACENTERS; dc++) {
        for (size_t i = 0; i < SERVICES; i++)
            free(w.bodies[dc][i]);
        free(w.nodes[dc]);
    }
    free(w.coordinates);
}

static void any_way_leads_to_the_same_zones(void **arg)
{
    (void)arg;
    struct rng rng;
    rng_seed(&rng);
    const char *seed = getenv("LICTOR_SEED"), *runs = getenv("LICTOR_RUNS");
    if (seed) {
        run(strtoull(seed, NULL, 10));
        return;
    }
    for (int i = runs ? atoi(runs) : 12; i > 0; i--)
        run(rng_next(&rng));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_way_leads_to_the_same_zones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
