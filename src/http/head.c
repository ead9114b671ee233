/*
 * head.c - request and response heads, read once from front to end.
 *
 * Two tables carry the grammar: token_char says in one look-up whether a byte belongs in a token
 * and what it is in lower case, class_bits says in which kinds of text a byte may stand.  CR is in
 * neither, and a head ends with CRLF CRLF, so every scan stops inside the buffer without asking for
 * its end.  A field that frames or routes the message has a role, found by its id; all others are
 * kept.
 *
 * Two parties that read the same bytes differently are how requests are smuggled: whatever another
 * parser could take for something else ends here, and the connection with it.
 */
#include "breakwater/http/head.h"

#include "breakwater/base/check.h"
#include "breakwater/http/status.h"

#include <arpa/inet.h>

enum { IN_VALUE = 1, IN_TARGET = 2, IN_HOST = 4 };

/* Longer than any Connection option that we know. */
enum { OPTION_MAX = 32, HOST_MAX = 255, LENGTH_DIGITS_MAX = 18 };

/* RFC 9110, 5.6.2: the lower case of a token character, 0 for any other byte. */
static const unsigned char token_char[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`',   ['|'] = '|',
    ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',   ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['a'] = 'a', ['b'] = 'b',   ['c'] = 'c',
    ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',   ['j'] = 'j',
    ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',   ['q'] = 'q',
    ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w',   ['x'] = 'x',
    ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd',   ['E'] = 'e',
    ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k',   ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',   ['S'] = 's',
    ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y',   ['Z'] = 'z'};

/*
 * IN_VALUE: RFC 9110, 5.5 with obs-text.  IN_TARGET: printable ASCII but for the bytes that no URI
 * holds and that parsers disagree about (RFC 3986, 2; security.md 6).  IN_HOST: a reg-name as
 * DNS and people write it.
 */
static const unsigned char class_bits[256] = {
    ['\t'] = IN_VALUE,
    [' '] = IN_VALUE,
    ['!'] = IN_VALUE | IN_TARGET,
    ['"' ... '#'] = IN_VALUE,
    ['$' ... ','] = IN_VALUE | IN_TARGET,
    ['-' ... '.'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['/'] = IN_VALUE | IN_TARGET,
    ['0' ... '9'] = IN_VALUE | IN_TARGET | IN_HOST,
    [':' ... ';'] = IN_VALUE | IN_TARGET,
    ['<'] = IN_VALUE,
    ['='] = IN_VALUE | IN_TARGET,
    ['>'] = IN_VALUE,
    ['?' ... '@'] = IN_VALUE | IN_TARGET,
    ['A' ... 'Z'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['['] = IN_VALUE | IN_TARGET,
    ['\\'] = IN_VALUE,
    [']'] = IN_VALUE | IN_TARGET,
    ['^'] = IN_VALUE,
    ['_'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['`'] = IN_VALUE,
    ['a' ... 'z'] = IN_VALUE | IN_TARGET | IN_HOST,
    ['{' ... '}'] = IN_VALUE,
    ['~'] = IN_VALUE | IN_TARGET,
    [0x80 ... 0xFF] = IN_VALUE,
};

/* What a field does to the reader besides being kept. */
enum role { KEPT, HOST, LENGTH, CODING, CONNECTION, EXPECT, UPGRADE };

static const unsigned char request_roles[BW_F_COUNT] = {
    [BW_F_HOST] = HOST,
    [BW_F_CONTENT_LENGTH] = LENGTH,
    [BW_F_TRANSFER_ENCODING] = CODING,
    [BW_F_CONNECTION] = CONNECTION,
    [BW_F_EXPECT] = EXPECT,
    [BW_F_UPGRADE] = UPGRADE,
};

static const unsigned char response_roles[BW_F_COUNT] = {
    [BW_F_CONTENT_LENGTH] = LENGTH,
    [BW_F_TRANSFER_ENCODING] = CODING,
    [BW_F_CONNECTION] = CONNECTION,
};

/*
 * Fields that are meant for every recipient (RFC 9110, 7.6.1): a Connection option that names one
 * would make us drop what protects the response or the user.
 */
