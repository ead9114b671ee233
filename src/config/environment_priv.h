/*
 * environment_priv.h - the environment in the file's scalars.
 */
#pragma once

#include "breakwater/config/yaml.h"

/* `y->written` with ${NAME} and ${NAME:-default} filled in; NULL after an error. */
const char *bw_environment_fill(struct bw_arena *a, const struct bw_yaml *y, struct bw_diag *d);
