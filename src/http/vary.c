/*
 * vary.c - names of a Vary field, values of a request for them.
 *
 * Three degrees of normalising.  Accept-Encoding is folded to the few sets of codings that the
 * cache keeps: as sent it would make dozens of variants of one page.  Accept-Language is sorted by
 * weight.  Everything else is only joined to one line with the blanks around commas taken away,
 * which no list can tell from the original (RFC 9111, 4.1); quoted strings stay as they are.
 */
#include "breakwater/http/vary.h"

#include "breakwater/base/check.h"
#include "breakwater/http/accept.h"
#include "breakwater/http/head.h"
#include "breakwater/http/text.h"

enum { LANGUAGES_MAX = 32, CODING_NAME_MAX = 16, LENGTH_BYTES = 4 };

/* the length that stands for a field that is not there */
static const uint32_t absent = UINT32_MAX;
/* the length that no value has: a list of bw_vary_values_in() begins with it */
static const uint32_t in_language = UINT32_MAX - 1;

/* ---- names ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static int compare_nocase(struct bw_slice a, struct bw_slice b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int d = (unsigned char)lower(a.base[i]) - (unsigned char)lower(b.base[i]);

        if (d != 0)
            return d;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

struct names {
    struct bw_slice v[BW_VARY_MAX];
    size_t n, bytes;
};

/* Into its place, unless it is there already; false: one too many. */
static bool insert_name(struct names *names, struct bw_slice name)
{
    size_t at = 0;

    while (at < names->n && compare_nocase(names->v[at], name) < 0)
        at++;
    if (at < names->n && compare_nocase(names->v[at], name) == 0)
        return true;
    if (names->n == BW_VARY_MAX || names->bytes + name.len + 1 > BW_VARY_TEXT_MAX)
        return false;
    memmove(&names->v[at + 1], &names->v[at], (names->n - at) * sizeof names->v[0]);
    names->v[at] = name;
    names->n++;
    names->bytes += name.len + 1;
    return true;
}

/*
 * What the origin saw in X-Forwarded-For came from the connection: no request field tells two
 * clients apart by it, so a response that varies by it has no key.
 */
static bool is_keyable(struct bw_slice name)
{
    return bw_head_token_valid(name) && !bw_slice_eq(name, BW_S("*")) &&
           !bw_slice_eq_nocase(name, BW_S("x-forwarded-for"));
}

/* A fill asks for the whole and without conditions: the origin never saw these. */
static bool is_never_sent(struct bw_slice name)
{
    return bw_slice_eq_nocase(name, BW_S("range")) ||
           (name.len > 3 && bw_slice_eq_nocase(bw_slice(name.base, 3), BW_S("if-")));
}

static void write_names(const struct names *names, struct bw_vary *v)
{
    char *at = v->text;

    for (size_t i = 0; i < names->n; i++) {
        if (i > 0)
            *at++ = ',';
        for (size_t j = 0; j < names->v[i].len; j++)
            *at++ = lower(names->v[i].base[j]);
    }
    v->len = (size_t)(at - v->text);
}

enum bw_vary_verdict bw_vary_parse(const struct bw_fields *response, struct bw_vary *v)
{
    struct bw_list_iter it = {0};
    struct names names = {.n = 0};
    struct bw_slice member;

    while (bw_list_next(response, BW_F_VARY, &it, &member)) {
        if (is_never_sent(member))
            continue;
        if (!is_keyable(member) || !insert_name(&names, member))
            return BW_VARY_ANY;
    }
    write_names(&names, v);
    return names.n > 0 ? BW_VARY_NAMES : BW_VARY_NONE;
}

struct bw_slice bw_vary_names(const struct bw_vary *v)
{
    return bw_slice(v->text, v->len);
}

/* ---- Accept-Encoding ---- */

struct codings_taken {
    uint32_t named, taken; /* a bit for each coding that we keep */
    bool star, star_taken;
    bool identity, identity_taken;
};

static void note_coding(const struct bw_vary_codings *codings, const struct bw_accept *member,
                        struct codings_taken *t)
{
    struct bw_slice name = member->value;

    if (bw_slice_eq_nocase(name, BW_S("x-gzip"))) /* the same thing (RFC 9110, 8.4.1.3) */
        name = BW_S("gzip");
    for (size_t i = 0; i < codings->n; i++) {
        if (!bw_slice_eq_nocase(name, codings->v[i]))
            continue;
        t->named |= 1U << i;
        t->taken |= member->q > 0 ? 1U << i : 0;
    }
    if (bw_slice_eq(name, BW_S("*"))) {
        t->star = true;
        t->star_taken = member->q > 0;
    } else if (bw_slice_eq_nocase(name, BW_S("identity"))) {
        t->identity = true;
        t->identity_taken = member->q > 0;
    }
}