static const bool end_to_end[BW_F_COUNT] = {
    [BW_F_ACCEPT] = true,
    [BW_F_ACCEPT_ENCODING] = true,
    [BW_F_ACCEPT_LANGUAGE] = true,
    [BW_F_AGE] = true,
    [BW_F_AUTHORIZATION] = true,
    [BW_F_BREAKWATER_CACHE_CONTROL] = true,
    [BW_F_CACHE_CONTROL] = true,
    [BW_F_CDN_CACHE_CONTROL] = true,
    [BW_F_CONTENT_ENCODING] = true,
    [BW_F_CONTENT_LENGTH] = true,
    [BW_F_CONTENT_RANGE] = true,
    [BW_F_CONTENT_TYPE] = true,
    [BW_F_COOKIE] = true,
    [BW_F_DATE] = true,
    [BW_F_ETAG] = true,
    [BW_F_EXPECT] = true,
    [BW_F_EXPIRES] = true,
    [BW_F_FORWARDED] = true,
    [BW_F_HOST] = true,
    [BW_F_IF_MATCH] = true,
    [BW_F_IF_MODIFIED_SINCE] = true,
    [BW_F_IF_NONE_MATCH] = true,
    [BW_F_IF_RANGE] = true,
    [BW_F_IF_UNMODIFIED_SINCE] = true,
    [BW_F_LAST_MODIFIED] = true,
    [BW_F_LOCATION] = true,
    [BW_F_ORIGIN] = true,
    [BW_F_PRAGMA] = true,
    [BW_F_RANGE] = true,
    [BW_F_SET_COOKIE] = true,
    [BW_F_SURROGATE_CONTROL] = true,
    [BW_F_VARY] = true,
    [BW_F_VIA] = true,
    [BW_F_WWW_AUTHENTICATE] = true,
    [BW_F_X_FORWARDED_FOR] = true,
    [BW_F_X_FORWARDED_HOST] = true,
    [BW_F_X_FORWARDED_PROTO] = true,
    [BW_F_X_REAL_IP] = true,
};

/* The place in a head, and what its fields said so far. */
struct reader {
    char *p;         /* the next byte */
    const char *end; /* behind the CRLF CRLF */
    const unsigned char *roles;
    struct bw_fields *fields;
    size_t max;
    uint64_t length;
    struct bw_slice host;
    unsigned char minor;
    bool has_host;
    bool has_length;
    bool has_coding;
    bool has_expect;
    bool has_upgrade;
    bool asks_close; /* the options of Connection */
    bool asks_keep_alive;
    bool asks_upgrade;
};

