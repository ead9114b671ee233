/*
 * window.c - rings of past totals, one for each span, all with the same number of samples.
 *
 * A sum over a span is the difference of two totals, so adding costs nothing and nothing is added
 * up.  Longer spans have longer steps: a second in a minute and a minute in an hour are the same
 * error, and every rule and every host can afford the three rings.
 */
#include "breakwater/admin/window.h"

static int64_t step_of(enum bw_span span)
{
    static const int64_t seconds[BW_SPAN_START] = {1, 5, 60};

    return seconds[span];
}

/* Steps that nobody saw get the totals of the step before them. */
static void advance(struct bw_sums *ring, int64_t from, int64_t to, const struct bw_sums *total)
{
    struct bw_sums before = ring[from % BW_WINDOW_SAMPLES];
    int64_t first = to - from > BW_WINDOW_SAMPLES ? to - BW_WINDOW_SAMPLES : from + 1;

    for (int64_t i = first; i < to; i++)
        ring[i % BW_WINDOW_SAMPLES] = before;
    ring[to % BW_WINDOW_SAMPLES] = *total;
}

void bw_window_tick(struct bw_window *w, int64_t now_s, const struct bw_sums *total)
{
    int64_t from = w->at_s > 0 ? w->at_s : now_s;

    if (now_s < from)
        return;
    for (enum bw_span span = BW_SPAN_MINUTE; span < BW_SPAN_START; span++)
        advance(w->sample[span], from / step_of(span), now_s / step_of(span), total);
    w->at_s = now_s;
}

void bw_window_sum(const struct bw_window *w, enum bw_span span, const struct bw_sums *total,
                   struct bw_sums *out)
{
    const struct bw_sums *past;

    *out = *total;
    if (span == BW_SPAN_START)
        return;
    past = &w->sample[span][(w->at_s / step_of(span) + 1) % BW_WINDOW_SAMPLES];
    for (int i = 0; i < BW_SUM_COUNT; i++)
        out->v[i] -= past->v[i];
}

void bw_window_add(struct bw_window *w, const struct bw_window *other)
{
    for (enum bw_span span = BW_SPAN_MINUTE; span < BW_SPAN_START; span++)
        for (int i = 0; i < BW_WINDOW_SAMPLES; i++)
            bw_sums_add(&w->sample[span][i], &other->sample[span][i]);
}

void bw_sums_add(struct bw_sums *s, const struct bw_sums *other)
{
    for (int i = 0; i < BW_SUM_COUNT; i++)
        s->v[i] += other->v[i];
}

static bool saved_share(uint64_t spent, uint64_t of, double *share)
{
    if (of == 0)
        return false;
    *share = 1.0 - (double)spent / (double)of;
    return true;
}

bool bw_sums_request_offload(const struct bw_sums *s, double *share)
{
    return saved_share(s->v[BW_SUM_FETCHES], s->v[BW_SUM_REQUESTS], share);
}

bool bw_sums_byte_offload(const struct bw_sums *s, double *share)
{
    return saved_share(s->v[BW_SUM_BYTES_FROM_ORIGIN], s->v[BW_SUM_BYTES_TO_CLIENTS], share);
}
