/* SPDX-License-Identifier: MIT */
/* One API call: who makes it, what it says, and the ways to answer. */
#pragma once

#include "api/api.h"
#include "http/exchange.h"
#include "http/router.h"

struct api {
    struct api_deps deps;
    struct server *server;
    uv_loop_t *loop;
    struct auth *auth;         /* owned: who was wrong how often */
    struct accounts *accounts; /* owned */
    struct login_seen *seen;   /* owned: whose login is on record */
    struct websessions *websessions;
    struct signin_links *links;
    struct basic *basic;
    struct passwords *passwords; /* owned, all of them */
    char *url;                   /* owned: where browsers find it, or NULL */
    char port[8];                /* of it, or "" */
    struct sso *sso;             /* owned; NULL: no provider */
    char *tls_cert, *tls_key;    /* owned; NULL: none */
    struct forwarded *proxies;   /* owned; NULL: none */
    const char *origins;         /* owned: further "https://HOST[:PORT]", separated by ';' */
    unsigned holds;              /* the server, and work that will come back */
    struct feed *feed;           /* NULL: closed */
    unsigned exports;            /* under way */
    uint64_t started_at;
    uid_t uid;                    /* the warden's */
    char user[AUTH_NAME_MAX + 1]; /* its name */
    char root[AUTH_NAME_MAX + 1]; /* the name of uid 0 */
    void (*gone)(void *arg);
    void *gone_arg;
};

#define CALL_PROOF_SIZE 96

struct call {
    struct api *api;
    struct exchange *x; /* borrowed for the call */
    enum api_role role;
    const char *method;          /* how it logged in, a literal; NULL: it did not */
    struct web_session *session; /* NULL: it is none */
    char who[AUTH_NAME_MAX + 1]; /* "" without login */
    char proof[CALL_PROOF_SIZE]; /* by what; see login_still_valid() */
    struct json *body;           /* NULL: none; else an object */
};

/* The API lives until the last hold is released. */
void api_hold(struct api *a);
void api_release(struct api *a);
/* Checks and serves an exchange from the beginning: what kept its login waiting is known now. */
void api_dispatch(struct api *a, struct exchange *x);

/* {"error":{"code","message","id"?,"request_id"}}: `id` is that of the command's request which the
 * call was about, or NULL; request_id that of the call. */
void call_error(struct exchange *x, unsigned status, const char *code, const char *id,
                const char *fmt, ...) PRINTF_LIKE(5, 6);
/* 200 with what is in `b`, which is taken; 500 when it has failed. */
void call_json(struct exchange *x, struct buf *b);

/* The string member `key` of the body: NULL when there is none (or no body). Sets *bad when it is
 * no string, has a NUL, or is longer than `max`. */
bool call_bool(const struct call *c, const char *key, bool *bad); /* absent: false */
const char *call_string(const struct call *c, const char *key, size_t max, bool *bad);
/* False, and 400 is sent, when the body has a member that is not in `keys` (ends with NULL). */
bool call_only(struct call *c, const char *const *keys);

/* In queue.c: a waiting request as GET /api/queue shows it. */
void queue_put(const struct request *r, struct json_writer *w, uint64_t realtime,
               uint64_t monotonic);

/* Bytes of an answer. */
#define CALL_ANSWER_MAX (96u << 20)