static unsigned char class_of(char c)
{
    return class_bits[(unsigned char)c];
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Is every byte of that class? */
static bool is_all(struct bw_slice s, unsigned char class)
{
    unsigned char common = class;

    for (size_t i = 0; i < s.len; ++i)
        common &= class_of(s.base[i]);
    return common != 0;
}

bool bw_head_token_valid(struct bw_slice s)
{
    bool valid = s.len > 0;

    for (size_t i = 0; i < s.len; ++i)
        valid &= token_char[(unsigned char)s.base[i]] != 0;
    return valid;
}

bool bw_head_value_valid(struct bw_slice s)
{
    return is_all(s, IN_VALUE);
}

bool bw_head_method_valid(struct bw_slice method)
{
    return method.len <= BW_HEAD_METHOD_MAX && bw_head_token_valid(method);
}

bool bw_head_target_valid(struct bw_slice target)
{
    return target.len > 0 && target.len <= BW_HEAD_TARGET_MAX && target.base[0] == '/' &&
           is_all(target, IN_TARGET);
}

/* 1 to 65535, without zeros in front: one spelling a port. */
static bool is_port(struct bw_slice s)
{
    uint64_t port;

    return s.len <= 5 && bw_slice_u64(s, &port) && s.base[0] != '0' && port <= 65535;
}

/* For short names: memmem() costs more to begin than this to end. */
static bool has_dot_dot(struct bw_slice name)
{
    for (size_t i = 1; i < name.len; i++)
        if (name.base[i] == '.' && name.base[i - 1] == '.')
            return true;
    return false;
}

/* No empty label but the one behind a trailing dot: "." and "a..b" are no names. */
static bool is_reg_name(struct bw_slice name)
{
    if (name.len == 0 || name.len > HOST_MAX || name.base[0] == '.' || !is_all(name, IN_HOST))
        return false;
    return !has_dot_dot(name);
}

bool bw_head_authority_valid(struct bw_slice authority)
{
    struct bw_slice port;
    struct in6_addr parsed;

    if (authority.len == 0)
        return false;
    if (authority.base[0] != '[') {
        struct bw_slice name = bw_slice_cut(authority, ':', &port);
        return is_reg_name(name) && (port.base == NULL || is_port(port));
    }
    struct bw_slice inside = bw_slice(authority.base + 1, authority.len - 1);
    struct bw_slice address = bw_slice_cut(inside, ']', &port);

    /* RFC 3986, 3.2.2; zone ids and IPvFuture are refused */
    if (port.base == NULL || !bw_slice_inet(address, AF_INET6, &parsed))
        return false;
    return port.len == 0 || (port.base[0] == ':' && is_port(bw_slice(port.base + 1, port.len - 1)));
}

/* Moves over the bytes of that class and returns them. */
static struct bw_slice scan(struct reader *r, unsigned char class)
{
    char *from = r->p;

    while ((class_of(*r->p) & class) != 0)
        ++r->p;
    return bw_slice(from, (size_t)(r->p - from));
}

/* A field name in lower case and its colon; obs-fold and a blank before the colon fail here. */
static bool read_name(struct reader *r, struct bw_slice *name)
{
    char *from = r->p;
    unsigned char c;

    while ((c = token_char[(unsigned char)*r->p]) != 0)
        *r->p++ = (char)c;
    *name = bw_slice(from, (size_t)(r->p - from));
    return name->len > 0 && name->len <= BW_HEAD_NAME_MAX && *r->p++ == ':';
}

/* A field value without the blanks around it, and its CRLF. */
static bool read_value(struct reader *r, struct bw_slice *value)
{
    while (is_blank(*r->p))
        ++r->p;
    *value = scan(r, IN_VALUE);
    if (r->p[0] != '\r' || r->p[1] != '\n')
        return false;
    r->p += 2;
    while (value->len > 0 && is_blank(value->base[value->len - 1]))
        --value->len;
    return true;
}

bool bw_head_length(struct bw_slice value, uint64_t *out)
{
    return value.len <= LENGTH_DIGITS_MAX && bw_slice_u64(value, out);
}

bool bw_head_disguises_framing(struct bw_slice name)
{
    return bw_slice_eq(name, BW_S("content_length")) ||
           bw_slice_eq(name, BW_S("transfer_encoding"));
}

static enum bw_head_verdict keep(struct reader *r, const struct bw_field *field)
{
    if (field->id == BW_F_OTHER && bw_head_disguises_framing(field->name))
        return BW_HEAD_BAD_REQUEST;
    if (r->fields->n == r->max)
        return BW_HEAD_TOO_MANY_FIELDS;
    r->fields->v[r->fields->n++] = *field;
    return BW_HEAD_OK;
}

/* RFC 9112, 3.2: exactly one, and valid. */
static enum bw_head_verdict take_host(struct reader *r, struct bw_slice value)
{
    if (r->has_host || !bw_head_authority_valid(value))
        return BW_HEAD_BAD_REQUEST;
    r->has_host = true;
    r->host = value;
    return BW_HEAD_OK;
}

/* RFC 9112, 6.3: once, digits only, never beside Transfer-Encoding; not even equal ones twice. */
static enum bw_head_verdict take_length(struct reader *r, struct bw_slice value)
{
    if (r->has_length || r->has_coding || !bw_head_length(value, &r->length))
        return BW_HEAD_BAD_REQUEST;
    r->has_length = true;
    return BW_HEAD_OK;
}

/* RFC 9112, 6.1: chunked alone, once, never in HTTP/1.0. */
static enum bw_head_verdict take_coding(struct reader *r, struct bw_slice value)
{
    if (r->has_length || r->has_coding || r->minor == 0 || value.len == 0)
        return BW_HEAD_BAD_REQUEST;
    if (!bw_slice_eq_nocase(value, BW_S("chunked")))
        return BW_HEAD_NOT_IMPLEMENTED;
    r->has_coding = true;
    return BW_HEAD_OK;
}

/* Notes one option in lower case; false: it names a field that everyone needs. */
static bool note_option(struct reader *r, struct bw_slice option)
{
    enum bw_field_id id = bw_field_lookup(option);

    if (bw_slice_eq(option, BW_S("close")))
        r->asks_close = true;
    r->asks_keep_alive |= id == BW_F_KEEP_ALIVE;
    r->asks_upgrade |= id == BW_F_UPGRADE;
    /* origins are known to name Transfer-Encoding, which does no harm in a response */
    return !end_to_end[id] && (id != BW_F_TRANSFER_ENCODING || r->roles == response_roles);
}

static bool take_option(struct reader *r, struct bw_slice option)
{
    char lower[OPTION_MAX];

    if (!bw_head_token_valid(option))
        return option.len == 0;
    if (option.len > sizeof(lower))
        return true;
    for (size_t i = 0; i < option.len; ++i)
        lower[i] = (char)token_char[(unsigned char)option.base[i]];
    return note_option(r, bw_slice(lower, option.len));
}

/* RFC 9110, 7.6.1: a list of tokens, in which members may be empty (5.6.1.2). */
static enum bw_head_verdict take_connection(struct reader *r, const struct bw_field *field)
{
    struct bw_slice rest = field->value;

    while (rest.len > 0) {
        struct bw_slice option = bw_slice_cut(rest, ',', &rest);
        if (!take_option(r, bw_slice_trim(option)))
            return BW_HEAD_BAD_REQUEST;
    }
    return keep(r, field);
}

/* RFC 9110, 10.1.1; an HTTP/1.0 client cannot wait for a 100, so its wish is no wish. */
static enum bw_head_verdict take_expect(struct reader *r, const struct bw_field *field)
{
    if (!bw_slice_eq_nocase(field->value, BW_S("100-continue")))
        return BW_HEAD_EXPECTATION_FAILED;
    r->has_expect = r->minor > 0;
    return keep(r, field);
}

static enum bw_head_verdict take(struct reader *r, const struct bw_field *field)
{
    switch ((enum role)r->roles[field->id]) {
    case KEPT:
        return keep(r, field);
    case HOST:
        return take_host(r, field->value);
    case LENGTH:
        return take_length(r, field->value);
    case CODING:
        return take_coding(r, field->value);
    case CONNECTION:
        return take_connection(r, field);
    case EXPECT:
        return take_expect(r, field);
    case UPGRADE:
        r->has_upgrade = true;
        return keep(r, field);
    }
    BW_UNREACHABLE();
}

/* All field lines and the empty line, behind which nothing may be left. */
static enum bw_head_verdict read_fields(struct reader *r)
{
    while (*r->p != '\r') {
        struct bw_field field;

        if (!read_name(r, &field.name) || !read_value(r, &field.value))
            return BW_HEAD_BAD_REQUEST;
        field.id = bw_field_lookup(field.name);
        enum bw_head_verdict verdict = take(r, &field);
        if (verdict != BW_HEAD_OK)
            return verdict;
    }
    return r->p + 2 == r->end && r->p[1] == '\n' ? BW_HEAD_OK : BW_HEAD_BAD_REQUEST;
}

/* What the contract of both parsers says of their bytes, and what all scans rely on. */
static bool ends_with_empty_line(const char *bytes, size_t len)
{
    return bw_slice_ends(bw_slice(bytes, len), BW_S("\r\n\r\n"));
}

/* RFC 9112, 9.3 */
static bool may_persist(const struct reader *r)
{
    return !r->asks_close && (r->minor > 0 || r->asks_keep_alive);
}

/* " HTTP/1.x" CRLF behind the target (RFC 9112, 2.3). */
static enum bw_head_verdict read_version(struct reader *r)
{
    enum { LENGTH_OF_VERSION = 11 };
    const char *p = r->p;

    if (r->end - p < LENGTH_OF_VERSION || memcmp(p, " HTTP/", 6) != 0 || p[7] != '.' ||
        p[9] != '\r' || p[10] != '\n')
        return BW_HEAD_BAD_REQUEST;
    r->p += LENGTH_OF_VERSION;
    if (p[6] != '1' || (p[8] != '0' && p[8] != '1'))
        return p[6] >= '0' && p[6] <= '9' && p[8] >= '0' && p[8] <= '9' ? BW_HEAD_VERSION
                                                                        : BW_HEAD_BAD_REQUEST;
    r->minor = (unsigned char)(p[8] - '0');
    return BW_HEAD_OK;
}

/* RFC 9112, 3: one blank between the parts, nothing around them. */
static enum bw_head_verdict read_request_line(struct reader *r, struct bw_request_head *out)
{
    char *from = r->p;

    while (token_char[(unsigned char)*r->p] != 0)
        ++r->p;
    size_t n = (size_t)(r->p - from);
    if (n == 0 || n > BW_HEAD_METHOD_MAX || *r->p++ != ' ')
        return BW_HEAD_BAD_REQUEST;
    out->method = bw_slice(from, n);

    out->target = scan(r, IN_TARGET);
    if (out->target.len == 0)
        return BW_HEAD_BAD_REQUEST;
    if (out->target.len > BW_HEAD_TARGET_MAX)
        return BW_HEAD_TARGET_TOO_LONG;
    enum bw_head_verdict verdict = read_version(r);
    out->minor = r->minor;
    return verdict;
}

/* Behind "http://" or "https://", in any case; base NULL: another scheme or none. */
static struct bw_slice skip_scheme(struct bw_slice target)
{
    static const struct bw_slice schemes[] = {BW_S("http://"), BW_S("https://")};

    for (size_t i = 0; i < BW_ARRAY_LEN(schemes); ++i) {
        size_t n = schemes[i].len;
        if (target.len > n && bw_slice_eq_nocase(bw_slice(target.base, n), schemes[i]))
            return bw_slice(target.base + n, target.len - n);
    }
    return bw_slice(NULL, 0);
}

/*
 * RFC 9112, 3.2.2: the authority of the target must be what Host says, or a party behind us could
 * believe the other one.  Userinfo fails as a bad authority.
 */
static enum bw_head_verdict split_absolute(struct bw_request_head *out, bool is_options)
{
    struct bw_slice rest = skip_scheme(out->target);
    size_t n = 0;

    while (n < rest.len && rest.base[n] != '/' && rest.base[n] != '?')
        ++n;
    struct bw_slice authority = bw_slice(rest.base, n);
    if (!bw_head_authority_valid(authority))
        return BW_HEAD_BAD_REQUEST;
    if (out->authority.len > 0 && !bw_slice_eq_nocase(authority, out->authority))
        return BW_HEAD_BAD_REQUEST;
    out->authority = authority;
    if (n == rest.len) {
        out->target = is_options ? BW_S("*") : BW_S("/"); /* RFC 9112, 3.2.4 and 3.2.1 */
        return BW_HEAD_OK;
    }
    if (rest.base[n] == '?')
        return BW_HEAD_BAD_REQUEST; /* "/?" has no room in place */
    out->target = bw_slice(rest.base + n, rest.len - n);
    return BW_HEAD_OK;
}

/* Brings the four forms of a target down to origin-form and "*" (RFC 9112, 3.2). */
static enum bw_head_verdict settle_target(struct bw_request_head *out)
{
    bool is_options = bw_slice_eq(out->method, BW_S("OPTIONS"));

    if (bw_slice_eq(out->method, BW_S("CONNECT")))
        return BW_HEAD_NOT_IMPLEMENTED;
    if (out->target.base[0] == '/')
        return BW_HEAD_OK;
    if (bw_slice_eq(out->target, BW_S("*")))
        return is_options ? BW_HEAD_OK : BW_HEAD_BAD_REQUEST;
    return split_absolute(out, is_options);
}

static enum bw_framing request_framing(const struct reader *r)
{
    if (r->has_coding)
        return BW_FRAMING_CHUNKED;
    return r->has_length ? BW_FRAMING_LENGTH : BW_FRAMING_NONE;
}

enum bw_head_verdict bw_head_parse_request(char *bytes, size_t len, struct bw_field *fields,
                                           size_t max, struct bw_request_head *out)
{
    struct reader r = {
        .p = bytes, .end = bytes + len, .roles = request_roles, .fields = &out->fields, .max = max};
    enum bw_head_verdict verdict;

    *out = (struct bw_request_head){.fields = {fields, 0}};
    if (!ends_with_empty_line(bytes, len))
        return BW_HEAD_BAD_REQUEST;
    if ((verdict = read_request_line(&r, out)) != BW_HEAD_OK)
        return verdict;
    verdict = read_fields(&r);
    out->authority = r.host;
    if (verdict != BW_HEAD_OK)
        return verdict;
    if (!r.has_host && r.minor > 0)
        return BW_HEAD_BAD_REQUEST;
    out->content_length = r.length;
    out->framing = request_framing(&r);
    out->keep_alive = may_persist(&r);
    out->expect_continue = r.has_expect;
    out->upgrade = r.has_upgrade && r.asks_upgrade && r.minor > 0;
    return settle_target(out);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9112, 4; the blank before an empty reason is often forgotten, and nothing hangs on it. */
static bool read_status_line(struct reader *r, struct bw_response_head *out)
{
    enum { LENGTH_TO_REASON = 12 };
    const char *p = r->p;

    if (r->end - p < LENGTH_TO_REASON + 4 || memcmp(p, "HTTP/1.", 7) != 0)
        return false;
    if ((p[7] != '0' && p[7] != '1') || p[8] != ' ')
        return false;
    if (p[9] == '0' || !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]))
        return false;
    r->minor = out->minor = (unsigned char)(p[7] - '0');
    out->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    r->p += LENGTH_TO_REASON;
    if (*r->p != '\r' && *r->p++ != ' ')
        return false;
    out->reason = scan(r, IN_VALUE);
    if (r->p[0] != '\r' || r->p[1] != '\n')
        return false;
    r->p += 2;
    return true;
}

