/* SPDX-License-Identifier: MIT */
/* A session outlives its connection until its request has ended, because the request's bytes stay
 * on its uid's account that long. It is freed when nothing refers to it: no handle, no worker, no
 * request. Each callback reads once, so that no caller holds the loop. */
#include "door/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "door/answer.h"
#include "door/gate-door.h"
#include "door/intake.h"
#include "door/kernel.h"
#include "door/quota.h"
#include "door/receive.h"
#include "door/turns.h"
#include "door/v1parse.h"
#include "door/watch.h"
#include "wire/gatewire.h"

#define READ_CHUNK (64u << 10)
#define NO_PROTOCOL 0xff /* begins neither version */
#define OUT_MAX (32u << 10)
#define LINGER (2 * CLOCK_NS_PER_SEC)

static void session_ready(uv_poll_t *poll, int status, int events);

/* ---- state ---- */

/* The one place that changes it, and with it the lists that a session stands in. */
static void set_state(struct session *s, enum session_state to)
{
    struct room *m = s->room;
    list_remove(&s->in_state);
    if (to == SESSION_CLOSED)
        turns_leave(s);
    if (s->state == SESSION_READING) {
        list_remove(&s->in_quota);
        s->quota->half_count--;
    }
    if (s->looked_after)
        watch_forget(s);
    if (s->naming) {
        if (m->config.census)
            m->config.census->forget(m->config.census, s);
        s->naming = request_free(s->naming);
    }
    s->state = to;
    if (to == SESSION_LINGERING) {
        s->deadline = clock_monotonic() + LINGER;
        list_append(&m->lingering, &s->in_state);
    }
}

static char *request_key(const struct request *r, char out[32])
{
    (void)snprintf(out, 32, "%p", (const void *)r);
    return out;
}

void session_unused(struct session *s)
{
    if (s->polling || s->working || s->r || s->state != SESSION_CLOSED)
        return;
    struct room *m = s->room;
    quota_discharge(s);
    s->quota->sessions--;
    quota_release(m, s->quota);
    list_remove(&s->in_all);
    peer_creds_done(&s->who);
    buf_done(&s->in);
    buf_done(&s->out);
    intake_ask_done(&s->parsed);
    free(s);
    m->sessions--;
}

static void poll_closed(uv_handle_t *h)
{
    struct session *s = h->data;
    s->polling = false;
    session_unused(s);
}

/* Takes the connection out of the loop; the descriptor is the caller's. */
static int detach(struct session *s)
{
    int fd = TAKE_FD(s->fd);
    (void)uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, poll_closed);
    s->quota->connections--;
    s->room->connections--;
    set_state(s, SESSION_CLOSED);
    buf_done(&s->in);
    buf_done(&s->out);
    if (!s->r && !s->working)
        quota_discharge(s);
    return fd;
}

static void close_connection(struct session *s)
{
    struct room *m = s->room;
    int fd = detach(s);
    /* Descriptors that were sent and never received go with the socket. */
    if (m->rights_refused)
        close(fd);
    else
        disposer_put(m->disposer, fd);
}

static void arm(struct session *s)
{
    int events = s->out.len > 0 ? UV_WRITABLE : 0;
    if (s->state != SESSION_PARSING && !s->in_turn)
        events |= UV_READABLE;
    if (events == s->events)
        return;
    s->events = events;
    if (events)
        (void)uv_poll_start(&s->poll, events, session_ready);
    else
        (void)uv_poll_stop(&s->poll);
}

/* ---- ends ---- */

void session_evict(struct session *s)
{
    metrics_count_error(warden_metrics(s->room->warden), METRICS_ERROR_LIMIT);
    log_warn(NULL, "uid %u pid %d: ended a connection without a request to make room for others",
             (unsigned)s->who.uid, (int)s->who.pid);
    close_connection(s);
}

void session_hang_up(struct session *s, const char *why)
{
    if (s->state == SESSION_CLOSED)
        return;
    struct request *r = s->r;
    close_connection(s);
    if (r)
        warden_withdraw(s->room->warden, r, why);
}

void session_leave(struct session *s)
{
    if (s->state != SESSION_CLOSED)
        close_connection(s);
}

