/* SPDX-License-Identifier: MIT */
/* A handshake in memory, with OpenSSL's own client at the other end. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/tls.h"

struct fixture {
    char dir[64], cert[96], key[96];
    struct tls_context *context;
    SSL_CTX *client_ctx;
    SSL *client;
    BIO *in, *out;
    struct tls *tls;
};

static void write_files(struct fixture *f)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    (void)X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *file = fopen(f->cert, "we");
    assert_int_equal(PEM_write_X509(file, x), 1);
    (void)fclose(file);
    file = fopen(f->key, "we");
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    assert_int_equal(chmod(f->key, 0600), 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct err err = {""};
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->cert, sizeof(f->cert), "%s/cert", f->dir);
    (void)snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
    write_files(f);
    if (tls_context_load(f->cert, f->key, &f->context, &err) < 0)
        fail_msg("%s", err.text);
    f->tls = tls_new(f->context);
    assert_non_null(f->tls);
    f->client_ctx = SSL_CTX_new(TLS_client_method());
    f->client = SSL_new(f->client_ctx);
    f->in = BIO_new(BIO_s_mem());
    f->out = BIO_new(BIO_s_mem());
    SSL_set_bio(f->client, f->in, f->out);
    SSL_set_connect_state(f->client);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tls_free(f->tls);
    tls_context_free(f->context);
    SSL_free(f->client);
    SSL_CTX_free(f->client_ctx);
    (void)unlink(f->cert);
    (void)unlink(f->key);
    (void)rmdir(f->dir);
    free(f);
    return 0;
}

/* Carries bytes both ways, `piece` at a time, until nothing moves. */
static int carry(struct fixture *f, size_t piece)
{
    for (;;) {
        char bytes[4096];
        struct buf b = BUF_INIT(1u << 20);
        (void)SSL_do_handshake(f->client);
        int n = BIO_read(f->out, bytes, (int)(piece < sizeof(bytes) ? piece : sizeof(bytes)));
        int r = n > 0 ? tls_feed(f->tls, bytes, (size_t)n) : 0;
        assert_int_equal(tls_take(f->tls, &b), 0);
        size_t back = b.len;
        if (back)
            assert_int_equal(BIO_write(f->in, b.data, (int)back), (int)back);
        buf_done(&b);
        if (r < 0 || (n <= 0 && back == 0))
            return r;
    }
}

static void words_pass_both_ways_in_pieces_of_any_size(void **state)
{
    struct fixture *f = *state;
    char got[64];
    assert_int_equal(tls_write(f->tls, "early", 5), -EPROTO);
    assert_int_equal(tls_read(f->tls, got, sizeof(got)), 0);
    assert_int_equal(carry(f, 1), 0);
    assert_int_equal(SSL_write(f->client, "hello", 5), 5);
    assert_int_equal(carry(f, 7), 0);
    assert_int_equal(tls_read(f->tls, got, sizeof(got)), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(tls_read(f->tls, got, sizeof(got)), 0);
    assert_int_equal(tls_write(f->tls, "and you", 7), 0);
    assert_int_equal(carry(f, 4096), 0);
    assert_int_equal(SSL_read(f->client, got, sizeof(got)), 7);
}

static void the_end_is_said_and_heard(void **state)
{
    struct fixture *f = *state;
    char got[64];
    assert_int_equal(carry(f, 4096), 0);
    tls_end(f->tls);
    assert_int_equal(carry(f, 4096), 0);
    assert_int_equal(SSL_read(f->client, got, sizeof(got)), 0);
    assert_int_equal(SSL_get_shutdown(f->client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    (void)SSL_shutdown(f->client);
    assert_int_equal(carry(f, 4096), 0);
    assert_int_equal(tls_read(f->tls, got, sizeof(got)), -EPIPE);
}

static void junk_and_plain_http_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct tls *other = tls_new(f->context);
    assert_int_equal(tls_feed(f->tls, "GET / HTTP/1.1\r\n\r\n", 18), -EPROTONOSUPPORT);
    assert_int_equal(tls_feed(other, "\x16\x03\x01\xff\xff\xff\xff", 7), -EPROTO);
    tls_free(other);
}

static void a_changed_byte_breaks_it(void **state)
{
    struct fixture *f = *state;
    char bytes[4096];
    assert_int_equal(carry(f, 4096), 0);
    assert_int_equal(SSL_write(f->client, "hello", 5), 5);
    int n = BIO_read(f->out, bytes, sizeof(bytes));
    bytes[n - 1] ^= 1;
    assert_int_equal(tls_feed(f->tls, bytes, (size_t)n), 0);
    assert_int_equal(tls_read(f->tls, bytes, sizeof(bytes)), -EPROTO);
}

static void a_key_that_everybody_may_read_or_that_is_anothers_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_context *c = NULL;
    struct err err = {""};
    assert_int_equal(chmod(f->key, 0604), 0);
    assert_int_equal(tls_context_load(f->cert, f->key, &c, &err), -EACCES);
    assert_int_equal(chmod(f->key, 0600), 0);
    char other[96];
    (void)snprintf(other, sizeof(other), "%s/other", f->dir);
    assert_int_equal(rename(f->cert, other), 0);
    write_files(f); /* another pair */
    assert_int_equal(tls_context_load(other, f->key, &c, &err), -EINVAL);
    assert_int_equal(tls_context_load("/nonexistent", f->key, &c, &err), -EINVAL);
    assert_null(c);
    (void)unlink(other);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(words_pass_both_ways_in_pieces_of_any_size),
        CASE(the_end_is_said_and_heard),
        CASE(junk_and_plain_http_are_told_apart),
        CASE(a_changed_byte_breaks_it),
        CASE(a_key_that_everybody_may_read_or_that_is_anothers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
