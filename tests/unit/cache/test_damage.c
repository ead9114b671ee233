/*
 * Damage at random, and a store that is to survive it.  SEED and ROUNDS in the environment repeat
 * what failed or do more of it; a round that fails ends the process.
 */
#include "breakwater/base/rand.h"
#include "breakwater/cache/page.h"

#include "rig.h"

#include <fcntl.h>
#include <sched.h>

enum { MIB = 1 << 20, SMALL = 600, BIG = 40, LARGE = 30, VARIANTS = 150, THINGS = 900 };

static struct {
    char name[32];
    size_t len;
} things[THINGS];
static unsigned things_n;

static void put_thing(struct rig *rig, const char *name, const char *url, size_t len)
{
    struct client k;

    snprintf(things[things_n].name, sizeof(things[0].name), "%s", name);
    store_thing(
        rig, &k,
        &(struct thing){.name = name, .url = url, .len = len, .born = bw_store_purge_seq(rig->s)});
    assert_int_equal(k.err, BW_OK);
    things[things_n++].len = len;
}

static void purge(struct rig *rig, const char *name)
{
    struct bw_hash key = key_of(rig, name);

    bw_store_purge(rig->s, &key, false);
}

static void put_many(struct rig *rig, const char *what, unsigned n, size_t len)
{
    char name[32];

    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s %u", what, i);
        put_thing(rig, name, NULL, len + len * i / n);
    }
}

/* Trees of more than one level, values on pages of their own, duplicates of both kinds, free pages.
 */
static void fill(struct rig *rig)
{
    char name[32], url[32];

    things_n = 0;
    put_many(rig, "small", SMALL, 100);
    put_many(rig, "big", BIG, 1024);
    put_many(rig, "large", LARGE, 40000);
    for (unsigned i = 0; i < VARIANTS; i++) {
        snprintf(name, sizeof(name), "variant %u", i);
        snprintf(url, sizeof(url), "url %u", i < 120 ? 0 : i % 7);
        put_thing(rig, name, url, 50);
    }
    for (unsigned i = 0; i < 60; i += 3) {
        snprintf(name, sizeof(name), "small %u", i);
        purge(rig, name);
    }
    purge(rig, "large 3");
    purge(rig, "large 4");
    settle(rig);
}

static struct rig *rig_filled(void)
{
    struct rig *rig = rig_new(64 * MIB);

    rig->conf.durability = BW_DURABILITY_RELAXED;
    assert_true(rig_open(rig));
    fill(rig);
    return rig;
}

/* ---- the file ---- */

struct file {
    char *bytes;
    size_t n;
};

static struct file read_file(const struct rig *rig)
{
    char path[256];
    struct stat st;
    struct file f;

    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    f.n = (size_t)st.st_size;
    f.bytes = malloc(f.n);
    assert_true(read(fd, f.bytes, f.n) == st.st_size);
    close(fd);
    return f;
}

static void write_file(const struct rig *rig, struct file f)
{
    char path[256];

    rig_path(rig, "data.mdb", path, sizeof(path));
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(write(fd, f.bytes, f.n) == (ssize_t)f.n);
    close(fd);
}

static unsigned remove_aside(const struct rig *rig)
{
    DIR *dir = opendir(rig->directory);
    char path[512];
    unsigned n = 0;

    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strncmp(e->d_name, "data.mdb.", 9) != 0)
            continue;
        rig_path(rig, e->d_name, path, sizeof(path));
        n += unlink(path) == 0;
    }
    closedir(dir);
    return n;
}

/* Half of the damage goes where the structure is: heads and offsets of the pages of trees. */
static void damage(struct file f, struct bw_rand *rand)
{
    size_t page = bw_rand_below(rand, f.n / BW_PAGE_SIZE) * BW_PAGE_SIZE;
    char *p = f.bytes + page, *q = f.bytes + bw_rand_below(rand, f.n / BW_PAGE_SIZE) * BW_PAGE_SIZE;
    size_t within = bw_rand_below(rand, bw_rand_below(rand, 2) != 0 ? 128 : BW_PAGE_SIZE);

    switch (bw_rand_below(rand, 6)) {
    case 0:
        p[within] = (char)(p[within] ^ 1 << bw_rand_below(rand, 8));
        break;
    case 1:
        p[within] = (char)bw_rand_next(rand);
        break;
    case 2:
        memset(p + within, 0xa5, BW_PAGE_SIZE - within < 16 ? BW_PAGE_SIZE - within : 16);
        break;
    case 3:
        memset(p, 0, BW_PAGE_SIZE);
        break;
    case 4:
        memcpy(p, q, BW_PAGE_SIZE);
        break;
    default:
        bw_rand_seed(rand, bw_rand_next(rand));
        for (size_t i = 0; i < BW_PAGE_SIZE; i++)
            p[i] = (char)bw_rand_next(rand);
    }
}

