/* SPDX-License-Identifier: MIT */
/* The server as its peers see it: raw bytes over a unix socket and TCP, in one thread: the loop
 * turns while the client waits. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/gate.h"
#include "http/server.h"
#include "unit/http-help.h"

struct fixture {
    struct http_help h;
    uv_loop_t loop;
    struct server *server;
    bool gone;
    struct exchange *later; /* of GET /later */
    unsigned handled;
};

/* ---- the server under test ---- */

static void reply_text(struct exchange *x, unsigned status, const char *text)
{
    struct buf b = BUF_INIT(1u << 20);
    (void)buf_append_str(&b, text);
    exchange_reply(x, status, "text/plain", &b);
    buf_done(&b);
}

static bool add_query(void *arg, const char *key, const char *value)
{
    return buf_printf(arg, "[%s=%s]", key, value) == 0;
}

static void handle(void *arg, struct exchange *x)
{
    struct fixture *f = arg;
    f->handled++;
    if (exchange_oversize(x)) {
        reply_text(x, 413, "too large");
    } else if (str_eq(exchange_path(x), "/later")) {
        f->later = exchange_ref(x);
    } else if (str_eq(exchange_path(x), "/big")) {
        struct buf b = BUF_INIT(8u << 20);
        for (int i = 0; i < 1 << 20; i++)
            (void)buf_append(&b, "01234567", 8);
        (void)buf_consume(&b, 1);
        exchange_reply(x, 200, "text/plain", &b);
        buf_done(&b);
    } else {
        _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
        (void)buf_printf(&b, "%s %s %s %zu ", exchange_method(x), exchange_path(x),
                         exchange_peer(x)->address, exchange_body(x)->len);
        if (!exchange_each_query(x, add_query, &b))
            (void)buf_append_str(&b, "[bad]");
        reply_text(x, 200, buf_str(&b));
    }
}

static void server_gone(void *arg)
{
    ((struct fixture *)arg)->gone = true;
}

static int start(void **state, void (*change)(struct front_config *c))
{
    struct fixture *f = mem_new(struct fixture);
    struct err err = {""};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->h.loop = &f->loop;
    (void)snprintf(f->h.dir, sizeof(f->h.dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->h.dir));
    (void)snprintf(f->h.path, sizeof(f->h.path), "%s/api.sock", f->h.dir);
    struct server_config c = {.handle = handle, .arg = f};
    front_config_default(&c.front);
    if (change)
        change(&c.front);
    assert_int_equal(server_new(&f->loop, &c, &f->server, &err), 0);
    assert_int_equal(server_listen_unix(f->server, f->h.path, &err), 0);
    assert_int_equal(server_listen_tcp(f->server, "127.0.0.1:0", &f->h.url, &err), 0);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return start(state, NULL);
}

static void hurry(struct front_config *c)
{
    c->head_ms = 300;
    c->body_ms = 300;
    c->idle_ms = 300;
    c->stall_ms = 300;
}

static int setup_hurried(void **state)
{
    return start(state, hurry);
}

static void crowd(struct front_config *c)
{
    c->connections_max = 8;
    c->per_address_max = 4;
}

static int setup_crowded(void **state)
{
    return start(state, crowd);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->server)
        server_close(f->server, server_gone, f);
    uint64_t end = clock_monotonic() + PATIENCE;
    while (uv_run(&f->loop, UV_RUN_NOWAIT) && clock_monotonic() < end)
        usleep(1000);
    assert_true(f->gone);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    (void)exchange_unref(f->later);
    (void)unlink(f->h.path);
    (void)rmdir(f->h.dir);
    free(f->h.url);
    free(f);
    return 0;
}

/* ---- tests ---- */

