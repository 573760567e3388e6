/* SPDX-License-Identifier: MIT */
/* The HTTP client for the loop thread: several exchanges at a time, none of which blocks, over one
 * unix socket's path, or with servers of the web: never a proxy, never a redirect. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"

struct client_loop;

/* `socket_path` is copied; nothing is connected yet. */
int client_loop_new(uv_loop_t *loop, const char *socket_path, struct client_loop **ret,
                    struct err *err) MUST_CHECK;
/* The same for https and http addresses (client_loop_fetch()); `ca`: a PEM file that vouches for
 * them, NULL: the system's. */
int client_loop_new_web(uv_loop_t *loop, const char *ca, struct client_loop **ret,
                        struct err *err) MUST_CHECK;
/* Ends everything under way without a word. Frees itself when the loop has closed its handles. */
void client_loop_close(struct client_loop *l);

/* `status` 0: no answer came, `words` say why. The body is borrowed, NUL-terminated behind `len`.
 */
typedef void client_loop_done(void *arg, long status, const char *body, size_t len,
                              const char *words);
/* `body` NULL: none; else JSON. `done` is called once, never before this returns. */
void client_loop_request(struct client_loop *l, const char *method, const char *path,
                         const char *body, unsigned timeout_ms, client_loop_done *done, void *arg);

/* A GET of `url`, or with `form` a POST of it as application/x-www-form-urlencoded;
 * `authorization` may be NULL. */
void client_loop_fetch(struct client_loop *l, const char *url, const char *authorization,
                       const char *form, unsigned timeout_ms, client_loop_done *done, void *arg);

/* A GET whose answer has no end: each line of it, without its newline. `end` is called once. */
typedef void client_loop_line(void *arg, const char *line, size_t len);
typedef void client_loop_end(void *arg, const char *words);
void client_loop_follow(struct client_loop *l, const char *path, client_loop_line *line,
                        client_loop_end *end, void *arg);
