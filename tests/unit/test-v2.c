/* SPDX-License-Identifier: MIT */
/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/v2.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A payload in memory of exactly its size, so that the sanitizer sees a read behind it. */
struct payload {
    uint8_t *p;
    size_t len;
};

static void payload_add(struct payload *b, const void *p, size_t n)
{
    b->p = realloc(b->p, b->len + n);
    assert_non_null(b->p);
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

static void payload_add_string(struct payload *b, const char *s)
{
    payload_add(b, s, strlen(s) + 1);
}

static struct payload payload_new(const struct v2_request *r, const char *name, const char *cwd)
{
    struct payload b = {0};
    uint8_t head[V2_REQUEST_HEAD_SIZE];

    v2_request_head_encode(r, head);
    payload_add(&b, head, sizeof(head));
    payload_add_string(&b, name);
    payload_add_string(&b, cwd);
    return b;
}

/* Decodes, frees, and says how it went. */
static int payload_check(struct payload *b)
{
    struct v2_request r;
    int n = v2_request_decode(b->p, b->len, &r);

    free(b->p);
    *b = (struct payload){0};
    return n;
}

static const struct v2_request plain = {.umask = 022, .argc = 2, .envc = 1};

/* git push, FOO=bar, in /app. */
static struct payload payload_plain(void)
{
    struct payload b = payload_new(&plain, "git", "/app");

    payload_add_string(&b, "git");
    payload_add_string(&b, "push");
    payload_add_string(&b, "FOO=bar");
    return b;
}

static void a_request_comes_back_as_it_was_written(void **state)
{
    const char *const argv[] = {"/usr/bin/git", "-C", "\xff\xfe\x80 name", ""};
    const char *const env[] = {"A=1", "no equals sign", "B=\xc3\x28"};
    struct v2_request in = {
        .flags = V2_REQ_TTY1 | V2_REQ_CLAIM, .umask = 0777, .argc = 4, .envc = 3};
    struct v2_request out;

    for (int i = 0; i < 16; i++)
        in.claim[i] = (uint8_t)(0xf0 + i);
    struct payload b = payload_new(&in, "git", "/app");
    for (size_t i = 0; i < ARRAY_LEN(argv); i++)
        payload_add_string(&b, argv[i]);
    for (size_t i = 0; i < ARRAY_LEN(env); i++)
        payload_add_string(&b, env[i]);

    assert_int_equal(v2_request_size("git", "/app", argv, 4, env, 3), b.len);
    assert_int_equal(v2_request_decode(b.p, b.len, &out), 0);
    assert_int_equal(out.flags, in.flags);
    assert_int_equal(out.umask, 0777);
    assert_int_equal(out.argc, 4);
    assert_int_equal(out.envc, 3);
    assert_memory_equal(out.claim, in.claim, 16);
    assert_string_equal(out.name, "git");
    assert_string_equal(out.cwd, "/app");
    const char *s = out.argv;
    for (size_t i = 0; i < ARRAY_LEN(argv); i++, s = v2_next_string(s))
        assert_string_equal(s, argv[i]);
    assert_ptr_equal(s, out.env);
    for (size_t i = 0; i < ARRAY_LEN(env); i++, s = v2_next_string(s))
        assert_string_equal(s, env[i]);
    assert_ptr_equal(s, b.p + b.len);
    free(b.p);
}

static void the_fixed_head_has_the_documented_bytes(void **state)
{
    const uint8_t want[V2_REQUEST_HEAD_SIZE] = {0, 0, 0, 5, 0, 0, 0, 022, 0, 0, 1, 2, 0, 0, 0, 3};
    struct v2_request r = {.flags = 5, .umask = 022, .argc = 0x102, .envc = 3};
    uint8_t got[V2_REQUEST_HEAD_SIZE];

    v2_request_head_encode(&r, got);
    assert_memory_equal(got, want, sizeof(want));
}

static void a_request_cut_anywhere_is_refused_and_leaves_the_result_alone(void **state)
{
    struct payload b = payload_plain();

    for (size_t n = 0; n < b.len; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        struct v2_request r = {.argc = 4242};

        memcpy(cut, b.p, n);
        assert_int_equal(v2_request_decode(cut, n, &r), -EBADMSG);
        assert_int_equal(r.argc, 4242);
        free(cut);
    }
    assert_int_equal(payload_check(&b), 0);
}

static void bytes_behind_the_last_string_are_refused(void **state)
{
    struct payload b = payload_plain();

    payload_add(&b, "", 1);
    assert_int_equal(payload_check(&b), -EBADMSG);
    b = payload_plain();
    payload_add(&b, "x", 1);
    assert_int_equal(payload_check(&b), -EBADMSG);
}

static void a_count_that_does_not_fit_the_strings_is_refused(void **state)
{
    for (uint32_t argc = 0; argc < 6; argc++) {
        for (uint32_t envc = 0; envc < 6; envc++) {
            struct payload b = payload_plain();

            bytes_put_u32(b.p + 8, argc);
            bytes_put_u32(b.p + 12, envc);
            assert_int_equal(payload_check(&b), argc >= 1 && argc + envc == 3 ? 0 : -EBADMSG);
        }
    }
}

static void counts_over_the_limit_are_refused_before_the_strings_are_read(void **state)
{
    struct payload b = payload_plain();

    bytes_put_u32(b.p + 8, V2_ARGS_MAX + 1);
    assert_int_equal(payload_check(&b), -E2BIG);
    b = payload_plain();
    bytes_put_u32(b.p + 12, UINT32_MAX);
    assert_int_equal(payload_check(&b), -E2BIG);
}

static void a_name_is_one_path_component(void **state)
{
    static const char *const bad[] = {"", ".", "..", "/", "bin/git", "git/", "/git"};
    static const char *const good[] = {"git", "...", "-", "a b", "\xff", "[", "git\n"};
    char longest[V2_NAME_MAX + 2];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct payload b = payload_new(&(struct v2_request){.argc = 1}, bad[i], "/");
        payload_add_string(&b, "x");
        assert_int_equal(payload_check(&b), -EBADMSG);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct payload b = payload_new(&(struct v2_request){.argc = 1}, good[i], "/");
        payload_add_string(&b, "x");
        assert_int_equal(payload_check(&b), 0);
    }
    memset(longest, 'n', sizeof(longest));
    longest[V2_NAME_MAX] = 0;
    struct payload b = payload_new(&(struct v2_request){.argc = 1}, longest, "/");
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), 0);
    longest[V2_NAME_MAX] = 'n';
    longest[V2_NAME_MAX + 1] = 0;
    b = payload_new(&(struct v2_request){.argc = 1}, longest, "/");
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), -E2BIG);
}

