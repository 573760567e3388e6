/* SPDX-License-Identifier: MIT */
/* The example of RFC 7515, A.3 (ES256), and what becomes of it when anything of it changes. RS256
 * and tokens of libjose: tests/system/test_oidc.py. */
#include "oidc/jws.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

#define EC "\"kty\":\"EC\",\"crv\":\"P-256\","
#define X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
#define Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define HEAD "eyJhbGciOiJFUzI1NiJ9"
#define PAYLOAD                                                                                    \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "f"                                                                                            \
    "Q"
#define SIG "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static struct jwks *keys(const char *text)
{
    struct jwks *s = NULL;
    struct err err = {""};
    if (jwks_parse(text, strlen(text), &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static void the_example_of_the_standard_holds(void **state)
{
    static const char token[] = HEAD "." PAYLOAD "." SIG;
    _cleanup_(jwks_freep) struct jwks *s = keys("{\"keys\":[{" EC X Y "}]}");
    _cleanup_buf_ struct buf payload = BUF_INIT(JWS_MAX);
    struct err err = {""};
    if (jws_verify(token, strlen(token), s, &payload, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(buf_str(&payload), "\"iss\":\"joe\""));
}

static void a_token_that_differs_anywhere_does_not(void **state)
{
    static const char token[] = HEAD "." PAYLOAD "." SIG;
    _cleanup_(jwks_freep) struct jwks *s = keys("{\"keys\":[{" EC X Y "}]}");
    for (size_t i = 0; i < strlen(token); i++) {
        _cleanup_free_ char *other = mem_strdup(token);
        _cleanup_buf_ struct buf payload = BUF_INIT(JWS_MAX);
        struct err err = {""};
        other[i] = other[i] == 'A' ? 'B' : 'A';
        assert_true(jws_verify(other, strlen(other), s, &payload, &err) < 0 && payload.len == 0);
        assert_true(err.text[0] != '\0');
        assert_true(jws_verify(token, i, s, &payload, &err) < 0 && payload.len == 0);
    }
}

static void headers_that_could_mean_something_else_are_refused(void **state)
{
    static const struct {
        const char *token;
        int result;
    } rows[] = {
        {"eyJhbGciOiJub25lIn0." PAYLOAD ".", -EBADMSG},                   /* alg none */
        {"eyJhbGciOiJIUzI1NiJ9." PAYLOAD "." SIG, -EBADMSG},              /* HS256 */
        {"eyJhbGciOiJSUzI1NiJ9." PAYLOAD "." SIG, -ENOKEY},               /* RS256: no such key */
        {"eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ." PAYLOAD "." SIG, -ENOKEY}, /* kid x */
        {"eyJhbGciOiJFUzI1NiIsImp3ayI6e319." PAYLOAD "." SIG, -EBADMSG},  /* jwk {} */
        {"e30." PAYLOAD "." SIG, -EBADMSG},                               /* {} */
        {HEAD "." PAYLOAD "." SIG ".x", -EBADMSG},
        {HEAD "." PAYLOAD, -EBADMSG},
        {HEAD "=." PAYLOAD "." SIG, -EBADMSG}, /* padding */
        {HEAD "." PAYLOAD "." SIG "=", -EACCES},
        {HEAD "." PAYLOAD "." SIG "AA", -EACCES},
        {HEAD "." PAYLOAD ".", -EACCES},
        {"", -EBADMSG},
    };
    _cleanup_(jwks_freep) struct jwks *s = keys("{\"keys\":[{" EC X Y "}]}");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf payload = BUF_INIT(JWS_MAX);
        struct err err = {""};
        int r = jws_verify(rows[i].token, strlen(rows[i].token), s, &payload, &err);
        if (r != rows[i].result || payload.len > 0)
            fail_msg("row %zu: %d, '%s'", i, r, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_standard_holds),
        cmocka_unit_test(a_token_that_differs_anywhere_does_not),
        cmocka_unit_test(headers_that_could_mean_something_else_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