void session_forget(struct session *s)
{
    s->r = NULL;
    session_unused(s);
}

/* Sends what waits; afterwards the session may be closed. */
static void flush(struct session *s)
{
    int r = answer_flush(s);
    if (r < 0)
        session_hang_up(s, "the caller does not read what it is told");
    else if (s->state == SESSION_LINGERING && s->out.len == 0 && s->whole)
        close_connection(s);
    else
        arm(s);
}

void session_refuse(struct session *s, int code, const char *text)
{
    if (s->state == SESSION_CLOSED || s->state == SESSION_LINGERING)
        return;
    set_state(s, SESSION_LINGERING);
    if (!s->protocol_known) {
        close_connection(s);
        return;
    }
    buf_done(&s->in);
    answer_refused(s, code, text);
    flush(s);
}

static void refuse_peer(struct session *s, enum metrics_error kind, const char *words)
{
    char text[ERR_TEXT_MAX + 64];
    metrics_count_error(warden_metrics(s->room->warden), kind);
    log_warn(s->r ? s->r->id_text : NULL, "uid %u pid %d: refused: %s", (unsigned)s->who.uid,
             (int)s->who.pid, words);
    (void)snprintf(text, sizeof(text), "clawrden: refused: %s\n", words);
    struct request *r = s->r;
    session_refuse(s, 125, text);
    if (r)
        warden_withdraw(s->room->warden, r, words);
}

void session_withdraw(struct session *s, const char *why)
{
    char text[512];
    struct request *r = s->r;
    warden_withdraw(s->room->warden, r, why);
    (void)snprintf(text, sizeof(text), "clawrden: withdrawn: %s\n", why);
    session_refuse(s, 125, text); /* unless the warden has told it */
}

void session_expired(struct session *s)
{
    if (s->state == SESSION_LINGERING)
        close_connection(s);
    else
        refuse_peer(s, METRICS_ERROR_PROTOCOL, "the request did not arrive in time");
}

void session_ended(struct session *s)
{
    char key[32];
    (void)map_remove(s->room->asked, request_key(s->r, key));
    s->r = NULL;
    quota_discharge(s);
    session_unused(s);
}

/* ---- what the warden says ---- */

static void session_waiting(struct caller *c, const struct request *r)
{
    struct session *s = container_of(c, struct session, caller);
    if (s->state != SESSION_ASKED)
        return;
    if (!s->looked_after)
        watch_begin(s);
    answer_waiting(s, r);
    flush(s);
}

static void session_refused(struct caller *c, const struct request *r, int code, const char *text)
{
    (void)r;
    session_refuse(container_of(c, struct session, caller), code, text);
}

/* For its next owner the socket is as a socket is made: it takes descriptors, and says nothing of
 * senders. The caller may not send any before it is told to; until then they would only lie there.
 */
static void restore_options(int fd)
{
    int one = 1, zero = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &zero, sizeof(zero));
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &one, sizeof(one)); /* Linux 6.16 */
}

/* Nothing of ours may be left in between, or the helper's first byte would not be the first. */
static int session_take(struct caller *c)
{
    struct session *s = container_of(c, struct session, caller);
    if (s->state != SESSION_ASKED)
        return -1;
    if (answer_flush(s) < 0 || s->out.len > 0) {
        close_connection(s);
        return -1;
    }
    int fd = detach(s);
    restore_options(fd);
    return fd;
}

static const struct caller_ops session_ops = {
    .waiting = session_waiting, .refused = session_refused, .take = session_take};

/* ---- the request ---- */

static void hand_to_warden(struct session *s, struct request *r)
{
    char key[32];
    r->caller = &s->caller;
    s->r = r;
    set_state(s, SESSION_ASKED);
    (void)map_put(s->room->asked, request_key(r, key), s);
    warden_submit(s->room->warden, r);
}

static void container_told(void *arg);

