/*
 * structured.c - structured field values, read strictly  (RFC 9651, 4.2).
 *
 * Recursive descent over a slice that shrinks from the front; an inner list holds items only, so
 * nothing nests deeper than one level.  Each reader returns false at the first byte that does not
 * fit and leaves it to its caller to give the field up.
 */
#include "breakwater/http/structured.h"

enum { INTEGER_DIGITS = 15, DECIMAL_DIGITS = 12, FRACTION_DIGITS = 3 };

static int peek(const struct bw_slice *in)
{
    return in->len > 0 ? (unsigned char)in->base[0] : -1;
}

static void skip(struct bw_slice *in, size_t n)
{
    in->base += n;
    in->len -= n;
}

static bool take(struct bw_slice *in, char c)
{
    if (peek(in) != c)
        return false;
    skip(in, 1);
    return true;
}

static void skip_spaces(struct bw_slice *in)
{
    while (peek(in) == ' ')
        skip(in, 1);
}

static void skip_blanks(struct bw_slice *in)
{
    while (peek(in) == ' ' || peek(in) == '\t')
        skip(in, 1);
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(int c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(int c)
{
    return is_lower(c | 0x20) && c < 0x80;
}

static bool is_printable(int c)
{
    return c >= 0x20 && c <= 0x7E;
}

static bool is_one_of(int c, const char *set)
{
    return c > 0 && strchr(set, c) != NULL;
}

/* tchar, ':' and '/' (3.3.4) */
static bool is_token_char(int c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~:/");
}

static bool is_key_char(int c)
{
    return is_lower(c) || is_digit(c) || is_one_of(c, "_-.*");
}

static bool is_base64_char(int c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "+/=");
}

/* The first n bytes of `in`, which moves behind them. */
static struct bw_slice cut_off(struct bw_slice *in, size_t n)
{
    struct bw_slice head = bw_slice(in->base, n);

    skip(in, n);
    return head;
}

static bool read_key(struct bw_slice *in, struct bw_slice *key)
{
    size_t n = 0;

    if (!is_lower(peek(in)) && peek(in) != '*')
        return false;
    while (n < in->len && is_key_char((unsigned char)in->base[n]))
        ++n;
    *key = cut_off(in, n);
    return true;
}

static int read_digits(struct bw_slice *in, int most, int64_t *value)
{
    int n = 0;

    while (is_digit(peek(in)) && n <= most) {
        *value = *value * 10 + (in->base[0] - '0');
        skip(in, 1);
        ++n;
    }
    return n;
}

/* Integer or Decimal (4.2.4) */
static bool read_number(struct bw_slice *in, struct bw_sf_item *item)
{
    bool negative = take(in, '-');
    int64_t value = 0;
    int digits = read_digits(in, INTEGER_DIGITS, &value);

    if (digits == 0 || digits > INTEGER_DIGITS)
        return false;
    item->type = BW_SF_INTEGER;
    if (peek(in) == '.') {
        skip(in, 1);
        int fraction = read_digits(in, FRACTION_DIGITS, &value);
        if (digits > DECIMAL_DIGITS || fraction == 0 || fraction > FRACTION_DIGITS)
            return false;
        for (; fraction < FRACTION_DIGITS; ++fraction)
            value *= 10;
        item->type = BW_SF_DECIMAL;
    }
    item->number = negative ? -value : value;
    return true;
}

/* String (4.2.5): only a quote and a backslash are ever escaped */
static bool read_string(struct bw_slice *in, struct bw_sf_item *item)
{
    size_t n = 0;

    skip(in, 1);
    while (n < in->len && in->base[n] != '"') {
        if (in->base[n] == '\\' && (++n >= in->len || !is_one_of(in->base[n], "\"\\")))
            return false;
        if (!is_printable((unsigned char)in->base[n]))
            return false;
        ++n;
    }
    if (n >= in->len)
        return false;
    item->type = BW_SF_STRING;
    item->text = cut_off(in, n);
    return take(in, '"');
}

/* Display String (4.2.10); that the escaped bytes are UTF-8 is left to who shows them */
static bool read_display(struct bw_slice *in, struct bw_sf_item *item)
{
    size_t n = 0;

    skip(in, 1);
    if (!take(in, '"'))
        return false;
    for (; n < in->len && in->base[n] != '"'; ++n) {
        if (!is_printable((unsigned char)in->base[n]))
            return false;
        if (in->base[n] != '%')
            continue;
        if (in->len - n < 3 || !is_one_of(in->base[n + 1], "0123456789abcdef") ||
            !is_one_of(in->base[n + 2], "0123456789abcdef"))
            return false;
        n += 2;
    }
    if (n >= in->len)
        return false;
    item->type = BW_SF_DISPLAY;
    item->text = cut_off(in, n);
    return take(in, '"');
}

static bool read_token(struct bw_slice *in, struct bw_sf_item *item)
{
    size_t n = 1;

    while (n < in->len && is_token_char((unsigned char)in->base[n]))
        ++n;
    item->type = BW_SF_TOKEN;
    item->text = cut_off(in, n);
    return true;
}

static bool read_bytes(struct bw_slice *in, struct bw_sf_item *item)
{
    size_t n = 0;

    skip(in, 1);
    while (n < in->len && is_base64_char((unsigned char)in->base[n]))
        ++n;
    item->type = BW_SF_BYTES;
    item->text = cut_off(in, n);
    return take(in, ':');
}

static bool read_boolean(struct bw_slice *in, struct bw_sf_item *item)
{
    skip(in, 1);
    item->type = BW_SF_BOOLEAN;
    item->number = peek(in) == '1';
    return take(in, '0') || take(in, '1');
}

static bool read_date(struct bw_slice *in, struct bw_sf_item *item)
{
    skip(in, 1);
    if (!read_number(in, item) || item->type != BW_SF_INTEGER)
        return false;
    item->type = BW_SF_DATE;
    return true;
}

static bool read_bare_item(struct bw_slice *in, struct bw_sf_item *item)
{
    int c = peek(in);

    *item = (struct bw_sf_item){0};
    if (is_digit(c) || c == '-')
        return read_number(in, item);
    if (c == '"')
        return read_string(in, item);
    if (is_alpha(c) || c == '*')
        return read_token(in, item);
    if (c == '?')
        return read_boolean(in, item);
    if (c == ':')
        return read_bytes(in, item);
    if (c == '@')
        return read_date(in, item);
    return c == '%' && read_display(in, item);
}

/* One parameter behind its ';' (4.2.3.2) */
static bool read_param(struct bw_slice *in, struct bw_slice *key, struct bw_sf_item *value)
{
    skip_spaces(in);
    if (!read_key(in, key))
        return false;
    if (take(in, '='))
        return read_bare_item(in, value);
    *value = (struct bw_sf_item){.type = BW_SF_BOOLEAN, .number = 1};
    return true;
}

static bool read_params(struct bw_slice *in, struct bw_slice *params)
{
    const char *start = in->base;
    struct bw_slice key;
    struct bw_sf_item value;

    while (take(in, ';'))
        if (!read_param(in, &key, &value))
            return false;
    *params = bw_slice(start, (size_t)(in->base - start));
    return true;
}

static bool read_item(struct bw_slice *in, struct bw_sf_item *item)
{
    return read_bare_item(in, item) && read_params(in, &item->params);
}

/* Inner List (4.2.1.2): its items are checked, and left to be read again from `text` */
static bool read_inner_list(struct bw_slice *in, struct bw_sf_item *item)
{
    struct bw_sf_item inner;
    const char *start;

    skip(in, 1);
    start = in->base;
    skip_spaces(in);
    while (peek(in) != ')') {
        if (!read_item(in, &inner) || (peek(in) != ' ' && peek(in) != ')'))
            return false;
        skip_spaces(in);
    }
    *item = (struct bw_sf_item){.type = BW_SF_INNER_LIST};
    item->text = bw_slice(start, (size_t)(in->base - start));
    skip(in, 1);
    return read_params(in, &item->params);
}

static bool read_value(struct bw_slice *in, struct bw_sf_item *item)
{
    return peek(in) == '(' ? read_inner_list(in, item) : read_item(in, item);
}

/*
 * Stand before the next member.  Fields of one name are one value joined by commas (4.2), so an
 * empty one beside others is a stray comma.
 */
static bool at_member(const struct bw_fields *f, enum bw_field_id id, struct bw_sf_iter *it)
{
    bool first = it->field == NULL;
    const struct bw_field *line;

    if (it->failed || it->ended)
        return false;
    if (it->rest.len > 0)
        return true;
    line = first ? bw_fields_find(f, id) : bw_fields_next(f, it->field);
    if (line == NULL) {
        it->ended = true;
        return false;
    }
    it->field = line;
    it->rest = bw_slice_trim(line->value);
    if (it->rest.len > 0)
        return true;
    it->ended = true;
    it->failed = !first || bw_fields_next(f, line) != NULL;
    return false;
}

/* A member is followed by the end of its field, or by a comma and another member. */
static bool after_member(struct bw_slice *in)
{
    skip_blanks(in);
    if (in->len == 0)
        return true;
    if (!take(in, ','))
        return false;
    skip_blanks(in);
    return in->len > 0;
}

bool bw_sf_dict_next(const struct bw_fields *f, enum bw_field_id id, struct bw_sf_iter *it,
                     struct bw_sf_member *member)
{
    struct bw_slice *in = &it->rest;
    bool ok;

    if (!at_member(f, id, it))
        return false;
    ok = read_key(in, &member->key);
    if (ok && take(in, '=')) {
        ok = read_value(in, &member->value);
    } else if (ok) {
        member->value = (struct bw_sf_item){.type = BW_SF_BOOLEAN, .number = 1};
        ok = read_params(in, &member->value.params);
    }
    it->failed = !ok || !after_member(in);
    return !it->failed;
}

bool bw_sf_list_next(const struct bw_fields *f, enum bw_field_id id, struct bw_sf_iter *it,
                     struct bw_sf_item *item)
{
    if (!at_member(f, id, it))
        return false;
    it->failed = !read_value(&it->rest, item) || !after_member(&it->rest);
    return !it->failed;
}

bool bw_sf_param_next(struct bw_slice *params, struct bw_slice *key, struct bw_sf_item *value)
{
    return take(params, ';') && read_param(params, key, value);
}
