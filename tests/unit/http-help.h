/* SPDX-License-Identifier: MIT */
/* For tests that are clients of a server on a loop of their own thread: raw bytes out, and the loop
 * turns while they wait for what comes back. */
#pragma once

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
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

#define PATIENCE (5 * CLOCK_NS_PER_SEC)

struct http_help {
    uv_loop_t *loop;
    char dir[64], path[96];
    char *url; /* of TCP; owned */
};

static inline int dial_unix(struct http_help *h)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", h->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    return fd;
}

static inline int dial_tcp(struct http_help *h)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    in.sin_port = htons((uint16_t)atoi(strrchr(h->url, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

static inline void turn(struct http_help *h)
{
    (void)uv_run(h->loop, UV_RUN_NOWAIT);
    usleep(200);
}

static inline void turn_for(struct http_help *h, uint64_t ms)
{
    uint64_t end = clock_monotonic() + ms * CLOCK_NS_PER_MS;
    while (clock_monotonic() < end)
        turn(h);
}

/* Reads until `out` holds `n` times the text `until`, or the end (true). */
static inline bool hear(struct http_help *h, int fd, struct buf *out, const char *until, int n)
{
    uint64_t end = clock_monotonic() + PATIENCE;
    while (clock_monotonic() < end) {
        char *room = buf_reserve(out, 65536);
        assert_non_null(room);
        ssize_t got = recv(fd, room, 65536, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return true;
        out->len += got > 0 ? (size_t)got : 0;
        int seen = 0;
        for (const char *p = buf_str(out); until && (p = strstr(p, until)); p++)
            seen++;
        if (until && seen >= n)
            return false;
        turn(h);
    }
    fail_msg("no answer in time; so far: %s", buf_str(out));
    return false;
}

/* Everything up to the end of the connection. */
static inline char *talk(struct http_help *h, int fd, const char *bytes, size_t n)
{
    struct buf out = BUF_INIT(32u << 20);
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    assert_true(hear(h, fd, &out, NULL, 0));
    (void)close(fd);
    return buf_steal(&out);
}

#define assert_starts(s, prefix)                                                                   \
    do {                                                                                           \
        if (!str_starts(s, prefix))                                                                \
            fail_msg("'%s' does not begin with '%s'", s, prefix);                                  \
    } while (0)
#define assert_has(s, part)                                                                        \
    do {                                                                                           \
        if (!strstr(s, part))                                                                      \
            fail_msg("'%s' has no '%s' in it", s, part);                                           \
    } while (0)

static inline char *ask(struct http_help *h, const char *request)
{
    return talk(h, dial_unix(h), request, strlen(request));
}
