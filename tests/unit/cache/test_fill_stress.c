/*
 * test_fill_stress.c - the fill at random, over a store that fails now and then.  SEED repeats the
 * choices of a run, though not the order in which its threads get on.
 */
#include "cache/fake_store.h"
#include "cache/fill_stress.h"
static void breaks(struct stress *t)
{
    struct bw_store *s = t->w->store;

    atomic_store(&s->fail_chunk, (int)below(t, 8) - 4);
    atomic_store(&s->fail_record, below(t, 6) == 0);
    atomic_store(&s->queue_most, below(t, 3) == 0 ? 1 + below(t, 3) : 1000);
    if (below(t, 8) == 0)
        bw_gate_hold("writer.commit");
    else
        bw_gate_release("writer.commit");
}

TEST(nothing_is_lost_mixed_or_leaked_whatever_comes_together)
{
    stress(4, breaks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(nothing_is_lost_mixed_or_leaked_whatever_comes_together)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
