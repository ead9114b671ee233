/*
 * file.c - where a named file is, and whether it can be read.
 *
 * Looked at while loading, so that a missing certificate is found by `check` and not by the first
 * handshake.  Asked without opening, since opening a device or a pipe has effects.
 */
#include "file_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

const char *bw_file_resolve(struct bw_arena *a, struct bw_place at, const char *name)
{
    const char *slash = at.line > 0 ? strrchr(at.file, '/') : NULL;

    if (name[0] == '/' || slash == NULL)
        return name;
    return bw_arena_printf(a, "%.*s/%s", (int)(slash - at.file), at.file, name);
}

bool bw_file_readable(const char *name, struct bw_buf *why)
{
    struct stat st;

    if (stat(name, &st) != 0 || faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) != 0)
        bw_buf_printf(why, "\"%s\" cannot be read (%s); name a file that this user may read", name,
                      strerror(errno));
    else if (S_ISDIR(st.st_mode))
        bw_buf_printf(why, "\"%s\" is a folder; name a file in it", name);
    else
        return true;
    return false;
}
