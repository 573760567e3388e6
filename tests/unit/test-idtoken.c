/* SPDX-License-Identifier: MIT */
#include "oidc/idtoken.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

#define NOW 1700000000
#define ISS "\"iss\":\"https://login.example\""
#define WHO "\"sub\":\"s-1\",\"preferred_username\":\"ana\""
#define FOR "\"aud\":\"clawrden\""
#define NONCE "\"nonce\":\"n-1\""
#define TIMES "\"iat\":1699999990,\"exp\":1700000300"

static void group(void *arg, const char *name)
{
    (void)buf_printf(arg, "%s;", name);
}

static int check(const char *payload, size_t len, char name[IDTOKEN_NAME_MAX + 1],
                 struct buf *groups, struct err *err)
{
    const struct idtoken_expect e = {.issuer = "https://login.example",
                                     .client_id = "clawrden",
                                     .nonce = "n-1",
                                     .now = NOW,
                                     .groups_claim = "groups",
                                     .group = group,
                                     .arg = groups};
    return idtoken_check(payload, len, &e, name, err);
}

static void a_token_for_us_and_now_gives_a_name_and_groups(void **state)
{
    static const struct {
        const char *claims, *name, *groups;
    } rows[] = {
        {ISS "," WHO "," FOR "," NONCE "," TIMES, "ana", ""},
        {ISS "," WHO "," FOR "," NONCE "," TIMES ",\"groups\":[\"dev\",\"ops\"]", "ana",
         "dev;ops;"},
        {ISS "," WHO "," FOR "," NONCE "," TIMES ",\"groups\":\"dev\"", "ana", "dev;"},
        {ISS "," WHO "," FOR "," NONCE "," TIMES ",\"groups\":[1,null,\"a\\u0000b\",\"ops\"]",
         "ana", "ops;"},
        {ISS "," WHO "," FOR "," NONCE "," TIMES ",\"groups\":{\"dev\":true}", "ana", ""},
        {ISS "," WHO ",\"aud\":[\"clawrden\"]," NONCE "," TIMES, "ana", ""},
        {ISS "," WHO ",\"aud\":[\"x\",\"clawrden\"],\"azp\":\"clawrden\"," NONCE "," TIMES, "ana",
         ""},
        {ISS ",\"sub\":\"s-1\",\"email\":\"a@b.c\",\"email_verified\":true," FOR "," NONCE
             "," TIMES,
         "a@b.c", ""},
        {ISS ",\"sub\":\"s-1\",\"email\":\"a@b.c\"," FOR "," NONCE "," TIMES, "s-1", ""},
        {ISS ",\"sub\":\"s-1\",\"email\":\"a@b.c\",\"email_verified\":\"true\"," FOR "," NONCE
             "," TIMES,
         "s-1", ""},
        {ISS ",\"sub\":\"s-1\",\"preferred_username\":\"a b\"," FOR "," NONCE "," TIMES, "s-1", ""},
        {ISS "," WHO "," FOR "," NONCE ",\"iat\":1700000060,\"exp\":1699999941", "ana", ""},
        {ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999990.5,\"exp\":1700000300.25", "ana", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf payload = BUF_INIT(65536), groups = BUF_INIT(65536);
        char name[IDTOKEN_NAME_MAX + 1] = "";
        struct err err = {""};
        (void)buf_printf(&payload, "{%s}", rows[i].claims);
        if (check(payload.data, payload.len, name, &groups, &err) < 0)
            fail_msg("row %zu: %s", i, err.text);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(buf_str(&groups), rows[i].groups);
    }
}

static void any_other_token_is_refused_with_words(void **state)
{
    static const struct {
        const char *payload, *words;
    } rows[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{" ISS, "no JSON object"},
        {"{" ISS "," ISS "," WHO "," FOR "," NONCE "," TIMES "}", "no JSON object"},
        {"{" WHO "," FOR "," NONCE "," TIMES "}", "(iss)"},
        {"{\"iss\":\"https://login.example/\"," WHO "," FOR "," NONCE "," TIMES "}", "(iss)"},
        {"{\"iss\":[\"https://login.example\"]," WHO "," FOR "," NONCE "," TIMES "}", "(iss)"},
        {"{\"iss\":\"https://login.example\\u0000\"," WHO "," FOR "," NONCE "," TIMES "}", "(iss)"},
        {"{" ISS "," FOR "," NONCE "," TIMES "}", "(sub)"},
        {"{" ISS ",\"sub\":\"\"," FOR "," NONCE "," TIMES "}", "(sub)"},
        {"{" ISS ",\"sub\":7," FOR "," NONCE "," TIMES "}", "(sub)"},
        {"{" ISS "," WHO "," FOR "," TIMES "}", "(nonce)"},
        {"{" ISS "," WHO "," FOR ",\"nonce\":\"n-2\"," TIMES "}", "(nonce)"},
        {"{" ISS "," WHO "," FOR ",\"nonce\":\"n-1\\u0000\"," TIMES "}", "(nonce)"},
        {"{" ISS "," WHO "," NONCE "," TIMES "}", "(aud)"},
        {"{" ISS "," WHO ",\"aud\":\"other\"," NONCE "," TIMES "}", "(aud)"},
        {"{" ISS "," WHO ",\"aud\":[]," NONCE "," TIMES "}", "(aud)"},
        {"{" ISS "," WHO ",\"aud\":[\"clawrden\",7]," NONCE "," TIMES "}", "audience"},
        {"{" ISS "," WHO ",\"aud\":[\"clawrden\",\"x\"]," NONCE "," TIMES "}", "(azp)"},
        {"{" ISS "," WHO "," FOR ",\"azp\":\"x\"," NONCE "," TIMES "}", "(azp)"},
        {"{" ISS "," WHO "," FOR ",\"azp\":7," NONCE "," TIMES "}", "(azp)"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999990}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"exp\":1700000300}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999990,\"exp\":\"1700000300\"}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999990,\"exp\":1e300}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":-1,\"exp\":1700000300}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE "," TIMES ",\"nbf\":\"x\"}", "time"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999990,\"exp\":1699999940}", "expired"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1700000061,\"exp\":1700000300}", "not valid"},
        {"{" ISS "," WHO "," FOR "," NONCE "," TIMES ",\"nbf\":1700000061}", "not valid"},
        {"{" ISS "," WHO "," FOR "," NONCE ",\"iat\":1699999339,\"exp\":1700000300}", "long ago"},
        {"{" ISS ",\"sub\":\"a b\"," FOR "," NONCE "," TIMES "}", "no name"},
        {"{" ISS ",\"sub\":\"a\\nb\"," FOR "," NONCE "," TIMES "}", "no name"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_buf_ struct buf groups = BUF_INIT(65536);
        char name[IDTOKEN_NAME_MAX + 1] = "";
        struct err err = {""};
        int r = check(rows[i].payload, strlen(rows[i].payload), name, &groups, &err);
        if (r != -EACCES || !strstr(err.text, rows[i].words) || groups.len > 0)
            fail_msg("row %zu: %d, '%s'", i, r, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_for_us_and_now_gives_a_name_and_groups),
        cmocka_unit_test(any_other_token_is_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
