/* SPDX-License-Identifier: MIT */
/* Who may log in: tokens and users, in memory and in one file of the state directory (0600).
 * Secrets are kept as hashes only. The file is read at the start and written anew, off the loop,
 * at each change; one that is not understood ends the start. */
#pragma once

#include <uv.h>

#include "api/api.h"
#include "base/list.h"
#include "http/auth.h"

#define ACCOUNTS_TOKENS_MAX 1000
#define ACCOUNTS_USERS_MAX 1000
#define ACCOUNTS_ID_SIZE 17 /* 16 hex digits and NUL */
#define ACCOUNTS_PASSWORD_SIZE 160

struct account_token {
    struct list link;
    char id[ACCOUNTS_ID_SIZE];
    unsigned char hash[AUTH_HASH_SIZE];
    char name[AUTH_NAME_MAX + 1];
    char by[AUTH_NAME_MAX + 1]; /* who made it */
    enum api_role role;
    uint64_t created, expires; /* realtime ns; expires 0: never */
    uint64_t used;             /* when last, since the warden started; 0: not yet */
    bool fixed;                /* of the configuration: not in the file, not to be revoked */
};

struct account_user {
    struct list link;
    char name[AUTH_NAME_MAX + 1];
    char password[ACCOUNTS_PASSWORD_SIZE]; /* its argon2id hash in PHC form */
    enum api_role role;
    uint64_t created, changed;
};

struct accounts {
    struct list tokens, users; /* the oldest first */
    size_t tokens_count, users_count;
    uv_loop_t *loop;
    char *path;        /* owned; NULL: nothing is kept */
    bool saving;       /* a write is under way */
    struct list waits; /* for the write that follows */
    struct list asked; /* for the one under way */
};

/* Reads `path` (NULL: none). Negative with words that name the file. */
int accounts_new(uv_loop_t *loop, const char *path, struct accounts **ret,
                 struct err *err) MUST_CHECK;
/* No write may be under way. */
struct accounts *accounts_free(struct accounts *a);
CLEANUP_DEFINE(struct accounts, accounts_free)

/* True: a name that a token or a user may have: 1 to 64 of letters, digits and "._@+-", UTF-8
 * letters included; nothing that could act in a log. */
bool accounts_name_valid(const char *s);

/* Adds a token whose secret is `secret`. -ENOSPC: too many; -EINVAL: not of the form of one. */
int accounts_add_token(struct accounts *a, const char *secret, const char *name, enum api_role role,
                       struct account_token **ret) MUST_CHECK;
/* The token with this secret that has not expired, or NULL. Compares with all of them. */
struct account_token *accounts_find_secret(struct accounts *a, const char *secret, size_t n,
                                           uint64_t realtime);
struct account_token *accounts_find_token(struct accounts *a, const char *id);
void accounts_remove_token(struct accounts *a, struct account_token *t);

struct account_user *accounts_find_user(struct accounts *a, const char *name);
/* -EEXIST, -ENOSPC */
int accounts_add_user(struct accounts *a, const char *name, enum api_role role,
                      const char *password, uint64_t realtime,
                      struct account_user **ret) MUST_CHECK;
void accounts_remove_user(struct accounts *a, struct account_user *u);

/* Writes what there is now; `done` is called once and not before this returns: 0, or negative with
 * words. */
void accounts_save(struct accounts *a, void (*done)(void *arg, int result, const char *words),
                   void *arg);

/* The text of the file, and back. A negative return, with words, leaves what was understood before:
 * `a` is only good for accounts_free() then. */
int accounts_read(struct accounts *a, const char *text, size_t len, struct err *err) MUST_CHECK;
void accounts_write(const struct accounts *a, struct buf *out);
