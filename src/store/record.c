/* SPDX-License-Identifier: MIT */
/* Lines of the audit log. The hash covers bytes, not meaning: nothing is parsed and written again,
 * so that two readers of JSON cannot disagree about what was signed. */
#include "store/record.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define RECORD_HEX (RECORD_HASH_SIZE - 1)
#define RECORD_KEY_MIN 16
#define RECORD_KEY_MAX 4096

const char record_hash_none[RECORD_HASH_SIZE] =
    "0000000000000000000000000000000000000000000000000000000000000000";

struct record_hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;    /* scratch */
    EVP_MAC_CTX *keyed; /* with the key in it, copied for each record; NULL: no key */
};

/* ---- hashing ---- */

/* libcrypto without SHA-256 or memory: nothing can be recorded, and the reason is not the disk. */
static void must(bool ok)
{
    if (!ok)
        abort();
}

struct record_hasher *record_hasher_new(void)
{
    struct record_hasher *h = mem_new(struct record_hasher);
    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    must(h->md && h->ctx);
    return h;
}

static void set_key(struct record_hasher *h, const void *key, size_t len)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    h->keyed = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1),
                           OSSL_PARAM_END};
    must(h->keyed && EVP_MAC_init(h->keyed, key, len, params) == 1);
}

int record_hasher_load(const char *path, struct record_hasher **ret, struct err *err)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    if (path) {
        _cleanup_buf_ struct buf key = BUF_INIT(RECORD_KEY_MAX + 1);
        struct stat st;
        int r = fd_read_file(path, RECORD_KEY_MAX + 1, &key, err);
        if (r < 0)
            return err_prefix(err, r, "audit key");
        if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO))
            return err_set(err, -EACCES,
                           "audit key: everybody may use '%s' (mode %04o); chmod 600 it", path,
                           (unsigned)(st.st_mode & 07777));
        size_t n = key.len > 0 && key.data[key.len - 1] == '\n' ? key.len - 1 : key.len;
        if (n < RECORD_KEY_MIN || n > RECORD_KEY_MAX)
            return err_set(err, -EINVAL, "audit key: '%s' must hold %d to %d bytes, it has %zu",
                           path, RECORD_KEY_MIN, RECORD_KEY_MAX, n);
        set_key(h, key.data, n);
        OPENSSL_cleanse(key.data, key.len);
    }
    *ret = TAKE_PTR(h);
    return 0;
}

struct record_hasher *record_hasher_dup(const struct record_hasher *h)
{
    struct record_hasher *copy = record_hasher_new();
    if (h->keyed) {
        copy->keyed = EVP_MAC_CTX_dup(h->keyed);
        must(copy->keyed);
    }
    return copy;
}

struct record_hasher *record_hasher_free(struct record_hasher *h)
{
    if (!h)
        return NULL;
    EVP_MAC_CTX_free(h->keyed);
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    free(h);
    return NULL;
}

bool record_hasher_keyed(const struct record_hasher *h)
{
    return h->keyed;
}