/* Plain bytes are always welcome unless refused by name, or by `*` (RFC 9110, 12.5.3). */
static bool refuses_identity(const struct codings_taken *t)
{
    return t->identity ? !t->identity_taken : t->star && !t->star_taken;
}

size_t bw_vary_encodings(const struct bw_fields *request, const struct bw_vary_codings *codings,
                         char out[BW_VARY_CODINGS_TEXT_MAX])
{
    struct bw_list_iter it = {0};
    struct codings_taken t = {.named = 0};
    struct bw_accept member;
    char *at = out;

    BW_ASSERT(codings->n <= BW_VARY_CODINGS_MAX);
    while (bw_accept_next(request, BW_F_ACCEPT_ENCODING, &it, &member))
        note_coding(codings, &member, &t);
    if (t.star_taken)
        t.taken |= ~t.named;
    for (size_t i = 0; i < codings->n; i++) {
        BW_ASSERT(codings->v[i].len <= CODING_NAME_MAX);
        if ((t.taken & (1U << i)) != 0)
            at = bw_text_slice(bw_text_str(at, at > out ? "," : ""), codings->v[i]);
    }
    if (at == out)
        at = bw_text_str(at, "identity");
    else if (refuses_identity(&t))
        at = bw_text_str(at, ",identity;q=0");
    return (size_t)(at - out);
}

/* ---- Accept-Language ---- */

struct languages {
    struct bw_accept v[LANGUAGES_MAX];
    size_t n;
};

static bool stands_before(const struct bw_accept *a, const struct bw_accept *b)
{
    return a->q != b->q ? a->q > b->q : compare_nocase(a->value, b->value) < 0;
}

/* A language range (RFC 4647, 2.2), as far as letters go; what is none is not taken apart. */
static bool is_language(struct bw_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = lower(s.base[i]);

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '*')
            return false;
    }
    return s.len > 0;
}

static bool read_languages(const struct bw_fields *request, struct languages *l)
{
    struct bw_list_iter it = {0};
    struct bw_accept member;

    l->n = 0;
    while (bw_accept_next(request, BW_F_ACCEPT_LANGUAGE, &it, &member)) {
        size_t at = l->n;

        if (l->n == LANGUAGES_MAX || !is_language(member.value))
            return false;
        for (; at > 0 && stands_before(&member, &l->v[at - 1]); at--)
            l->v[at] = l->v[at - 1];
        l->v[at] = member;
        l->n++;
    }
    return true;
}

/* ";q=0.8": three decimals at most, without zeros at the end. */
static void append_weight(int q, struct bw_buf *out)
{
    char text[8] = ";q=0.";
    size_t n = 5;

    if (q == BW_ACCEPT_Q_MAX)
        return;
    if (q == 0)
        n = 4;
    for (int unit = 100; q > 0; unit /= 10) {
        text[n++] = (char)('0' + q / unit);
        q %= unit;
    }
    bw_buf_append(out, text, n);
}

static void append_lower(struct bw_slice s, struct bw_buf *out)
{
    for (size_t i = 0; i < s.len; i++)
        bw_buf_char(out, lower(s.base[i]));
}

bool bw_vary_languages(const struct bw_fields *request, struct bw_buf *out)
{
    struct languages l;

    if (bw_fields_find(request, BW_F_ACCEPT_LANGUAGE) == NULL || !read_languages(request, &l))
        return false;
    for (size_t i = 0; i < l.n; i++) {
        const struct bw_accept *member = &l.v[i];

        if (i > 0 && !stands_before(&l.v[i - 1], member))
            continue;
        if (i > 0)
            bw_buf_char(out, ',');
        append_lower(member->value, out);
        append_weight(member->q, out);
    }
    return true;
}

struct bw_slice bw_vary_language(const struct bw_fields *request)
{
    struct bw_list_iter it = {0};
    struct bw_accept member, best = {.q = 0};
    bool alone = false;

    while (bw_accept_next(request, BW_F_ACCEPT_LANGUAGE, &it, &member)) {
        if (member.q > best.q) {
            best = member;
            alone = true;
        } else if (member.q == best.q && !bw_slice_eq_nocase(member.value, best.value)) {
            alone = false;
        }
    }
    if (!alone || bw_slice_eq(best.value, BW_S("*")))
        return bw_slice(NULL, 0);
    return best.value;
}

