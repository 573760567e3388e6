/* SPDX-License-Identifier: MIT */
#include "http/auth.h"

#include <arpa/inet.h>
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

#define AUTH_ADDRESSES_MAX 256
#define AUTH_ADDRESS_SIZE 64
#define AUTH_BASIC_MAX ((AUTH_NAME_MAX + 1 + AUTH_PASSWORD_MAX + 2) / 3 * 4)

/* Wrong credentials of one address since `since`. */
struct failures {
    char address[AUTH_ADDRESS_SIZE];
    uint64_t since;
    unsigned count;
};

struct auth {
    struct failures failures[AUTH_ADDRESSES_MAX];
};

/* ---- tokens ---- */

bool auth_token_valid(const char *s, size_t n)
{
    if (n != AUTH_TOKEN_SIZE - 1 || memcmp(s, "clw_", 4) != 0)
        return false;
    return strspn(s + 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") >=
           n - 4;
}

int auth_hash(const char *s, size_t n, unsigned char out[AUTH_HASH_SIZE])
{
    return EVP_Digest(s, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

bool auth_same(const unsigned char a[AUTH_HASH_SIZE], const unsigned char b[AUTH_HASH_SIZE])
{
    return CRYPTO_memcmp(a, b, AUTH_HASH_SIZE) == 0;
}

int auth_random_hex(char *out, size_t n, struct err *err)
{
    unsigned char bytes[32];
    if (n > sizeof(bytes) || getrandom(bytes, n, 0) != (ssize_t)n)
        return err_errno(err, -EIO, "no random bytes");
    str_hex(bytes, n, out);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 0;
}

int auth_token_make(char out[AUTH_TOKEN_SIZE], struct err *err)
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

/* ---- headers ---- */

/* user:password in base64. EVP_DecodeBlock() does not say how many bytes the padding took. */
static bool auth_basic_read(const char *s, struct auth_header *h)
{
    unsigned char plain[AUTH_BASIC_MAX / 4 * 3 + 1];
    size_t n = strlen(s);
    if (n == 0 || n % 4 != 0 || n > AUTH_BASIC_MAX)
        return false;
    int len = EVP_DecodeBlock(plain, (const unsigned char *)s, (int)n);
    if (len < 0)
        return false;
    len -= (s[n - 1] == '=') + (s[n - 2] == '=');
    plain[len] = '\0';
    const char *colon = memchr(plain, ':', (size_t)len);
    size_t user = colon ? (size_t)(colon - (const char *)plain) : 0, rest = (size_t)len - user;
    bool ok = colon && user > 0 && user <= AUTH_NAME_MAX && rest - 1 <= AUTH_PASSWORD_MAX &&
              !memchr(plain, '\0', (size_t)len);
    if (ok) {
        (void)snprintf(h->user, sizeof(h->user), "%.*s", (int)user, (const char *)plain);
        (void)snprintf(h->password, sizeof(h->password), "%s", colon + 1);
    }
    OPENSSL_cleanse(plain, sizeof(plain));
    return ok;
}

void auth_header_read(const char *value, struct auth_header *ret)
{
    *ret = (struct auth_header){.scheme = value ? AUTH_SCHEME_BAD : AUTH_SCHEME_NONE};
    if (!value)
        return;
    bool bearer = strncasecmp(value, "Bearer ", 7) == 0;
    if (!bearer && strncasecmp(value, "Basic ", 6) != 0)
        return;
    const char *s = value + (bearer ? 7 : 6);
    s += strspn(s, " ");
    if (!bearer && auth_basic_read(s, ret))
        ret->scheme = AUTH_SCHEME_BASIC;
    if (bearer && auth_token_valid(s, strlen(s))) {
        ret->scheme = AUTH_SCHEME_BEARER;
        ret->token = s;
    }
}

void auth_header_done(struct auth_header *h)
{
    OPENSSL_cleanse(h->password, sizeof(h->password));
}

bool auth_cookie_value(const char *header, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    bool found = false;
    for (const char *s = header; s && *s;) {
        s += strspn(s, "; \t");
        size_t len = strcspn(s, ";");
        if (len > n && strncmp(s, name, n) == 0 && s[n] == '=') {
            size_t k = len - n - 1;
            while (k > 0 && (s[n + k] == ' ' || s[n + k] == '\t'))
                k--;
            if (found || k >= size)
                return false;
            memcpy(out, s + n + 1, k);
            out[k] = '\0';
            found = true;
        }
        s += len;
    }
    return found;
}

bool auth_cookie(const char *header, const char *name, char out[AUTH_TOKEN_SIZE])
{
    return auth_cookie_value(header, name, out, AUTH_TOKEN_SIZE) &&
           auth_token_valid(out, strlen(out));
}

/* ---- failures ---- */

struct auth *auth_new(void)
{
    return mem_new(struct auth);
}

struct auth *auth_free(struct auth *a)
{
    free(a);
    return NULL;
}

/* Who has one IPv6 address has 2^64 of them. */
static void auth_place(const char *address, char out[AUTH_ADDRESS_SIZE])
{
    struct in6_addr in6;
    (void)snprintf(out, AUTH_ADDRESS_SIZE, "%s", address);
    if (inet_pton(AF_INET6, address, &in6) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&in6))
        return;
    memset(in6.s6_addr + 8, 0, 8);
    (void)inet_ntop(AF_INET6, &in6, out, AUTH_ADDRESS_SIZE);
}

/* The row of an address; NULL when it was not wrong in this window. */
static struct failures *auth_row(struct auth *a, const char *place, uint64_t now)
{
    for (size_t i = 0; i < AUTH_ADDRESSES_MAX; i++) {
        struct failures *f = &a->failures[i];
        if (f->count && str_eq(f->address, place) && now - f->since < AUTH_WINDOW)
            return f;
    }
    return NULL;
}

/* A row for `place`: its old one, a free one, or the one that failed least lately. */
static struct failures *auth_row_new(struct auth *a, const char *place, uint64_t now)
{
    struct failures *oldest = &a->failures[0];
    for (size_t i = 0; i < AUTH_ADDRESSES_MAX; i++) {
        struct failures *f = &a->failures[i];
        if (str_eq(f->address, place)) {
            oldest = f;
            break;
        }
        if (f->since < oldest->since)
            oldest = f;
    }
    *oldest = (struct failures){.since = now};
    (void)snprintf(oldest->address, sizeof(oldest->address), "%s", place);
    return oldest;
}

bool auth_is_limited(struct auth *a, const char *address, uint64_t now)
{
    char place[AUTH_ADDRESS_SIZE];
    auth_place(address, place);
    const struct failures *f = auth_row(a, place, now);
    return f && f->count >= AUTH_FAILURES_MAX;
}

bool auth_failed(struct auth *a, const char *address, uint64_t now)
{
    char place[AUTH_ADDRESS_SIZE];
    auth_place(address, place);
    struct failures *f = auth_row(a, place, now);
    if (!f)
        f = auth_row_new(a, place, now);
    if (f->count >= AUTH_FAILURES_MAX)
        return true;
    f->count++;
    return false;
}

void auth_forgive(struct auth *a, const char *address, uint64_t now)
{
    char place[AUTH_ADDRESS_SIZE];
    auth_place(address, place);
    struct failures *f = auth_row(a, place, now);
    if (f)
        f->count--;
}

/* ---- the file ---- */

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

int auth_token_load_or_make(const char *path, char out[AUTH_TOKEN_SIZE], bool *ret_made,
                            struct err *err)
{
    *ret_made = false;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        int r = auth_token_make(out, err);
        _cleanup_free_ char *line = mem_printf("%s\n", r < 0 ? "" : out);
        r = r < 0 ? r : fd_write_file(path, 0600, line, strlen(line), err);
        *ret_made = r >= 0;
        return r;
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
