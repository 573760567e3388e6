/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "http/auth.h"

#define SEC UINT64_C(1000000000)

struct fixture {
    struct auth *auth;
    char dir[64], path[96];
    char token[AUTH_TOKEN_SIZE];
    char header[128];
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct err err = {""};
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/token", f->dir);
    bool made = false;
    assert_int_equal(auth_token_load_or_make(f->path, f->token, &made, &err), 0);
    assert_true(made);
    (void)snprintf(f->header, sizeof(f->header), "Bearer %s", f->token);
    f->auth = auth_new();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->auth = auth_free(f->auth);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

static enum auth_scheme read_as(const char *value)
{
    _cleanup_auth_header_ struct auth_header h;
    auth_header_read(value, &h);
    return h.scheme;
}

static void a_bearer_token_is_taken_in_any_case(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_as(f->header), AUTH_SCHEME_BEARER);
    (void)memcpy(f->header, "bearer", 6);
    assert_int_equal(read_as(f->header), AUTH_SCHEME_BEARER);
    assert_int_equal(read_as(NULL), AUTH_SCHEME_NONE);
}

static void basic_is_taken_apart_at_the_first_colon(void **state)
{
    struct auth_header h;
    auth_header_read("Basic YW5hOnA6dw==", &h); /* ana:p:w */
    assert_int_equal(h.scheme, AUTH_SCHEME_BASIC);
    assert_string_equal(h.user, "ana");
    assert_string_equal(h.password, "p:w");
    auth_header_read("basic YTo=", &h); /* a: */
    assert_int_equal(h.scheme, AUTH_SCHEME_BASIC);
    assert_string_equal(h.password, "");
}

static void anything_else_is_bad(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer x",
                                        "Bearer clw_",
                                        "Basic",
                                        "Basic ",
                                        "Basic !!!!",
                                        "Basic YTpi=",
                                        "Basic YTpiYg",   /* length */
                                        "Basic OnB3",     /* :pw */
                                        "Basic YW5h",     /* no colon */
                                        "Basic YQA6Yg==", /* NUL */
                                        "Basic ====",
                                        "Digest x"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (read_as(wrong[i]) != AUTH_SCHEME_BAD)
            fail_msg("taken: '%s'", wrong[i]);
    f->header[strlen(f->header) - 1] = '\0';
    assert_int_equal(read_as(f->header), AUTH_SCHEME_BAD);
}

static void names_and_passwords_that_are_too_long_are_bad(void **state)
{
    static char plain[2048], header[4096];
    static const size_t users[] = {64, 65, 1}, passwords[] = {1024, 1, 1025};
    for (size_t i = 0; i < 3; i++) {
        memset(plain, 'a', users[i]);
        plain[users[i]] = ':';
        memset(plain + users[i] + 1, 'b', passwords[i]);
        (void)snprintf(header, sizeof(header), "Basic ");
        EVP_EncodeBlock((unsigned char *)header + 6, (unsigned char *)plain,
                        (int)(users[i] + 1 + passwords[i]));
        assert_int_equal(read_as(header), i == 0 ? AUTH_SCHEME_BASIC : AUTH_SCHEME_BAD);
    }
}

static void one_cookie_of_the_name_counts(void **state)
{
    struct fixture *f = *state;
    char out[AUTH_TOKEN_SIZE], header[512];
    (void)snprintf(header, sizeof(header), "a=b; s=%s ; xs=1", f->token);
    assert_true(auth_cookie(header, "s", out));
    assert_string_equal(out, f->token);
    assert_false(auth_cookie(header, "x", out));
    assert_false(auth_cookie(NULL, "s", out));
    assert_false(auth_cookie("s=short", "s", out));
    assert_false(auth_cookie("s", "s", out));
    (void)snprintf(header, sizeof(header), "s=%s; s=%s", f->token, f->token);
    assert_false(auth_cookie(header, "s", out));
}

static void an_address_is_limited_within_its_window(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < AUTH_FAILURES_MAX; i++) {
        assert_false(auth_is_limited(f->auth, "a", SEC));
        assert_false(auth_failed(f->auth, "a", SEC));
    }
    assert_true(auth_is_limited(f->auth, "a", 2 * SEC));
    assert_true(auth_failed(f->auth, "a", 2 * SEC));
    assert_false(auth_is_limited(f->auth, "b", 2 * SEC));
    assert_false(auth_is_limited(f->auth, "a", SEC + AUTH_WINDOW));
    assert_false(auth_failed(f->auth, "a", SEC + AUTH_WINDOW));
}

static void an_ipv6_network_is_one_address(void **state)
{
    struct fixture *f = *state;
    char address[64];
    for (int i = 0; i < AUTH_FAILURES_MAX; i++) {
        (void)snprintf(address, sizeof(address), "2001:db8::%x", i + 1);
        assert_false(auth_failed(f->auth, address, SEC));
    }
    assert_true(auth_is_limited(f->auth, "2001:db8::ffff", SEC));
    assert_false(auth_is_limited(f->auth, "2001:db8:0:1::1", SEC));
}

static void many_addresses_do_not_grow_anything(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2000; i++) {
        char address[32];
        (void)snprintf(address, sizeof(address), "127.0.%d.%d", i / 256, i % 256);
        assert_false(auth_failed(f->auth, address, SEC + (uint64_t)i));
    }
}

static void tokens_are_random_and_of_one_form(void **state)
{
    struct fixture *f = *state;
    char other[AUTH_TOKEN_SIZE];
    bool made;
    assert_int_equal(strlen(f->token), AUTH_TOKEN_SIZE - 1);
    assert_memory_equal(f->token, "clw_", 4);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(auth_token_load_or_make(f->path, other, &made, NULL), 0);
    assert_string_not_equal(f->token, other);
    assert_false(auth_token_valid("short", 5));
    assert_false(auth_token_valid("", 0));
}

static void the_file_is_kept_and_private(void **state)
{
    struct fixture *f = *state;
    char again[AUTH_TOKEN_SIZE];
    bool made;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(auth_token_load_or_make(f->path, again, &made, NULL), 0);
    assert_false(made);
    assert_string_equal(f->token, again);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void a_file_that_is_not_private_or_holds_no_token_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    char out[AUTH_TOKEN_SIZE] = "";
    bool made;
    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(auth_token_load_or_make(f->path, out, &made, &err), -EPERM);
    assert_non_null(strstr(err.text, "read or written by others"));
    write_file(f->path, "", 0600);
    assert_int_equal(auth_token_load_or_make(f->path, out, &made, &err), -EINVAL);
    write_file(f->path, "not a token\n", 0600);
    assert_int_equal(auth_token_load_or_make(f->path, out, &made, &err), -EINVAL);
    (void)unlink(f->path);
    assert_int_equal(symlink("/dev/null", f->path), 0);
    assert_int_equal(auth_token_load_or_make(f->path, out, &made, &err), -ELOOP);
    (void)unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0); /* and does not hang */
    assert_int_equal(auth_token_load_or_make(f->path, out, &made, &err), -EINVAL);
    assert_string_equal(out, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_bearer_token_is_taken_in_any_case),
        CASE(basic_is_taken_apart_at_the_first_colon),
        CASE(anything_else_is_bad),
        CASE(names_and_passwords_that_are_too_long_are_bad),
        CASE(one_cookie_of_the_name_counts),
        CASE(an_address_is_limited_within_its_window),
        CASE(an_ipv6_network_is_one_address),
        CASE(many_addresses_do_not_grow_anything),
        CASE(tokens_are_random_and_of_one_form),
        CASE(the_file_is_kept_and_private),
        CASE(a_file_that_is_not_private_or_holds_no_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
