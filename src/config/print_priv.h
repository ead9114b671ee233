/*
 * print_priv.h - the checked tree as YAML, and single scalars as YAML writes them.
 */
#pragma once

#include "breakwater/config/value.h"

/* Every value that is set, in long form, each line with where it came from. */
void bw_print_values(const struct bw_value *root, struct bw_buf *out);
/* The text as a YAML scalar, in quotes where it needs them. */
void bw_print_scalar(const char *text, struct bw_buf *out);
