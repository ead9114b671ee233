/*
 * policies.c - what can be compared, in the order in which it is printed.
 */
#include "policies.h"

#include <string.h>

const struct bw_sim_policy *bw_sim_policy(const char *name)
{
    for (size_t i = 0; i < bw_sim_policies_n; i++)
        if (strcmp(bw_sim_policies[i]->name, name) == 0)
            return bw_sim_policies[i];
    return NULL;
}

const struct bw_sim_policy *const bw_sim_policies[] = {
    &bw_sim_breakwater_requests,
    &bw_sim_breakwater_bytes,
    &bw_sim_lru,
    &bw_sim_fifo,
    &bw_sim_s3fifo,
    &bw_sim_gdsf,
    &bw_sim_lfuda,
    &bw_sim_belady_size,
    &bw_sim_belady,
};
/* NOLINTNEXTLINE(bugprone-sizeof-expression): they are pointers */
const size_t bw_sim_policies_n = sizeof(bw_sim_policies) / sizeof(*bw_sim_policies);
