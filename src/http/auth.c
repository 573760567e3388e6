/* SPDX-License-Identifier: MIT */
#include "http/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define AUTH_HASH_SIZE 32
#define AUTH_ADDRESSES_MAX 256
#define AUTH_ADDRESS_SIZE 64

struct token {
    unsigned char hash[AUTH_HASH_SIZE];
    char name[AUTH_NAME_MAX + 1];
    unsigned level;
};

/* Wrong credentials of one address since `since`. */
struct failures {
    char address[AUTH_ADDRESS_SIZE];
    uint64_t since;
    unsigned count;
};

struct auth {
    struct token tokens[AUTH_TOKENS_MAX];
    size_t tokens_count;
    struct failures failures[AUTH_ADDRESSES_MAX];
};

struct auth *auth_new(void)
{
    return mem_new(struct auth);
}

struct auth *auth_free(struct auth *a)
{
    free(a);
    return NULL;
}

/* ---- tokens ---- */

/* `s` is terminated behind its `n` bytes. */
static bool auth_token_valid(const char *s, size_t n)
{
    if (n != AUTH_TOKEN_SIZE - 1 || memcmp(s, "clw_", 4) != 0)
        return false;
    return strspn(s + 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >=
           n - 4;
}

static bool auth_hash(const char *s, size_t n, unsigned char out[AUTH_HASH_SIZE])
{
    return EVP_Digest(s, n, out, NULL, EVP_sha256(), NULL) == 1;
}

int auth_add_token(struct auth *a, const char *token, const char *name, unsigned level)
{
    if (!auth_token_valid(token, strlen(token)) || strlen(name) > AUTH_NAME_MAX)
        return -EINVAL;
    if (a->tokens_count == AUTH_TOKENS_MAX)
        return -ENOSPC;
    struct token *t = &a->tokens[a->tokens_count];
    if (!auth_hash(token, strlen(token), t->hash))
        return -EIO;
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->level = level;
    a->tokens_count++;
    return 0;
}

/* Compares with every token, in the same time wherever it matches. */
static const struct token *auth_find(const struct auth *a, const char *s, size_t n)
{
    unsigned char hash[AUTH_HASH_SIZE];
    if (!auth_hash(s, n, hash))
        return NULL;
    const struct token *found = NULL;
    for (size_t i = 0; i < a->tokens_count; i++)
        if (CRYPTO_memcmp(hash, a->tokens[i].hash, sizeof(hash)) == 0)
            found = &a->tokens[i];
    return found;
}

/* ---- failures ---- */

/* The row of `address`: its own, a free one, or the one that failed least lately. */
static struct failures *auth_failures(struct auth *a, const char *address, uint64_t now)
{
    struct failures *oldest = &a->failures[0];
    for (size_t i = 0; i < AUTH_ADDRESSES_MAX; i++) {
        struct failures *f = &a->failures[i];
        if (str_eq(f->address, address)) {
            if (now - f->since >= AUTH_WINDOW)
                *f = (struct failures){.count = 0};
            else
                return f;
        }
        if (f->since < oldest->since)
            oldest = f;
    }
    *oldest = (struct failures){.since = now};
    (void)snprintf(oldest->address, sizeof(oldest->address), "%s", address);
    return oldest;
}

static enum auth_result auth_wrong(struct auth *a, const char *address, uint64_t now)
{
    struct failures *f = auth_failures(a, address, now);
    if (f->count >= AUTH_FAILURES_MAX)
        return AUTH_LIMITED;
    f->count++;
    return AUTH_WRONG;
}

enum auth_result auth_check(struct auth *a, const char *header, const char *address, uint64_t now,
                            const char **ret_name, unsigned *ret_level)
{
    if (!header)
        return AUTH_NONE;
    if (strncasecmp(header, "Bearer ", 7) != 0)
        return auth_wrong(a, address, now);
    const char *s = header + 7;
    s += strspn(s, " ");
    size_t n = strlen(s);
    const struct token *t = auth_token_valid(s, n) ? auth_find(a, s, n) : NULL;
    if (!t)
        return auth_wrong(a, address, now);
    *ret_name = t->name;
    *ret_level = t->level;
    return AUTH_OK;
}

/* ---- the file ---- */

static int auth_token_make(char out[AUTH_TOKEN_SIZE], struct err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char random[33]; /* 32 of them count: 43 characters of 6 bits, the last one of 4 */
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return err_errno(err, -errno, "no random bytes for a token");
    random[32] = 0;
    size_t len = (size_t)snprintf(out, AUTH_TOKEN_SIZE, "clw_");
    for (size_t bit = 0; len < AUTH_TOKEN_SIZE - 1; bit += 6) {
        unsigned v = (unsigned)random[bit / 8] << 8;
        if (bit / 8 + 1 < sizeof(random))
            v |= random[bit / 8 + 1];
        out[len++] = digits[v >> (10 - bit % 8) & 63];
    }
    out[len] = '\0';
    OPENSSL_cleanse(random, sizeof(random));
    return 0;
}

static int auth_token_check_file(const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, -EINVAL, "%s is no regular file", path);
    if (st->st_uid != geteuid() || (st->st_mode & 077))
        return err_set(err, -EPERM,
                       "%s may be read or written by others; remove it and a new token is made",
                       path);
    return 0;
}

int auth_token_load_or_make(const char *path, char out[AUTH_TOKEN_SIZE], struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        int r = auth_token_make(out, err);
        _cleanup_free_ char *line = mem_printf("%s\n", r < 0 ? "" : out);
        return r < 0 ? r : fd_write_file(path, 0600, line, strlen(line), err);
    }
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, -errno, "cannot open the token %s", path);
    int r = auth_token_check_file(path, &st, err);
    if (r < 0)
        return r;
    char text[AUTH_TOKEN_SIZE + 2];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    text[n > 0 ? n : 0] = '\0';
    if (n <= 0 || !auth_token_valid(text, (size_t)n))
        return err_set(err, -EINVAL, "%s holds no token; remove it and a new one is made", path);
    (void)snprintf(out, AUTH_TOKEN_SIZE, "%.*s", (int)n, text);
    return 0;
}
