/* SPDX-License-Identifier: MIT */
/* The blocking client against servers that say what a test wants them to: each runs in a child. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client.h"

struct fixture {
    char dir[64], path[96], unix_address[128], tcp_address[64], seen[96];
    int unix_fd, tcp_fd;
    pid_t child;
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/api.sock", f->dir);
    (void)snprintf(f->seen, sizeof(f->seen), "%s/seen", f->dir);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->path);
    (void)snprintf(f->unix_address, sizeof(f->unix_address), "unix:%s", f->path);
    f->unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    f->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->unix_fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(bind(f->tcp_fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(f->unix_fd, 4) | listen(f->tcp_fd, 4), 0);
    assert_int_equal(getsockname(f->tcp_fd, (struct sockaddr *)&in, &len), 0);
    (void)snprintf(f->tcp_address, sizeof(f->tcp_address), "http://127.0.0.1:%d/",
                   ntohs(in.sin_port));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->child > 0) {
        (void)kill(f->child, SIGKILL);
        (void)waitpid(f->child, NULL, 0);
    }
    (void)close(f->unix_fd);
    (void)close(f->tcp_fd);
    (void)unlink(f->path);
    (void)unlink(f->seen);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

/* Serves one connection in a child: keeps what it heard in f->seen, says `answer`, then `more` over
 * and over until nobody listens. */
static void serve(struct fixture *f, int lfd, const char *answer, const char *more)
{
    f->child = fork();
    assert_true(f->child >= 0);
    if (f->child > 0)
        return;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)alarm(20);
    char heard[8192];
    int fd = accept(lfd, NULL, NULL);
    ssize_t n = recv(fd, heard, sizeof(heard), 0);
    FILE *out = fopen(f->seen, "we");
    if (fd < 0 || n < 0 || !out || fwrite(heard, 1, (size_t)n, out) != (size_t)n)
        _exit(1);
    (void)fclose(out);
    (void)send(fd, answer, strlen(answer), 0);
    while (more && send(fd, more, strlen(more), 0) > 0)
        ;
    _exit(0);
}

static char *heard(struct fixture *f)
{
    char text[8192] = "";
    FILE *in = fopen(f->seen, "re");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof(text) - 1, in) > 0);
    (void)fclose(in);
    return mem_strdup(text);
}

static int get(const struct client_target *t, struct client_response *r, struct err *err)
{
    return client_request(t, "GET", "/api/x?y=1", NULL, 0, r, err);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void an_answer_comes_over_the_unix_socket(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address};
    struct err err = {""};
    serve(f, f->unix_fd, OK_HEAD "Content-Length: 2\r\n\r\n{}", NULL);
    assert_int_equal(get(&t, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "application/json");
    assert_string_equal(buf_str(&r.body), "{}");
    _cleanup_free_ char *said = heard(f);
    assert_true(str_starts(said, "GET /api/x?y=1 HTTP/1.1\r\n"));
    assert_null(strstr(said, "Authorization"));
}

static void a_body_goes_out_as_json_with_the_token_and_past_every_proxy(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->tcp_address, .token = "secret"};
    struct err err = {""};
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
    serve(f, f->tcp_fd, OK_HEAD "Content-Length: 0\r\n\r\n", NULL);
    assert_int_equal(client_request(&t, "POST", "/p", "{\"a\":1}", 7, &r, &err), 0);
    _cleanup_free_ char *said = heard(f);
    assert_true(str_starts(said, "POST /p HTTP/1.1\r\n"));
    assert_non_null(strstr(said, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(said, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(said, "Content-Length: 7\r\n"));
    (void)unsetenv("http_proxy");
    (void)unsetenv("ALL_PROXY");
}

static void a_post_without_a_body_has_no_type(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address};
    serve(f, f->unix_fd, OK_HEAD "Content-Length: 0\r\n\r\n", NULL);
    assert_int_equal(client_request(&t, "POST", "/p", NULL, 0, &r, NULL), 0);
    _cleanup_free_ char *said = heard(f);
    assert_non_null(strstr(said, "Content-Length: 0\r\n"));
    assert_null(strstr(said, "Content-Type"));
}

static void a_redirect_is_an_answer_and_not_followed(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address};
    serve(f, f->unix_fd,
          "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", NULL);
    assert_int_equal(get(&t, &r, NULL), 0);
    assert_int_equal(r.status, 302);
}

