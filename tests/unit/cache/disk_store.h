/*
 * disk_store.h - the real store in a folder of its own, for the tests of the fill (fill_world.h).
 */
#pragma once

#include "breakwater/base/mem.h"
#include "breakwater/cache/store.h"

#include "unit.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { world_least_memory = 0 };

static struct {
    char directory[64];
    struct bw_cache_conf conf;
    struct bw_budget budget; /* of its own: that of a test is for fills */
} disk;

static struct bw_store *world_store_open(struct bw_budget *budget, struct bw_pins *const *pins,
                                         size_t pins_n)
{
    const struct bw_store_options o = {&disk.conf, &disk.budget, pins, pins_n};
    char why[256];
    struct bw_store *s;

    (void)budget;
    snprintf(disk.directory, sizeof(disk.directory), "/tmp/breakwater-unit-XXXXXX");
    assert_non_null(mkdtemp(disk.directory));
    disk.conf = (struct bw_cache_conf){
        .directory = disk.directory, .size = 64 << 20, .max_object = 64 << 20, .memory = 256 << 20};
    bw_budget_init(&disk.budget, 256 << 20);
    s = bw_store_open(&o, why, sizeof(why));
    if (s == NULL)
        fail_msg("%s", why);
    while (!bw_store_loaded(s))
        sched_yield();
    return s;
}

static struct bw_reader *world_reader_new(struct bw_store *s)
{
    return bw_reader_new(s);
}

static void world_reader_free(struct bw_reader *r)
{
    bw_reader_free(r);
}

static void remove_folder(void)
{
    DIR *dir = opendir(disk.directory);
    char path[400];

    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        snprintf(path, sizeof(path), "%s/%s", disk.directory, e->d_name);
        unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(disk.directory);
}

static void world_store_close(struct bw_store *s)
{
    bw_store_close(s);
    assert_int_equal(bw_budget_used(&disk.budget), 0);
    remove_folder();
}

static inline size_t world_store_memory(struct bw_store *s)
{
    (void)s;
    return 0;
}