static void a_cwd_is_absolute_or_empty_and_bounded(void **state)
{
    char path[V2_PATH_MAX + 1];

    memset(path, 'd', sizeof(path));
    path[0] = '/';
    path[V2_PATH_MAX - 1] = 0;
    struct payload b = payload_new(&(struct v2_request){.argc = 1}, "x", path);
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), 0);
    path[V2_PATH_MAX - 1] = 'd';
    path[V2_PATH_MAX] = 0;
    b = payload_new(&(struct v2_request){.argc = 1}, "x", path);
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), -E2BIG);
    b = payload_new(&(struct v2_request){.argc = 1}, "x", "app");
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), -EBADMSG);
    b = payload_new(&(struct v2_request){.argc = 1}, "x", "");
    payload_add_string(&b, "x");
    assert_int_equal(payload_check(&b), 0);
}

static void flags_umask_and_claim_have_one_spelling(void **state)
{
    struct payload b = payload_plain();

    bytes_put_u32(b.p, 16);
    assert_int_equal(payload_check(&b), -EBADMSG);
    b = payload_plain();
    bytes_put_u32(b.p, 0x80000000u);
    assert_int_equal(payload_check(&b), -EBADMSG);
    b = payload_plain();
    bytes_put_u32(b.p + 4, 01000);
    assert_int_equal(payload_check(&b), -EBADMSG);
    b = payload_plain();
    bytes_put_u32(b.p, V2_REQ_CLAIM);
    assert_int_equal(payload_check(&b), -EBADMSG); /* a claim without an id */
    b = payload_plain();
    b.p[31] = 1;
    assert_int_equal(payload_check(&b), -EBADMSG); /* an id without a claim */
    b = payload_plain();
    bytes_put_u32(b.p, V2_REQ_CLAIM);
    b.p[31] = 1;
    assert_int_equal(payload_check(&b), 0);
}

static void a_string_may_be_as_long_as_the_kernel_allows(void **state)
{
    char *arg = malloc(V2_STRING_MAX + 1);
    const char *const argv[] = {"x", arg}, *const env[] = {arg};
    struct v2_request r = {.argc = 2};

    assert_non_null(arg);
    memset(arg, 'a', V2_STRING_MAX);
    for (size_t len = V2_STRING_MAX - 1; len <= V2_STRING_MAX; len++) {
        int fits = len < V2_STRING_MAX;

        arg[V2_STRING_MAX - 1] = 'a';
        arg[len] = 0;
        struct payload b = payload_new(&r, "x", "/");
        payload_add_string(&b, "x");
        payload_add_string(&b, arg);
        assert_int_equal(v2_request_size("x", "/", argv, 2, NULL, 0), fits ? b.len : 0);
        assert_int_equal(v2_request_size("x", "/", argv, 1, env, 1), fits ? b.len : 0);
        assert_int_equal(payload_check(&b), fits ? 0 : -E2BIG);
    }
    free(arg);
}

