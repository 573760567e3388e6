/* SPDX-License-Identifier: MIT */
#include "http/exchange.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/entity.h"
#include "http/exchange_mhd.h"
#include "http/gate.h"
#include "http/router.h"

#define EXCHANGE_PARAM_MAX 4096

struct exchange *exchange_new(struct MHD_Connection *mhd, const char *method, const char *path,
                              const struct front_peer *peer, bool oversize)
{
    struct exchange *x = mem_new(struct exchange);
    uint8_t id[16];
    uuid_new(clock_realtime(), id);
    uuid_format(id, x->id);
    x->refs = 1;
    x->mhd = mhd;
    x->method = mem_strdup(method);
    x->path = mem_strdup(path);
    x->peer = *peer;
    x->oversize = oversize;
    buf_init(&x->body, GATE_BODY_MAX);
    list_init(&x->link);
    return x;
}

struct exchange *exchange_ref(struct exchange *x)
{
    x->refs++;
    return x;
}

struct exchange *exchange_unref(struct exchange *x)
{
    if (!x || --x->refs > 0)
        return NULL;
    for (size_t i = 0; i < x->headers_count; i++) {
        free(x->headers[i].name);
        free(x->headers[i].value);
    }
    if (x->response)
        MHD_destroy_response(x->response);
    buf_done(&x->body);
    free(x->method);
    free(x->path);
    free(x);
    return NULL;
}

/* ---- the request ---- */

const char *exchange_method(const struct exchange *x)
{
    return x->method;
}

const char *exchange_path(const struct exchange *x)
{
    return x->path;
}

const struct front_peer *exchange_peer(const struct exchange *x)
{
    return &x->peer;
}

const char *exchange_id(const struct exchange *x)
{
    return x->id;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return x->mhd ? MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name) : NULL;
}

struct header_walk {
    const char *name;
    struct buf *out;
};

static enum MHD_Result exchange_header_one(void *arg, enum MHD_ValueKind kind, const char *key,
                                           const char *value)
{
    struct header_walk *w = arg;
    if (strcasecmp(key, w->name) != 0)
        return MHD_YES;
    if (w->out->len)
        (void)buf_append_char(w->out, ',');
    return buf_append_str(w->out, value ? value : "") < 0 ? MHD_NO : MHD_YES;
}

bool exchange_joined_header(const struct exchange *x, const char *name, struct buf *out)
{
    struct header_walk w = {.name = name, .out = out};
    if (x->mhd)
        (void)MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, exchange_header_one, &w);
    return !out->failed;
}

struct query_walk {
    bool (*fn)(void *arg, const char *key, const char *value);
    void *arg;
    bool ok;
};

static enum MHD_Result exchange_query_one(void *arg, enum MHD_ValueKind kind, const char *key,
                                          const char *value)
{
    struct query_walk *w = arg;
    char k[64], v[EXCHANGE_PARAM_MAX + 1];
    value = value ? value : "";
    /* libmicrohttpd has made blanks of '+' by now */
    w->ok = router_decode(key, strlen(key), 0, k, sizeof(k)) >= 0 &&
            router_decode(value, strlen(value), 0, v, sizeof(v)) >= 0 && w->fn(w->arg, k, v);
    return w->ok ? MHD_YES : MHD_NO;
}

bool exchange_each_query(const struct exchange *x,
                         bool (*fn)(void *arg, const char *key, const char *value), void *arg)
{
    struct query_walk w = {.fn = fn, .arg = arg, .ok = true};
    if (x->mhd)
        (void)MHD_get_connection_values(x->mhd, MHD_GET_ARGUMENT_KIND, exchange_query_one, &w);
    return w.ok;
}

bool exchange_takes_chunks(const struct exchange *x)
{
    return x->takes_chunks;
}

const struct buf *exchange_body(const struct exchange *x)
{
    return &x->body;
}

bool exchange_oversize(const struct exchange *x)
{
    return x->oversize;
}

/* ---- the answer ---- */

void exchange_add_header(struct exchange *x, const char *name, const char *value)
{
    if (exchange_replied(x) || x->headers_count == EXCHANGE_HEADERS_MAX)
        return;
    x->headers[x->headers_count].name = mem_strdup(name);
    x->headers[x->headers_count++].value = mem_strdup(value);
}

bool exchange_replied(const struct exchange *x)
{
    return x->response != NULL || x->given_up;
}

static void exchange_resume(struct exchange *x)
{
    if (!x->suspended || !x->mhd)
        return;
    x->suspended = false;
    MHD_resume_connection(x->mhd); /* wakes nobody by itself with an external loop */
    x->wake(x->wake_arg);
}

struct front_conn *exchange_give_up(struct exchange *x)
{
    struct front_conn *c = x->mhd && !exchange_replied(x) ? x->conn(x->attached) : NULL;
    if (!c)
        return NULL;
    x->given_up = true;
    exchange_resume(x);
    return c;
}

static bool exchange_has_header(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < x->headers_count; i++)
        if (str_eq(x->headers[i].name, name))
            return true;
    return false;
}

/* What a caller has already is not sent again, and what it can unpack is packed. Changes `body` and
 * the headers; returns the status. */
static unsigned exchange_condense(struct exchange *x, struct buf *body)
{
    char tag[ENTITY_TAG_SIZE];
    entity_tag(buf_str(body), body->len, tag);
    if (tag[0])
        exchange_add_header(x, "ETag", tag);
    exchange_add_header(x, "Vary", "Accept-Encoding");
    if (entity_matches(exchange_header(x, "If-None-Match"), tag)) {
        buf_clear(body);
        return 304;
    }
    if (!entity_takes_gzip(exchange_header(x, "Accept-Encoding")))
        return 200;
    struct buf packed = BUF_INIT(body->len);
    if (entity_gzip(buf_str(body), body->len, &packed) == 0) {
        exchange_add_header(x, "Content-Encoding", "gzip");
        buf_done(body);
        *body = packed;
    } else {
        buf_done(&packed);
    }
    return 200;
}

void exchange_reply(struct exchange *x, unsigned status, const char *content_type, struct buf *body)
{
    if (exchange_replied(x))
        return;
    if (status == 200 && body && body->len > 0 && !str_eq(x->method, "POST") &&
        !str_eq(x->method, "DELETE"))
        status = exchange_condense(x, body);
    size_t n = body ? body->len : 0;
    char *data = body ? buf_steal(body) : mem_strdup("");
    x->response = MHD_create_response_from_buffer(n, data, MHD_RESPMEM_MUST_FREE);
    if (!x->response) { /* out of memory: the connection closes without an answer */
        free(data);
        return;
    }
    x->status = status;
    if (content_type)
        (void)MHD_add_response_header(x->response, "Content-Type", content_type);
    if (!exchange_has_header(x, "Cache-Control"))
        (void)MHD_add_response_header(x->response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(x->response, "X-Request-Id", x->id);
    (void)MHD_add_response_header(x->response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(x->response, "Referrer-Policy", "no-referrer");
    (void)MHD_add_response_header(x->response, "X-Frame-Options", "DENY");
    if (!exchange_has_header(x, "Content-Security-Policy")) /* an answer that is no page */
        (void)MHD_add_response_header(x->response, "Content-Security-Policy",
                                      "default-src 'none'; frame-ancestors 'none'");
    for (size_t i = 0; i < x->headers_count; i++)
        (void)MHD_add_response_header(x->response, x->headers[i].name, x->headers[i].value);
    exchange_resume(x);
}
