/* SPDX-License-Identifier: MIT */
/* The client of the loop thread against a server of a few lines that says what the test wants. */
#include "http/client-loop.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t loop;
    struct client_loop *client;
    char path[64];
    pid_t server;
    long status;
    int done, lines, ended;
    char body[256], words[256], last[64];
};

/* Serves `count` connections with that answer each. */
static void serve(struct fixture *f, const char *answer, int count)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(f->path, sizeof(f->path), "/tmp/clawrden-loop-%d.sock", (int)getpid());
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
    (void)unlink(f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    f->server = fork();
    if (f->server == 0) {
        (void)alarm(20);
        for (int i = 0; i < count; i++) {
            char in[4096];
            int c = accept(fd, NULL, NULL);
            (void)!read(c, in, sizeof(in));
            (void)!write(c, answer, strlen(answer));
            close(c);
        }
        _exit(0);
    }
    close(fd);
    struct err err;
    assert_int_equal(client_loop_new(&f->loop, f->path, &f->client, &err), 0);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)uv_loop_init(&f->loop);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_loop_close(f->client);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    if (f->server) {
        (void)kill(f->server, SIGKILL);
        (void)waitpid(f->server, NULL, 0);
    }
    (void)unlink(f->path);
    test_free(f);
    return 0;
}

static void on_done(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct fixture *f = arg;
    f->done++;
    f->status = status;
    assert_int_equal(strlen(body), len);
    (void)snprintf(f->body, sizeof(f->body), "%s", body);
    (void)snprintf(f->words, sizeof(f->words), "%s", words);
}

static void on_line(void *arg, const char *line, size_t len)
{
    struct fixture *f = arg;
    f->lines++;
    (void)snprintf(f->last, sizeof(f->last), "%.*s", (int)len, line);
    if (f->lines == 2) /* a question from within an answer */
        client_loop_request(f->client, "GET", "/more", NULL, 5000, on_done, f);
}

static void on_end(void *arg, const char *words)
{
    struct fixture *f = arg;
    f->ended++;
    (void)snprintf(f->words, sizeof(f->words), "%s", words);
}

static void wait_until(struct fixture *f, const int *what)
{
    while (*what == 0)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void an_answer_comes_whole(void **state)
{
    struct fixture *f = *state;
    serve(f, ANSWER, 1);
    client_loop_request(f->client, "POST", "/x", "{}", 5000, on_done, f);
    assert_int_equal(f->done, 0); /* never from within */
    wait_until(f, &f->done);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->body, "hello");
}

static void nobody_there_is_said(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(client_loop_new(&f->loop, "/nonexistent/x.sock", &f->client, &err), 0);
    client_loop_request(f->client, "GET", "/x", NULL, 5000, on_done, f);
    wait_until(f, &f->done);
    assert_int_equal(f->status, 0);
    assert_true(f->words[0] != 0);
}

static void a_server_that_says_nothing_is_waited_for_only_so_long(void **state)
{
    struct fixture *f = *state;
    serve(f, "", 0); /* accepts nobody */
    client_loop_request(f->client, "GET", "/x", NULL, 200, on_done, f);
    wait_until(f, &f->done);
    assert_int_equal(f->status, 0);
}

static void lines_come_one_by_one_and_may_ask(void **state)
{
    struct fixture *f = *state;
    serve(f, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none\ntwo\nrest without an end", 2);
    client_loop_follow(f->client, "/events", on_line, on_end, f);
    wait_until(f, &f->ended);
    assert_int_equal(f->lines, 2);
    assert_string_equal(f->last, "two");
    wait_until(f, &f->done);
}

static void what_is_under_way_ends_without_a_word(void **state)
{
    struct fixture *f = *state;
    serve(f, "", 0);
    client_loop_request(f->client, "GET", "/x", NULL, 5000, on_done, f);
    client_loop_follow(f->client, "/events", on_line, on_end, f);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    client_loop_close(f->client);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    f->client = NULL;
    assert_int_equal(f->done + f->ended, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_comes_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_says_nothing_is_waited_for_only_so_long,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(lines_come_one_by_one_and_may_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_ends_without_a_word, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