void record_hash(struct record_hasher *h, const void *p, size_t n, char ret[RECORD_HASH_SIZE])
{
    unsigned char out[RECORD_HEX / 2];
    if (h->keyed) {
        size_t len = 0;
        EVP_MAC_CTX *c = EVP_MAC_CTX_dup(h->keyed);
        must(c && EVP_MAC_update(c, p, n) == 1 && EVP_MAC_final(c, out, &len, sizeof(out)) == 1 &&
             len == sizeof(out));
        EVP_MAC_CTX_free(c);
    } else {
        must(EVP_DigestInit_ex(h->ctx, h->md, NULL) == 1 && EVP_DigestUpdate(h->ctx, p, n) == 1 &&
             EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
    }
    str_hex(out, sizeof(out), ret);
}

/* ---- lines ---- */

#define HEAD "{\"v\":1,\"seq\":"
#define PREV ",\"prev\":\""
#define HASH ",\"hash\":\""
#define TAIL_LEN (sizeof(HASH) - 1 + RECORD_HEX + 2) /* ,"hash":"..."} */

int record_build(struct buf *out, struct record_hasher *h, uint64_t seq, const char *prev,
                 const char *members, size_t len, char ret_hash[RECORD_HASH_SIZE])
{
    if (len == 0 || memchr(members, '\n', len))
        return -EINVAL;
    size_t start = out->len;
    (void)buf_printf(out, HEAD "%" PRIu64 PREV "%s\",", seq, prev);
    (void)buf_append(out, members, len);
    if (out->failed)
        return out->failed;
    record_hash(h, out->data + start, out->len - start, ret_hash);
    return buf_printf(out, HASH "%s\"}\n", ret_hash);
}

static bool is_hash(const char *s)
{
    for (size_t i = 0; i < RECORD_HEX; i++)
        if (!(s[i] >= '0' && s[i] <= '9') && !(s[i] >= 'a' && s[i] <= 'f'))
            return false;
    return true;
}

/* Moves *s behind the literal; false when it is not there. */
static bool skip(const char **s, const char *end, const char *literal)
{
    size_t n = strlen(literal);
    if ((size_t)(end - *s) < n || memcmp(*s, literal, n) != 0)
        return false;
    *s += n;
    return true;
}

/* A number as record_build() writes it: no sign, no leading zero, at most 19 digits. */
static bool take_seq(const char **s, const char *end, uint64_t *ret)
{
    const char *begin = *s;
    uint64_t v = 0;
    for (; *s < end && **s >= '0' && **s <= '9' && *s - begin < 19; (*s)++)
        v = v * 10 + (uint64_t)(**s - '0');
    *ret = v;
    return *s > begin && *begin != '0';
}

static bool take_hash(const char **s, const char *end, char ret[RECORD_HASH_SIZE])
{
    if (end - *s < RECORD_HEX || !is_hash(*s))
        return false;
    memcpy(ret, *s, RECORD_HEX);
    ret[RECORD_HEX] = '\0';
    *s += RECORD_HEX;
    return true;
}

int record_split(const char *line, size_t len, struct record *ret)
{
    const char *s = line, *end = line + len;
    if (!skip(&s, end, HEAD) || !take_seq(&s, end, &ret->seq) || !skip(&s, end, PREV) ||
        !take_hash(&s, end, ret->prev) || !skip(&s, end, "\","))
        return -EBADMSG;
    if ((size_t)(end - s) <= TAIL_LEN)
        return -EBADMSG; /* no members */
    ret->members = s;
    s = end - TAIL_LEN;
    ret->members_len = (size_t)(s - ret->members);
    ret->hashed = (size_t)(s - line);
    if (!skip(&s, end, HASH) || !take_hash(&s, end, ret->hash) || !skip(&s, end, "\"}"))
        return -EBADMSG;
    return 0;
}

bool record_intact(struct record_hasher *h, const char *line, const struct record *r)
{
    char hash[RECORD_HASH_SIZE];
    record_hash(h, line, r->hashed, hash);
    return CRYPTO_memcmp(hash, r->hash, RECORD_HEX) == 0;
}

/* ---- members ---- */

/* Behind the string that begins at `s`. */
static const char *string_end(const char *s, const char *end)
{
    for (const char *from = ++s, *q; s < end && (q = memchr(s, '"', (size_t)(end - s)));
         s = q + 1) {
        size_t backslashes = 0;
        while ((size_t)(q - from) > backslashes && q[-1 - (ptrdiff_t)backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return q + 1;
    }
    return end;
}

/* Behind the value that begins at `s`: up to the comma at its own depth. */
static const char *value_end(const char *s, const char *end)
{
    size_t depth = 0;
    while (s < end) {
        if (*s == '"') {
            s = string_end(s, end);
            continue;
        }
        if (*s == '{' || *s == '[')
            depth++;
        else if ((*s == '}' || *s == ']') && depth > 0)
            depth--;
        else if (*s == ',' && depth == 0)
            return s;
        s++;
    }
    return s;
}

bool record_field(const char *members, size_t len, const char *key, const char **ret,
                  size_t *ret_len)
{
    const char *end = members + len;
    size_t key_len = strlen(key);
    for (const char *s = members; s < end && *s == '"';) {
        const char *k = s + 1;
        s = string_end(s, end);
        if (s >= end || *s != ':')
            return false;
        size_t n = (size_t)(s - 1 - k);
        const char *value = ++s;
        s = value_end(s, end);
        if (n == key_len && memcmp(k, key, n) == 0) {
            *ret = value;
            *ret_len = (size_t)(s - value);
            return true;
        }
        if (s < end)
            s++; /* the comma */
    }
    return false;
}

bool record_field_is(const char *members, size_t len, const char *key, const char *s)
{
    const char *v;
    size_t n;
    return record_field(members, len, key, &v, &n) && n == strlen(s) + 2 && v[0] == '"' &&
           memcmp(v + 1, s, n - 2) == 0;
}

bool record_field_copy(const char *members, size_t len, const char *key, char *out, size_t size)
{
    const char *v;
    size_t n;
    out[0] = '\0';
    if (!record_field(members, len, key, &v, &n) || n < 2 || v[0] != '"' || n - 2 >= size ||
        memchr(v, '\\', n) || memchr(v, '\0', n))
        return false;
    memcpy(out, v + 1, n - 2);
    out[n - 2] = '\0';
    return true;
}

uint64_t record_field_u64(const char *members, size_t len, const char *key, uint64_t otherwise)
{
    const char *v;
    size_t n;
    char digits[24];
    uint64_t value;
    if (!record_field(members, len, key, &v, &n) || n >= sizeof(digits))
        return otherwise;
    memcpy(digits, v, n);
    digits[n] = '\0';
    return str_parse_u64(digits, INT64_MAX, &value) == 0 ? value : otherwise;
}
