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
    assert_int_equal(auth_token_load_or_make(f->path, f->token, &err), 0);
    (void)snprintf(f->header, sizeof(f->header), "Bearer %s", f->token);
    f->auth = auth_new();
    assert_int_equal(auth_add_token(f->auth, f->token, "ana", 3), 0);
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

static enum auth_result check(struct fixture *f, const char *header, const char *address,
                              uint64_t now)
{
    const char *name = NULL;
    unsigned level = 0;
    enum auth_result r = auth_check(f->auth, header, address, now, &name, &level);
    if (r == AUTH_OK) {
        assert_string_equal(name, "ana");
        assert_int_equal(level, 3);
    } else {
        assert_null(name);
        assert_int_equal(level, 0);
    }
    return r;
}

static void the_right_token_names_its_holder(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(check(f, f->header, "a", SEC), AUTH_OK);
    (void)memcpy(f->header, "bearer", 6);
    assert_int_equal(check(f, f->header, "a", SEC), AUTH_OK);
}

static void anything_else_is_wrong(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "Basic YTpi",
                                        "Bearer x",
                                        "Bearer clw_",
                                        "Bearer clw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(check(f, wrong[i], "a", SEC), AUTH_WRONG);
    f->header[strlen(f->header) - 1] ^= 1;
    assert_int_equal(check(f, f->header, "b", SEC), AUTH_WRONG);
    f->header[strlen(f->header) - 1] = '\0';
    assert_int_equal(check(f, f->header, "b", SEC), AUTH_WRONG);
    assert_int_equal(check(f, NULL, "b", SEC), AUTH_NONE);
}

static void nothing_presented_is_never_limited(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(check(f, NULL, "a", SEC), AUTH_NONE);
    assert_int_equal(check(f, "Bearer x", "a", SEC), AUTH_WRONG);
}

static void wrong_credentials_are_limited_by_address_and_window(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < AUTH_FAILURES_MAX; i++)
        assert_int_equal(check(f, "Bearer x", "a", SEC), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer x", "a", 2 * SEC), AUTH_LIMITED);
    assert_int_equal(check(f, "Bearer x", "b", 2 * SEC), AUTH_WRONG);
    assert_int_equal(check(f, "Bearer x", "a", SEC + AUTH_WINDOW), AUTH_WRONG);
}

static void nobody_can_lock_out_who_has_the_token(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        (void)check(f, "Bearer x", "a", SEC);
    assert_int_equal(check(f, f->header, "a", SEC), AUTH_OK);
}

static void many_addresses_do_not_grow_anything(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2000; i++) {
        char address[32];
        (void)snprintf(address, sizeof(address), "127.0.%d.%d", i / 256, i % 256);
        assert_int_equal(check(f, "Bearer x", address, SEC + (uint64_t)i), AUTH_WRONG);
    }
}

static void tokens_are_random_and_of_one_form(void **state)
{
    struct fixture *f = *state;
    char other[AUTH_TOKEN_SIZE];
    assert_int_equal(strlen(f->token), AUTH_TOKEN_SIZE - 1);
    assert_memory_equal(f->token, "clw_", 4);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(auth_token_load_or_make(f->path, other, NULL), 0);
    assert_string_not_equal(f->token, other);
    assert_int_equal(auth_add_token(f->auth, "short", "x", 1), -EINVAL);
    assert_int_equal(auth_add_token(f->auth, "", "x", 1), -EINVAL);
}

static void the_file_is_kept_and_private(void **state)
{
    struct fixture *f = *state;
    char again[AUTH_TOKEN_SIZE];
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(auth_token_load_or_make(f->path, again, NULL), 0);
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
    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(auth_token_load_or_make(f->path, out, &err), -EPERM);
    assert_non_null(strstr(err.text, "read or written by others"));
    write_file(f->path, "", 0600);
    assert_int_equal(auth_token_load_or_make(f->path, out, &err), -EINVAL);
    write_file(f->path, "not a token\n", 0600);
    assert_int_equal(auth_token_load_or_make(f->path, out, &err), -EINVAL);
    (void)unlink(f->path);
    assert_int_equal(symlink("/dev/null", f->path), 0);
    assert_int_equal(auth_token_load_or_make(f->path, out, &err), -ELOOP);
    (void)unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0); /* and does not hang */
    assert_int_equal(auth_token_load_or_make(f->path, out, &err), -EINVAL);
    assert_string_equal(out, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_right_token_names_its_holder),
        CASE(anything_else_is_wrong),
        CASE(nothing_presented_is_never_limited),
        CASE(wrong_credentials_are_limited_by_address_and_window),
        CASE(nobody_can_lock_out_who_has_the_token),
        CASE(many_addresses_do_not_grow_anything),
        CASE(tokens_are_random_and_of_one_form),
        CASE(the_file_is_kept_and_private),
        CASE(a_file_that_is_not_private_or_holds_no_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
