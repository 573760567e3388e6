/* SPDX-License-Identifier: MIT */
/* Sessions of browsers: a cookie that scripts cannot read, and a token against requests of other
 * pages that only the answer to the login has. A cookie does not know ports: a server of the agent
 * on another port of the same host name gets it too, and must not be able to do anything with it
 * but look. In memory only: they end with the warden. */
#pragma once

#include "api/accounts.h"
#include "api/call.h"

#define WEBSESSIONS_MAX 512
#define WEBSESSIONS_PER_PERSON 16
#define WEBSESSIONS_CSRF_SIZE 33

struct web_session {
    struct list link;
    char id[ACCOUNTS_ID_SIZE];              /* its name for people */
    unsigned char hash[AUTH_HASH_SIZE];     /* of the cookie */
    unsigned char old_hash[AUTH_HASH_SIZE]; /* of the one before */
    uint64_t old_until;                     /* monotonic; 0: there is none */
    bool confirmed;                         /* the cookie has come back */
    char csrf[WEBSESSIONS_CSRF_SIZE];
    char who[AUTH_NAME_MAX + 1];
    enum api_role role;
    const char *method;          /* a literal: how it began */
    char proof[CALL_PROOF_SIZE]; /* what it began with and ends with, or "" (api/login.h) */
    char address[64], agent[128];
    uint64_t created, used;                 /* realtime ns */
    uint64_t begun_at, used_at, rotated_at; /* monotonic ns */
};

struct websessions;
struct websessions *websessions_new(uint64_t idle, uint64_t max);
struct websessions *websessions_free(struct websessions *s);

/* Begins one for c->who with c->role, and puts its cookie into the answer. It ends with `proof`
 * (login_still_valid()), when that is not "". NULL: no random bytes. */
struct web_session *websessions_begin(struct call *c, const char *method, const char *proof);
/* The session of the cookie, or NULL. Counts as its use; may put a new cookie into the answer. */
struct web_session *websessions_find(struct call *c);
/* True: the request changes nothing, or has the session's token against other pages. */
bool websessions_may(const struct call *c, const struct web_session *s);
/* Ends one and takes its cookie back, if it is the caller's own. */
void websessions_end(struct call *c, struct web_session *s);
bool websessions_is_alive(struct api *a, const char *id);
/* When it ends, whatever happens; realtime ns. */
uint64_t websessions_expiry(const struct api *a, const struct web_session *s);
