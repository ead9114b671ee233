/*
 * scalar.c - the text of one value: durations, sizes, percents, counts, switches, words.
 *
 * A value carries its unit, so `10` is never ten seconds to one reader and ten milliseconds to
 * another.  Every refusal ends with what to write instead.
 */
#include "breakwater/base/check.h"
#include "breakwater/config/value.h"

#include <ctype.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {{"TiB", UINT64_C(1) << 40},
                                    {"GiB", UINT64_C(1) << 30},
                                    {"MiB", UINT64_C(1) << 20},
                                    {"KiB", UINT64_C(1) << 10},
                                    {"B", 1}};
static const struct unit percents[] = {{"%", 1}};
static const struct unit counts[] = {{"", 1}};

/* How the numbers of a type are written. */
struct form {
    const struct unit *units; /* the largest first */
    size_t units_n;
    uint64_t divisor;                /* from the smallest unit to the type's own */
    const char *noun, *cure, *guess; /* guess: the unit a bare number probably meant */
};

static const struct form *form_of(enum bw_schema_type type)
{
    static const struct form duration = {durations,    BW_ARRAY_LEN(durations),         1,
                                         "a duration", "ms, s, m, h or d, such as 10s", "s"};
    static const struct form lifetime = {durations,    BW_ARRAY_LEN(durations),     1000,
                                         "a duration", "s, m, h or d, such as 10m", "s"};
    static const struct form size = {
        sizes, BW_ARRAY_LEN(sizes), 1, "a size", "B, KiB, MiB, GiB or TiB, such as 64KiB", NULL};
    static const struct form percent = {percents, 1, 1, "a percentage", "%, such as 20%", "%"};
    static const struct form count = {counts, 1, 1, "a number", NULL, ""};

    if (type == BW_SCHEMA_DURATION)
        return &duration;
    if (type == BW_SCHEMA_LIFETIME || type == BW_SCHEMA_STATUS)
        return &lifetime;
    if (type == BW_SCHEMA_SIZE)
        return &size;
    if (type == BW_SCHEMA_PERCENT)
        return &percent;
    return type == BW_SCHEMA_COUNT ? &count : NULL;
}

static const struct unit *find_unit(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->units_n; i++)
        if (strcmp(f->units[i].name, name) == 0)
            return &f->units[i];
    return NULL;
}

/* "10GB", "10g", "10kb": the unit that starts with the same letter. */
static const struct unit *guess_unit(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->units_n; i++)
        if (strncasecmp(f->units[i].name, name, 1) == 0)
            return &f->units[i];
    return NULL;
}

/* ", or auto": the words that a value may also be. */
static void add_words(const struct bw_schema *s, const char *before, struct bw_buf *why)
{
    struct bw_slice rest = bw_slice_str(s->words);

    for (bool first = true; rest.len > 0; first = false) {
        struct bw_slice word = bw_slice_cut(rest, '|', &rest);

        bw_buf_str(why, first ? before : rest.len > 0 ? ", " : " or ");
        bw_buf_slice(why, word);
    }
}

static bool refuse_form(const struct bw_schema *s, const struct form *f, const char *text,
                        struct bw_buf *why)
{
    bw_buf_printf(why, "\"%.80s\" is not %s; write ", text, f->noun);
    if (f->cure != NULL)
        bw_buf_printf(why, "a number and %s", f->cure);
    else
        bw_buf_str(why, "digits only");
    add_words(s, ", or ", why);
    return false;
}

static bool refuse_unit(const struct form *f, const char *text, struct bw_slice digits,
                        struct bw_buf *why)
{
    const char *unit = digits.base + digits.len;
    const struct unit *guess = guess_unit(f, unit);

    if (*unit == '\0' && f->guess != NULL)
        bw_buf_printf(why, "\"%.80s\" has no unit; write %.80s%s", text, text, f->guess);
    else if (*unit == '\0')
        bw_buf_printf(why, "\"%.80s\" has no unit; write it with %s", text, f->cure);
    else if (guess != NULL)
        bw_buf_printf(why, "\"%.80s\" has an unknown unit; did you mean %.*s%s?", text,
                      (int)digits.len, digits.base, guess->name);
    else
        bw_buf_printf(why, "\"%.80s\" has an unknown unit; write %s", text, f->cure);
    return false;
}

static bool check_range(const struct bw_schema *s, const char *text, uint64_t number,
                        struct bw_buf *why)
{
    if (number >= s->least && (s->most == 0 || number <= s->most))
        return true;
    bw_buf_printf(why, "\"%.80s\" is too %s; write ", text, number < s->least ? "little" : "much");
    bw_scalar_print(s->type, number < s->least ? s->least : s->most, why);
    bw_buf_str(why, number < s->least ? " or more" : " or less");
    return false;
}

/* The digits at the start, a full stop in "1.5h" counts as wrong form. */
static struct bw_slice leading_digits(const char *text)
{
    size_t n = 0;

    while (isdigit((unsigned char)text[n]))
        n++;
    return bw_slice(text, n);
}

static bool read_number(const struct bw_schema *s, const char *text, uint64_t *out,
                        struct bw_buf *why)
{
    const struct form *f = form_of(s->type);
    struct bw_slice digits = leading_digits(text);
    const struct unit *unit;
    uint64_t n;

    if (!bw_slice_u64(digits, &n))
        return refuse_form(s, f, text, why);
    unit = find_unit(f, text + digits.len);
    if (unit == NULL && (f->cure == NULL || text[digits.len] == '.'))
        return refuse_form(s, f, text, why);
    if (unit == NULL)
        return refuse_unit(f, text, digits, why);
    if (__builtin_mul_overflow(n, unit->factor, &n)) {
        bw_buf_printf(why, "\"%.80s\" is too much; write a smaller number", text);
        return false;
    }
    if (n % f->divisor != 0) {
        bw_buf_printf(why, "\"%.80s\" is not in whole seconds; write s, m, h or d", text);
        return false;
    }
    *out = n / f->divisor;
    return check_range(s, text, *out, why);
}

static bool refuse_word(const struct bw_schema *s, const char *text, struct bw_buf *why)
{
    bw_buf_printf(why, "\"%.80s\" is not a choice; write ", text);
    add_words(s, "", why);
    return false;
}

bool bw_scalar_read(const struct bw_schema *s, const char *text, struct bw_scalar *out,
                    struct bw_buf *why)
{
    *out = (struct bw_scalar){.word = bw_schema_word(s, text)};
    if (out->word >= 0)
        return true;
    if (s->type == BW_SCHEMA_WORD)
        return refuse_word(s, text, why);
    if (form_of(s->type) != NULL)
        return read_number(s, text, &out->number, why);
    if (text[0] == '\0')
        bw_buf_str(why, "is empty; write a value or remove the key");
    return text[0] != '\0';
}

void bw_scalar_print(enum bw_schema_type type, uint64_t number, struct bw_buf *out)
{
    const struct form *f = form_of(type);
    uint64_t n = number * f->divisor;
    size_t i = 0;

    while (i + 1 < f->units_n && (n == 0 || n % f->units[i].factor != 0))
        i++;
    if (n == 0 && f->divisor > 1) /* 0s, not 0ms, where whole seconds count */
        i--;
    bw_buf_printf(out, "%llu%s", (unsigned long long)(n / f->units[i].factor), f->units[i].name);
}
