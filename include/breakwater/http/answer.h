/*
 * answer.h - the bodies of Breakwater's own responses: what happened, in a sentence, for a person
 * or for a program.
 *
 * Pure.  Everything is escaped; nothing of the request stands in it but the id that we gave it.
 * Not for the hit path.
 */
#pragma once

#include "breakwater/base/buf.h"
#include "breakwater/http/field.h"

enum bw_answer_form {
    BW_ANSWER_HTML,
    BW_ANSWER_JSON, /* a problem document (RFC 9457) */
};

struct bw_answer {
    int status;
    struct bw_slice sentence;   /* the plain reason: bw_reason_sentence() */
    struct bw_slice request_id; /* finds the line in the log; may be empty */
};

/* Which form the request's Accept prefers: JSON only if it outweighs HTML, by name. */
enum bw_answer_form bw_answer_form(const struct bw_fields *request);
/* Its Content-Type, static. */
struct bw_slice bw_answer_type(enum bw_answer_form form);
/* Appends the body. */
void bw_answer_body(const struct bw_answer *a, enum bw_answer_form form, struct bw_buf *out);
