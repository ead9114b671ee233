/*
 * outcome.c - the words for what happened to a request, and the sentences for people.
 *
 * The words are an interface: Cache-Status, the log, metrics and statistics show them, and they do
 * not change once they are out.  The sentences are for error pages and hold nothing of the request.
 */
#include "breakwater/http/outcome.h"

#include "breakwater/base/check.h"

static const char *const outcomes[BW_OUTCOME_COUNT] = {
    [BW_OUTCOME_HIT] = "hit",           [BW_OUTCOME_STALE] = "stale",
    [BW_OUTCOME_UPDATING] = "updating", [BW_OUTCOME_REVALIDATED] = "revalidated",
    [BW_OUTCOME_MISS] = "miss",         [BW_OUTCOME_EXPIRED] = "expired",
    [BW_OUTCOME_PASS] = "pass",         [BW_OUTCOME_BYPASS] = "bypass",
    [BW_OUTCOME_TUNNEL] = "tunnel",     [BW_OUTCOME_REFUSED] = "refused",
    [BW_OUTCOME_ERROR] = "error",       [BW_OUTCOME_ABORTED] = "aborted",
};

static const struct {
    const char *name;
    const char *sentence;
} reasons[BW_REASON_COUNT] = {
    [BW_REASON_NONE] = {"none", "Nothing stood in the way."},
    [BW_REASON_URI_MISS] = {"uri-miss", "Nothing is stored under this address."},
    [BW_REASON_VARY_MISS] = {"vary-miss",
                             "What is stored does not fit the fields of this request."},
    [BW_REASON_STALE] = {"stale", "What is stored has expired."},
    [BW_REASON_NO_CACHE] = {"no-cache", "The response demands to be revalidated each time."},
    [BW_REASON_REQUEST] = {"request", "The client asked for a response from the origin."},
    [BW_REASON_METHOD] = {"method", "The method is not one that is answered from the cache."},
    [BW_REASON_RULE] = {"rule", "A rule says that the cache is not used."},
    [BW_REASON_UPGRADE] = {"upgrade", "The request asks to leave HTTP."},
    [BW_REASON_BODY] = {"body", "The request has a body."},
    [BW_REASON_AUTHORIZATION] =
        {"authorization",
         "The request carries credentials and the response does not allow sharing."},
    [BW_REASON_PASS_LEARNT] = {"pass-learnt",
                               "The last response for this address was not shareable."},
    [BW_REASON_ONLY_IF_CACHED] = {"only-if-cached",
                                  "Nothing usable is stored and the client wanted nothing else."},
    [BW_REASON_NO_STORE] = {"no-store", "The response forbids storing."},
    [BW_REASON_PRIVATE] = {"private", "The response is meant for one user."},
    [BW_REASON_SET_COOKIE] = {"set-cookie", "The response sets a cookie."},
    [BW_REASON_COOKIE] = {"cookie",
                          "The request carries cookies and the response may be meant for them."},
    [BW_REASON_CONTENT_TYPE] = {"content-type",
                                "The type of the response is not that of its address."},
    [BW_REASON_STATUS] = {"status", "Responses with this status are not stored."},
    [BW_REASON_NO_FRESHNESS] = {"no-freshness", "The response does not say how long it lives."},
    [BW_REASON_VARY_ANY] = {"vary-any", "The response varies by more than can be told apart."},
    [BW_REASON_TOO_LARGE] = {"too-large", "The response is larger than what is stored."},
    [BW_REASON_PARTIAL] = {"partial", "The response is only a part."},
    [BW_REASON_REFLECTED_ORIGIN] =
        {"reflected-origin",
         "The response repeats the Origin of the request without saying that it varies by it."},
    [BW_REASON_TTL_OFF] = {"ttl-off", "A rule says that the response is not stored."},
    [BW_REASON_NOT_ADMITTED] = {"not-admitted",
                                "The response is not worth what it would displace."},
    [BW_REASON_STORE_LOST] = {"store-lost", "The response could not be written to the store."},
    [BW_REASON_MEMORY] = {"memory", "No memory is left to hold the response."},
    [BW_REASON_PURGED] = {"purged", "The response was purged while it was fetched."},
    [BW_REASON_RESOLVE] = {"resolve", "The name of the origin server could not be resolved."},
    [BW_REASON_CONNECT] = {"connect", "The origin server could not be connected to."},
    [BW_REASON_CONNECT_TIMEOUT] = {"connect-timeout",
                                   "The origin server did not accept the connection in time."},
    [BW_REASON_TLS] = {"tls", "The secure connection to the origin server failed."},
    [BW_REASON_TLS_TIMEOUT] = {"tls-timeout",
                               "The secure connection to the origin server took too long."},
    [BW_REASON_CERTIFICATE] = {"certificate", "The certificate of the origin server is not valid."},
    [BW_REASON_FIRST_BYTE_TIMEOUT] = {"first-byte-timeout",
                                      "The origin server did not begin to answer in time."},
    [BW_REASON_BETWEEN_BYTES_TIMEOUT] = {"between-bytes-timeout",
                                         "The origin server stopped in the middle of its answer."},
    [BW_REASON_SEND] = {"send", "The request could not be sent to the origin server."},
    [BW_REASON_CLOSED] = {"closed", "The origin server closed the connection without an answer."},
    [BW_REASON_BAD_RESPONSE] = {"bad-response",
                                "The answer of the origin server is not valid HTTP."},
    [BW_REASON_UNASKED_PART] = {"unasked-part",
                                "The origin server sent a part where the whole was asked for."},
    [BW_REASON_TRUNCATED] = {"truncated",
                             "The answer of the origin server is shorter than announced."},
    [BW_REASON_QUEUE_FULL] = {"queue-full", "All connections to the origin server are in use."},
    [BW_REASON_SHED] = {"shed", "Too much is going on at the moment."},
    [BW_REASON_DRAINED] = {"drained", "This server is about to stop."},
    [BW_REASON_ORIGIN_STATUS] = {"origin-status", "The origin server reported an error."},
    [BW_REASON_BAD_HEAD] = {"bad-head", "The request is not valid HTTP."},
    [BW_REASON_BAD_TARGET] = {"bad-target", "The address in the request is not valid."},
    [BW_REASON_BAD_BODY] = {"bad-body", "The body of the request is not valid HTTP."},
    [BW_REASON_BODY_TOO_LARGE] = {"body-too-large", "The body of the request is too large."},
    [BW_REASON_METHOD_NOT_ALLOWED] = {"method-not-allowed",
                                      "The method of the request is not allowed."},
    [BW_REASON_TIMEOUT] = {"timeout", "The request did not arrive in time."},
    [BW_REASON_UNKNOWN_HOST] = {"unknown-host", "No site of that name is served here."},
    [BW_REASON_LOOP] = {"loop", "The request has been here before."},
};

const char *bw_outcome_name(enum bw_outcome o)
{
    BW_ASSERT(o < BW_OUTCOME_COUNT);
    return outcomes[o];
}

const char *bw_reason_name(enum bw_reason r)
{
    BW_ASSERT(r < BW_REASON_COUNT);
    return reasons[r].name;
}

const char *bw_reason_sentence(enum bw_reason r)
{
    BW_ASSERT(r < BW_REASON_COUNT);
    return reasons[r].sentence;
}
