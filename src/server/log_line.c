/*
 * log_line.c - one request as a JSON object or in the combined format.
 *
 * Written for a hundred thousand lines a second: no printf, runs of harmless bytes are copied
 * whole.  Numbers and names of our own come first and always fit; the long fields that peers choose
 * come last, each with the bytes that the rest of the line still needs set aside.
 */
#include "breakwater/base/check.h"

#include "log_line_priv.h"

#include <time.h>

struct line {
    char *at;
    char *end; /* behind the last byte that may be written now */
    enum bw_log_format format;
    bool cut; /* something did not fit */
    bool any; /* JSON: a field was written, the next one needs a comma */
};

enum {
    SMALL_FIELD = 64,  /* escaped bytes of a method, a protocol, a request id */
    NAME_FIELD = 256,  /* of a host, a pool, a rule */
    TAIL = 48,         /* what always fits behind the last field: a mark, brackets, the line end */
    AGENT_FIELD = 512, /* set aside for User-Agent while fields before it are written */
};

/* ---- pieces ---- */

static void put(struct line *l, const char *bytes, size_t n)
{
    BW_ASSERT(n <= (size_t)(l->end - l->at));
    memcpy(l->at, bytes, n);
    l->at += n;
}

static void put_literal(struct line *l, struct bw_slice s)
{
    put(l, s.base, s.len);
}

static void put_number(struct line *l, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    put(l, digits + i, sizeof(digits) - i);
}

/* Three digits. */
static void put_millis(struct line *l, unsigned ms)
{
    char digits[3] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10)};

    put(l, digits, sizeof(digits));
}

static bool is_plain(char c)
{
    return c >= 0x20 && c <= 0x7E && c != '"' && c != '\\';
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Are there eight plain bytes?  May say no where there are, never yes where there are not. */
static bool are_plain(const char *p)
{
    uint64_t v, quote, backslash;

    memcpy(&v, p, sizeof(v));
    quote = v ^ EACH('"');
    backslash = v ^ EACH('\\');
    /* a high bit: too low, too high (0x7F and above), or one of the two after the exclusive or */
    return (((v - EACH(0x20)) | (v + EACH(1)) | v | (quote - EACH(1)) | (backslash - EACH(1))) &
            EACH(0x80)) == 0;
}

static size_t plain_run(struct bw_slice s)
{
    size_t n = 0;

    while (n + 8 <= s.len && are_plain(s.base + n))
        n += 8;
    while (n < s.len && is_plain(s.base[n]))
        n++;
    return n;
}

/* "\u001f" (RFC 8259, 7) or "\x1f". */
static size_t escape(char out[6], enum bw_log_format format, char c)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char u = (unsigned char)c;
    size_t n = 0;

    out[n++] = '\\';
    out[n++] = format == BW_LOG_JSON ? 'u' : 'x';
    if (format == BW_LOG_JSON) {
        out[n++] = '0';
        out[n++] = '0';
    }
    out[n++] = hex[u >> 4];
    out[n++] = hex[u & 15];
    return n;
}

/* What a peer sent, harmless: at most `most` bytes of it, and never half an escape. */
static void put_foreign(struct line *l, struct bw_slice s, size_t most)
{
    size_t room = (size_t)(l->end - l->at);
    char code[6];

    room = room < most ? room : most;
    while (s.len > 0) {
        size_t n = plain_run(s);
        bool run = n > 0;

        if (!run)
            n = escape(code, l->format, s.base[0]);
        if (n > room) {
            l->cut = true;
            put(l, s.base, run ? room : 0);
            return;
        }
        put(l, run ? s.base : code, n);
        room -= n;
        s = bw_slice(s.base + (run ? n : 1), s.len - (run ? n : 1));
    }
}

/* ---- dates ---- */

static void put_date(struct line *l, struct bw_log_date *date, int64_t ms)
{
    int64_t second = ms / 1000;

    if (date->len == 0 || date->second != second || date->format != l->format) {
        time_t t = (time_t)second;
        struct tm tm;

        gmtime_r(&t, &tm);
        date->len = strftime(
            date->text, sizeof(date->text),
            l->format == BW_LOG_JSON ? "%Y-%m-%dT%H:%M:%S" : "%d/%b/%Y:%H:%M:%S +0000", &tm);
        date->second = second;
        date->format = l->format;
    }
    put(l, date->text, date->len);
}

/* ---- JSON ---- */

static void put_key(struct line *l, const char *key)
{
    if (l->any)
        put(l, ",", 1);
    l->any = true;
    put(l, "\"", 1);
    put(l, key, strlen(key));
    put(l, "\":", 2);
}

static void json_number(struct line *l, const char *key, uint64_t n)
{
    put_key(l, key);
    put_number(l, n);
}

