/*
 * store_folder.c - the folder of the store: who has it, and whether its file can be opened at all.
 *
 *     data.mdb, lock.mdb       LMDB's
 *     breakwater.lock          locked by the process that has the store open (flock)
 *     running                  only with durability: relaxed; the kernel's boot id
 *     data.mdb.damaged-TIME    the last file that could not be used, at most one
 *
 * A cache may lose everything, so whatever is wrong with the file is answered by a new one.
 */
#include "breakwater/base/clock.h"
#include "breakwater/base/log.h"

#include "store_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char data_name[] = "data.mdb";
static const char aside_prefix[] = "data.mdb.damaged-";

char *bw_folder_path(const struct bw_store *s, const char *name)
{
    return bw_sprintf("%s/%s", s->directory, name);
}

static bool make_directory(const struct bw_store *s, char *why, size_t why_len)
{
    struct stat st;

    if (mkdir(s->directory, 0700) == 0)
        return true;
    if (errno != EEXIST) {
        snprintf(why, why_len, "cache.directory: cannot create %s (%s): %s, or choose another one",
                 s->directory, strerror(errno),
                 errno == ENOENT ? "create its parent folder" : "create it for this user");
        return false;
    }
    if (stat(s->directory, &st) == 0 && S_ISDIR(st.st_mode) &&
        access(s->directory, R_OK | W_OK | X_OK) == 0)
        return true;
    snprintf(why, why_len,
             "cache.directory: %s is not a folder that this user may write to: change its owner, "
             "or choose another one",
             s->directory);
    return false;
}

/* Who holds the lock, as far as it is known: the process id that it wrote. */
static long read_holder(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    return n > 0 ? strtol(text, NULL, 10) : 0;
}

bool bw_folder_open(struct bw_store *s, char *why, size_t why_len)
{
    char text[32];

    if (!make_directory(s, why, why_len))
        return false;
    char *path = bw_folder_path(s, "breakwater.lock");
    s->folder_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (s->folder_lock < 0) {
        snprintf(why, why_len, "cache.directory: cannot write to %s (%s): change its owner",
                 s->directory, strerror(errno));
        return false;
    }
    if (flock(s->folder_lock, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, why_len,
                 "cache.directory: %s is in use by process %ld: stop that one, or give each a "
                 "folder of its own",
                 s->directory, read_holder(s->folder_lock));
        return false;
    }
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(s->folder_lock, 0) != 0 || pwrite(s->folder_lock, text, (size_t)n, 0) != n)
        bw_log(BW_LOG_WARN, "cache: cannot write the process id into %s/breakwater.lock",
               s->directory);
    return true;
}

void bw_folder_close(struct bw_store *s)
{
    if (s->folder_lock >= 0)
        close(s->folder_lock); /* and with it the lock */
    s->folder_lock = -1;
}

/* ---- power cuts ---- */

static bool read_text(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, cap - 1);
    close(fd);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

static bool read_boot_id(char *out, size_t cap)
{
    return read_text("/proc/sys/kernel/random/boot_id", out, cap);
}

static void remove_file(const struct bw_store *s, const char *name)
{
    char *path = bw_folder_path(s, name);

    if (unlink(path) != 0 && errno != ENOENT)
        bw_log(BW_LOG_WARN, "cache: cannot remove %s: %s", path, strerror(errno));
    free(path);
}

void bw_folder_check_boot(struct bw_store *s)
{
    char then[64], now[64];
    char *path = bw_folder_path(s, "running");
    bool running = read_text(path, then, sizeof(then));

    free(path);
    /* the same boot: only the process died, and the kernel has every page it wrote */
    if (!running || (read_boot_id(now, sizeof(now)) && strcmp(then, now) == 0))
        return;
    bw_log(BW_LOG_WARN,
           "cache: the machine went down while %s was open with durability: relaxed: it is begun "
           "anew",
           s->directory);
    remove_file(s, data_name);
    remove_file(s, "lock.mdb");
    remove_file(s, "running");
}

