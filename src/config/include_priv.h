/*
 * include_priv.h - the file and what it includes, as one tree.
 */
#pragma once

#include "breakwater/config/yaml.h"

/* NULL after an error that leaves no tree. */
struct bw_yaml *bw_include_load(struct bw_arena *a, const char *file, struct bw_diag *d);
/* For a text that is not a file: an `include` in it is an error. */
void bw_include_refuse(struct bw_yaml *root, struct bw_diag *d);
