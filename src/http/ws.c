/* SPDX-License-Identifier: MIT */
/* wslay reads from what has just come (`in`) and writes to `out`, which leaves as one piece: its
 * callbacks never touch the stream, so nothing can be freed below it. */
#include "http/ws.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WS_KEY_LEN 24 /* base64 of 16 bytes */
#define WS_IN_MESSAGE_MAX 4096
#define WS_OUT_MAX (16u << 20)
#define WS_VERSION "13"

struct ws {
    struct stream *stream; /* NULL: gone */
    wslay_event_context_ptr ctx;
    const struct ws_ops *ops;
    void *arg;
    const char *in; /* what has come, while wslay reads it */
    size_t in_len;
    struct buf out;
    unsigned depth; /* calls under way: who frees waits for them */
    bool unwanted;  /* the peer sent a message */
    bool awaits_pong;
};

/* ---- wslay's side ---- */

static ssize_t ws_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags, void *arg)
{
    struct ws *w = arg;
    if (w->in_len == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (n > w->in_len)
        n = w->in_len;
    memcpy(p, w->in, n);
    w->in += n;
    w->in_len -= n;
    return (ssize_t)n;
}

static ssize_t ws_send(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags,
                       void *arg)
{
    struct ws *w = arg;
    if (buf_append(&w->out, p, n) == 0)
        return (ssize_t)n;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void ws_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    struct ws *w = arg;
    if (m->opcode == WSLAY_PONG)
        w->awaits_pong = false;
    else if (!wslay_is_ctrl_frame(m->opcode))
        w->unwanted = true;
}

/* ---- the stream's side ---- */

static void ws_leave(struct ws *w)
{
    if (--w->depth > 0 || w->stream)
        return;
    wslay_event_context_free(w->ctx);
    buf_done(&w->out);
    free(w);
}

/* What wslay has to say leaves. False: the stream is gone. */
static bool ws_flush(struct ws *w)
{
    bool ok = wslay_event_send(w->ctx) == 0 && !w->out.failed;
    if (!w->stream)
        return false;
    if (ok && w->out.len > 0)
        ok = stream_send(w->stream, buf_str(&w->out), w->out.len) == 0;
    if (w->out.len > 64u << 10)
        buf_done(&w->out);
    else
        buf_clear(&w->out);
    if (!ok && w->stream)
        stream_cut(w->stream);
    return w->stream != NULL;
}

static void ws_came(void *arg, const char *p, size_t n)
{
    struct ws *w = arg;
    w->depth++;
    w->in = p;
    w->in_len = n;
    bool ok = wslay_event_recv(w->ctx) == 0 && wslay_event_get_read_enabled(w->ctx);
    w->in = NULL;
    w->in_len = 0;
    if (ok && w->unwanted) {
        (void)wslay_event_queue_close(w->ctx, WS_CODE_UNWANTED, NULL, 0);
        ok = false;
    }
    /* It has closed, or broken the rules: wslay has queued the close frame that says which. */
    if (w->stream && ws_flush(w) && !ok)
        stream_end(w->stream);
    ws_leave(w);
}

static void ws_drained(void *arg)
{
    struct ws *w = arg;
    w->depth++;
    w->ops->drained(w->arg);
    ws_leave(w);
}

static void ws_gone(void *arg)
{
    struct ws *w = arg;
    w->stream = NULL;
    w->depth++;
    w->ops->gone(w->arg);
    ws_leave(w);
}

static const struct stream_ops ws_stream_ops = {ws_came, ws_drained, ws_gone};

/* ---- the handshake ---- */

/* "keep-alive, Upgrade": is `word` among them? */
static bool ws_names(const char *list, const char *word)
{
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, " \t,");
        if (n == strlen(word) && strncasecmp(list, word, n) == 0)
            return true;
        list += n;
    }
    return false;
}

static bool ws_key_is_one(const char *key)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return key && strlen(key) == WS_KEY_LEN && strspn(key, alphabet) == WS_KEY_LEN - 2 &&
           str_eq(key + WS_KEY_LEN - 2, "==");
}