static void sync_directory(const struct bw_store *s)
{
    int fd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

/* The marker must be on disk before the first page that might not be. */
void bw_folder_mark_boot(struct bw_store *s)
{
    char id[64];
    char *path = bw_folder_path(s, "running");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    free(path);
    if (fd < 0 || !read_boot_id(id, sizeof(id)) ||
        write(fd, id, strlen(id)) != (ssize_t)strlen(id) || fsync(fd) != 0)
        bw_log(BW_LOG_WARN, "cache: cannot mark %s as running: after a power cut delete it by hand",
               s->directory);
    if (fd >= 0)
        close(fd);
    sync_directory(s);
}

void bw_folder_unmark_boot(struct bw_store *s)
{
    remove_file(s, "running");
}

/* ---- files that cannot be used ---- */

/* At most one of them is kept. */
static void remove_older(struct bw_store *s)
{
    DIR *dir = opendir(s->directory);

    if (dir == NULL)
        return;
    /* cppcheck-suppress readdirCalled ; the other one is deprecated, and `dir` is ours alone */
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        if (strncmp(e->d_name, aside_prefix, sizeof(aside_prefix) - 1) == 0)
            remove_file(s, e->d_name);
    closedir(dir);
}

/* A folder that is still to be made has the disk of its parent. */
static uint64_t free_bytes(const struct bw_store *s)
{
    struct statvfs v;
    int failed = statvfs(s->directory, &v);

    if (failed != 0 && errno == ENOENT) {
        char *copy = bw_strdup(s->directory);

        failed = statvfs(dirname(copy), &v);
        free(copy);
    }
    return failed == 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}

/* Asked after a failed write: could the file grow by as much as a commit needs? */
bool bw_folder_is_full(const struct bw_store *s)
{
    struct stat st;

    if (fstat(s->data_fd, &st) != 0)
        return false;
    if (fallocate(s->data_fd, 0, st.st_size, BW_STORE_GROUP) != 0)
        return errno == ENOSPC || errno == EFBIG || errno == EDQUOT;
    return ftruncate(s->data_fd, st.st_size) != 0;
}

void bw_folder_discard(struct bw_store *s)
{
    bw_log(BW_LOG_ERROR,
           "cache: %s/%s did not take the last deletes: it is deleted, so that what was purged "
           "does not come back; look at the disk",
           s->directory, data_name);
    remove_file(s, data_name);
    remove_file(s, "lock.mdb");
}

void bw_folder_set_aside(struct bw_store *s, const char *what)
{
    char *from = bw_folder_path(s, data_name);
    char *to = bw_sprintf("%s/%s%" PRId64, s->directory, aside_prefix, bw_clock_s());

    remove_older(s);
    remove_file(s, "lock.mdb");
    if (free_bytes(s) < s->size) {
        bw_log(BW_LOG_WARN, "cache: %s %s: deleted, a new one is begun", from, what);
        remove_file(s, data_name);
    } else if (rename(from, to) == 0) {
        bw_log(BW_LOG_WARN, "cache: %s %s: renamed to %s, a new one is begun", from, what, to);
    } else {
        bw_log(BW_LOG_WARN, "cache: %s %s, and cannot be renamed: %s", from, what, strerror(errno));
    }
    free(from);
    free(to);
}

/* What the file has already counts as room. */
bool bw_folder_has_room(struct bw_store *s, char *why, size_t why_len)
{
    char *path = bw_folder_path(s, data_name);
    struct stat st;
    uint64_t have = stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
    uint64_t room = free_bytes(s);
    bool large = s->size >= UINT64_C(10) << 30;
    int shift = large ? 30 : 20;

    free(path);
    if (room >= s->size || have >= s->size - room)
        return true;
    snprintf(why, why_len,
             "cache.size is %" PRIu64 " %s, but the disk of %s has room for %" PRIu64
             " %s: lower cache.size, or choose another cache.directory",
             s->size >> shift, large ? "GiB" : "MiB", s->directory, (room + have) >> shift,
             large ? "GiB" : "MiB");
    return false;
}