/* RFC 9112, 6.3, rules 1 and 4 to 8 for a GET. */
static enum bw_framing response_framing(const struct reader *r, int status)
{
    if (bw_status_has_no_body(status))
        return BW_FRAMING_NONE;
    if (r->has_coding)
        return BW_FRAMING_CHUNKED;
    return r->has_length ? BW_FRAMING_LENGTH : BW_FRAMING_CLOSE;
}

bool bw_head_parse_response(char *bytes, size_t len, struct bw_field *fields, size_t max,
                            struct bw_response_head *out)
{
    struct reader r = {.p = bytes,
                       .end = bytes + len,
                       .roles = response_roles,
                       .fields = &out->fields,
                       .max = max};

    *out = (struct bw_response_head){.fields = {fields, 0}};
    if (!ends_with_empty_line(bytes, len) || !read_status_line(&r, out) ||
        read_fields(&r) != BW_HEAD_OK)
        return false;
    out->content_length = r.length;
    out->framing = response_framing(&r, out->status);
    out->keep_alive = may_persist(&r);
    return true;
}

enum bw_framing bw_head_response_framing(const struct bw_response_head *r, struct bw_slice method)
{
    return bw_slice_eq(method, BW_S("HEAD")) ? BW_FRAMING_NONE : r->framing;
}

