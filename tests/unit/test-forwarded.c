/* SPDX-License-Identifier: MIT */
/* Whose X-Forwarded-For is believed, and whom it names. */
#include "http/forwarded.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static struct forwarded *list(const char *text)
{
    struct forwarded *f = NULL;
    struct err err = {""};
    assert_int_equal(forwarded_new(text, &f, &err), 0);
    return f;
}

static void the_client_is_the_rightmost_hop_that_is_no_proxy(void **state)
{
    static const struct {
        const char *headers, *client;
    } rows[] = {
        {"203.0.113.9", "203.0.113.9"},
        {"  203.0.113.9\t", "203.0.113.9"},
        {"1.1.1.1, 203.0.113.9", "203.0.113.9"}, /* the left one is the client's own word */
        {"1.1.1.1,203.0.113.9,10.1.2.3", "203.0.113.9"},
        {"10.1.2.3, 10.9.9.9", "10.1.2.3"}, /* all are proxies */
        {"203.0.113.9:4711", "203.0.113.9"},
        {"2001:db8::7", "2001:db8::7"},
        {"2001:DB8:0:0::7", "2001:db8::7"},
        {"[2001:db8::7]", "2001:db8::7"},
        {"[2001:db8::7]:4711", "2001:db8::7"},
        {"::ffff:203.0.113.9", "203.0.113.9"},
        {"203.0.113.9, ::ffff:10.1.2.3", "203.0.113.9"},
        {"203.0.113.9, fd00::1", "203.0.113.9"},
        {"1.1.1.1, fd01::1", "fd01::1"},
        /* what is no address ends the walk, at the last that was one */
        {"", "127.0.0.1"},
        {" ", "127.0.0.1"},
        {",", "127.0.0.1"},
        {"1.1.1.1,", "127.0.0.1"},
        {"unknown", "127.0.0.1"},
        {"_hidden", "127.0.0.1"},
        {"1.1.1.1, nonsense, 10.1.2.3", "10.1.2.3"},
        {"1.1.1.1, 010.1.2.3", "127.0.0.1"},
        {"1.1.1.1, 1.1.1.1.1", "127.0.0.1"},
        {"1.1.1.1:", "127.0.0.1"},
        {"1.1.1.1:port", "127.0.0.1"},
        {"1.1.1.1:123456", "127.0.0.1"},
        {"[2001:db8::7", "127.0.0.1"},
        {"[2001:db8::7]x", "127.0.0.1"},
        {"[1.1.1.1", "127.0.0.1"},
        {"[]", "127.0.0.1"},
        {"[", "127.0.0.1"},
        {":", "127.0.0.1"},
        {"fe80::1%eth0", "127.0.0.1"},
        {"2001:db8::7:::", "127.0.0.1"},
        {"1.1.1.1 2.2.2.2", "127.0.0.1"},
        {"\"1.1.1.1\"", "127.0.0.1"},
        {"1.1.1.1\r\nX: y", "127.0.0.1"},
    };
    _cleanup_(forwarded_freep) struct forwarded *f = list("127.0.0.1;10.0.0.0/8;fd00::/16");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[FORWARDED_ADDRESS_SIZE];
        forwarded_client(f, "127.0.0.1", rows[i].headers, out);
        if (strcmp(out, rows[i].client) != 0)
            fail_msg("'%s': %s, not %s", rows[i].headers, out, rows[i].client);
    }
}

static void too_long_and_too_many_are_not_walked(void **state)
{
    _cleanup_(forwarded_freep) struct forwarded *f = list("10.0.0.0/8");
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    char out[FORWARDED_ADDRESS_SIZE];
    (void)buf_append_str(&b, "203.0.113.9");
    for (int i = 0; i < 40; i++)
        (void)buf_append_str(&b, ",10.0.0.1");
    forwarded_client(f, "10.0.0.2", buf_str(&b), out);
    assert_string_equal(out, "10.0.0.1");
    while (b.len <= FORWARDED_MAX)
        (void)buf_append_str(&b, ",203.0.113.9");
    forwarded_client(f, "10.0.0.2", buf_str(&b), out);
    assert_string_equal(out, "10.0.0.2");
}

static void only_what_is_in_the_list_is_trusted(void **state)
{
    _cleanup_(forwarded_freep) struct forwarded *f =
        list("127.0.0.1;192.168.4.0/22;;2001:db8::/33;");
    static const char *const yes[] = {"127.0.0.1", "::ffff:127.0.0.1", "192.168.7.255",
                                      "2001:db8:7fff::1"};
    static const char *const no[] = {"127.0.0.2", "192.168.8.0", "2001:db8:8000::1", "::1", "uid 0",
                                     "",          "unix"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(forwarded_trusts(f, yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(forwarded_trusts(f, no[i]));
    assert_false(forwarded_trusts(NULL, "127.0.0.1"));
}

static void a_list_is_read_whole_or_not_at_all(void **state)
{
    static const char *const wrong[] = {
        "localhost",    "127.0.0.1/33", "::1/129",     "10.0.0.0/",   "10.0.0.0/-1",
        "10.0.0.0/8/8", "/8",           "127.0.0.1;x", "10.0.0.0/8 ", "10.0.0.0/000000008"};
    struct forwarded *f = NULL;
    struct err err = {""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_true(forwarded_new(wrong[i], &f, &err) < 0);
        assert_null(f);
    }
    assert_int_equal(forwarded_new("", &f, &err), 0);
    assert_null(f);
    f = list("0.0.0.0/0");
    assert_true(forwarded_trusts(f, "8.8.8.8"));
    assert_false(forwarded_trusts(f, "2001:db8::1"));
    (void)forwarded_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_is_the_rightmost_hop_that_is_no_proxy),
        cmocka_unit_test(too_long_and_too_many_are_not_walked),
        cmocka_unit_test(only_what_is_in_the_list_is_trusted),
        cmocka_unit_test(a_list_is_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
