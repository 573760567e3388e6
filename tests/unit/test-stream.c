/* SPDX-License-Identifier: MIT */
/* Connections that leave question and answer, as their peers see them. */
#include <fcntl.h>
#include <sys/resource.h>

#include "http/server.h"
#include "http/stream.h"
#include "unit/http-help.h"

#include "base/mem.h"

struct taken {
    struct fixture *f;
    struct stream *s; /* NULL: gone */
    unsigned gone, drained;
    struct buf came;
};

struct fixture {
    struct http_help h;
    uv_loop_t loop;
    struct server *server;
    bool closed;
    struct exchange *later;
    struct taken taken[8];
    unsigned count;
    bool ends_on_word;
};

static void came(void *arg, const char *p, size_t n)
{
    struct taken *t = arg;
    (void)buf_append(&t->came, p, n);
    if (t->f->ends_on_word)
        stream_end(t->s);
}

static void drained(void *arg)
{
    ((struct taken *)arg)->drained++;
}

static void gone(void *arg)
{
    struct taken *t = arg;
    t->gone++;
    t->s = NULL;
}

static const struct stream_ops ops = {came, drained, gone};

static void take(struct fixture *f, struct exchange *x)
{
    struct taken *t = &f->taken[f->count];
    t->f = f;
    t->came = BUF_INIT(4096);
    exchange_add_header(x, "X-Test", "1");
    t->s = stream_take(x, 200, "text/event-stream", &ops, t);
    if (t->s)
        f->count++;
}

static void handle(void *arg, struct exchange *x)
{
    struct fixture *f = arg;
    if (str_eq(exchange_path(x), "/stream"))
        take(f, x);
    else if (str_eq(exchange_path(x), "/later"))
        f->later = exchange_ref(x);
    else
        exchange_reply(x, 200, "text/plain", NULL);
}

static void closed(void *arg)
{
    ((struct fixture *)arg)->closed = true;
}

static int setup(void **state)
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
    c.front.stall_ms = 300;
    c.front.idle_ms = 300;
    c.front.connections_max = 2;
    c.front.per_address_max = 2;
    assert_int_equal(server_new(&f->loop, &c, &f->server, &err), 0);
    assert_int_equal(server_listen_unix(f->server, f->h.path, &err), 0);
    assert_int_equal(server_listen_tcp(f->server, "127.0.0.1:0", &f->h.url, &err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->server)
        server_close(f->server, closed, f);
    uint64_t end = clock_monotonic() + PATIENCE;
    while (uv_run(&f->loop, UV_RUN_NOWAIT) && clock_monotonic() < end)
        usleep(1000);
    assert_true(f->closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    (void)exchange_unref(f->later);
    for (size_t i = 0; i < f->count; i++) {
        assert_int_equal(f->taken[i].gone, 1);
        buf_done(&f->taken[i].came);
    }
    (void)unlink(f->h.path);
    (void)rmdir(f->h.dir);
    free(f->h.url);
    free(f);
    return 0;
}

static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";

static int open_stream(struct fixture *f, bool tcp)
{
    int fd = tcp ? dial_tcp(&f->h) : dial_unix(&f->h);
    struct buf out = BUF_INIT(1u << 20);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    assert_false(hear(&f->h, fd, &out, "\r\n\r\n", 1));
    assert_starts(buf_str(&out), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
    assert_has(buf_str(&out), "X-Test: 1\r\n");
    assert_has(buf_str(&out), "Cache-Control: no-store\r\n");
    buf_done(&out);
    return fd;
}

static void what_is_sent_arrives_and_draining_is_told(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, true);
    struct buf out = BUF_INIT(1u << 20);
    assert_int_equal(stream_send(f->taken[0].s, "one\n", 4), 0);
    assert_false(hear(&f->h, fd, &out, "one\n", 1));
    assert_int_equal(stream_send(f->taken[0].s, "two\n", 4), 0);
    assert_false(hear(&f->h, fd, &out, "two\n", 1));
    turn_for(&f->h, 20);
    assert_true(f->taken[0].drained >= 1);
    assert_false(stream_busy(f->taken[0].s));
    buf_done(&out);
    (void)close(fd);
    turn_for(&f->h, 50);
    assert_int_equal(f->taken[0].gone, 1);
}

static void it_outlives_the_idle_time_and_what_comes_is_told(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, false);
    turn_for(&f->h, 900); /* three times idle_ms */
    assert_non_null(f->taken[0].s);
    f->ends_on_word = true;
    assert_int_equal(send(fd, "word", 4, MSG_NOSIGNAL), 4);
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0)); /* it was ended from inside the callback */
    assert_string_equal(buf_str(&f->taken[0].came), "word");
    assert_int_equal(f->taken[0].gone, 1);
    buf_done(&out);
    (void)close(fd);
}

