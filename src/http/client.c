/* SPDX-License-Identifier: MIT */
/* The CLI's way to the warden: libcurl's easy interface, one exchange a call. It trusts neither the
 * environment (no proxy) nor the answer (bounded, no redirects). */
#include "http/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define CLIENT_TIMEOUT_MS 30000
#define CLIENT_SILENCE_S 40L /* a feed says something every 15 s */
#define CLIENT_JSON_NODES_MAX 1000

void client_response_done(struct client_response *r)
{
    buf_done(&r->body);
}

int client_encode(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                     (c && strchr("-._~", c));
        if (plain)
            (void)buf_append_char(out, s[i]);
        else
            (void)buf_printf(out, "%%%02X", c);
    }
    return out->failed;
}

/* ---- the exchange ---- */

struct client_reader {
    CURL *curl;
    const struct client_target *target;
    struct client_response *response;
    bool refused; /* target->take wants no more */
};

static size_t client_take(char *p, size_t size, size_t n, void *arg)
{
    struct client_reader *r = arg;
    long status = 0;
    if (r->target->take)
        (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) {
        r->refused = !r->target->take(r->target->take_arg, p, size * n);
        return r->refused ? 0 : size * n; /* 0 ends the transfer */
    }
    return buf_append(&r->response->body, p, size * n) < 0 ? 0 : size * n;
}

/* curl's own sockets would be inherited by programs that we start. */
static curl_socket_t client_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool client_host_is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "[::1]", "::1"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(host, names[i]))
            return true;
    struct in_addr in;
    return inet_pton(AF_INET, host, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

/* A token in clear over a network is a token lost. */
static int client_check_url(const struct client_target *t, struct err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;
    int r = -EINVAL;
    if (!u || curl_url_set(u, CURLUPART_URL, t->address, 0) ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) || curl_url_get(u, CURLUPART_HOST, &host, 0))
        (void)err_set(err, r, "'%s' is no address; use unix:PATH or http://HOST:PORT", t->address);
    else if (str_eq(scheme, "http") && t->token && !client_host_is_loopback(host))
        (void)err_set(err, r, "%s: a token is not sent over plain http to another host; use https",
                      t->address);
    else
        r = 0;
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return r;
}

static int client_set_address(CURL *c, const struct client_target *t, const char *path,
                              struct err *err)
{
    bool is_unix = str_starts(t->address, "unix:");
    if (is_unix && !t->address[strlen("unix:")])
        return err_set(err, -EINVAL, "'unix:' needs the path of a socket behind it");
    if (!is_unix && !str_starts(t->address, "http://") && !str_starts(t->address, "https://"))
        return err_set(err, -EINVAL, "'%s' is no address; use unix:PATH or http://HOST:PORT",
                       t->address);
    int r = is_unix ? 0 : client_check_url(t, err);
    if (r < 0)
        return r;
    size_t len = strlen(t->address);
    while (!is_unix && len > 0 && t->address[len - 1] == '/')
        len--;
    _cleanup_free_ char *url = is_unix ? mem_printf("http://localhost%s", path)
                                       : mem_printf("%.*s%s", (int)len, t->address, path);
    if (is_unix)
        (void)curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, t->address + strlen("unix:"));
    (void)curl_easy_setopt(c, CURLOPT_URL, url); /* copied */
    return 0;
}

static void client_set_limits(CURL *c, const struct client_target *t)
{
    long ms = t->timeout_ms ? (long)t->timeout_ms : CLIENT_TIMEOUT_MS;
    if (t->ca)
        (void)curl_easy_setopt(c, CURLOPT_CAINFO, t->ca);
    (void)curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c, CURLOPT_PROXY, ""); /* http_proxy is not asked */
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, t->take ? 0L : ms);
    if (t->take) {
        (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, CLIENT_SILENCE_S);
    }
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, ms);
    (void)curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, client_socket);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "clawrden/" CLAWRDEN_VERSION);
}

static struct curl_slist *client_headers(const struct client_target *t, bool has_body)
{
    struct curl_slist *h = curl_slist_append(NULL, "Accept: application/json");
    h = curl_slist_append(h, "Expect:");
    h = curl_slist_append(h, has_body ? "Content-Type: application/json" : "Content-Type:");
    if (t->token) {
        _cleanup_free_ char *line = mem_printf("Authorization: Bearer %s", t->token);
        h = curl_slist_append(h, line);
    }
    return h;
}