/* Empty: no field.  `aside`: bytes that must be left for what follows. */
static void json_text(struct line *l, const char *key, struct bw_slice s, size_t most, size_t aside)
{
    char *end = l->end;
    size_t frame = strlen(key) + 6; /* comma, four quotes, colon */

    if (s.len == 0)
        return;
    if ((size_t)(end - l->at) < frame + aside) {
        l->cut = true;
        return;
    }
    put_key(l, key);
    put(l, "\"", 1);
    l->end = end - aside - 1;
    put_foreign(l, s, most);
    l->end = end;
    put(l, "\"", 1);
}

static void json_time(struct line *l, struct bw_log_date *date, int64_t ms)
{
    put_key(l, "time");
    put(l, "\"", 1);
    put_date(l, date, ms);
    put(l, ".", 1);
    put_millis(l, (unsigned)(ms % 1000));
    put(l, "Z\"", 2);
}

static void json_origin(struct line *l, const struct bw_log_entry *e)
{
    if (e->origin_us > 0)
        json_number(l, "origin_us", e->origin_us);
    json_text(l, "pool", bw_slice_str(e->pool), NAME_FIELD, 0);
    if (e->server >= 0)
        json_number(l, "server", (uint64_t)e->server);
}

static void json_outcome(struct line *l, const struct bw_log_entry *e)
{
    json_number(l, "status", e->status > 0 ? (uint64_t)e->status : 0);
    json_number(l, "bytes", e->bytes_sent);
    json_text(l, "outcome", bw_slice_str(bw_outcome_name(e->outcome)), SMALL_FIELD, 0);
    if (e->reason != BW_REASON_NONE)
        json_text(l, "reason", bw_slice_str(bw_reason_name(e->reason)), SMALL_FIELD, 0);
    json_number(l, "duration_us", e->duration_us);
}

static void write_json(struct line *l, const struct bw_log_entry *e, struct bw_log_date *date)
{
    put(l, "{", 1);
    json_time(l, date, e->time_ms);
    json_text(l, "client", bw_slice_str(e->client), SMALL_FIELD, 0);
    json_text(l, "method", e->method, SMALL_FIELD, 0);
    json_text(l, "host", e->host, NAME_FIELD, 0);
    json_text(l, "protocol", bw_slice_str(e->protocol), SMALL_FIELD, 0);
    put_key(l, "tls");
    put_literal(l, e->tls ? BW_S("true") : BW_S("false"));
    json_outcome(l, e);
    json_origin(l, e);
    json_text(l, "rule", bw_slice_str(e->rule), NAME_FIELD, 0);
    json_text(l, "id", e->request_id, SMALL_FIELD, 0);
    json_text(l, "target", e->target, SIZE_MAX, TAIL + 2 * AGENT_FIELD);
    json_text(l, "referer", e->referer, SIZE_MAX, TAIL + AGENT_FIELD);
    json_text(l, "user_agent", e->user_agent, SIZE_MAX, TAIL);
    if (l->cut)
        put_literal(l, BW_S(",\"cut\":true"));
    put(l, "}\n", 2);
}

/* ---- combined ---- */

static void quoted(struct line *l, struct bw_slice s, size_t aside)
{
    char *end = l->end;

    put(l, " \"", 2);
    l->end = end - aside;
    if (s.len > 0)
        put_foreign(l, s, SIZE_MAX);
    else
        put(l, "-", 1);
    l->end = end;
    put(l, "\"", 1);
}

static void combined_request(struct line *l, const struct bw_log_entry *e)
{
    char *end = l->end;

    if (e->method.len == 0) { /* the head could not be read */
        put_literal(l, BW_S(" \"-\""));
        return;
    }
    put(l, " \"", 2);
    put_foreign(l, e->method, SMALL_FIELD);
    put(l, " ", 1);
    l->end = end - AGENT_FIELD - AGENT_FIELD - NAME_FIELD;
    put_foreign(l, e->target, SIZE_MAX);
    l->end = end;
    put(l, " ", 1);
    put_foreign(l, bw_slice_str(e->protocol), SMALL_FIELD);
    put(l, "\"", 1);
}

static void write_combined(struct line *l, const struct bw_log_entry *e, struct bw_log_date *date)
{
    put_foreign(l, e->client != NULL ? bw_slice_str(e->client) : BW_S("-"), SMALL_FIELD);
    put_literal(l, BW_S(" - - ["));
    put_date(l, date, e->time_ms);
    put(l, "]", 1);
    combined_request(l, e);
    put(l, " ", 1);
    put_number(l, e->status > 0 ? (uint64_t)e->status : 0);
    put(l, " ", 1);
    put_number(l, e->bytes_sent);
    quoted(l, e->referer, TAIL + AGENT_FIELD);
    quoted(l, e->user_agent, TAIL);
    put(l, "\n", 1);
}

size_t bw_log_line(char *out, enum bw_log_format format, const struct bw_log_entry *e,
                   struct bw_log_date *date)
{
    struct line l = {.at = out, .end = out + BW_LOG_LINE_MAX, .format = format};

    switch (format) {
    case BW_LOG_JSON:
        write_json(&l, e, date);
        break;
    case BW_LOG_COMBINED:
        write_combined(&l, e, date);
        break;
    }
    return (size_t)(l.at - out);
}
