/*
 * file_priv.h - the files that a configuration names.
 */
#pragma once

#include "breakwater/config/arena.h"
#include "breakwater/config/diag.h"

/* A relative name counts from the folder of the file it stands in; a flag's from where we are. */
const char *bw_file_resolve(struct bw_arena *a, struct bw_place at, const char *name);
/* May this process read it?  false: `why` says why not and what to do. */
bool bw_file_readable(const char *name, struct bw_buf *why);
