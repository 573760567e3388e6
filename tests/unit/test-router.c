/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/router.h"

static const struct route routes[] = {
    {"GET", "/a", 2, NULL},        {"POST", "/a", 4, NULL},      {"GET", "/a/{}", 1, NULL},
    {"POST", "/a/{}/do", 3, NULL}, {"DELETE", "/a/{}", 4, NULL}, {"GET", "/open", 0, NULL},
};
#define MATCH(method, path, m) router_match(routes, ARRAY_LEN(routes), method, path, m)

static void a_path_finds_its_row(void **state)
{
    struct router_match m;
    MATCH("GET", "/a", &m);
    assert_ptr_equal(m.route, &routes[0]);
    MATCH("HEAD", "/a", &m);
    assert_ptr_equal(m.route, &routes[0]);
    MATCH("POST", "/a", &m);
    assert_ptr_equal(m.route, &routes[1]);
    assert_int_equal(m.level, 4);
    assert_string_equal(m.param, "");
}

static void a_hole_takes_one_decoded_segment(void **state)
{
    struct router_match m;
    MATCH("GET", "/a/x%20y+z", &m);
    assert_ptr_equal(m.route, &routes[2]);
    assert_string_equal(m.param, "x y+z");
    MATCH("POST", "/a/1/do", &m);
    assert_ptr_equal(m.route, &routes[3]);
    assert_string_equal(m.param, "1");
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const paths[] = {"/",        "",       "/b",        "/a/",        "/A",
                                        "/a/1/",    "/a/1/2", "/a/1/do/x", "/a//do",     "//a",
                                        "/a/1/do/", "/a/%zz", "/a/%00",    "/a/1/doing", "/open/"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct router_match m;
        MATCH("GET", paths[i], &m);
        if (m.route || m.allow[0])
            fail_msg("'%s' was found", paths[i]);
    }
}

static void a_parameter_that_is_too_long_matches_nothing(void **state)
{
    char path[3 + ROUTER_PARAM_MAX + 2];
    struct router_match m;
    (void)memset(path, 'x', sizeof(path));
    (void)memcpy(path, "/a/", 3);
    path[sizeof(path) - 1] = '\0';
    MATCH("GET", path, &m);
    assert_null(m.route);
    path[sizeof(path) - 2] = '\0';
    MATCH("GET", path, &m);
    assert_non_null(m.route);
}

static void a_wrong_method_hears_the_right_ones_and_needs_the_least_level(void **state)
{
    struct router_match m;
    MATCH("PUT", "/a", &m);
    assert_null(m.route);
    assert_string_equal(m.allow, "GET, HEAD, POST");
    assert_int_equal(m.level, 2);
    MATCH("get", "/a/1", &m);
    assert_null(m.route);
    assert_string_equal(m.allow, "GET, HEAD, DELETE");
    assert_int_equal(m.level, 1);
    MATCH("GET", "/a/1/do", &m);
    assert_null(m.route);
    assert_string_equal(m.allow, "POST");
}

static void decoding_refuses_what_is_malformed_or_too_long(void **state)
{
    char out[5];
    assert_int_equal(router_decode("a+b", 3, 0, out, sizeof(out)), 3);
    assert_string_equal(out, "a+b");
    assert_int_equal(router_decode("a+b", 3, 1, out, sizeof(out)), 3);
    assert_string_equal(out, "a b");
    assert_int_equal(router_decode("%41%c3", 6, 0, out, sizeof(out)), 2);
    assert_string_equal(out, "A\xc3");
    assert_int_equal(router_decode("abcd", 4, 0, out, sizeof(out)), 4);
    assert_int_equal(router_decode("abcde", 5, 0, out, sizeof(out)), -1);
    assert_string_equal(out, "");
    assert_int_equal(router_decode("%", 1, 0, out, sizeof(out)), -1);
    assert_int_equal(router_decode("%4", 2, 0, out, sizeof(out)), -1);
    assert_int_equal(router_decode("%4g", 3, 0, out, sizeof(out)), -1);
    assert_int_equal(router_decode("%00", 3, 0, out, sizeof(out)), -1);
    assert_int_equal(router_decode("%411", 2, 0, out, sizeof(out)), -1); /* not past its end */
    assert_int_equal(router_decode("", 0, 0, out, sizeof(out)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_row),
        cmocka_unit_test(a_hole_takes_one_decoded_segment),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_parameter_that_is_too_long_matches_nothing),
        cmocka_unit_test(a_wrong_method_hears_the_right_ones_and_needs_the_least_level),
        cmocka_unit_test(decoding_refuses_what_is_malformed_or_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
