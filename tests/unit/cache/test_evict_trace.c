/*
 * test_evict_trace.c - two simulated request streams through the index, against the figures that
 * the policy was chosen by (eviction.md, 5.1).
 *
 * The streams are those of the simulator, number by number: its generator, its draws, its order.
 */
#include "breakwater/cache/evict.h"

#include "unit.h"

#include <math.h>
#include <stdlib.h>

enum { OBJECTS = 100000, REQUESTS = 2000000, ALL_OBJECTS = 4000000 };

struct stream {
    uint64_t *size;
    uint32_t *request;
    uint64_t footprint; /* bytes of everything that is asked for */
};

enum kind { PLAIN, SCAN, DRIFT, FLOOD };

struct result {
    double requests, bytes; /* share of hits, per cent */
    double second_quarter;  /* of the catalogue's requests in the second quarter */
    uint64_t evictions, visits;
};

static uint64_t rnd_state[2];

static void seed(uint64_t s)
{
    rnd_state[0] = s * UINT64_C(0x9E3779B97F4A7C15) + 1;
    rnd_state[1] = s ^ UINT64_C(0xD1B54A32D192ED03);
}

static uint64_t rnd(void)
{
    uint64_t a = rnd_state[0], b = rnd_state[1];

    rnd_state[0] = b;
    a ^= a << 23;
    rnd_state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return rnd_state[1] + b;
}

static double uniform(void)
{
    return (double)(rnd() >> 11) / 9007199254740992.0;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(((rnd() >> 32) * n) >> 32);
}

static double normal(void)
{
    double radius = sqrt(-2 * log(uniform() + 1e-300));

    return radius * cos(6.283185307179586 * uniform());
}

static uint64_t draw_size(void)
{
    double s = uniform() < 0.9 ? exp(9.5 + 1.6 * normal()) : 30000 * pow(uniform() + 1e-9, -0.9);

    return (uint64_t)fmax(100, fmin(s, 1073741824.0));
}

/* Cumulated weights of Zipf 0.9. */
static double *make_zipf(void)
{
    double *sum = malloc(OBJECTS * sizeof(*sum));

    assert_non_null(sum);
    for (size_t i = 0; i < OBJECTS; i++)
        sum[i] = (i > 0 ? sum[i - 1] : 0) + pow((double)(i + 1), -0.9);
    return sum;
}

static uint32_t draw(const double *sum)
{
    double x = uniform() * sum[OBJECTS - 1];
    uint32_t lo = 0, hi = OBJECTS - 1;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (sum[mid] > x)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static void shuffle(uint32_t *v, uint64_t n)
{
    for (uint64_t i = n; i > 1; i--) {
        uint64_t j = rnd() % i;
        uint32_t x = v[i - 1];
        v[i - 1] = v[j];
        v[j] = x;
    }
}

static void measure_footprint(struct stream *s)
{
    uint8_t *seen = calloc(ALL_OBJECTS, 1);

    assert_non_null(seen);
    s->footprint = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        uint32_t o = s->request[i];
        s->footprint += seen[o] ? 0 : s->size[o];
        seen[o] = 1;
    }
    free(seen);
}

/*
 * Zipf over a catalogue; with a crawler now and then, with a tenth of it replaced at times, or with
 * nine of ten requests for URLs that do not come again for a quarter of the time.
 */
static struct stream generate(char last_letter, enum kind kind)
{
    struct stream s = {malloc(ALL_OBJECTS * sizeof(uint64_t)), malloc(REQUESTS * sizeof(uint32_t)),
                       0};
    uint32_t *map = malloc(OBJECTS * sizeof(*map)), extra = OBJECTS, scanned = 0;
    double *zipf = make_zipf();

    assert_true(s.size != NULL && s.request != NULL && map != NULL);
    seed(20 + (uint64_t)last_letter);
    for (uint32_t i = 0; i < OBJECTS; i++)
        map[i] = i;
    shuffle(map, OBJECTS);
    for (size_t i = 0; i < ALL_OBJECTS; i++)
        s.size[i] = draw_size();
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t o = map[draw(zipf)], phase = i % 200000;
        if (kind == SCAN && phase >= 100000 && phase < 160000 && uniform() < 0.5)
            o = extra + scanned++ % 60000;
        if (kind == FLOOD && i > REQUESTS / 4 && i < REQUESTS / 2 && uniform() < 0.9)
            o = extra++;
        for (uint32_t j = 0; kind == DRIFT && i % 50000 == 49999 && j < OBJECTS / 10; j++)
            map[below(OBJECTS)] = extra++;
        s.request[i] = o;
    }
    measure_footprint(&s);
    free(map);
    free(zipf);
    return s;
}

