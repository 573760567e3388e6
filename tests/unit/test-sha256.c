/* SPDX-License-Identifier: MIT */
/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/sha256.h"

static void check(const void *data, size_t len, const char *want_hex)
{
    uint8_t got[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    struct sha256 h;

    sha256_init(&h);
    sha256_update(&h, data, len);
    sha256_final(&h, got);
    for (int i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = "0123456789abcdef"[got[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[got[i] & 15];
    }
    hex[2 * SHA256_SIZE] = 0;
    assert_string_equal(hex, want_hex);
}

/* The examples that NIST publishes beside FIPS 180-4. */
static void the_published_vectors_hold(void **state)
{
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    const char *four = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                       "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    char *million = malloc(1000000);

    check("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(two, strlen(two), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check(four, strlen(four), "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
    memset(million, 'a', 1000000);
    check(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void every_length_agrees_with_openssl(void **state)
{
    enum { MAX = 520 }; /* over eight blocks, so each position of the padding is met */
    uint8_t data[MAX], want[SHA256_SIZE], got[SHA256_SIZE];
    struct sha256 h;

    for (int i = 0; i < MAX; i++)
        data[i] = (uint8_t)(i * 131 + 7);
    for (size_t len = 0; len <= MAX; len++) {
        assert_int_equal(EVP_Digest(data, len, want, NULL, EVP_sha256(), NULL), 1);
        sha256_init(&h);
        sha256_update(&h, data, len);
        sha256_final(&h, got);
        assert_memory_equal(got, want, SHA256_SIZE);
    }
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    enum { LEN = 300 };
    uint8_t data[LEN], want[SHA256_SIZE], got[SHA256_SIZE];
    struct sha256 h;

    for (int i = 0; i < LEN; i++)
        data[i] = (uint8_t)(i ^ i >> 3);
    assert_int_equal(EVP_Digest(data, LEN, want, NULL, EVP_sha256(), NULL), 1);
    for (size_t step = 1; step <= 150; step++) {
        sha256_init(&h);
        for (size_t at = 0; at < LEN; at += step)
            sha256_update(&h, data + at, LEN - at < step ? LEN - at : step);
        sha256_update(&h, NULL, 0);
        sha256_final(&h, got);
        assert_memory_equal(got, want, SHA256_SIZE);
    }
}

/* Half a gibibyte of input is 2^32 bits. Pretend that it went by and build the last block by hand.
 */
static void the_length_is_counted_in_64_bits(void **state)
{
    const uint8_t last[SHA256_BLOCK_SIZE] = {[0] = 0x80, [59] = 1};
    uint8_t got[SHA256_SIZE];
    struct sha256 h, by_hand;

    sha256_init(&h);
    h.bytes = 1u << 29;
    sha256_final(&h, got);
    sha256_init(&by_hand);
    sha256_update(&by_hand, last, sizeof(last));
    for (int i = 0; i < 8; i++)
        assert_int_equal(bytes_get_u32(got + 4 * i), by_hand.state[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_hold),
        cmocka_unit_test(every_length_agrees_with_openssl),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(the_length_is_counted_in_64_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
