/*
 * err.h - the answers of functions that can fail for a reason the caller tells apart.
 */
#pragma once

enum bw_err {
    BW_OK = 0,
    BW_ERR_MEMORY,    /* the budget or the process has none left */
    BW_ERR_NOT_FOUND, /* nothing by that name or key */
    BW_ERR_FULL,      /* a limit or the disk is reached */
    BW_ERR_IO,        /* the system refused; errno tells */
    BW_ERR_CORRUPT,   /* bytes that were ours once fail their checksum or form */
    BW_ERR_INVALID,   /* input that does not fit its grammar */
    BW_ERR_BUSY,      /* try again later */
};

const char *bw_err_name(enum bw_err err); /* static */