static int client_errno(CURL *c, CURLcode code)
{
    long os = 0;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return -ETIMEDOUT;
    if (code == CURLE_WRITE_ERROR)
        return -EMSGSIZE;
    (void)curl_easy_getinfo(c, CURLINFO_OS_ERRNO, &os);
    return code == CURLE_COULDNT_CONNECT && os > 0 ? -(int)os : -EIO;
}

static int client_failed(CURL *c, CURLcode code, const struct client_target *t, struct err *err)
{
    int r = client_errno(c, code);
    if (r == -ECONNREFUSED || r == -ENOENT)
        return err_errno(err, r, "no warden answers at %s", t->address);
    if (r == -EMSGSIZE)
        return err_set(err, r, "%s: the answer is longer than %u MiB", t->address,
                       CLIENT_RESPONSE_MAX >> 20);
    if (code == CURLE_COULDNT_CONNECT && r != -EIO)
        return err_errno(err, r, "cannot reach the warden at %s", t->address);
    return err_set(err, r, "cannot talk to the warden at %s: %s", t->address,
                   curl_easy_strerror(code));
}

static int client_perform(CURL *c, const struct client_target *t, struct client_response *ret,
                          struct err *err)
{
    struct client_reader reader = {c, t, ret, false};
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, client_take);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, &reader);
    CURLcode code = curl_easy_perform(c);
    if (reader.refused)
        return err_set(err, -EPIPE, "%s: nobody takes the answer", t->address);
    if (code != CURLE_OK)
        return client_failed(c, code, t, err);
    const char *type = NULL;
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
    (void)curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type);
    (void)snprintf(ret->content_type, sizeof(ret->content_type), "%s", type ? type : "");
    return 0;
}

int client_request(const struct client_target *t, const char *method, const char *path,
                   const char *body, size_t body_len, struct client_response *ret, struct err *err)
{
    if (!t->address || path[0] != '/')
        return err_set(err, -EINVAL, "an address and a path that begins with '/' are needed");
    if (t->token && strpbrk(t->token, "\r\n"))
        return err_set(err, -EINVAL, "a token has no line breaks");
    CURL *c = curl_easy_init();
    if (!c)
        return err_set(err, -ENOMEM, "cannot set up the HTTP client");
    struct curl_slist *headers = NULL;
    int r = client_set_address(c, t, path, err);
    if (r == 0) {
        client_set_limits(c, t);
        headers = client_headers(t, body != NULL);
        (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
        if (body || str_eq(method, "POST")) {
            (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, body ? (long)body_len : 0L);
            (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, body ? body : "");
        }
        if (str_eq(method, "HEAD"))
            (void)curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        else if (!str_eq(method, "GET") || body)
            (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
        r = client_perform(c, t, ret, err);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return r;
}

/* ---- error answers ---- */

static void client_copy_escaped(const char *s, size_t n, char *out, size_t size)
{
    _cleanup_buf_ struct buf b = BUF_INIT(size - 1);
    for (size_t i = 0, k; i < n; i += k) { /* whole characters, as many as fit */
        uint32_t c;
        k = str_utf8_next(s + i, n - i, &c);
        k = k ? k : 1;
        if (str_escape(&b, s + i, k) < 0)
            break;
    }
    (void)snprintf(out, size, "%s", buf_str(&b));
}

static const char *client_error_field(const struct client_response *r, const char *key, char *out,
                                      size_t size)
{
    _cleanup_(json_freep) struct json *root = NULL;
    out[0] = '\0';
    if (json_parse(buf_str(&r->body), r->body.len, CLIENT_JSON_NODES_MAX, &root, NULL) < 0 ||
        !json_is_object(root) || !json_is_object(json_get(root, "error")))
        return out;
    size_t n = 0;
    const char *s = json_string(json_get(json_get(root, "error"), key), &n);
    if (s)
        client_copy_escaped(s, n, out, size);
    return out;
}

const char *client_error_text(const struct client_response *r, char *out, size_t size)
{
    if (!*client_error_field(r, "message", out, size))
        (void)snprintf(out, size, "the warden answered with status %ld", r->status);
    return out;
}

const char *client_error_code(const struct client_response *r, char *out, size_t size)
{
    return client_error_field(r, "code", out, size);
}
