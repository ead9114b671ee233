/*
 * flags_priv.h - the command line as a part of the tree.
 */
#pragma once

#include "breakwater/config/conf.h"
#include "breakwater/config/yaml.h"

/* Spells out `origin`, then lets what the flags say take the place of what the file says. */
void bw_flags_apply(struct bw_arena *a, struct bw_yaml *root, const struct bw_conf_flags *flags,
                    struct bw_diag *d);
