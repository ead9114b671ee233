/*
 * answer.c - the bodies of Breakwater's own responses.
 */
#include "breakwater/http/answer.h"

#include "breakwater/base/check.h"
#include "breakwater/http/accept.h"
#include "breakwater/http/status.h"

static bool is_json(struct bw_slice media_range)
{
    return bw_slice_eq_nocase(media_range, BW_S("application/json")) ||
           bw_slice_eq_nocase(media_range, BW_S("application/problem+json"));
}

static bool is_html(struct bw_slice media_range)
{
    return bw_slice_eq_nocase(media_range, BW_S("text/html")) ||
           bw_slice_eq_nocase(media_range, BW_S("application/xhtml+xml"));
}

enum bw_answer_form bw_answer_form(const struct bw_fields *request)
{
    struct bw_list_iter it = {0};
    struct bw_accept member;
    int json = 0, html = 0;

    while (bw_accept_next(request, BW_F_ACCEPT, &it, &member)) {
        if (is_json(member.value) && member.q > json)
            json = member.q;
        else if (is_html(member.value) && member.q > html)
            html = member.q;
    }
    return json > html ? BW_ANSWER_JSON : BW_ANSWER_HTML;
}

struct bw_slice bw_answer_type(enum bw_answer_form form)
{
    switch (form) {
    case BW_ANSWER_HTML:
        return BW_S("text/html; charset=utf-8");
    case BW_ANSWER_JSON:
        return BW_S("application/problem+json");
    }
    BW_UNREACHABLE();
}

/* "502 Bad Gateway" */
static void append_title(int status, struct bw_buf *out)
{
    struct bw_slice reason = bw_status_reason(status);

    bw_buf_printf(out, "%d", status);
    if (reason.len > 0) {
        bw_buf_char(out, ' ');
        bw_buf_slice(out, reason);
    }
}

static void append_html(const struct bw_answer *a, struct bw_buf *out)
{
    bw_buf_str(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    append_title(a->status, out);
    bw_buf_str(out, "</title>\n<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;"
                    "margin:15vh auto;padding:0 1rem}</style>\n</head>\n<body>\n<h1>");
    append_title(a->status, out);
    bw_buf_str(out, "</h1>\n<p>");
    bw_buf_html(out, a->sentence);
    bw_buf_str(out, "</p>\n");
    if (a->request_id.len > 0) {
        bw_buf_str(out, "<p><small>Request <code>");
        bw_buf_html(out, a->request_id);
        bw_buf_str(out, "</code></small></p>\n");
    }
    bw_buf_str(out, "</body>\n</html>\n");
}

static void append_json(const struct bw_answer *a, struct bw_buf *out)
{
    bw_buf_printf(out, "{\"status\":%d,\"title\":\"", a->status);
    bw_buf_json(out, bw_status_reason(a->status));
    bw_buf_str(out, "\",\"detail\":\"");
    bw_buf_json(out, a->sentence);
    if (a->request_id.len > 0) {
        bw_buf_str(out, "\",\"request_id\":\"");
        bw_buf_json(out, a->request_id);
    }
    bw_buf_str(out, "\"}\n");
}

void bw_answer_body(const struct bw_answer *a, enum bw_answer_form form, struct bw_buf *out)
{
    switch (form) {
    case BW_ANSWER_HTML:
        append_html(a, out);
        return;
    case BW_ANSWER_JSON:
        append_json(a, out);
        return;
    }
    BW_UNREACHABLE();
}