/* Pages of trees are a few among many of bodies: one of them, or any other. */
static void damage_often(struct file f, struct bw_rand *rand)
{
    for (unsigned n = 1 + (unsigned)bw_rand_below(rand, 3); n > 0; n--)
        damage(f, rand);
}

/* ---- what has to hold ---- */

static unsigned read_everything(struct rig *rig)
{
    void *memory = NULL;
    struct bw_entry e;
    unsigned found = 0;

    for (unsigned i = 0; i < things_n; i++) {
        if (get(rig, things[i].name, &memory, &e) != BW_OK ||
            !bw_slice_eq(e.key, bw_slice_str(things[i].name)))
            continue;
        assert_int_equal(e.body_len, things[i].len);
        for (size_t at = 0; at < e.inline_body.len; at++)
            assert_int_equal(e.inline_body.base[at], body_byte(e.objid, at));
        found += e.inline_body.base != NULL || check_body(rig, e.objid, e.body_len) == BW_OK;
    }
    free(memory);
    return found;
}

/* Writes where the damage may be: over old things, beside them, and by deleting them. */
static void write_some(struct rig *rig, struct bw_rand *rand)
{
    struct client k;
    char name[32];

    for (unsigned i = 0; i < 30; i++) {
        unsigned which = (unsigned)bw_rand_below(rand, things_n);
        if (i % 3 == 0)
            purge(rig, things[which].name);
        snprintf(name, sizeof(name), "new %u", i);
        store_thing(rig, &k,
                    &(struct thing){.name = i % 3 == 1 ? things[which].name : name,
                                    .len = i % 3 == 1 ? things[which].len : 3000 * i,
                                    .born = bw_store_purge_seq(rig->s)});
    }
    purge(rig, "url 0");
    purge(rig, "url 1");
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

TEST(whatever_is_damaged_the_store_opens_and_serves_no_wrong_byte)
{
    uint64_t seed = number_of("SEED", (uint64_t)time(NULL)), aside = 0;
    uint64_t rounds = number_of("ROUNDS", 60);
    struct rig *rig = rig_filled();
    struct bw_rand rand;

    rig_shut(rig);
    struct file good = read_file(rig), bad = {malloc(good.n), good.n};
    for (uint64_t i = 0; i < rounds; i++) {
        bw_rand_seed(&rand, seed + i);
        memcpy(bad.bytes, good.bytes, good.n);
        damage_often(bad, &rand);
        write_file(rig, bad);
        fprintf(stderr, "SEED=%llu\n", (unsigned long long)(seed + i));
        assert_true(rig_open(rig));
        wait_loaded(rig);
        read_everything(rig);
        write_some(rig, &rand);
        read_everything(rig);
        assert_true(has(rig, "new 29"));
        rig_shut(rig);
        aside += remove_aside(rig);
    }
    printf("%llu of %llu set aside\n", (unsigned long long)aside, (unsigned long long)rounds);
    free(good.bytes);
    free(bad.bytes);
    rig_end(rig);
}

TEST(a_store_that_was_never_damaged_is_never_set_aside)
{
    struct rig *rig = rig_filled();
    struct bw_rand rand;

    bw_rand_seed(&rand, 1);
    for (unsigned i = 0; i < 12; i++) {
        rig_shut(rig);
        assert_true(rig_open(rig));
        wait_loaded(rig);
        write_some(rig, &rand);
        assert_int_equal(rig_files(rig, "data.mdb.damaged-"), 0);
    }
    rig_end(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(whatever_is_damaged_the_store_opens_and_serves_no_wrong_byte),
        RUN(a_store_that_was_never_damaged_is_never_set_aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
