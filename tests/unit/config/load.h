/*
 * load.h - loads a text as a configuration, for the tests of this folder.
 */
#pragma once

#include "breakwater/config/conf.h"
#include "breakwater/config/rules.h"

#include "unit.h"

#include <stdio.h>

struct refusal {
    const char *text;
    const char *said; /* all lines, without the last line end */
};

/* The configuration, or NULL; what was said goes to `said`. */
static inline struct bw_conf *load_with(const char *text, const struct bw_conf_flags *flags,
                                        struct bw_diag *said)
{
    return bw_conf_load_text(bw_slice_str(text), "t.yaml", flags, said);
}

/* A configuration that has to load without a word. */
static inline struct bw_conf *load(const char *text)
{
    struct bw_conf_flags none = {0};
    struct bw_diag said = {0};
    struct bw_conf *c = load_with(text, &none, &said);

    if (said.text.len > 0)
        print_error("%.*s", (int)said.text.len, said.text.base);
    assert_non_null(c);
    assert_int_equal(said.text.len, 0);
    bw_diag_free(&said);
    return c;
}

static inline void assert_said(const struct bw_diag *said, const char *expected)
{
    struct bw_buf text = {0};

    bw_buf_append(&text, said->text.base, said->text.len);
    if (text.len > 0)
        text.len--; /* the last line end */
    bw_buf_char(&text, '\0');
    assert_string_equal(text.base, expected);
    bw_buf_free(&text);
}

/* Each text is refused, or warned about, with exactly these lines. */
static inline void assert_refused(const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct bw_conf_flags none = {0};
        struct bw_diag said = {0};
        struct bw_conf *c = load_with(rows[i].text, &none, &said);

        if ((c == NULL) != (said.errors > 0))
            fail_msg("loaded with %d errors: %s", said.errors, rows[i].text);
        assert_said(&said, rows[i].said);
        bw_conf_put(c);
        bw_diag_free(&said);
    }
}