static void a_request_is_at_most_eight_mebibytes(void **state)
{
    enum { ONE = 64 << 10, N = V2_REQUEST_BYTES_MAX / ONE };
    char *arg = malloc(ONE);
    const char *argv[N];

    memset(arg, 'a', ONE);
    arg[ONE - 1] = 0;
    for (int i = 0; i < N; i++)
        argv[i] = arg;
    assert_int_not_equal(v2_request_size("x", "/", argv, N - 1, NULL, 0), 0);
    assert_int_equal(v2_request_size("x", "/", argv, N, NULL, 0), 0);
    assert_int_equal(v2_request_size("x", "/", argv, N - 1, argv, 1), 0);
    free(arg);

    uint8_t *big = calloc(1, V2_REQUEST_BYTES_MAX + 1);
    struct v2_request r;
    assert_int_equal(v2_request_decode(big, V2_REQUEST_BYTES_MAX + 1, &r), -E2BIG);
    free(big);
}

static void a_hundred_thousand_arguments_pass(void **state)
{
    enum { N = 100000 };
    struct v2_request in = {.argc = N, .envc = N}, out;
    struct payload b = payload_new(&in, "x", "/");
    size_t start = b.len;

    b.p = realloc(b.p, start + 2 * N * 2);
    for (size_t i = 0; i < 2 * N; i++)
        memcpy(b.p + start + 2 * i, i < N ? "a" : "e", 2);
    b.len = start + 2 * N * 2;
    assert_int_equal(v2_request_decode(b.p, b.len, &out), 0);
    assert_int_equal(out.env - out.argv, 2 * N);
    assert_string_equal(out.env, "e");
    free(b.p);
}

static void the_size_refuses_what_the_decoder_would(void **state)
{
    const char *const v[] = {"x"};
    char longest[V2_PATH_MAX + 1];

    assert_int_equal(v2_request_size("", "/", v, 1, v, 1), 0);
    assert_int_equal(v2_request_size("..", "/", v, 1, v, 1), 0);
    assert_int_equal(v2_request_size("a/b", "/", v, 1, v, 1), 0);
    assert_int_equal(v2_request_size("x", "rel", v, 1, v, 1), 0);
    assert_int_equal(v2_request_size("x", "/", v, 0, v, 1), 0);
    assert_int_equal(v2_request_size("x", "/", v, V2_ARGS_MAX + 1, v, 1), 0);
    assert_int_equal(v2_request_size("x", "/", v, 1, v, V2_ENV_MAX + 1), 0);
    memset(longest, '/', sizeof(longest));
    longest[V2_PATH_MAX] = 0;
    assert_int_equal(v2_request_size("x", longest, v, 1, v, 1), 0);
    assert_int_equal(v2_request_size("x", longest + 1, v, 1, NULL, 0), V2_REQUEST_HEAD_SIZE + 4100);
    memset(longest, 'n', sizeof(longest));
    longest[V2_NAME_MAX + 1] = 0;
    assert_int_equal(v2_request_size(longest, "/", v, 1, v, 1), 0);
}

static void a_message_head_is_type_three_zeros_and_a_length(void **state)
{
    const uint8_t want[V2_HEAD_SIZE] = {0x85, 0, 0, 0, 1, 2, 3, 4};
    uint8_t got[V2_HEAD_SIZE];
    struct v2_head h = {0};

    v2_head_encode(V2_EXIT, 0x01020304, got);
    assert_memory_equal(got, want, sizeof(want));
    assert_int_equal(v2_head_decode(got, 0x01020304, &h), 0);
    assert_int_equal(h.type, V2_EXIT);
    assert_int_equal(h.len, 0x01020304);
    assert_int_equal(v2_head_decode(got, 0x01020303, &h), -E2BIG);
    for (int i = 1; i <= 3; i++) {
        got[i] = 0x80;
        assert_int_equal(v2_head_decode(got, UINT32_MAX, &h), -EBADMSG);
        got[i] = 0;
    }
}

