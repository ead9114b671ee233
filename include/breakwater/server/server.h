/*
 * server.h - the whole server: from the command line's flags to its end.
 */
#pragma once

#include "breakwater/config/conf.h"

#include <stdbool.h>

/*
 * Loads the configuration, starts everything, serves until it is told to end, and drains.  Blocks;
 * once in a process.  `test_clock`: allow tests to move the clock and to hold gates.  The exit
 * status of the process: 0, or 2 for wrong configuration, after saying on stderr what is wrong.
 */
int bw_server_run(const struct bw_conf_flags *flags, bool test_clock);