static void who_does_not_read_is_cut_off(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, false);
    char *much = mem_zalloc(4u << 20);
    assert_int_equal(stream_send(f->taken[0].s, much, 4u << 20), 0);
    assert_true(stream_busy(f->taken[0].s));
    turn_for(&f->h, 200);
    assert_int_equal(stream_send(f->taken[0].s, "x", 1), 0); /* gives it no more time */
    turn_for(&f->h, 700);
    assert_int_equal(f->taken[0].gone, 1);
    free(much);
    (void)close(fd);
}

static void ending_lets_leave_what_was_sent(void **state)
{
    struct fixture *f = *state;
    int fd = open_stream(f, true);
    struct buf out = BUF_INIT(8u << 20);
    char *much = mem_zalloc(4u << 20);
    memset(much, 'x', 4u << 20);
    struct stream *s = f->taken[0].s;
    assert_int_equal(stream_send(s, much, 4u << 20), 0);
    stream_end(s);
    assert_int_equal(f->taken[0].gone, 1);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_int_equal(out.len, 4u << 20);
    free(much);
    buf_done(&out);
    (void)close(fd);
}

static void streams_do_not_count_as_connections(void **state)
{
    struct fixture *f = *state;
    int fds[6];
    for (int i = 0; i < 6; i++) /* three times what a listener takes */
        fds[i] = open_stream(f, true);
    _cleanup_free_ char *a = ask(&f->h, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_starts(a, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 6; i++) {
        assert_int_equal(f->taken[i].gone, 0);
        (void)close(fds[i]);
    }
}

static void an_exchange_that_waited_can_become_one(void **state)
{
    struct fixture *f = *state;
    int fd = dial_tcp(&f->h);
    struct buf out = BUF_INIT(1u << 20);
    static const char later[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, later, sizeof(later) - 1, MSG_NOSIGNAL), sizeof(later) - 1);
    turn_for(&f->h, 50);
    take(f, f->later);
    assert_int_equal(f->count, 1);
    exchange_reply(f->later, 200, "text/plain", NULL); /* does nothing */
    assert_null(stream_take(f->later, 200, "text/plain", &ops, &f->taken[1]));
    assert_int_equal(stream_send(f->taken[0].s, "word", 4), 0);
    assert_false(hear(&f->h, fd, &out, "word", 1));
    buf_done(&out);
    (void)close(fd);
}

static void one_whose_caller_went_cannot(void **state)
{
    struct fixture *f = *state;
    int fd = dial_tcp(&f->h);
    static const char later[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(send(fd, later, sizeof(later) - 1, MSG_NOSIGNAL), sizeof(later) - 1);
    turn_for(&f->h, 50);
    struct linger reset = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(fd);
    turn_for(&f->h, 50);
    take(f, f->later);
    turn_for(&f->h, 50);
    for (unsigned i = 0; i < f->count; i++)
        assert_int_equal(f->taken[i].gone, 1);
}

static void closing_ends_all_of_them(void **state)
{
    struct fixture *f = *state;
    int a = open_stream(f, true), b = open_stream(f, false);
    (void)stream_send(f->taken[0].s, "last\n", 5);
    server_close(TAKE_PTR(f->server), closed, f);
    assert_int_equal(f->taken[0].gone, 1);
    assert_int_equal(f->taken[1].gone, 1);
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, a, &out, NULL, 0));
    assert_string_equal(buf_str(&out), "last\n");
    assert_true(hear(&f->h, b, &out, NULL, 0));
    buf_done(&out);
    (void)close(a);
    (void)close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_sent_arrives_and_draining_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(it_outlives_the_idle_time_and_what_comes_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(ending_lets_leave_what_was_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_do_not_count_as_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exchange_that_waited_can_become_one, setup, teardown),
        cmocka_unit_test_setup_teardown(one_whose_caller_went_cannot, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_ends_all_of_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
