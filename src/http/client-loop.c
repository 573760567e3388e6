/* SPDX-License-Identifier: MIT */
/* libcurl's multi-socket interface on libuv: curl says which sockets and what time to watch, we
 * tell it what happened. */
#include "http/client-loop.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

#define BODY_MAX (16u << 20)
#define LINE_MAX_ (1u << 20)
#define WEB_BODY_MAX (1u << 20)

struct client_loop {
    uv_loop_t *loop; /* borrowed */
    char *path;      /* owned; NULL: servers of the web */
    char *ca;        /* owned; NULL: the system's */
    CURLM *multi;
    uv_timer_t timer;
    uv_timer_t kick; /* curl takes no new exchange while it is calling us */
    struct list calls;
    bool timer_closed;
    bool closing;
};

struct call {
    struct list link;
    struct client_loop *l;
    CURL *easy;
    struct curl_slist *headers;
    bool added;
    char *body; /* owned */
    struct buf in;
    client_loop_done *done;
    client_loop_line *line; /* a stream */
    client_loop_end *end;
    void *arg;
};

struct watched {
    uv_poll_t poll;
    struct client_loop *l;
    curl_socket_t fd;
};

static void call_free(struct call *c)
{
    list_remove(&c->link);
    if (c->easy) {
        if (c->added)
            (void)curl_multi_remove_handle(c->l->multi, c->easy);
        curl_easy_cleanup(c->easy);
    }
    curl_slist_free_all(c->headers);
    buf_done(&c->in);
    free(c->body);
    free(c);
}

/* ---- what has ended ---- */

static void finish(struct call *c, CURLcode code)
{
    char words[256] = "";
    long status = 0;
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    else
        (void)snprintf(words, sizeof(words), "%s", curl_easy_strerror(code));
    if (c->line) {
        if (code == CURLE_OK)
            (void)snprintf(words, sizeof(words), "it ended with status %ld", status);
        c->end(c->arg, words);
    } else {
        c->done(c->arg, status, buf_str(&c->in), c->in.len, words);
    }
    call_free(c);
}

static void look_for_ended(struct client_loop *l)
{
    CURLMsg *m;
    int left;
    while (!l->closing && (m = curl_multi_info_read(l->multi, &left))) {
        struct call *c = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        finish(c, code);
    }
}

/* ---- curl and the loop ---- */

static void on_timer(uv_timer_t *t)
{
    struct client_loop *l = t->data;
    int running;
    (void)curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_ended(l);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
    struct client_loop *l = arg;
    (void)multi;
    if (l->closing)
        return 0;
    if (ms < 0)
        (void)uv_timer_stop(&l->timer);
    else /* at once is not now: curl must not be called from within */
        (void)uv_timer_start(&l->timer, on_timer, ms ? (uint64_t)ms : 1, 0);
    return 0;
}

static void on_socket(uv_poll_t *p, int status, int events)
{
    struct watched *w = p->data;
    struct client_loop *l = w->l;
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) | (status < 0 ? CURL_CSELECT_ERR : 0);
    int running;
    (void)curl_multi_socket_action(l->multi, w->fd, flags, &running);
    look_for_ended(l);
}

static void watched_closed(uv_handle_t *h)
{
    free(h->data);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct client_loop *l = arg;
    struct watched *w = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w) {
            (void)curl_multi_assign(l->multi, fd, NULL);
            (void)uv_poll_stop(&w->poll);
            uv_close((uv_handle_t *)&w->poll, watched_closed);
        }
        return 0;
    }
    if (!w) {
        w = mem_new(struct watched);
        w->l = l;
        w->fd = fd;
        w->poll.data = w;
        if (uv_poll_init(l->loop, &w->poll, fd) < 0) {
            free(w);
            return -1;
        }
        (void)curl_multi_assign(l->multi, fd, w);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)uv_poll_start(&w->poll, events, on_socket);
    return 0;
}

/* ---- one exchange ---- */

static curl_socket_t make_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)arg;
    (void)purpose;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t take(char *p, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    if (buf_append(&c->in, p, size * n) < 0)
        return 0; /* too much: ends it */
    const char *start = buf_str(&c->in), *at = start, *end = start + c->in.len, *nl;
    while (c->line && (nl = memchr(at, '\n', (size_t)(end - at)))) {
        c->line(c->arg, at, (size_t)(nl - at));
        at = nl + 1;
    }
    if (at > start) {
        size_t rest = (size_t)(end - at);
        _cleanup_free_ char *left = mem_strndup(at, rest);
        buf_done(&c->in);
        buf_init(&c->in, LINE_MAX_);
        (void)buf_append(&c->in, left, rest);
    }
    return size * n;
}

