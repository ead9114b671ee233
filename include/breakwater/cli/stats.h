/*
 * stats.h - what Breakwater spared its origin, as a table for people.
 */
#pragma once

#include "breakwater/base/buf.h"

/*
 * The table, from the answer to GET /v1/stats.  Pure.  What the answer does not tell is shown as
 * "-", so that another version can be asked, too; nothing in it can move a terminal's cursor.
 * False: that is not such an answer.
 */
bool bw_cli_stats_table(struct bw_slice json, struct bw_buf *out);
