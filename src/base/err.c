/*
 * err.c - the words for our errors, as logs and the admin API show them.
 */
#include "breakwater/base/err.h"

#include "breakwater/base/check.h"

const char *bw_err_name(enum bw_err err)
{
    switch (err) {
    case BW_OK:
        return "ok";
    case BW_ERR_MEMORY:
        return "memory";
    case BW_ERR_NOT_FOUND:
        return "not-found";
    case BW_ERR_FULL:
        return "full";
    case BW_ERR_IO:
        return "io";
    case BW_ERR_CORRUPT:
        return "corrupt";
    case BW_ERR_INVALID:
        return "invalid";
    case BW_ERR_BUSY:
        return "busy";
    }
    BW_UNREACHABLE();
}