static void a_request_is_answered(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a =
        ask(&f->h, "GET /x?a=1&b=%2Fc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_starts(a, "HTTP/1.1 200 OK\r\n");
    assert_has(a, "GET /x uid ");
    assert_has(a, "[a=1][b=/c]");
    assert_has(a, "X-Content-Type-Options: nosniff");
}

static void a_body_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT(1u << 20);
    (void)buf_printf(
        &b, "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
        65536);
    for (int i = 0; i < 65536; i++)
        (void)buf_append_char(&b, 'x');
    _cleanup_free_ char *a = talk(&f->h, dial_tcp(&f->h), b.data, b.len);
    buf_done(&b);
    assert_starts(a, "HTTP/1.1 200 OK\r\n");
    assert_has(a, "POST /x 127.0.0.1 65536");
}

static void add_many(struct buf *b, const char *each, int n)
{
    for (int i = 0; i < n; i++)
        (void)buf_append_str(b, each);
}

/* The parser's memory for a connection must hold whatever the gate lets pass. */
static void the_largest_request_that_passes_the_gate_is_served(void **state)
{
    struct fixture *f = *state;
    for (int headers = 1; headers <= 96; headers += 95) {
        struct buf b = BUF_INIT(1u << 20);
        (void)buf_append_str(&b, "POST /x?a");
        add_many(&b, "&a", GATE_PARAMETERS_MAX - 1);
        (void)buf_append_str(&b, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                 "Content-Length: 65536\r\nCookie: a=");
        add_many(&b, "x", GATE_COOKIE_BYTES_MAX - 2 - 4 * (GATE_COOKIES_MAX - 1));
        add_many(&b, ";b=2", GATE_COOKIES_MAX - 1);
        (void)buf_append_str(&b, "\r\n");
        for (int i = 1; i <= headers; i++) {
            size_t end = GATE_HEAD_MAX - 4 - (size_t)(headers - i) * (GATE_HEAD_MAX - 6000) / 96;
            (void)buf_printf(&b, "X-%d: ", i);
            while (b.len < end)
                (void)buf_append_char(&b, 'x');
            (void)buf_append_str(&b, "\r\n");
        }
        (void)buf_append_str(&b, "\r\n");
        assert_int_equal(b.len, GATE_HEAD_MAX);
        add_many(&b, "y", 65536);
        _cleanup_free_ char *a = talk(&f->h, dial_tcp(&f->h), b.data, b.len);
        buf_done(&b);
        assert_starts(a, "HTTP/1.1 200 OK\r\n");
        assert_has(a, "POST /x 127.0.0.1 65536");
    }
}

