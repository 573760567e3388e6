/* SPDX-License-Identifier: MIT */
/* The way to the warden for every command: finds its address and token, asks, and puts what went
 * wrong into words that name what was tried and what to do. */
#pragma once

#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"

struct remote_answer {
    long status;
    struct json *root;  /* owned; NULL when there was no body */
    char code[64];      /* of a refusal: "not_found" ... */
    char message[1024]; /* of a refusal, escaped for a terminal */
};
#define REMOTE_ANSWER_INIT ((struct remote_answer){0})
#define _cleanup_remote_ _cleanup_(remote_answer_done)
void remote_answer_done(struct remote_answer *a);

/* 0 when the warden answered, whatever it said; else an enum cli_exit, and the words are out. */
int remote_call(struct cli *c, const char *method, const char *path, const struct buf *body,
                struct remote_answer *ret) MUST_CHECK;
/* remote_call() where every refusal is the end: 0 only for 2xx. */
int remote_ask(struct cli *c, const char *method, const char *path, const struct buf *body,
               struct remote_answer *ret) MUST_CHECK;
/* GET where the answer is long: `take` gets it piece by piece. 0 when it came whole and was a
 * success; else an enum cli_exit with the words out. */
int remote_stream(struct cli *c, const char *path, bool (*take)(void *arg, const char *p, size_t n),
                  void *arg) MUST_CHECK;
/* Each warden that remote_call() would ask, up to `max`: its address, token and authority (NULL:
 * none). All owned by the caller. Returns how many. */
struct remote_target {
    char *address, *token, *ca;
};
size_t remote_targets(const struct cli *c, struct remote_target *ret, size_t max);

/* Prints the refusal in `a`; returns its enum cli_exit. */
int remote_refused(const struct remote_answer *a);

/* The token that the person gave by an option, a file or the environment, or NULL; owned. 0, or an
 * enum cli_exit with the words out. */
int remote_token(const struct cli *c, char **ret) MUST_CHECK;

/* The array in an answer: the root itself, or its member `name`; NULL when there is none. */
const struct json *remote_list(const struct remote_answer *a, const char *name);
/* Asks for a list: 0 with *ret_list in `ret`, else an enum cli_exit with the words out. */
int remote_get_list(struct cli *c, const char *path, const char *name, struct remote_answer *ret,
                    const struct json **ret_list) MUST_CHECK;
/* The same question to every warden that runs here (or the one that was named): `fn` for each 2xx.
 * 0 when all of it went well; what one refuses counts only when none agrees. */
int remote_ask_each(struct cli *c, const char *method, const char *path, const struct buf *body,
                    int (*fn)(void *arg, const struct remote_answer *a), void *arg) MUST_CHECK;
