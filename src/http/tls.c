/* SPDX-License-Identifier: MIT */
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

struct tls_context {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
};

/* ---- certificates ---- */

static int tls_words(struct err *err, const char *what, const char *file)
{
    unsigned long e = ERR_get_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return err_set(err, -EINVAL, "%s '%s': %s", what, file, reason ? reason : "not usable");
}

/* Browsers and curl offer h2 first; this server speaks 1.1. */
static int tls_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                    const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found = NULL;
    if (SSL_select_next_proto(&found, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *tls_context_make(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_security_level(ctx, 2); /* RSA and DH from 2048 bits, no SHA-1 signatures */
    SSL_CTX_set_alpn_select_cb(ctx, tls_alpn, NULL);
    return ctx;
}

static int tls_check_key_file(const char *key, struct err *err)
{
    struct stat st;
    if (stat(key, &st) < 0)
        return err_errno(err, -errno, "key '%s'", key);
    if (st.st_mode & S_IRWXO)
        return err_set(err, -EACCES, "key '%s': everybody may use it (mode %04o); chmod 640 it",
                       key, (unsigned)(st.st_mode & 07777));
    return 0;
}

int tls_context_load(const char *cert, const char *key, struct tls_context **ret, struct err *err)
{
    int r = tls_check_key_file(key, err);
    if (r < 0)
        return r;
    _cleanup_(tls_context_freep) struct tls_context *c = mem_new(struct tls_context);
    ERR_clear_error();
    c->ctx = tls_context_make();
    if (!c->ctx)
        return tls_words(err, "TLS for", cert);
    if (SSL_CTX_use_certificate_chain_file(c->ctx, cert) != 1)
        return tls_words(err, "certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(c->ctx, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ctx) != 1)
        return tls_words(err, "key", key);
    *ret = TAKE_PTR(c);
    return 0;
}

struct tls_context *tls_context_free(struct tls_context *c)
{
    if (!c)
        return NULL;
    SSL_CTX_free(c->ctx);
    free(c);
    return NULL;
}

/* ---- a connection ---- */

struct tls *tls_new(struct tls_context *c)
{
    struct tls *t = mem_new(struct tls);
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        BIO_free(t->in);
        BIO_free(t->out);
        SSL_free(t->ssl);
        free(t);
        return NULL;
    }
    (void)BIO_set_mem_eof_return(t->in, -1); /* empty is "not yet" */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_accept_state(t->ssl);
    return t;
}

struct tls *tls_free(struct tls *t)
{
    if (!t)
        return NULL;
    SSL_free(t->ssl);
    free(t);
    return NULL;
}

/* What OpenSSL says of a call that did not do what it was called for. */
static int tls_result(struct tls *t, int result)
{
    int e = SSL_get_error(t->ssl, result);
    unsigned long queued = ERR_peek_error();
    ERR_clear_error();
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return 0;
    if (e == SSL_ERROR_ZERO_RETURN)
        return -EPIPE;
    return ERR_GET_REASON(queued) == SSL_R_HTTP_REQUEST ? -EPROTONOSUPPORT : -EPROTO;
}

int tls_feed(struct tls *t, const char *p, size_t n)
{
    if (BIO_write(t->in, p, (int)n) != (int)n)
        return -EPROTO;
    if (SSL_is_init_finished(t->ssl))
        return 0;
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    return r == 1 ? 0 : tls_result(t, r);
}

ssize_t tls_read(struct tls *t, char *p, size_t size)
{
    size_t n = 0;
    if (!SSL_is_init_finished(t->ssl))
        return 0;
    ERR_clear_error();
    int r = SSL_read_ex(t->ssl, p, size, &n);
    return r == 1 ? (ssize_t)n : tls_result(t, r);
}

int tls_write(struct tls *t, const char *p, size_t n)
{
    size_t done = 0;
    if (!SSL_is_init_finished(t->ssl))
        return -EPROTO;
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, p, n, &done) == 1 && done == n)
        return 0;
    ERR_clear_error();
    return -EPROTO;
}

void tls_end(struct tls *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

int tls_take(struct tls *t, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(t->out, &p);
    int r = n > 0 ? buf_append(out, p, (size_t)n) : 0;
    (void)BIO_reset(t->out);
    return r;
}
