/* SPDX-License-Identifier: MIT */
/* Heads as attackers send them, and what must still pass. Add a row before you add code. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/gate.h"

#define HOST "Host: localhost\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define WITH(headers) "POST / HTTP/1.1\r\n" HOST headers "\r\n"

struct row {
    const char *bytes;
    size_t n;
    const char *words; /* of the refusal; NULL: passes */
    int status;
};
#define PASS(b)                                                                                    \
    {                                                                                              \
        b, sizeof(b) - 1, NULL, 0                                                                  \
    }
#define REFUSE(b, w)                                                                               \
    {                                                                                              \
        b, sizeof(b) - 1, w, 400                                                                   \
    }
#define REFUSE_AS(b, w, s)                                                                         \
    {                                                                                              \
        b, sizeof(b) - 1, w, s                                                                     \
    }

static const struct row rows[] = {
    /* ---- what people and programs send ---- */
    PASS(GET("/")),
    PASS(GET("/api/queue?limit=5&command=git%20push&x=%0a")),
    PASS(GET("/api/queue/0191d3f1-aaaa-7bbb-8ccc-0123456789ab")),
    PASS(GET("/a.b/..c/c../...")),
    PASS(GET("/%e2%82%ac")),
    PASS(GET("//")),
    PASS("GET / HTTP/1.0\r\n\r\n"),
    PASS("DELETE / HTTP/1.1\r\nhOsT: [::1]:8080\r\n\r\n"),
    PASS(WITH("Content-Length: 65536\r\nContent-Type: application/json\r\n")),
    PASS(WITH("Content-Length:   0\t \r\n")),
    PASS(WITH("X-Empty:\r\nX-Latin: caf\xe9\r\nX-Tab: a\tb\r\n")),
    PASS(WITH("Accept: a\r\nAccept: b\r\n")),
    /* ---- two sizes of one body ---- */
    REFUSE(WITH("Content-Length: 1\r\nContent-Length: 2\r\n"), "more than one Content-Length"),
    REFUSE(WITH("Content-Length: 1\r\ncontent-length: 1\r\n"), "more than one Content-Length"),
    REFUSE(WITH("Content-Length: 1, 1\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), "both Content-Length"),
    REFUSE(WITH("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), "both Content-Length"),
    REFUSE(WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
           "more than one Transfer-Encoding"),
    REFUSE_AS(WITH("Transfer-Encoding: chunked\r\n"), "no transfer encoding", 411),
    REFUSE_AS(WITH("Transfer-Encoding: xchunked\r\n"), "no transfer encoding", 411),
    REFUSE_AS(WITH("transfer-encoding:\tchunked\r\n"), "no transfer encoding", 411),
    REFUSE(WITH("Transfer-Encoding : chunked\r\n"), "no token"),
    REFUSE(WITH("Transfer-Encoding\r\n: chunked\r\n"), "without a colon"),
    REFUSE(WITH("X: a\r\n Content-Length: 5\r\n"), "folded"),
    REFUSE(WITH("X: a\r\n\tContent-Length: 5\r\n"), "folded"),
    REFUSE(WITH("X: a\nContent-Length: 5\r\n"), "line feed without"),
    REFUSE(WITH("X: a\rContent-Length: 5\r\n"), "carriage return without"),
    REFUSE(WITH("X: a\r\r\nContent-Length: 5\r\n"), "carriage return without"),
    /* ---- sizes that are none ---- */
    REFUSE(WITH("Content-Length: +1\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length: -1\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length: 0x10\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length: 1 2\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length:\r\n"), "no plain number"),
    REFUSE(WITH("Content-Length: \x0b"
                "5\r\n"),
           "control byte"),
    REFUSE(WITH("Content-Length: 18446744073709551617\r\n"), "no plain number"),
    REFUSE_AS(WITH("Content-Length: 1\r\nExpect: 100-continue\r\n"), "no expectation", 417),
    /* ---- whose request it is ---- */
    REFUSE("GET / HTTP/1.1\r\n\r\n", "without Host"),
    REFUSE("GET / HTTP/1.1\r\n" HOST "Host: evil\r\n\r\n", "more than one Host"),
    REFUSE("GET / HTTP/1.1\r\nHost:\r\n\r\n", "Host is empty"),
    REFUSE("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", "Host is not"),
    REFUSE("GET / HTTP/1.1\r\nHost: me@evil\r\n\r\n", "Host is not"),
    REFUSE("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "Host is not"),
    REFUSE("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "Host is not"),
    REFUSE(WITH("Authorization: Bearer a\r\nauthorization: Bearer b\r\n"),
           "more than one Authorization"),
    REFUSE(WITH("Content-Type: a/b\r\nContent-Type: c/d\r\n"), "more than one Content-Type"),
    REFUSE(WITH("Origin: a\r\nOrigin: b\r\n"), "more than one Origin"),
    /* ---- request lines ---- */
    REFUSE("\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "empty line"),
    REFUSE("GET /\r\n" HOST "\r\n", "not 'METHOD TARGET VERSION'"),
    REFUSE("GET  / HTTP/1.1\r\n" HOST "\r\n", "version"),
    REFUSE("GET / HTTP/1.1 \r\n" HOST "\r\n", "version"),
    REFUSE("GET / x HTTP/1.1\r\n" HOST "\r\n", "version"),
    REFUSE("GET\t/\tHTTP/1.1\r\n" HOST "\r\n", "not 'METHOD"),
    REFUSE(" GET / HTTP/1.1\r\n" HOST "\r\n", "folded"),
    REFUSE("GET / HTTP/2.0\r\n" HOST "\r\n", "version"),
    REFUSE("GET / HTTP/1.2\r\n" HOST "\r\n", "version"),
    REFUSE("GET / HTTP/0.9\r\n" HOST "\r\n", "version"),
    REFUSE("GET / http/1.1\r\n" HOST "\r\n", "version"),
    REFUSE("GET / HTTP/1.1x\r\n" HOST "\r\n", "version"),
    REFUSE("G(T / HTTP/1.1\r\n" HOST "\r\n", "method"),
    REFUSE("AAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" HOST "\r\n", "method"),
    REFUSE("PRI * HTTP/2.0\r\n\r\n", "version"),
    REFUSE("\x16\x03\x01\x02", "control byte"),
    /* ---- targets ---- */
    REFUSE(GET("http://localhost/"), "begins with '/'"),
    REFUSE(GET("*"), "begins with '/'"),
    REFUSE("CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n", "begins with '/'"),
    REFUSE(GET("/x%00y"), "%00 in the path"),
    REFUSE(GET("/x?a=%00"), "%00 in the query"),
    REFUSE(GET("/%0d%0aX:%20y"), "%0D in the path"),
    REFUSE(GET("/%7f"), "%7F in the path"),
    REFUSE(GET("/a%2fb"), "%2F in the path"),
    REFUSE(GET("/a%5Cb"), "%5C in the path"),
    REFUSE(GET("/a\\b"), "0x5c in the path"),
    REFUSE(GET("/%"), "two hex digits"),
    REFUSE(GET("/%4"), "two hex digits"),
    REFUSE(GET("/%zz"), "two hex digits"),
    REFUSE(GET("/?%4"), "two hex digits"),
    REFUSE(GET("/.."), "'..'"),
    REFUSE(GET("/api/../queue"), "'..'"),
    REFUSE(GET("/api/%2e%2E/queue"), "'..'"),
    REFUSE(GET("/api/.%2e"), "'..'"),
    REFUSE(GET("/./x"), "'..'"),
    REFUSE(GET("/%2e"), "'..'"),
    REFUSE(GET("/#x"), "0x23 in the path"),
    REFUSE(GET("/?#x"), "0x23 in the query"),
    REFUSE(GET("/a\"b"), "0x22 in the path"),
    REFUSE(GET("/caf\xc3\xa9"), "0xc3 in the path"),
    REFUSE(GET("/?<x>"), "0x3c in the query"),
    /* ---- headers ---- */
    REFUSE(WITH("X: a\0b\r\n"), "control byte 0x00"),
    REFUSE(WITH("X: a\x1b[2Jb\r\n"), "control byte 0x1b"),
    REFUSE(WITH("X: a\x7f\r\n"), "control byte 0x7f"),
    REFUSE(WITH("no colon\r\n"), "without a colon"),
    REFUSE(WITH(": empty name\r\n"), "no token"),
    REFUSE(WITH("X Y: a\r\n"), "no token"),
    REFUSE(WITH("X\xe9: a\r\n"), "no token"),
};

/* As http/relay does it: scan what came, then judge the whole. */
static int judge(const char *p, size_t n, size_t step, struct gate_head *head, struct err *err)
{
    struct gate_scan s = {0};
    size_t len = 0;
    int r = -EAGAIN;
    for (size_t have = step; r == -EAGAIN; have += step) {
        have = have > n ? n : have;
        r = gate_scan(&s, p, have, &len, err);
        if (r == -EAGAIN && have == n)
            return r;
    }
    *head = (struct gate_head){.status = 400};
    return r < 0 ? r : gate_parse(p, len, head, err);
}

static void each_row_is_judged_as_it_says(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct gate_head head;
        struct err err = {""};
        int r = judge(rows[i].bytes, rows[i].n, rows[i].n, &head, &err);
        if (!rows[i].words && r < 0)
            fail_msg("row %zu: '%s' was refused: %s", i, rows[i].bytes, err.text);
        if (!rows[i].words)
            continue;
        if (r != -EBADMSG)
            fail_msg("row %zu: '%s' was not refused but %d", i, rows[i].bytes, r);
        if (!strstr(err.text, rows[i].words))
            fail_msg("row %zu: '%s' where '%s' was expected", i, err.text, rows[i].words);
        assert_int_equal(head.status, rows[i].status);
    }
}

static void it_makes_no_difference_how_the_bytes_arrive(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct gate_head whole, pieces;
        struct err a = {""}, b = {""};
        int r = judge(rows[i].bytes, rows[i].n, rows[i].n, &whole, &a);
        for (size_t step = 1; step < 4; step++) {
            assert_int_equal(judge(rows[i].bytes, rows[i].n, step, &pieces, &b), r);
            assert_string_equal(a.text, b.text);
        }
    }
}

static void what_follows_a_head_is_not_part_of_it(void **state)
{
    static const char two[] = GET("/1") GET("/2");
    struct gate_scan s = {0};
    size_t len = 0;
    assert_int_equal(gate_scan(&s, two, sizeof(two) - 1, &len, NULL), 0);
    assert_int_equal(len, (sizeof(two) - 1) / 2);
    struct gate_head head;
    assert_int_equal(gate_parse(two, sizeof(two) - 1, &head, NULL), -EBADMSG);
    assert_int_equal(gate_parse(two, len - 1, &head, NULL), -EBADMSG);
}

static void the_size_of_the_body_is_told(void **state)
{
    static const char fits[] = WITH("Content-Length: 65536\r\n"),
                      over[] = WITH("Content-Length: 65537\r\n"),
                      huge[] = WITH("Content-Length: 999999999999999999\r\n"), none[] = GET("/");
    struct gate_head head;
    assert_int_equal(gate_parse(fits, sizeof(fits) - 1, &head, NULL), 0);
    assert_int_equal(head.content_length, 65536);
    assert_false(head.oversize);
    assert_int_equal(gate_parse(over, sizeof(over) - 1, &head, NULL), 0);
    assert_true(head.oversize);
    assert_int_equal(gate_parse(huge, sizeof(huge) - 1, &head, NULL), 0);
    assert_true(head.oversize);
    assert_int_equal(gate_parse(none, sizeof(none) - 1, &head, NULL), 0);
    assert_int_equal(head.content_length, 0);
    assert_false(head.oversize);
}

static void a_head_has_at_most_a_hundred_headers(void **state)
{
    for (int n = 99; n <= 101; n++) { /* and Host makes one more */
        struct buf b = BUF_INIT(65536);
        (void)buf_append_str(&b, "GET / HTTP/1.1\r\n" HOST);
        for (int i = 1; i < n; i++)
            (void)buf_printf(&b, "X-%d: y\r\n", i);
        (void)buf_append_str(&b, "\r\n");
        struct gate_head head;
        struct err err = {""};
        int r = judge(b.data, b.len, b.len, &head, &err);
        assert_int_equal(r, n <= 100 ? 0 : -EMSGSIZE);
        buf_done(&b);
    }
}

static void a_head_has_at_most_sixteen_kib(void **state)
{
    for (int over = 0; over <= 1; over++) {
        struct buf b = BUF_INIT(65536);
        (void)buf_append_str(&b, "GET / HTTP/1.1\r\n" HOST "X: ");
        while (b.len < GATE_HEAD_MAX - 4 + (size_t)over)
            (void)buf_append_char(&b, 'x');
        (void)buf_append_str(&b, "\r\n\r\n");
        struct gate_head head;
        struct err err = {""};
        assert_int_equal(judge(b.data, b.len, b.len, &head, &err), over ? -EMSGSIZE : 0);
        buf_done(&b);
    }
}

static int judge_many(const char *before, const char *each, int n, const char *after)
{
    struct buf b = BUF_INIT(65536);
    (void)buf_append_str(&b, before);
    for (int i = 0; i < n; i++)
        (void)buf_append_str(&b, each);
    (void)buf_append_str(&b, after);
    struct gate_head head;
    int r = judge(b.data, b.len, b.len, &head, NULL);
    buf_done(&b);
    return r;
}

static void what_a_parser_makes_entries_of_is_bounded(void **state)
{
    static const char end[] = " HTTP/1.1\r\n" HOST "\r\n", line[] = "GET / HTTP/1.1\r\n" HOST;
    assert_int_equal(judge_many("GET /?a", "&a", 31, end), 0);
    assert_int_equal(judge_many("GET /?a", "&a", 32, end), -EBADMSG);
    assert_int_equal(judge_many("GET /?", "&", 32, end), -EBADMSG);
    char head[128];
    (void)snprintf(head, sizeof(head), "%sCookie: a=1", line);
    assert_int_equal(judge_many(head, ";b=2", 31, "\r\n\r\n"), 0);
    assert_int_equal(judge_many(head, ";b=2", 32, "\r\n\r\n"), -EBADMSG);
    assert_int_equal(judge_many(head, ",b=2", 32, "\r\n\r\n"), -EBADMSG);
    assert_int_equal(judge_many(head, "x", 4093, "\r\n\r\n"), 0);
    assert_int_equal(judge_many(head, "x", 4094, "\r\n\r\n"), -EBADMSG);
}

static void nonsense_is_refused_before_its_end_arrives(void **state)
{
    struct gate_scan s = {0};
    size_t len = 0;
    assert_int_equal(gate_scan(&s, "GET / HTTP/1.1\r\nX: \0", 20, &len, NULL), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_judged_as_it_says),
        cmocka_unit_test(it_makes_no_difference_how_the_bytes_arrive),
        cmocka_unit_test(what_follows_a_head_is_not_part_of_it),
        cmocka_unit_test(the_size_of_the_body_is_told),
        cmocka_unit_test(a_head_has_at_most_a_hundred_headers),
        cmocka_unit_test(a_head_has_at_most_sixteen_kib),
        cmocka_unit_test(what_a_parser_makes_entries_of_is_bounded),
        cmocka_unit_test(nonsense_is_refused_before_its_end_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
