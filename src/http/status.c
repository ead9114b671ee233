/*
 * status.c - the reason phrases of status codes.
 *
 * 52x and 530 are no standard; teams read them in order to tell "could not be reached" from "said
 * 503", and Breakwater sends them only where it is told to.
 */
#include "breakwater/http/status.h"

enum { STATUS_FIRST = 100, STATUS_LAST = 530 };

static const char *const phrases[STATUS_LAST - STATUS_FIRST + 1] = {
    [100 - STATUS_FIRST] = "Continue",
    [101 - STATUS_FIRST] = "Switching Protocols",
    [102 - STATUS_FIRST] = "Processing",
    [103 - STATUS_FIRST] = "Early Hints",
    [200 - STATUS_FIRST] = "OK",
    [201 - STATUS_FIRST] = "Created",
    [202 - STATUS_FIRST] = "Accepted",
    [203 - STATUS_FIRST] = "Non-Authoritative Information",
    [204 - STATUS_FIRST] = "No Content",
    [205 - STATUS_FIRST] = "Reset Content",
    [206 - STATUS_FIRST] = "Partial Content",
    [207 - STATUS_FIRST] = "Multi-Status",
    [208 - STATUS_FIRST] = "Already Reported",
    [226 - STATUS_FIRST] = "IM Used",
    [300 - STATUS_FIRST] = "Multiple Choices",
    [301 - STATUS_FIRST] = "Moved Permanently",
    [302 - STATUS_FIRST] = "Found",
    [303 - STATUS_FIRST] = "See Other",
    [304 - STATUS_FIRST] = "Not Modified",
    [305 - STATUS_FIRST] = "Use Proxy",
    [307 - STATUS_FIRST] = "Temporary Redirect",
    [308 - STATUS_FIRST] = "Permanent Redirect",
    [400 - STATUS_FIRST] = "Bad Request",
    [401 - STATUS_FIRST] = "Unauthorized",
    [402 - STATUS_FIRST] = "Payment Required",
    [403 - STATUS_FIRST] = "Forbidden",
    [404 - STATUS_FIRST] = "Not Found",
    [405 - STATUS_FIRST] = "Method Not Allowed",
    [406 - STATUS_FIRST] = "Not Acceptable",
    [407 - STATUS_FIRST] = "Proxy Authentication Required",
    [408 - STATUS_FIRST] = "Request Timeout",
    [409 - STATUS_FIRST] = "Conflict",
    [410 - STATUS_FIRST] = "Gone",
    [411 - STATUS_FIRST] = "Length Required",
    [412 - STATUS_FIRST] = "Precondition Failed",
    [413 - STATUS_FIRST] = "Content Too Large",
    [414 - STATUS_FIRST] = "URI Too Long",
    [415 - STATUS_FIRST] = "Unsupported Media Type",
    [416 - STATUS_FIRST] = "Range Not Satisfiable",
    [417 - STATUS_FIRST] = "Expectation Failed",
    [421 - STATUS_FIRST] = "Misdirected Request",
    [422 - STATUS_FIRST] = "Unprocessable Content",
    [423 - STATUS_FIRST] = "Locked",
    [424 - STATUS_FIRST] = "Failed Dependency",
    [425 - STATUS_FIRST] = "Too Early",
    [426 - STATUS_FIRST] = "Upgrade Required",
    [428 - STATUS_FIRST] = "Precondition Required",
    [429 - STATUS_FIRST] = "Too Many Requests",
    [431 - STATUS_FIRST] = "Request Header Fields Too Large",
    [451 - STATUS_FIRST] = "Unavailable For Legal Reasons",
    [500 - STATUS_FIRST] = "Internal Server Error",
    [501 - STATUS_FIRST] = "Not Implemented",
    [502 - STATUS_FIRST] = "Bad Gateway",
    [503 - STATUS_FIRST] = "Service Unavailable",
    [504 - STATUS_FIRST] = "Gateway Timeout",
    [505 - STATUS_FIRST] = "HTTP Version Not Supported",
    [506 - STATUS_FIRST] = "Variant Also Negotiates",
    [507 - STATUS_FIRST] = "Insufficient Storage",
    [508 - STATUS_FIRST] = "Loop Detected",
    [511 - STATUS_FIRST] = "Network Authentication Required",
    [520 - STATUS_FIRST] = "Origin Answer Not Usable",
    [521 - STATUS_FIRST] = "Origin Refused Connection",
    [522 - STATUS_FIRST] = "Origin Connection Timed Out",
    [523 - STATUS_FIRST] = "Origin Unreachable",
    [524 - STATUS_FIRST] = "Origin Answer Timed Out",
    [525 - STATUS_FIRST] = "Origin TLS Handshake Failed",
    [526 - STATUS_FIRST] = "Origin Certificate Not Valid",
    [530 - STATUS_FIRST] = "Origin Not Found",
};

struct bw_slice bw_status_reason(int status)
{
    const char *phrase = NULL;

    if (status >= STATUS_FIRST && status <= STATUS_LAST)
        phrase = phrases[status - STATUS_FIRST];
    return bw_slice_str(phrase != NULL ? phrase : "");
}

bool bw_status_has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}