static void a_body_too_large_is_refused_by_the_handler_unread(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a =
        ask(&f->h, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n12345");
    assert_starts(a, "HTTP/1.1 413 ");
    assert_int_equal(f->handled, 1);
}

static void a_connection_serves_requests_in_turn_also_pipelined_ones(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a = ask(
        &f->h, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: "
               "3\r\n\r\nabcGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *one = strstr(a, "GET /1 "), *two = strstr(a, "POST /2 "),
               *three = strstr(a, "GET /3 ");
    assert_true(one && two && three && one < two && two < three);
}

static void a_second_request_does_not_pass_without_the_gate(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a =
        ask(&f->h, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n"
                   "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx");
    assert_has(a, "GET /1 ");
    assert_has(a, "HTTP/1.1 400 Bad Request\r\n");
    assert_has(a, "more than one Content-Length");
    assert_int_equal(f->handled, 1);
}

static void a_trickled_request_is_answered(void **state)
{
    struct fixture *f = *state;
    static const char request[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
    int fd = dial_tcp(&f->h);
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
        turn(&f->h);
    }
    struct buf out = BUF_INIT(1u << 20);
    assert_false(hear(&f->h, fd, &out, "POST /x 127.0.0.1 2", 1));
    buf_done(&out);
    (void)close(fd);
}

static void half_a_head_ends_by_its_deadline_however_it_trickles(void **state)
{
    struct fixture *f = *state;
    int fd = dial_tcp(&f->h);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\nX: ", 19, MSG_NOSIGNAL), 19);
    uint64_t start_time = clock_monotonic();
    struct buf out = BUF_INIT(1u << 20);
    bool end = false;
    while (!end && clock_monotonic() - start_time < PATIENCE) {
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        turn_for(&f->h, 20);
        char *room = buf_reserve(&out, 1024);
        ssize_t n = recv(fd, room, 1024, MSG_DONTWAIT);
        out.len += n > 0 ? (size_t)n : 0;
        end = n == 0 || (n < 0 && errno != EAGAIN);
    }
    assert_true(end);
    assert_true(clock_monotonic() - start_time < 3 * CLOCK_NS_PER_SEC);
    assert_starts(buf_str(&out), "HTTP/1.1 408 ");
    assert_int_equal(f->handled, 0);
    buf_done(&out);
    (void)close(fd);
}

static void half_a_body_ends_by_its_deadline(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a =
        ask(&f->h, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
    assert_starts(a, "HTTP/1.1 408 ");
    assert_int_equal(f->handled, 0);
}

static void a_silent_connection_ends_without_words(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a = ask(&f->h, "");
    assert_string_equal(a, "");
}

static void an_idle_connection_ends_after_its_answer(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a = ask(&f->h, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_starts(a, "HTTP/1.1 200 OK\r\n");
}

static void a_reader_that_does_not_read_is_cut_off(void **state)
{
    struct fixture *f = *state;
    int fd = dial_unix(&f->h);
    static const char request[] = "GET /big HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    turn_for(&f->h, 1500);
    struct buf out = BUF_INIT(32u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_true(out.len < 4u << 20); /* what the sockets held */
    buf_done(&out);
    (void)close(fd);
}

static void a_big_answer_arrives_whole(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a =
        ask(&f->h, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *body = strstr(a, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strlen(body + 4), (8u << 20) - 1);
}

static void an_answer_may_come_later(void **state)
{
    struct fixture *f = *state;
    int fd = dial_unix(&f->h);
    static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    turn_for(&f->h, 100);
    assert_non_null(f->later);
    assert_false(exchange_replied(f->later));
    reply_text(f->later, 200, "now");
    reply_text(f->later, 500, "not twice");
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_starts(buf_str(&out), "HTTP/1.1 200 OK\r\n");
    assert_has(buf_str(&out), "now");
    buf_done(&out);
    (void)close(fd);
}

static void an_answer_for_a_caller_that_went_is_dropped(void **state)
{
    struct fixture *f = *state;
    int fd = dial_unix(&f->h);
    static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    turn_for(&f->h, 50);
    (void)close(fd);
    turn_for(&f->h, 50);
    reply_text(f->later, 200, "nobody reads this");
    turn_for(&f->h, 50);
    _cleanup_free_ char *a =
        ask(&f->h, "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_has(a, "GET /next ");
}

static void closing_answers_what_is_open(void **state)
{
    struct fixture *f = *state;
    int fd = dial_unix(&f->h);
    static const char request[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    turn_for(&f->h, 50);
    server_close(TAKE_PTR(f->server), server_gone, f);
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_starts(buf_str(&out), "HTTP/1.1 503 ");
    buf_done(&out);
    (void)close(fd);
    reply_text(f->later, 200, "too late"); /* does nothing, and touches nothing that is gone */
}

static void a_peer_that_shut_its_side_still_gets_its_answer(void **state)
{
    struct fixture *f = *state;
    int fd = dial_unix(&f->h);
    static const char request[] = "GET /half HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_has(buf_str(&out), "GET /half ");
    buf_done(&out);
    (void)close(fd);
}

static void a_crowd_makes_room_for_who_comes_later(void **state)
{
    struct fixture *f = *state;
    int idle[20];
    for (int i = 0; i < 20; i++) {
        idle[i] = dial_tcp(&f->h);
        turn(&f->h);
    }
    turn_for(&f->h, 50);
    static const char request[] = "GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    _cleanup_free_ char *a = talk(&f->h, dial_tcp(&f->h), request, sizeof(request) - 1);
    assert_has(a, "GET /me ");
    int open_ones = 0;
    for (int i = 0; i < 20; i++) {
        char c;
        ssize_t n = recv(idle[i], &c, 1, MSG_DONTWAIT);
        open_ones += n < 0 && errno == EAGAIN;
        (void)close(idle[i]);
    }
    assert_true(open_ones <= 4);
}

static void a_crowd_on_tcp_does_not_touch_the_unix_socket(void **state)
{
    struct fixture *f = *state;
    int fds[20];
    for (int i = 0; i < 20; i++) { /* all of them busy: none can be put out */
        fds[i] = dial_tcp(&f->h);
        static const char later[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
        (void)send(fds[i], later, i < 1 ? sizeof(later) - 1 : 5, MSG_NOSIGNAL);
        turn(&f->h);
    }
    _cleanup_free_ char *a = ask(&f->h, "GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_has(a, "GET /me ");
    for (int i = 0; i < 20; i++)
        (void)close(fds[i]);
    if (f->later)
        reply_text(f->later, 200, "");
}

static void the_socket_is_for_its_owner_only(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->h.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_socket_that_somebody_answers_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    assert_int_equal(server_listen_unix(f->server, f->h.path, &err), -EADDRINUSE);
    assert_has(err.text, "another program answers");
}

static void what_others_could_reach_is_not_bound(void **state)
{
    struct fixture *f = *state;
    static const char *const refused[] = {"0.0.0.0:0", "[::]:0", "192.0.2.1:80",
                                          "[::ffff:1.2.3.4]:1"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct err err = {""};
        char *url = NULL;
        assert_int_equal(server_listen_tcp(f->server, refused[i], &url, &err), -EPERM);
        assert_has(err.text, "no TLS");
        assert_null(url);
    }
    static const char *const nonsense[] = {
        "", ":80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536", "example.org:80"};
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        struct err err = {""};
        char *url = NULL;
        assert_int_equal(server_listen_tcp(f->server, nonsense[i], &url, &err), -EINVAL);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CASE_HURRIED(name) cmocka_unit_test_setup_teardown(name, setup_hurried, teardown)
#define CASE_CROWDED(name) cmocka_unit_test_setup_teardown(name, setup_crowded, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_request_is_answered),
        CASE(a_body_arrives_whole),
        CASE(the_largest_request_that_passes_the_gate_is_served),
        CASE(a_body_too_large_is_refused_by_the_handler_unread),
        CASE(a_connection_serves_requests_in_turn_also_pipelined_ones),
        CASE(a_second_request_does_not_pass_without_the_gate),
        CASE(a_trickled_request_is_answered),
        CASE_HURRIED(half_a_head_ends_by_its_deadline_however_it_trickles),
        CASE_HURRIED(half_a_body_ends_by_its_deadline),
        CASE_HURRIED(a_silent_connection_ends_without_words),
        CASE_HURRIED(an_idle_connection_ends_after_its_answer),
        CASE_HURRIED(a_reader_that_does_not_read_is_cut_off),
        CASE(a_big_answer_arrives_whole),
        CASE(an_answer_may_come_later),
        CASE(an_answer_for_a_caller_that_went_is_dropped),
        CASE(closing_answers_what_is_open),
        CASE(a_peer_that_shut_its_side_still_gets_its_answer),
        CASE_CROWDED(a_crowd_makes_room_for_who_comes_later),
        CASE_CROWDED(a_crowd_on_tcp_does_not_touch_the_unix_socket),
        CASE(the_socket_is_for_its_owner_only),
        CASE(a_socket_that_somebody_answers_is_not_taken),
        CASE(what_others_could_reach_is_not_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
