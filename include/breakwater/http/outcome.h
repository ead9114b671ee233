/*
 * outcome.h - how a request was answered and why: one pair of words for Cache-Status, log,
 * metrics and statistics.
 *
 * Pure.  The outcome is what happened, the reason is why nothing better did.
 */
#pragma once

enum bw_outcome {
    BW_OUTCOME_HIT,         /* from the store, fresh */
    BW_OUTCOME_STALE,       /* from the store, stale with permission: the origin could not be had */
    BW_OUTCOME_UPDATING,    /* from the store, stale-while-revalidate: a refresh runs behind */
    BW_OUTCOME_REVALIDATED, /* from the store, the origin said 304 */
    BW_OUTCOME_MISS,        /* from the origin, nothing usable was stored */
    BW_OUTCOME_EXPIRED,     /* from the origin, what was stored had to be replaced */
    BW_OUTCOME_PASS,        /* from the origin, not cacheable */
    BW_OUTCOME_BYPASS,      /* from the origin, a rule said so */
    BW_OUTCOME_TUNNEL,      /* an upgraded connection */
    BW_OUTCOME_REFUSED,     /* answered by Breakwater: the request was not admitted */
    BW_OUTCOME_ERROR,       /* answered by Breakwater: the origin failed and nothing was stored */
    BW_OUTCOME_ABORTED,     /* the client left before anything was answered */
    BW_OUTCOME_COUNT,
};

enum bw_reason {
    BW_REASON_NONE = 0,
    /* why nothing stored was used */
    BW_REASON_URI_MISS,       /* nothing stored under this key */
    BW_REASON_VARY_MISS,      /* stored, but no variant for these request fields */
    BW_REASON_STALE,          /* stored, expired, not usable as it is */
    BW_REASON_NO_CACHE,       /* the response demands revalidation */
    BW_REASON_REQUEST,        /* the client demanded it (Cache-Control of the request) */
    BW_REASON_METHOD,         /* not GET or HEAD */
    BW_REASON_RULE,           /* cache: bypass */
    BW_REASON_UPGRADE,        /* the request asks to leave HTTP */
    BW_REASON_BODY,           /* GET or HEAD with a body */
    BW_REASON_AUTHORIZATION,  /* credentials, and the response does not allow sharing */
    BW_REASON_PASS_LEARNT,    /* the last response for this key was not shareable */
    BW_REASON_ONLY_IF_CACHED, /* 504: the client wanted a stored response or nothing */
    /* why a response was not stored */
    BW_REASON_NO_STORE,
    BW_REASON_PRIVATE,
    BW_REASON_SET_COOKIE,
    BW_REASON_COOKIE,       /* asked for with cookies, and nobody says how long it lives */
    BW_REASON_CONTENT_TYPE, /* a rule would keep it, and it is not what its address promises */
    BW_REASON_STATUS,       /* a status that is not stored without explicit freshness, or never */
    BW_REASON_NO_FRESHNESS, /* no lifetime, no validator, no heuristic */
    BW_REASON_VARY_ANY,     /* Vary: * or more fields than we take */
    BW_REASON_TOO_LARGE,    /* above cache.max_object */
    BW_REASON_PARTIAL,      /* 206 or 416 */
    BW_REASON_REFLECTED_ORIGIN, /* Origin reflected in Access-Control-Allow-Origin without Vary */
    BW_REASON_TTL_OFF,          /* a rule's ttl says off */
    BW_REASON_NOT_ADMITTED,     /* eviction: not worth what it would push out */
    BW_REASON_STORE_LOST,       /* the writer or the disk could not take it */
    BW_REASON_MEMORY,           /* the budget could not take it */
    BW_REASON_PURGED,           /* purged while it was fetched */
    /* why the origin could not be had */
    BW_REASON_RESOLVE,
    BW_REASON_CONNECT,
    BW_REASON_CONNECT_TIMEOUT,
    BW_REASON_TLS, /* handshake failed */
    BW_REASON_TLS_TIMEOUT,
    BW_REASON_CERTIFICATE, /* name or chain not valid */
    BW_REASON_FIRST_BYTE_TIMEOUT,
    BW_REASON_BETWEEN_BYTES_TIMEOUT,
    BW_REASON_SEND,          /* the request could not be written */
    BW_REASON_CLOSED,        /* closed without an answer */
    BW_REASON_BAD_RESPONSE,  /* not HTTP as we accept it */
    BW_REASON_UNASKED_PART,  /* 206 to a request without Range */
    BW_REASON_TRUNCATED,     /* shorter than it said */
    BW_REASON_QUEUE_FULL,    /* connections to the servers are at their limit */
    BW_REASON_SHED,          /* our own limits: memory, waiters, wait time */
    BW_REASON_DRAINED,       /* shutting down */
    BW_REASON_ORIGIN_STATUS, /* the origin answered 5xx */
    /* why a request was refused */
    BW_REASON_BAD_HEAD,
    BW_REASON_BAD_TARGET,
    BW_REASON_BAD_BODY,
    BW_REASON_BODY_TOO_LARGE,
    BW_REASON_METHOD_NOT_ALLOWED,
    BW_REASON_TIMEOUT,
    BW_REASON_UNKNOWN_HOST,
    BW_REASON_LOOP, /* our own Via came back */
    BW_REASON_COUNT,
};

/* Lower-case words with '-', static: "hit", "uri-miss". */
const char *bw_outcome_name(enum bw_outcome o);
const char *bw_reason_name(enum bw_reason r);
/* One plain sentence for an error page, static. */
const char *bw_reason_sentence(enum bw_reason r);