/* Owns `r`. The engine is asked once: with `wait`. */
static void find_container(struct session *s, struct request *r, bool wait)
{
    const struct door_config *c = &s->room->config;
    struct err err = {""};
    int e = c->census ? c->census->find(c->census, &r->peer, c->bond, wait ? container_told : NULL,
                                        s, &err)
                      : 0;
    if (e == -EINPROGRESS) {
        set_state(s, SESSION_NAMING);
        s->naming = r;
    } else if (e < 0) {
        request_free(r);
        refuse_peer(s, METRICS_ERROR_IDENTITY, err.text);
    } else {
        hand_to_warden(s, r);
    }
}

static void container_told(void *arg)
{
    struct session *s = arg;
    find_container(s, TAKE_PTR(s->naming), false);
    if (s->state != SESSION_CLOSED)
        arm(s);
}

/* Owns what is in `ask`. */
static void submit(struct session *s, struct ask *ask)
{
    struct err err;
    struct request *r = request_new();
    r->ask = *ask;
    *ask = (struct ask){.door = s->protocol};
    turns_charge(s, s->body_len, r->ask.argc + r->ask.envc);
    if (peer_describe(&s->who, s->fd, &r->peer, &err) < 0) {
        request_free(r);
        refuse_peer(s, METRICS_ERROR_IDENTITY, err.text);
        return;
    }
    find_container(s, r, true);
}

static void decode_v2(struct session *s)
{
    struct ask ask;
    struct err err;
    size_t len = s->in.len;
    char *blob = buf_steal(&s->in);
    int r = intake_v2(blob, len, &ask, &err);
    if (r < 0)
        refuse_peer(s, METRICS_ERROR_PROTOCOL, err.text);
    else if (!quota_charge(s, (ask.argc + ask.envc) * sizeof(char *)))
        intake_ask_done(&ask), refuse_peer(s, METRICS_ERROR_LIMIT, "too many bytes in flight");
    else
        submit(s, &ask);
}

void session_parsed(struct session *s)
{
    struct ask ask = s->parsed;
    s->parsed = (struct ask){.door = DOOR_SHIM_V1};
    if (s->state != SESSION_PARSING) {
        intake_ask_done(&ask);
        session_unused(s);
        return;
    }
    buf_done(&s->in);
    if (s->parse_result < 0)
        refuse_peer(s, METRICS_ERROR_PROTOCOL, s->parse_err.text);
    else
        submit(s, &ask);
    if (s->state != SESSION_CLOSED)
        arm(s);
}

static void request_complete(struct session *s)
{
    if (s->protocol == DOOR_SHIM_V2) {
        decode_v2(s);
        return;
    }
    set_state(s, SESSION_PARSING);
    v1parse_begin(s);
}

/* Behind a request, v1 may cancel; anything else is out of turn. */
static void after_request(struct session *s, const uint8_t *p, size_t n)
{
    if (s->protocol == DOOR_SHIM_V1 && s->state == SESSION_ASKED) {
        while (n > 0 && s->head_len < V1_FRAME_HEAD_SIZE)
            s->head[s->head_len++] = *p++, n--;
        uint8_t type;
        uint32_t len;
        if (n == 0 && s->head_len < V1_FRAME_HEAD_SIZE)
            return;
        if (v1_frame_decode(s->head, &type, &len) == 0 && type == V1_CANCEL) {
            session_hang_up(s, "the caller cancelled it");
            return;
        }
    }
    refuse_peer(s, METRICS_ERROR_PROTOCOL, "data out of turn behind the request");
}

/* Takes what of `p` belongs to the body; false when the session ended over it. */
static bool take_body(struct session *s, const uint8_t *p, size_t n)
{
    if (!quota_charge(s, n)) {
        if (s->state != SESSION_CLOSED)
            refuse_peer(s, METRICS_ERROR_LIMIT, "too many bytes in flight");
        return false;
    }
    if (buf_append(&s->in, p, n) < 0) {
        refuse_peer(s, METRICS_ERROR_PROTOCOL, "the request is longer than it says");
        return false;
    }
    return true;
}

/* It begins like a shim's and goes on as a gate's, with its own door. */
static void become_gate(struct session *s, const uint8_t *p, size_t n)
{
    _cleanup_buf_ struct buf begun = BUF_INIT(READ_CHUNK + sizeof(s->head));
    struct gate_door *gates = s->room->config.gates;
    struct peer_creds who = s->who;
    (void)buf_append(&begun, s->head + GATEWIRE_MAGIC_SIZE, s->head_len - GATEWIRE_MAGIC_SIZE);
    (void)buf_append(&begun, p, n);
    if (!gates) {
        close_connection(s);
        return;
    }
    s->who.pidfd = -1;
    gate_door_accept(gates, detach(s), &who, s->room->config.census, s->room->config.bond,
                     buf_str(&begun), begun.len);
}

