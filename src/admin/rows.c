/*
 * rows.c - the tables of names: each figure stands here once, and both pages show it.
 */
#include "breakwater/base/check.h"

#include "admin_priv.h"

#define ROWS(table) ((struct bw_rows){(table), BW_ARRAY_LEN(table)})

uint64_t bw_row_value(const struct bw_row *row, const void *figures)
{
    uint64_t value;

    memcpy(&value, (const char *)figures + row->offset, sizeof(value));
    return value;
}

struct bw_rows bw_rows_sums(void)
{
#define SUM(s) offsetof(struct bw_sums, v) + (s) * sizeof(uint64_t)
    static const struct bw_row rows[] = {
        {"requests", SUM(BW_SUM_REQUESTS), false, "Requests of clients."},
        {"hits", SUM(BW_SUM_HITS), false, "Requests answered from the store."},
        {"origin_fetches", SUM(BW_SUM_FETCHES), false,
         "Requests sent to origins, revalidations and refreshes included."},
        {"bytes_to_clients", SUM(BW_SUM_BYTES_TO_CLIENTS), false, "Body bytes sent to clients."},
        {"bytes_from_origin", SUM(BW_SUM_BYTES_FROM_ORIGIN), false,
         "Body bytes received from origins."},
    };
#undef SUM
    return ROWS(rows);
}

struct bw_rows bw_rows_counters(void)
{
#define COUNTER(c) offsetof(struct bw_report, counter) + (c) * sizeof(uint64_t)
    static const struct bw_row rows[] = {
        {"collapsed", COUNTER(BW_C_COLLAPSED), false,
         "Requests answered by a fill that another request began."},
        {"chunk_missing", COUNTER(BW_C_CHUNK_MISSING), false,
         "Stored bodies that were gone when they were read."},
        {"connections", COUNTER(BW_C_CONNECTIONS), false, "Connections accepted from clients."},
        {"connections_refused", COUNTER(BW_C_CONNECTIONS_REFUSED), false,
         "Connections of clients that were over a limit."},
        {"tls_failed", COUNTER(BW_C_TLS_FAILED), false, "TLS handshakes with clients that failed."},
        {"head_timeout", COUNTER(BW_C_HEAD_TIMEOUT), false,
         "Connections closed because a request head took too long."},
        {"idle_timeout", COUNTER(BW_C_IDLE_TIMEOUT), false,
         "Connections closed because no further request came."},
        {"send_timeout", COUNTER(BW_C_SEND_TIMEOUT), false,
         "Connections closed because the client did not read."},
        {"body_timeout", COUNTER(BW_C_BODY_TIMEOUT), false,
         "Connections closed because a request body came too slowly."},
        {"http2_control_flood", COUNTER(BW_C_HTTP2_CONTROL_FLOOD), false,
         "HTTP/2 connections closed because of too many control frames."},
        {"http2_reset_flood", COUNTER(BW_C_HTTP2_RESET_FLOOD), false,
         "HTTP/2 connections closed because of too many reset streams."},
        {"http2_head_flood", COUNTER(BW_C_HTTP2_HEAD_FLOOD), false,
         "HTTP/2 connections closed because of far too many header fields."},
        {"http2_probation", COUNTER(BW_C_HTTP2_PROBATION), false,
         "HTTP/2 connections begun with small limits, behind a flood of the same client."},
        {"log_dropped", COUNTER(BW_C_LOG_DROPPED), false,
         "Lines of the access log that were not written."},
        {"invalidations", COUNTER(BW_C_INVALIDATIONS), false,
         "Stored responses invalidated by unsafe methods."},
    };
#undef COUNTER
    return ROWS(rows);
}

struct bw_rows bw_rows_now(void)
{
    static const struct bw_row rows[] = {
        {"requests_waiting", offsetof(struct bw_now, requests_waiting), true,
         "Requests that wait in fills."},
        {"connections", offsetof(struct bw_now, connections), true,
         "Connections of clients that are open."},
        {"fills", offsetof(struct bw_now, fills), true, "Fills under way."},
    };

    return ROWS(rows);
}