static void nobody_there_is_said_with_the_address(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = "unix:/nowhere/api.sock"};
    struct err err = {""};
    assert_int_equal(get(&t, &r, &err), -ENOENT);
    assert_non_null(strstr(err.text, "unix:/nowhere/api.sock"));
    t.address = f->tcp_address;
    assert_int_equal(shutdown(f->tcp_fd, SHUT_RDWR), 0);
    assert_int_equal(get(&t, &r, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, f->tcp_address));
}

static void silence_ends_by_the_timeout(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address, .timeout_ms = 200};
    assert_int_equal(get(&t, &r, NULL), -ETIMEDOUT); /* listening, and nobody accepts */
}

static void an_answer_without_end_is_cut_off(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address};
    struct err err = {""};
    static char chunk[1 << 16];
    memset(chunk, 'x', sizeof(chunk) - 1);
    serve(f, f->unix_fd, OK_HEAD "\r\n", chunk);
    assert_int_equal(get(&t, &r, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "longer than 64 MiB"));
}

static void nonsense_is_no_answer(void **state)
{
    struct fixture *f = *state;
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    struct client_target t = {.address = f->unix_address};
    serve(f, f->unix_fd, "SSH-2.0-OpenSSH\r\n", NULL);
    assert_int_equal(get(&t, &r, NULL), -EIO);
}

static void addresses_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "",        "unix:",        "localhost:80", "ftp://127.0.0.1/", "file:///etc/passwd",
        "http://", "/run/api.sock"};
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct client_target t = {.address = bad[i]};
        struct err err = {""};
        if (get(&t, &r, &err) != -EINVAL || !err.text[0])
            fail_msg("'%s': %s", bad[i], err.text);
    }
}

static void a_token_does_not_leave_this_host_in_clear(void **state)
{
    static const char *const far[] = {"http://192.0.2.1:80", "http://example.invalid",
                                      "http://127.0.0.1.example.invalid",
                                      "http://[2001:db8::1]:80"};
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    for (size_t i = 0; i < ARRAY_LEN(far); i++) {
        struct client_target t = {.address = far[i], .token = "secret"};
        struct err err = {""};
        assert_int_equal(get(&t, &r, &err), -EINVAL);
        assert_non_null(strstr(err.text, "plain http"));
    }
    struct client_target t = {.address = "unix:/nowhere", .token = "a\r\nX: y"};
    assert_int_equal(get(&t, &r, NULL), -EINVAL);
}

static void refusals_are_put_into_words_that_a_terminal_survives(void **state)
{
    _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
    char out[64], small[8];
    r.status = 409;
    (void)buf_append_str(&r.body, "{\"error\":{\"code\":\"stale\",\"message\":\"a\\u001b[2Jb\"}}");
    assert_string_equal(client_error_text(&r, out, sizeof(out)), "a\\e[2Jb");
    assert_string_equal(client_error_code(&r, out, sizeof(out)), "stale");
    assert_int_equal(strlen(client_error_text(&r, small, sizeof(small))), 7);
    buf_clear(&r.body);
    (void)buf_append_str(&r.body, "<html>");
    assert_string_equal(client_error_text(&r, out, sizeof(out)),
                        "the warden answered with status 409");
    assert_string_equal(client_error_code(&r, out, sizeof(out)), "");
}

static void encoding_leaves_only_plain_characters(void **state)
{
    struct buf b = BUF_INIT(256);
    assert_int_equal(client_encode(&b, "aZ9-._~/ ?&%\0\xff", 14), 0);
    assert_string_equal(buf_str(&b), "aZ9-._~%2F%20%3F%26%25%00%FF");
    buf_done(&b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_answer_comes_over_the_unix_socket),
        CASE(a_body_goes_out_as_json_with_the_token_and_past_every_proxy),
        CASE(a_post_without_a_body_has_no_type),
        CASE(a_redirect_is_an_answer_and_not_followed),
        CASE(nobody_there_is_said_with_the_address),
        CASE(silence_ends_by_the_timeout),
        CASE(an_answer_without_end_is_cut_off),
        CASE(nonsense_is_no_answer),
        cmocka_unit_test(addresses_that_are_none_are_refused),
        cmocka_unit_test(a_token_does_not_leave_this_host_in_clear),
        cmocka_unit_test(refusals_are_put_into_words_that_a_terminal_survives),
        cmocka_unit_test(encoding_leaves_only_plain_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
