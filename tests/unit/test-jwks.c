/* SPDX-License-Identifier: MIT */
#include "oidc/jwks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

#define EC "\"kty\":\"EC\",\"crv\":\"P-256\""
#define X ",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define Y ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""

static int parse(const char *keys, struct jwks **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(1u << 20);
    (void)buf_printf(&text, "{\"keys\":[%s]}", keys);
    *err = (struct err){""};
    return jwks_parse(text.data, text.len, ret, err);
}

static void keys_that_are_none_are_passed_over(void **state)
{
    static const char *const none[] = {
        "",
        "7",
        "{}",
        "{" EC X "}",                                                       /* no y */
        "{" EC X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a8\"}", /* not on the curve */
        "{" EC X Y ",\"use\":\"enc\"}",
        "{" EC X Y ",\"use\":7}",
        "{" EC X Y ",\"alg\":\"ES384\"}",
        "{" EC X Y ",\"key_ops\":[\"sign\"]}",
        "{" EC X Y ",\"kid\":7}",
        "{" EC X Y ",\"d\":\"AQ\"}", /* a private key */
        "{\"kty\":\"EC\",\"crv\":\"P-384\"" X Y "}",
        "{\"kty\":\"oct\",\"k\":\"AQ\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", /* 17 bits */
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(none); i++) {
        struct jwks *s = NULL;
        struct err err;
        if (parse(none[i], &s, &err) != -EBADMSG || s || !err.text[0])
            fail_msg("row %zu was taken", i);
    }
    struct jwks *s = NULL;
    struct err err = {""};
    assert_int_equal(jwks_parse("[]", 2, &s, &err), -EBADMSG);
    assert_int_equal(jwks_parse("{\"keys\":{}}", 11, &s, &err), -EBADMSG);
}

static void a_key_is_found_by_kind_and_name(void **state)
{
    _cleanup_(jwks_freep) struct jwks *one = NULL, *two = NULL;
    struct err err;
    assert_int_equal(
        parse("7,{" EC X Y ",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"a\"}", &one, &err), 0);
    assert_non_null(jwks_find(one, JWKS_ES256, "a"));
    assert_ptr_equal(jwks_find(one, JWKS_ES256, NULL), jwks_find(one, JWKS_ES256, "a"));
    assert_null(jwks_find(one, JWKS_ES256, "b"));
    assert_null(jwks_find(one, JWKS_RS256, "a"));
    assert_int_equal(parse("{" EC X Y ",\"kid\":\"a\"},{" EC X Y ",\"kid\":\"b\"}", &two, &err), 0);
    assert_null(jwks_find(two, JWKS_ES256, NULL)); /* which one is meant is open */
    assert_ptr_not_equal(jwks_find(two, JWKS_ES256, "a"), jwks_find(two, JWKS_ES256, "b"));
}

static void two_keys_of_one_name_or_too_many_are_no_set(void **state)
{
    _cleanup_buf_ struct buf many = BUF_INIT(1u << 20);
    struct jwks *s = NULL;
    struct err err;
    assert_int_equal(parse("{" EC X Y ",\"kid\":\"a\"},{" EC X Y ",\"kid\":\"a\"}", &s, &err),
                     -EBADMSG);
    assert_null(s);
    for (int i = 0; i <= JWKS_KEYS_MAX; i++)
        (void)buf_printf(&many, "%s{" EC X Y ",\"kid\":\"k%d\"}", i ? "," : "", i);
    assert_int_equal(parse(buf_str(&many), &s, &err), -EBADMSG);
    assert_null(s);
}

static void base64url_has_one_spelling(void **state)
{
    static const struct {
        const char *text;
        long len;
    } rows[] = {
        {"", 0},      {"AQ", 1},  {"AQI", 2},     {"AQID", 3},     {"A", -1},
        {"AQ==", -1}, {"AR", -1}, {"AQJ", -1},    {"A+", -1},      {"A/", -1},
        {"A Q", -1},  {"-_8", 2}, {"AQIDBAU", 5}, {"AQIDBAUG", -1}}; /* there is room for five */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned char out[5];
        if (jwks_base64url(rows[i].text, strlen(rows[i].text), out, sizeof(out)) != rows[i].len)
            fail_msg("'%s'", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_are_none_are_passed_over),
        cmocka_unit_test(a_key_is_found_by_kind_and_name),
        cmocka_unit_test(two_keys_of_one_name_or_too_many_are_no_set),
        cmocka_unit_test(base64url_has_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
