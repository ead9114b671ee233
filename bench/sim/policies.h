/*
 * policies.h - the policies by file, for the table in policies.c.
 */
#pragma once

#include "sim.h"

extern const struct bw_sim_policy bw_sim_lru, bw_sim_fifo, bw_sim_s3fifo, bw_sim_gdsf, bw_sim_lfuda,
    bw_sim_belady, bw_sim_belady_size, bw_sim_breakwater_requests, bw_sim_breakwater_bytes;
