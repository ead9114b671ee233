/*
 * test_hash.c - hashes of keys and of stored bytes.  Stored records rely on their values.
 */
#include "breakwater/base/hash.h"

#include "unit.h"

static struct bw_hash_secret secret_of(unsigned char seed)
{
    struct bw_hash_secret secret;

    for (size_t i = 0; i < sizeof(secret.bytes); ++i)
        secret.bytes[i] = (uint8_t)(seed + i * 37);
    return secret;
}

TEST(the_same_key_under_the_same_secret_has_the_same_hash)
{
    struct bw_hash_secret secret = secret_of(1);
    struct bw_hash a = bw_hash_128(BW_S("https example.org /"), &secret);
    struct bw_hash b = bw_hash_128(BW_S("https example.org /"), &secret);

    assert_true(bw_hash_eq(&a, &b));
}

TEST(another_secret_or_another_key_gives_another_hash)
{
    struct bw_hash_secret one = secret_of(1), two = secret_of(2);
    struct bw_hash a = bw_hash_128(BW_S("https example.org /"), &one);
    struct bw_hash b = bw_hash_128(BW_S("https example.org /"), &two);
    struct bw_hash c = bw_hash_128(BW_S("https example.org /a"), &one);

    assert_false(bw_hash_eq(&a, &b));
    assert_false(bw_hash_eq(&a, &c));
}

TEST(the_prefix_is_the_first_bytes_in_their_order)
{
    struct bw_hash h = {{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0xFF}};

    assert_true(bw_hash_prefix(&h) == UINT64_C(0x0102030405060708));
}

TEST(the_checksum_of_stored_bytes_is_xxh3)
{
    /* the published value of XXH3-64 for no bytes and seed 0 */
    assert_true(bw_hash_64(bw_slice(NULL, 0)) == UINT64_C(0x2D06800538D394C2));
    assert_true(bw_hash_64(BW_S("a")) != bw_hash_64(BW_S("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_same_key_under_the_same_secret_has_the_same_hash),
        RUN(another_secret_or_another_key_gives_another_hash),
        RUN(the_prefix_is_the_first_bytes_in_their_order),
        RUN(the_checksum_of_stored_bytes_is_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