static void a_handover_comes_back_as_it_was_written(void **state)
{
    uint8_t out[V2_FDS_SIZE_MAX];
    struct v2_fds f = {.flags = V2_FDS_PTY | V2_FDS_CLOSED1, .more = V2_FDS_MORE_MAX}, got;

    for (uint32_t i = 0; i < f.more; i++)
        f.number[i] = (uint16_t)(i == 0 ? 3 : V2_FDS_NUMBER_MAX + 1 - V2_FDS_MORE_MAX + i);
    assert_int_equal(v2_fds_encode(&f, out), V2_FDS_SIZE_MAX);
    assert_int_equal(v2_fds_decode(out, sizeof(out), &got), 0);
    assert_int_equal(got.flags, f.flags);
    assert_int_equal(got.more, f.more);
    assert_memory_equal(got.number, f.number, sizeof(f.number));
    assert_int_equal(v2_fds_carried(&got), 4 + V2_FDS_MORE_MAX);
    f.more = f.flags = 0;
    assert_int_equal(v2_fds_encode(&f, out), V2_FDS_SIZE);
    assert_int_equal(v2_fds_decode(out, V2_FDS_SIZE, &got), 0);
    assert_int_equal(v2_fds_carried(&got), 3);
}

static void numbers_of_a_handover_are_above_two_ascending_and_bounded(void **state)
{
    static const struct {
        uint32_t word[3];
        size_t len;
        int result;
    } cases[] = {
        {{0}, 0, -EBADMSG},
        {{0}, 3, -EBADMSG},
        {{0, 3}, 7, -EBADMSG},
        {{V2_FDS_FLAGS_ALL + 1}, 4, -EBADMSG},
        {{0, 2}, 8, -EBADMSG},
        {{0, 3}, 8, 0},
        {{0, 4, 4}, 12, -EBADMSG},
        {{0, 5, 4}, 12, -EBADMSG},
        {{0, 4, V2_FDS_NUMBER_MAX}, 12, 0},
        {{0, 4, V2_FDS_NUMBER_MAX + 1}, 12, -E2BIG},
        {{0, 65536 + 4}, 8, -E2BIG},
    };
    static uint8_t long_one[V2_FDS_SIZE_MAX + 4];
    struct v2_fds got;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t in[12];

        for (int k = 0; k < 3; k++)
            bytes_put_u32(in + 4 * k, cases[i].word[k]);
        assert_int_equal(v2_fds_decode(in, cases[i].len, &got), cases[i].result);
    }
    for (uint32_t i = 0; i <= V2_FDS_MORE_MAX; i++)
        bytes_put_u32(long_one + V2_FDS_SIZE + (size_t)4 * i, 3 + i);
    assert_int_equal(v2_fds_decode(long_one, sizeof(long_one), &got), -E2BIG);
    assert_int_equal(v2_fds_decode(long_one, sizeof(long_one) - 4, &got), 0);
}

static void only_ten_signals_may_be_forwarded(void **state)
{
    static const int ok[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGUSR1, SIGUSR2,
                             SIGALRM, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};
    int n = 0;

    for (size_t i = 0; i < ARRAY_LEN(ok); i++)
        assert_int_equal(v2_signal_ok((uint32_t)ok[i]), 1);
    for (uint32_t s = 0; s < 1024; s++)
        n += v2_signal_ok(s);
    assert_int_equal(n, ARRAY_LEN(ok));
    assert_int_equal(v2_signal_ok(UINT32_MAX), 0);
    assert_int_equal(v2_signal_ok(SIGKILL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was_written),
        cmocka_unit_test(the_fixed_head_has_the_documented_bytes),
        cmocka_unit_test(a_request_cut_anywhere_is_refused_and_leaves_the_result_alone),
        cmocka_unit_test(bytes_behind_the_last_string_are_refused),
        cmocka_unit_test(a_count_that_does_not_fit_the_strings_is_refused),
        cmocka_unit_test(counts_over_the_limit_are_refused_before_the_strings_are_read),
        cmocka_unit_test(a_name_is_one_path_component),
        cmocka_unit_test(a_cwd_is_absolute_or_empty_and_bounded),
        cmocka_unit_test(flags_umask_and_claim_have_one_spelling),
        cmocka_unit_test(a_string_may_be_as_long_as_the_kernel_allows),
        cmocka_unit_test(a_request_is_at_most_eight_mebibytes),
        cmocka_unit_test(a_hundred_thousand_arguments_pass),
        cmocka_unit_test(the_size_refuses_what_the_decoder_would),
        cmocka_unit_test(a_message_head_is_type_three_zeros_and_a_length),
        cmocka_unit_test(a_handover_comes_back_as_it_was_written),
        cmocka_unit_test(numbers_of_a_handover_are_above_two_ascending_and_bounded),
        cmocka_unit_test(only_ten_signals_may_be_forwarded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