static bool ws_accept(const char *key, char out[32])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char text[WS_KEY_LEN + sizeof(WS_GUID)];
    memcpy(text, key, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, WS_GUID, sizeof(WS_GUID));
    if (EVP_Digest(text, sizeof(text) - 1, digest, &n, EVP_sha1(), NULL) != 1 || n != 20)
        return false;
    (void)EVP_EncodeBlock((unsigned char *)out, digest, (int)n); /* 28 characters and a NUL */
    return true;
}

static int ws_check(struct exchange *x, char accept[32], struct err *err)
{
    const char *version = exchange_header(x, "Sec-WebSocket-Version");
    const char *key = exchange_header(x, "Sec-WebSocket-Key");
    if (!str_eq(exchange_method(x), "GET") || !exchange_takes_chunks(x) || /* HTTP/1.1 */
        !ws_names(exchange_header(x, "Upgrade"), "websocket") ||
        !ws_names(exchange_header(x, "Connection"), "Upgrade"))
        return err_set(err, -EINVAL, "this path speaks WebSocket only; /api/events is for others");
    if (!str_eq(version, WS_VERSION))
        return err_set(err, -EINVAL, "only version " WS_VERSION " of WebSocket is spoken here");
    if (!ws_key_is_one(key))
        return err_set(err, -EINVAL, "the Sec-WebSocket-Key is not 16 bytes in base64");
    return ws_accept(key, accept) ? 0 : err_set(err, -EINVAL, "no SHA-1 on this host");
}

static const struct wslay_event_callbacks ws_callbacks = {
    .recv_callback = ws_recv,
    .send_callback = ws_send,
    .on_msg_recv_callback = ws_message,
};

int ws_open(struct exchange *x, const struct ws_ops *ops, void *arg, struct ws **ret,
            struct err *err)
{
    char accept[32] = "";
    int r = ws_check(x, accept, err);
    if (r < 0)
        return r;
    struct ws *w = mem_new(struct ws);
    w->ops = ops;
    w->arg = arg;
    buf_init(&w->out, WS_OUT_MAX);
    if (wslay_event_context_server_init(&w->ctx, &ws_callbacks, w) != 0) {
        free(w);
        return err_set(err, -EPIPE, "no memory");
    }
    wslay_event_config_set_max_recv_msg_length(w->ctx, WS_IN_MESSAGE_MAX);
    exchange_add_header(x, "Upgrade", "websocket");
    exchange_add_header(x, "Connection", "Upgrade");
    exchange_add_header(x, "Sec-WebSocket-Accept", accept);
    w->stream = stream_take(x, 101, NULL, &ws_stream_ops, w);
    if (!w->stream) {
        w->depth = 1;
        ws_leave(w);
        return err_set(err, -EPIPE, "the caller has gone");
    }
    *ret = w;
    return 0;
}

/* ---- talking ---- */

static int ws_queue(struct ws *w, uint8_t opcode, const char *p, size_t n)
{
    const struct wslay_event_msg m = {opcode, (const uint8_t *)p, n};
    if (!w->stream || wslay_event_queue_msg(w->ctx, &m) != 0)
        return -EPIPE;
    w->depth++;
    int r = ws_flush(w) ? 0 : -EPIPE;
    ws_leave(w);
    return r;
}

int ws_text(struct ws *w, const char *p, size_t n)
{
    return ws_queue(w, WSLAY_TEXT_FRAME, p, n);
}

bool ws_ping(struct ws *w)
{
    if (w->awaits_pong)
        return false;
    w->awaits_pong = true;
    (void)ws_queue(w, WSLAY_PING, NULL, 0);
    return true;
}

bool ws_busy(const struct ws *w)
{
    return w->stream && stream_busy(w->stream);
}

void ws_end(struct ws *w, enum ws_code code)
{
    w->depth++;
    (void)wslay_event_queue_close(w->ctx, (uint16_t)code, NULL, 0);
    if (w->stream && ws_flush(w))
        stream_end(w->stream);
    ws_leave(w);
}

void ws_cut(struct ws *w)
{
    if (w->stream)
        stream_cut(w->stream);
}