static void feed(struct session *s, const uint8_t *p, size_t n)
{
    struct err err;
    size_t used = 0;
    int r = s->in.limit ? 1 : intake_head(s, p, n, &used, &err);
    if (r < 0) {
        refuse_peer(s, METRICS_ERROR_PROTOCOL, err.text);
        return;
    }
    if (r == 0)
        return;
    if (s->protocol == DOOR_GATE) {
        become_gate(s, p + used, n - used);
        return;
    }
    size_t rest = s->body_len - s->in.len, more = n - used < rest ? n - used : rest;
    if (!take_body(s, p + used, more) || s->in.len < s->body_len)
        return;
    s->whole = true;
    if (used + more < n) {
        refuse_peer(s, METRICS_ERROR_PROTOCOL, "data out of turn behind the request");
        return;
    }
    s->head_len = 0;
    request_complete(s);
}

/* ---- the loop's side ---- */

static void received(struct session *s, const uint8_t *p, size_t n)
{
    if (s->state == SESSION_READING)
        feed(s, p, n);
    else if (s->state == SESSION_ASKED)
        after_request(s, p, n);
    else if (s->state == SESSION_NAMING)
        session_hang_up(s, "data out of turn behind the request");
    /* lingering: what still comes of a request that was refused early is dropped */
}

static void read_once(struct session *s)
{
    static uint8_t chunk[READ_CHUNK]; /* one thread, and nothing of it is kept */
    struct err err = {.text = ""};
    chunk[0] = NO_PROTOCOL;
    ssize_t n = receive_from(s->fd, &s->who, chunk, sizeof(chunk), s->room->disposer, &err);
    if (n == -EAGAIN)
        return;
    if (n == -EPERM) {
        intake_guess(s, chunk[0]);
        refuse_peer(s, METRICS_ERROR_IDENTITY, err.text);
        if (s->state != SESSION_CLOSED)
            close_connection(s); /* whoever sent that is told, and not listened to */
    } else if (n <= 0) {
        session_hang_up(s, "the caller hung up");
    } else {
        received(s, chunk, (size_t)n);
    }
}

static void session_ready(uv_poll_t *poll, int status, int events)
{
    struct session *s = poll->data;
    if (status < 0) {
        session_hang_up(s, "the connection broke");
        return;
    }
    if (events & UV_WRITABLE)
        flush(s);
    if (s->state != SESSION_CLOSED && (events & UV_READABLE) && turns_now(s))
        read_once(s);
    if (s->state != SESSION_CLOSED)
        arm(s);
}

void session_turn(struct session *s)
{
    if (s->state != SESSION_PARSING) /* what comes behind a request that is being read waits */
        read_once(s);
    if (s->state != SESSION_CLOSED)
        arm(s);
}

void session_new(struct room *m, struct quota *q, int fd, struct peer_creds *who)
{
    struct session *s = mem_new(struct session);
    *s = (struct session){.caller = {.ops = &session_ops},
                          .room = m,
                          .quota = q,
                          .fd = fd,
                          .who = *who,
                          .out = BUF_INIT(OUT_MAX)};
    who->pidfd = -1;
    s->deadline = clock_monotonic() + m->config.request_deadline;
    list_append(&m->all, &s->in_all);
    list_append(&m->half, &s->in_state);
    list_append(&q->half, &s->in_quota);
    list_init(&s->in_line);
    q->half_count++;
    q->sessions++;
    q->connections++;
    m->connections++;
    m->sessions++;
    s->poll.data = s;
    s->polling = true;
    if (uv_poll_init(m->loop, &s->poll, fd) < 0)
        abort(); /* only for a descriptor that is no socket or already polled: ours is fresh */
    if (turns_now(s))
        read_once(s);
    if (s->state != SESSION_CLOSED)
        arm(s);
}
