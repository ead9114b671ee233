/*
 * client.h - one question to the admin address of a running Breakwater.
 */
#pragma once

#include "breakwater/base/buf.h"

/* Is it written as one: "127.0.0.1:9180", ":9180", "[::1]:9180", "name:9180" or "unix:/path"? */
bool bw_cli_is_address(const char *address);

/*
 * GET `path`; blocks for at most `patience_ms` (once more for each address that a name stands for).
 * `address` is one by the question above; names are resolved.  True: the answer was 200 and
 * complete, `body` holds its body; otherwise `why` is one line that begins with the address and
 * names the cure.
 */
bool bw_cli_get(const char *address, const char *path, int patience_ms, struct bw_buf *body,
                struct bw_buf *why);
