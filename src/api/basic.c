/* SPDX-License-Identifier: MIT */
#include "api/basic.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "api/login.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/passwords.h"

#define BASIC_KNOWN_MAX 64
#define BASIC_KNOWN_FOR (5 * 60 * CLOCK_NS_PER_SEC)

struct basic {
    unsigned char key[AUTH_HASH_SIZE];
    bool keyed;
    struct {
        unsigned char mac[AUTH_HASH_SIZE];
        uint64_t until; /* monotonic; 0: free */
    } known[BASIC_KNOWN_MAX];
};

/* One that is being looked at. */
struct basic_try {
    struct api *api;
    struct exchange *x; /* a reference */
    basic_done *done;
    char name[AUTH_NAME_MAX + 1];
    char encoded[ACCOUNTS_PASSWORD_SIZE]; /* what it is compared with; "": nobody's */
    unsigned char mac[AUTH_HASH_SIZE];
    bool has_mac;
};

struct basic *basic_new(void)
{
    struct basic *b = mem_new(struct basic);
    b->keyed = getrandom(b->key, sizeof(b->key), 0) == (ssize_t)sizeof(b->key);
    return b;
}

struct basic *basic_free(struct basic *b)
{
    if (b)
        OPENSSL_cleanse(b, sizeof(*b));
    free(b);
    return NULL;
}

/* Over what is stored too: a changed password is not known any more. */
static bool basic_mac(const struct basic *b, const struct account_user *u, const char *password,
                      unsigned char out[AUTH_HASH_SIZE])
{
    size_t len;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("digest", digest, sizeof(digest) - 1),
                           OSSL_PARAM_END};
    /* Neither a name nor what is stored has a line feed in it. */
    char *text = mem_printf("%s\n%s\n%s", u->name, u->password, password);
    bool ok = b->keyed && EVP_Q_mac(NULL, "HMAC", NULL, NULL, params, b->key, sizeof(b->key),
                                    (unsigned char *)text, strlen(text), out, AUTH_HASH_SIZE, &len);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return ok && len == AUTH_HASH_SIZE;
}

static bool basic_is_known(const struct basic *b, const unsigned char mac[AUTH_HASH_SIZE],
                           uint64_t now)
{
    bool found = false;
    for (size_t i = 0; i < BASIC_KNOWN_MAX; i++)
        found |= b->known[i].until > now && auth_same(mac, b->known[i].mac);
    return found;
}

static void basic_learn(struct basic *b, const unsigned char mac[AUTH_HASH_SIZE], uint64_t now)
{
    size_t oldest = 0;
    for (size_t i = 0; i < BASIC_KNOWN_MAX; i++)
        if (b->known[i].until < b->known[oldest].until)
            oldest = i;
    memcpy(b->known[oldest].mac, mac, AUTH_HASH_SIZE);
    b->known[oldest].until = now + BASIC_KNOWN_FOR;
}

static void basic_ended(void *arg, int result, const char *encoded)
{
    struct basic_try *t = arg;
    struct api *api = t->api;
    uint64_t now = api->deps.clock->monotonic(api->deps.clock);
    struct account_user *u = accounts_find_user(api->accounts, t->name);
    bool right = result == 0 && u && t->encoded[0] && str_eq(u->password, t->encoded);
    if (right) {
        auth_forgive(api->auth, exchange_peer(t->x)->address, now);
        if (t->has_mac)
            basic_learn(api->basic, t->mac, now);
    }
    if (result < 0 && result != -EACCES)
        call_error(t->x, 503, "unavailable", NULL, "the password could not be looked at: %s",
                   strerror(-result));
    else
        t->done(api, t->x, right ? u : NULL, t->name);
    (void)exchange_unref(t->x);
    free(t);
    api_release(api);
}

static enum basic_result basic_begin(struct call *c, struct basic_try *t, const char *password)
{
    t->api = c->api;
    t->x = exchange_ref(c->x);
    api_hold(c->api);
    if (passwords_check(c->api->passwords, t->encoded[0] ? t->encoded : NULL, password, basic_ended,
                        t) == 0)
        return BASIC_LATER;
    auth_forgive(c->api->auth, exchange_peer(c->x)->address,
                 c->api->deps.clock->monotonic(c->api->deps.clock)); /* it was not looked at */
    (void)exchange_unref(t->x);
    free(t);
    api_release(c->api);
    exchange_add_header(c->x, "Retry-After", "1");
    call_error(c->x, 503, "unavailable", NULL, "too many passwords are being looked at; try again");
    return BASIC_REFUSED;
}

enum basic_result basic_check(struct call *c, const char *name, const char *password,
                              basic_done *done, struct account_user **ret_user)
{
    uint64_t now = c->api->deps.clock->monotonic(c->api->deps.clock);
    struct account_user *u = accounts_find_user(c->api->accounts, name);
    struct basic_try try = {.done = done};
    try.has_mac = u && basic_mac(c->api->basic, u, password, try.mac);
    if (try.has_mac && basic_is_known(c->api->basic, try.mac, now)) {
        *ret_user = u;
        return BASIC_OK;
    }
    (void)snprintf(c->who, sizeof(c->who), "%s", name); /* for the record of a refusal */
    if (u && !try.has_mac) { /* it could never be known, and would be looked at for ever */
        call_error(c->x, 500, "internal", NULL, "libcrypto makes no digest");
        return BASIC_REFUSED;
    }
    if (exchange_oversize(c->x)) { /* its answer cannot wait */
        call_error(c->x, 413, "too_large", NULL, "the body is larger than is taken (64 KiB)");
        return BASIC_REFUSED;
    }
    /* Counted before it is looked at, or many at once would all be. */
    if (auth_failed(c->api->auth, exchange_peer(c->x)->address, now)) {
        login_too_many(c);
        return BASIC_REFUSED;
    }
    struct basic_try *t = mem_dup(&try, sizeof(try));
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    (void)snprintf(t->encoded, sizeof(t->encoded), "%s", u ? u->password : "");
    return basic_begin(c, t, password);
}