struct bw_rows bw_rows_fills(void)
{
#define EVENT(e) offsetof(struct bw_report, fill) + (e) * sizeof(uint64_t)
    static const struct bw_row rows[] = {
        {"begun", EVENT(BW_FILL_BEGUN), false, "Fills begun for a request."},
        {"refresh", EVENT(BW_FILL_REFRESH), false, "Fills begun behind a stored answer."},
        {"joined", EVENT(BW_FILL_JOINED), false, "Joins of requests to a fill under way."},
        {"orphaned", EVENT(BW_FILL_ORPHANED), false, "Fills that went on without their leader."},
        {"aborted", EVENT(BW_FILL_ABORTED), false, "Fills that lost their last reader."},
        {"broken", EVENT(BW_FILL_BROKEN), false, "Fills that failed after the head."},
        {"pass_learnt", EVENT(BW_FILL_PASS_LEARNT), false,
         "Keys found to be not shareable, which are passed for a while."},
        {"vary_split", EVENT(BW_FILL_VARY_SPLIT), false,
         "Fills whose response varied by fields that set requests apart."},
        {"stored", EVENT(BW_FILL_STORED), false, "Fills whose response was stored."},
        {"store_lost", EVENT(BW_FILL_STORE_LOST), false,
         "Fills served but not stored, because the writer could not take them."},
        {"store_failed", EVENT(BW_FILL_STORE_FAILED), false,
         "Fills served but not stored, because the store refused."},
        {"cut_lagging", EVENT(BW_FILL_CUT_LAGGING), false,
         "Readers cut off because they read too slowly."},
        {"shed", EVENT(BW_FILL_SHED), false, "Requests turned away for want of memory or room."},
        {"wait_expired", EVENT(BW_FILL_WAIT_EXPIRED), false, "Requests that waited too long."},
        {"purged", EVENT(BW_FILL_PURGED), false, "Fills whose key was purged meanwhile."},
    };
#undef EVENT
    _Static_assert(BW_ARRAY_LEN(rows) == BW_FILL_EVENT_COUNT, "every event has a name");
    return ROWS(rows);
}

struct bw_rows bw_rows_store(void)
{
#define FIGURE(f) offsetof(struct bw_store_figures, f)
    static const struct bw_row rows[] = {
        {"objects", FIGURE(objects), true, "Objects stored."},
        {"bytes", FIGURE(bytes), true, "Bytes that stored objects take."},
        {"size_bytes", FIGURE(size), true, "Bytes that they may take: cache.size."},
        {"file_bytes", FIGURE(file_bytes), true, "Bytes of the file on disk."},
        {"index_bytes", FIGURE(index_bytes), true, "Memory of the index in bytes."},
        {"queue_bytes", FIGURE(queue_bytes), true, "Bytes of memory that wait for the writer."},
        {"stored", FIGURE(stored), false, "Objects that were stored."},
        {"evicted", FIGURE(evicted), false, "Objects that gave way to worthier ones."},
        {"refused", FIGURE(refused), false,
         "Objects not stored, because they were not worth what they would push out."},
        {"deleted", FIGURE(deleted), false, "Objects purged, replaced or dropped."},
        {"lost", FIGURE(lost), false, "Objects that the disk could not take."},
        {"corrupt", FIGURE(corrupt), false, "Stored objects that failed their checksum."},
        {"commits", FIGURE(commits), false, "Transactions written to disk."},
        {"queue_full", FIGURE(queue_full), false,
         "Chunks and records that the writer's queue had no room for."},
    };
#undef FIGURE
    return ROWS(rows);
}

struct bw_rows bw_rows_memory(void)
{
    static const struct bw_row rows[] = {
        {"used_bytes", offsetof(struct bw_memory_figures, used), true,
         "Bytes of the memory budget in use."},
        {"limit_bytes", offsetof(struct bw_memory_figures, limit), true,
         "Bytes of the memory budget: cache.memory."},
        {"refused", offsetof(struct bw_memory_figures, refused), false,
         "Times that the memory budget said no."},
    };

    return ROWS(rows);
}

struct bw_rows bw_rows_origin(void)
{
#define FIGURE(f) offsetof(struct bw_origin_figures, f)
    static const struct bw_row rows[] = {
        {"requests", FIGURE(requests), false, "Requests written to origin connections."},
        {"connects", FIGURE(connects), false, "Connections opened to origins."},
        {"reused", FIGURE(reused), false, "Requests sent on a connection that was open."},
        {"retries", FIGURE(retries), false, "Requests sent again to another server."},
        {"failures", FIGURE(failures), false, "Requests that origins failed to answer."},
        {"queued", FIGURE(queued), true, "Requests that wait for a connection."},
        {"open", FIGURE(open), true, "Connections to origins that are open."},
        {"idle", FIGURE(idle), true, "Of these, connections that are idle."},
        {"bytes_in", FIGURE(bytes_in), false, "Bytes read from origins, heads included."},
        {"bytes_out", FIGURE(bytes_out), false, "Bytes written to origins, heads included."},
    };
#undef FIGURE
    return ROWS(rows);
}
