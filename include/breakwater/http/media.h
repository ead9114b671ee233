/*
 * media.h - does a response look like what its address promises?
 *
 * Pure.  An address that ends in ".css" promises a style sheet; many applications answer
 * /account.css or /account/x.css with the page of the account.  Whoever lets a cache keep things by
 * their extension lets such a page be kept for everybody (security.md 7, deception).
 */
#pragma once

#include "breakwater/base/slice.h"

/* What an extension promises.  Pages, data and whatever has no extension promise nothing. */
enum bw_media {
    BW_MEDIA_NONE = 0,
    BW_MEDIA_STYLE,
    BW_MEDIA_SCRIPT,
    BW_MEDIA_SEEN,  /* images and films, which are taken for one another */
    BW_MEDIA_HEARD, /* sound, which may lie in a film's container */
    BW_MEDIA_FONT,
    BW_MEDIA_FILE, /* to be downloaded: documents, archives, programs */
};

/* What the extension of the path's last segment promises.  On the hit path: no more than a look. */
enum bw_media bw_media_of_path(struct bw_slice path);

enum bw_media_verdict {
    BW_MEDIA_FITS,     /* just what was promised */
    BW_MEDIA_UNKNOWN,  /* nothing was promised, or the response says nothing: no Content-Type, or
                          application/octet-stream */
    BW_MEDIA_MISMATCH, /* something else: a page where a style sheet was promised */
};

/* Does that Content-Type, or an empty slice for none, keep the promise? */
enum bw_media_verdict bw_media_fits(enum bw_media promised, struct bw_slice content_type);