struct bw_slice bw_vary_content_language(const struct bw_fields *response)
{
    struct bw_list_iter it = {0};
    struct bw_slice language, other;

    if (!bw_list_next(response, BW_F_CONTENT_LANGUAGE, &it, &language) || !is_language(language) ||
        bw_list_next(response, BW_F_CONTENT_LANGUAGE, &it, &other))
        return bw_slice(NULL, 0);
    return language;
}

/* ---- values ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The index behind the quoted string that begins at `i`; the end of `s` where it is not closed. */
static size_t skip_quoted(struct bw_slice s, size_t i)
{
    for (i++; i < s.len && s.base[i] != '"'; i++) {
        if (s.base[i] == '\\')
            i++;
    }
    return i < s.len ? i + 1 : s.len;
}

/* One field's value without the blanks beside its commas. */
static void append_list(struct bw_slice s, struct bw_buf *out)
{
    size_t from = 0, to = 0, i = 0; /* [from, to): seen, not yet written, no blank at its end */

    if (s.len == 0)
        return;
    while (i < s.len) {
        if (s.base[i] == ',') {
            bw_buf_append(out, s.base + from, to - from);
            bw_buf_char(out, ',');
            for (i++; i < s.len && is_blank(s.base[i]); i++)
                ;
            from = to = i;
        } else if (s.base[i] == '"') {
            to = i = skip_quoted(s, i);
        } else if (!is_blank(s.base[i++])) {
            to = i;
        }
    }
    bw_buf_append(out, s.base + from, to - from);
}

/* All lines of a field as one (RFC 9110, 5.3); a split Cookie is put together as it was. */
static void append_joined(const struct bw_fields *request, const struct bw_field *f,
                          struct bw_buf *out)
{
    const char *between = f->id == BW_F_COOKIE ? "; " : ","; /* RFC 9113, 8.2.3 */

    append_list(f->value, out);
    while ((f = bw_fields_next(request, f)) != NULL) {
        bw_buf_str(out, between);
        append_list(f->value, out);
    }
}

/* False: the field is absent. */
static bool append_value(struct bw_slice name, const struct bw_fields *request,
                         const struct bw_vary_codings *codings, struct bw_buf *out)
{
    enum bw_field_id id = bw_field_lookup(name);
    const struct bw_field *f;

    if (id == BW_F_ACCEPT_ENCODING) {
        char text[BW_VARY_CODINGS_TEXT_MAX];

        bw_buf_append(out, text, bw_vary_encodings(request, codings, text));
        return true;
    }
    if (id == BW_F_ACCEPT_LANGUAGE && bw_vary_languages(request, out))
        return true;
    f = id != BW_F_OTHER ? bw_fields_find(request, id) : bw_fields_find_name(request, name);
    if (f == NULL)
        return false;
    append_joined(request, f, out);
    return true;
}

static void put_length(char *at, uint32_t n)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        at[i] = (char)(n >> (8 * i));
}

static void append_length(uint32_t n, struct bw_buf *out)
{
    char bytes[LENGTH_BYTES];

    put_length(bytes, n);
    bw_buf_append(out, bytes, sizeof(bytes));
}

/* The length and the bytes of one value. */
static void append_part(struct bw_slice name, const struct bw_fields *request,
                        const struct bw_vary_codings *codings, struct bw_buf *out)
{
    size_t at = out->len;
    bool present;

    append_length(absent, out);
    present = append_value(name, request, codings, out);
    if (present)
        put_length(out->base + at, (uint32_t)(out->len - at - LENGTH_BYTES));
}

void bw_vary_values(struct bw_slice names, const struct bw_fields *request,
                    const struct bw_vary_codings *codings, struct bw_buf *out)
{
    while (names.len > 0)
        append_part(bw_slice_cut(names, ',', &names), request, codings, out);
}

bool bw_vary_values_in(struct bw_slice names, const struct bw_fields *request,
                       const struct bw_vary_codings *codings, struct bw_slice language,
                       struct bw_buf *out)
{
    bool by_language = false;

    append_length(in_language, out);
    while (names.len > 0) {
        struct bw_slice name = bw_slice_cut(names, ',', &names);

        if (bw_field_lookup(name) == BW_F_ACCEPT_LANGUAGE)
            by_language = true;
        else
            append_part(name, request, codings, out);
    }
    append_length((uint32_t)language.len, out);
    append_lower(language, out);
    return by_language;
}
