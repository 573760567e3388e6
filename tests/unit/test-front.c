/* SPDX-License-Identifier: MIT */
/* The front with a parser of ours behind it: what becomes of what the parser says. */
#include "http/front.h"

#include <fcntl.h>

#include "base/json.h"
#include "base/mem.h"
#include "unit/http-help.h"

#define REQUEST "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"

struct fixture {
    struct http_help h;
    uv_loop_t loop;
    struct front *front;
    struct front_conn *conn;
    int inner;          /* the parser's end of the newest connection; -1: none */
    bool takes;         /* it understands what it is given */
    const char *answer; /* and says this */
    bool gone;
    unsigned fed, fed_this_turn, fed_a_turn_max;
};

struct end {
    struct fixture *f;
    struct front_conn *conn;
    int fd; /* owned */
};

/* ---- the parser ---- */

static void *attach(void *arg, struct front_conn *c, int fd)
{
    struct fixture *f = arg;
    struct end *e = mem_new(struct end);
    *e = (struct end){f, c, fd};
    f->conn = c;
    f->inner = fd;
    return e;
}

static void detach(void *arg, void *attached)
{
    struct end *e = attached;
    close(e->fd);
    if (e->f->inner == e->fd)
        e->f->inner = -1;
    free(e);
}

static void fed(void *arg)
{
    struct fixture *f = arg;
    f->fed++;
    if (++f->fed_this_turn > f->fed_a_turn_max)
        f->fed_a_turn_max = f->fed_this_turn;
    if (f->inner < 0)
        return; /* it is only counted */
    if (f->takes)
        front_taken(f->conn);
    assert_int_equal(send(f->inner, f->answer, strlen(f->answer), MSG_NOSIGNAL), strlen(f->answer));
    if (f->takes)
        front_answered(f->conn);
}

/* ---- the fixture ---- */

static void front_is_gone(void *arg)
{
    ((struct fixture *)arg)->gone = true;
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct front_config c;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->h.loop = &f->loop;
    f->inner = -1;
    (void)snprintf(f->h.dir, sizeof(f->h.dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->h.dir));
    (void)snprintf(f->h.path, sizeof(f->h.path), "%s/front.sock", f->h.dir);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->h.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, 8), 0);
    front_config_default(&c);
    c.attach = attach;
    c.detach = detach;
    c.fed = fed;
    c.arg = f;
    f->front = front_new(&f->loop, &c);
    front_listen(f->front, fd, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (!f->gone) {
        front_stop_listening(f->front);
        front_close(f->front, front_is_gone, f);
    }
    while (uv_run(&f->loop, UV_RUN_ONCE) != 0)
        ;
    assert_true(f->gone);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    (void)unlink(f->h.path);
    (void)rmdir(f->h.dir);
    free(f);
    return 0;
}

/* ---- what it does ---- */

static void an_answer_flows_back_untouched(void **state)
{
    struct fixture *f = *state;
    f->takes = true;
    f->answer = "HTTP/1.1 431 Mine\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx";
    struct buf out = BUF_INIT(1u << 20);
    int fd = dial_unix(&f->h);
    assert_int_equal(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    assert_false(hear(&f->h, fd, &out, "\r\n\r\nx", 1));
    assert_string_equal(buf_str(&out), f->answer);
    buf_done(&out);
    (void)close(fd);
}

static void turn_begins(uv_prepare_t *p)
{
    ((struct fixture *)p->data)->fed_this_turn = 0;
}

static void run_until_fed(struct fixture *f, unsigned n)
{
    for (int i = 0; f->fed < n && i < 10000; i++)
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->fed, n);
}