/* The length of an empty line at the front of `s`, with or without its CR; 0: it is none. */
static size_t empty_line(struct bw_slice s)
{
    if (bw_slice_starts(s, BW_S("\n")))
        return 1;
    return bw_slice_starts(s, BW_S("\r\n")) ? 2 : 0;
}

/*
 * The parsers refuse a line without CR, but they shall see it at once: a client who ends lines with
 * LF alone must not wait for a timeout to learn it.
 */
size_t bw_head_find_end(const char *bytes, size_t len, size_t *scanned)
{
    enum { OVERLAP = 2 }; /* a LF CR that was last at the time */
    const char *end = bytes + len;
    const char *p = bytes + (*scanned > OVERLAP ? *scanned - OVERLAP : 0);

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        ++p;
        size_t n = empty_line(bw_slice(p, (size_t)(end - p)));
        if (n > 0)
            return (size_t)(p - bytes) + n;
    }
    *scanned = len;
    return 0;
}

static const struct {
    int status;
    const char *reason;
} verdicts[] = {
    [BW_HEAD_OK] = {200, "The request can be read."},
    [BW_HEAD_BAD_REQUEST] = {400, "The request is not valid HTTP."},
    [BW_HEAD_TARGET_TOO_LONG] = {414, "The address in the request is too long."},
    [BW_HEAD_EXPECTATION_FAILED] = {417, "The request expects something that is not offered."},
    [BW_HEAD_TOO_MANY_FIELDS] = {431, "The request has too many header fields."},
    [BW_HEAD_NOT_IMPLEMENTED] = {501, "The request asks for something that is not offered."},
    [BW_HEAD_VERSION] = {505, "This version of HTTP is not offered."},
};

int bw_head_verdict_status(enum bw_head_verdict v)
{
    BW_ASSERT(v < BW_ARRAY_LEN(verdicts));
    return verdicts[v].status;
}

const char *bw_head_verdict_reason(enum bw_head_verdict v)
{
    BW_ASSERT(v < BW_ARRAY_LEN(verdicts));
    return verdicts[v].reason;
}