static bool never_pinned(void *ctx, uint64_t objid)
{
    (void)ctx;
    (void)objid;
    return false;
}

static void no_delete(void *ctx, const struct bw_index_victim *v)
{
    (void)ctx;
    (void)v;
}

static struct bw_hash key_of(uint32_t object)
{
    static const struct bw_hash_secret secret = {.bytes = {1}};

    return bw_hash_128(bw_slice((const char *)&object, sizeof(object)), &secret);
}

static bool request(struct bw_index *ix, const struct bw_hash *key, uint64_t size, uint64_t objid)
{
    static const struct bw_index_evictor evictor = {never_pinned, no_delete, NULL};
    struct bw_index_hit hit;
    struct bw_index_grant grant;
    struct bw_index_victim old;

    if (bw_index_find(ix, key, &hit)) {
        bw_index_touch(ix, &hit);
        return true;
    }
    struct bw_index_ask ask = {.key = *key, .bytes = size, .now_s = 1};
    struct bw_index_item item = {
        .key = *key, .objid = objid, .bytes = size, .expiry_s = UINT32_MAX};
    if (bw_index_admit(ix, &ask, &evictor, &grant))
        bw_index_publish(ix, &item, &grant, &old);
    return false;
}

static struct result replay(const struct stream *s, uint64_t size)
{
    struct bw_index *ix = bw_index_new_with(&(struct bw_index_conf){
        .size = size, .granule = 1, .entries = 1 << 20, .protect = BW_PROTECT_REQUESTS});
    struct result r = {0};
    double hits = 0, hit_bytes = 0, bytes = 0, quarter = 0, quarter_hits = 0;

    bw_rand_seed(&ix->evict.rand, 42);
    for (size_t i = 0; i < REQUESTS; i++) {
        struct bw_hash key = key_of(s->request[i]);
        double z = (double)s->size[s->request[i]];
        bool hit = request(ix, &key, s->size[s->request[i]], i + 1);
        hits += hit;
        hit_bytes += hit ? z : 0;
        bytes += z;
        if (i >= REQUESTS / 4 && i < REQUESTS / 2 && s->request[i] < OBJECTS) {
            quarter++;
            quarter_hits += hit;
        }
        assert_true(ix->used <= ix->budget);
    }
    r.requests = 100 * hits / REQUESTS;
    r.bytes = 100 * hit_bytes / bytes;
    r.second_quarter = 100 * quarter_hits / quarter;
    r.evictions = ix->evict.evictions;
    r.visits = ix->evict.visits;
    print_message("R %.1f B %.1f evictions %lu visits %lu\n", r.requests, r.bytes, r.evictions,
                  r.visits);
    bw_index_free(ix);
    return r;
}

static void assert_near(double got, double want, double margin)
{
    assert_true(got >= want - margin && got <= want + margin);
}

TEST(it_withstands_a_crawler_as_the_simulation_says)
{
    struct stream s = generate('n', SCAN);
    struct result r = replay(&s, s.footprint / 20);

    assert_near(r.requests, 66.2, 0.5);
    assert_near(r.bytes, 51.9, 0.5);
    assert_near((double)r.evictions, 585553, 0.02 * 585553);
    assert_true(r.visits < 2 * r.evictions);
    free(s.size);
    free(s.request);
}

TEST(it_follows_a_changing_catalogue_as_the_simulation_says)
{
    struct stream s = generate('t', DRIFT);
    struct result r = replay(&s, s.footprint / 20);

    assert_near(r.requests, 77.6, 0.5);
    assert_near(r.bytes, 56.6, 0.5);
    assert_near((double)r.evictions, 363576, 0.02 * 363576);
    assert_true(r.visits < 2 * r.evictions);
    free(s.size);
    free(s.request);
}

TEST(a_flood_of_random_urls_takes_little_from_the_others)
{
    const uint64_t size = UINT64_C(582) << 20;
    struct stream calm = generate('d', PLAIN), flood = generate('d', FLOOD);
    double before = replay(&calm, size).second_quarter,
           during = replay(&flood, size).second_quarter;

    print_message("calm %.1f flood %.1f\n", before, during);
    assert_true(before > 80);
    assert_true(during > before - 6);
    free(calm.size);
    free(calm.request);
    free(flood.size);
    free(flood.request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(it_withstands_a_crawler_as_the_simulation_says),
        RUN(it_follows_a_changing_catalogue_as_the_simulation_says),
        RUN(a_flood_of_random_urls_takes_little_from_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