static struct call *call_new(struct client_loop *l, const char *method, const char *url,
                             const char *body, const char *type, long timeout_ms)
{
    struct call *c = mem_new(struct call);
    _cleanup_free_ char *type_line =
        mem_printf("Content-Type:%s%s", body ? " " : "", body ? type : "");
    *c = (struct call){.l = l, .easy = curl_easy_init()};
    list_append(&l->calls, &c->link);
    if (!c->easy)
        abort(); /* no memory for a small object */
    c->headers = curl_slist_append(NULL, "Expect:");
    c->headers = curl_slist_append(c->headers, type_line);
    if (l->path)
        (void)curl_easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, l->path);
    if (l->ca)
        (void)curl_easy_setopt(c->easy, CURLOPT_CAINFO, l->ca);
    (void)curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(c->easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, make_socket);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    (void)curl_easy_setopt(c->easy, CURLOPT_PRIVATE, (char *)c);
    (void)curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "clawrden/" CLAWRDEN_VERSION);
    (void)curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    (void)curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    if (!str_eq(method, "GET")) {
        c->body = mem_strdup(body ? body : "");
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
        (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(c->body));
        (void)curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
    }
    return c;
}

static void on_kick(uv_timer_t *t)
{
    struct client_loop *l = t->data;
    list_foreach(it, &l->calls)
    {
        struct call *c = list_item(it, struct call, link);
        if (c->added)
            continue;
        c->added = true;
        (void)curl_multi_add_handle(l->multi, c->easy);
    }
}

static void begin(struct client_loop *l)
{
    (void)uv_timer_start(&l->kick, on_kick, 0, 0);
}

void client_loop_request(struct client_loop *l, const char *method, const char *path,
                         const char *body, unsigned timeout_ms, client_loop_done *done, void *arg)
{
    _cleanup_free_ char *url = mem_printf("http://localhost%s", path);
    struct call *c = call_new(l, method, url, body, "application/json", (long)timeout_ms);
    buf_init(&c->in, BODY_MAX);
    c->done = done;
    c->arg = arg;
    begin(l);
}

void client_loop_fetch(struct client_loop *l, const char *url, const char *authorization,
                       const char *form, unsigned timeout_ms, client_loop_done *done, void *arg)
{
    struct call *c = call_new(l, form ? "POST" : "GET", url, form,
                              "application/x-www-form-urlencoded", (long)timeout_ms);
    if (authorization) {
        _cleanup_free_ char *line = mem_printf("Authorization: %s", authorization);
        c->headers = curl_slist_append(c->headers, line);
    }
    (void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    buf_init(&c->in, WEB_BODY_MAX);
    c->done = done;
    c->arg = arg;
    begin(l);
}

void client_loop_follow(struct client_loop *l, const char *path, client_loop_line *line,
                        client_loop_end *end, void *arg)
{
    _cleanup_free_ char *url = mem_printf("http://localhost%s", path);
    struct call *c = call_new(l, "GET", url, NULL, NULL, 0);
    buf_init(&c->in, LINE_MAX_);
    c->line = line;
    c->end = end;
    c->arg = arg;
    begin(l);
}

/* ---- life ---- */

static int loop_new(uv_loop_t *loop, const char *socket_path, const char *ca,
                    struct client_loop **ret, struct err *err)
{
    struct client_loop *l = mem_new(struct client_loop);
    *l = (struct client_loop){.loop = loop,
                              .path = mem_strdup(socket_path),
                              .ca = mem_strdup(ca),
                              .multi = curl_multi_init()};
    list_init(&l->calls);
    if (!l->multi) {
        free(l->ca);
        free(l->path);
        free(l);
        return err_set(err, -ENOMEM, "cannot set up the HTTP client");
    }
    (void)uv_timer_init(loop, &l->timer);
    (void)uv_timer_init(loop, &l->kick);
    l->timer.data = l->kick.data = l;
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    *ret = l;
    return 0;
}

int client_loop_new(uv_loop_t *loop, const char *socket_path, struct client_loop **ret,
                    struct err *err)
{
    return loop_new(loop, socket_path, NULL, ret, err);
}

int client_loop_new_web(uv_loop_t *loop, const char *ca, struct client_loop **ret, struct err *err)
{
    return loop_new(loop, NULL, ca, ret, err);
}

static void timer_closed(uv_handle_t *h)
{
    struct client_loop *l = h->data;
    if (!l->timer_closed) { /* the first of the two */
        l->timer_closed = true;
        return;
    }
    free(l->ca);
    free(l->path);
    free(l);
}

void client_loop_close(struct client_loop *l)
{
    if (!l || l->closing)
        return;
    l->closing = true;
    list_foreach(it, &l->calls) call_free(list_item(it, struct call, link));
    (void)curl_multi_cleanup(l->multi);
    uv_close((uv_handle_t *)&l->timer, timer_closed);
    uv_close((uv_handle_t *)&l->kick, timer_closed);
}