/* Shims are heard once a turn: a burst of requests must not make one turn of all of them. */
static void of_many_that_come_at_once_one_passes_in_a_turn(void **state)
{
    enum { MANY = 6 };
    struct fixture *f = *state;
    int fds[MANY];
    uv_prepare_t turn = {.data = f};
    assert_int_equal(uv_prepare_init(&f->loop, &turn), 0);
    assert_int_equal(uv_prepare_start(&turn, turn_begins), 0);
    f->takes = true;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    for (unsigned i = 0; i < MANY; i++) { /* all are accepted, and have no request under way */
        struct buf out = BUF_INIT(1u << 20);
        fds[i] = dial_unix(&f->h);
        assert_int_equal(send(fds[i], REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
        assert_false(hear(&f->h, fds[i], &out, "\r\n\r\nx", 1));
        buf_done(&out);
    }
    assert_int_equal(f->fed, MANY);
    f->inner = -1;
    f->fed_a_turn_max = 0;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(send(fds[i], REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    run_until_fed(f, 2 * MANY);
    assert_int_equal(f->fed_a_turn_max, 1);
    for (unsigned i = 0; i < MANY; i++)
        (void)close(fds[i]);
    uv_close((uv_handle_t *)&turn, NULL);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* It has not been passed: nobody will answer it. */
static void who_stands_in_line_when_it_closes_goes_with_it(void **state)
{
    struct fixture *f = *state;
    char byte;
    int one = dial_unix(&f->h), other = dial_unix(&f->h);
    f->takes = true;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    assert_int_equal(send(one, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    assert_int_equal(send(other, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    run_until_fed(f, 1);
    front_stop_listening(f->front);
    front_close(f->front, front_is_gone, f);
    while (uv_run(&f->loop, UV_RUN_ONCE) != 0)
        ;
    assert_true(f->gone);
    assert_int_equal(recv(other, &byte, 1, 0), 0);
    (void)close(one);
    (void)close(other);
}

static void a_refusal_that_the_parser_makes_up_becomes_json(void **state)
{
    static const struct {
        const char *says, *line, *code;
    } rows[] = {
        {"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/html\r\n\r\n<html>",
         "HTTP/1.1 431 Request Header Fields Too Large\r\n", "too_large"},
        {"HTTP/1.1 414 URI Too Long\r\n\r\n<html>",
         "HTTP/1.1 431 Request Header Fields Too Large\r\n", "too_large"},
        {"HTTP/1.1 500 Oh\r\n\r\n<html>", "HTTP/1.1 503 Service Unavailable\r\n", "unavailable"},
        {"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "HTTP/1.1 400 Bad Request\r\n", "bad_request"},
        {"H", "HTTP/1.1 400 Bad Request\r\n", "bad_request"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f->answer = rows[i].says;
        _cleanup_free_ char *s = ask(&f->h, REQUEST);
        struct json *root = NULL;
        assert_starts(s, rows[i].line);
        assert_has(s, "Content-Type: application/json\r\n");
        assert_has(s, "Connection: close\r\n");
        assert_null(strstr(s, "<html>"));
        const char *body = strstr(s, "\r\n\r\n") + 4;
        assert_int_equal(json_parse(body, strlen(body), 10, &root, NULL), 0);
        assert_string_equal(json_string(json_get(json_get(root, "error"), "code"), NULL),
                            rows[i].code);
        (void)json_free(root);
    }
}

/* The second request of a connection is judged by itself. */
static void a_refusal_behind_an_answer_becomes_json_too(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(1u << 20);
    int fd = dial_unix(&f->h);
    f->takes = true;
    f->answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    assert_int_equal(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    assert_false(hear(&f->h, fd, &out, "\r\n\r\nx", 1));
    f->takes = false;
    f->answer = "HTTP/1.1 431 No\r\n\r\n<html>";
    assert_int_equal(send(fd, REQUEST, strlen(REQUEST), MSG_NOSIGNAL), strlen(REQUEST));
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_has(buf_str(&out), "too_large");
    assert_null(strstr(buf_str(&out), "<html>"));
    buf_done(&out);
    (void)close(fd);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_flows_back_untouched),
        TEST(of_many_that_come_at_once_one_passes_in_a_turn),
        TEST(who_stands_in_line_when_it_closes_goes_with_it),
        TEST(a_refusal_that_the_parser_makes_up_becomes_json),
        TEST(a_refusal_behind_an_answer_becomes_json_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
