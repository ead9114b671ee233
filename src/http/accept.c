/*
 * accept.c - weighted lists of what a client takes.
 */
#include "breakwater/http/accept.h"

/* 0 to 1 with at most three decimals, in thousandths; -1: not a qvalue (RFC 9110, 12.4.2). */
static int parse_q(struct bw_slice s)
{
    int q, unit = BW_ACCEPT_Q_MAX;

    if (s.len == 0 || s.len > 5 || (s.base[0] != '0' && s.base[0] != '1') ||
        (s.len > 1 && s.base[1] != '.'))
        return -1;
    q = (s.base[0] - '0') * BW_ACCEPT_Q_MAX;
    for (size_t i = 2; i < s.len; i++) {
        if (s.base[i] < '0' || s.base[i] > '9')
            return -1;
        unit /= 10;
        q += (s.base[i] - '0') * unit;
    }
    return q <= BW_ACCEPT_Q_MAX ? q : -1;
}

/* The weight among parameters; the last one counts where a media type has one of that name, too. */
static int weight(struct bw_slice parameters)
{
    int q = BW_ACCEPT_Q_MAX;

    while (parameters.len > 0) {
        struct bw_slice value,
            name = bw_slice_cut(bw_slice_cut(parameters, ';', &parameters), '=', &value);

        if (bw_slice_eq_nocase(bw_slice_trim(name), BW_S("q")))
            q = parse_q(bw_slice_trim(value));
    }
    return q < 0 ? 0 : q;
}

bool bw_accept_next(const struct bw_fields *request, enum bw_field_id id, struct bw_list_iter *it,
                    struct bw_accept *out)
{
    struct bw_slice member, parameters;

    if (!bw_list_next(request, id, it, &member))
        return false;
    out->value = bw_slice_trim(bw_slice_cut(member, ';', &parameters));
    out->q = weight(parameters);
    return true;
}
