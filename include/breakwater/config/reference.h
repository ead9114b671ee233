/*
 * reference.h - conf/full.yaml and docs/configuration.md, written from the schema table.
 *
 * A unit test holds the committed files against these; the hidden commands of the cli that print
 * them are how one writes them anew.
 */
#pragma once

#include "breakwater/base/buf.h"

void bw_reference_full_yaml(struct bw_buf *out);
void bw_reference_markdown(struct bw_buf *out);
