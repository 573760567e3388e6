/* SPDX-License-Identifier: MIT */
/* Events are followed first and the list is asked for then, so nothing falls between. Each event of
 * a container leads to a new look at it; what was said of it before does not count. */
#include "exec/docker/docker.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/census.h"
#include "exec/docker/dockexec.h"
#include "http/client-loop.h"

#define AGAIN_MS 1000
#define ANSWER_MS 5000
#define NODES_MAX 200000
#define CONTAINERS_MAX 4096
#define LABELS_MAX 64
#define LABEL_KEY_MAX 128
#define LABEL_VALUE_MAX 512
#define LABEL_OWN "clawrden."
#define LABEL_OWN_MAX 4097 /* one more than jail/labels reads, which has words for it */
#define EVENTS                                                                                     \
    "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22start%22%2C%"     \
    "22die"                                                                                        \
    "%22%2C%22destroy%22%2C%22rename%22%2C%22update%22%5D%7D"

struct docker {
    uv_loop_t *loop; /* borrowed */
    struct census *census;
    struct client_loop *client;
    char *socket;      /* owned */
    struct list execs; /* commands that it runs for us */
    struct census_engine port;
    uv_timer_t again;
    bool closing, following, ready, refreshing;
    unsigned looking;         /* inspections of the running refresh */
    struct map *seen;         /* ids in the list of the running refresh */
    const char *const *doors; /* borrowed */
    size_t doors_count;
    char words[256];
};

/* What one inspection is for. */
struct look {
    struct docker *d;
    bool counted; /* of a refresh */
    char id[];
};

static void refresh_ended(struct docker *d, const char *words)
{
    if (words[0] || !d->ready)
        (void)snprintf(d->words, sizeof(d->words), "%s", words);
    if (!words[0] && !d->ready) {
        d->ready = true;
        log_info(NULL, "the engine answers: %zu containers run", census_count(d->census));
        census_returned(d->census);
    }
    d->refreshing = false;
    census_answered(d->census);
}

/* ---- one container ---- */

static void add_labels(struct container *c, const struct json *labels)
{
    void *iter = NULL;
    const char *key;
    const struct json *value;
    while (json_is_object(labels) && json_next(labels, &iter, &key, &value)) {
        size_t n = 0;
        const char *text = json_string(value, &n);
        /* Those that ask something of us are never left out for others. */
        if (str_starts(key, LABEL_OWN) && strlen(key) <= LABEL_KEY_MAX && text) {
            _cleanup_free_ char *own = mem_printf("%.*s", LABEL_OWN_MAX, text);
            container_add_label(c, key, own);
            continue;
        }
        if (!text || strlen(text) != n || n > LABEL_VALUE_MAX || strlen(key) > LABEL_KEY_MAX ||
            c->labels_count >= LABELS_MAX) {
            log_warn(NULL, "container %.12s: a label is too long or one too many: ignored", c->id);
            continue;
        }
        container_add_label(c, key, text);
    }
}

/* The directory itself, or something in it. */
static bool is_at_door(const char *source, const char *dir)
{
    static const char var[] = "/var";
    size_t n = strlen(dir);
    if (str_starts(source, "/var/run/") && !str_starts(dir, var))
        source += strlen(var);
    return strncmp(source, dir, n) == 0 && (source[n] == '\0' || source[n] == '/');
}

static bool mounts_a_door(const struct docker *d, const struct json *mounts)
{
    for (size_t i = 0; json_is_array(mounts) && i < json_count(mounts); i++) {
        const char *source = json_string(json_get(json_at(mounts, i), "Source"), NULL);
        for (size_t k = 0; source && k < d->doors_count; k++)
            if (is_at_door(source, d->doors[k]))
                return true;
    }
    return false;
}

/* Runs: its first process; else 0. */
static pid_t read_container(const struct docker *d, const struct json *root, const char *id,
                            struct container **ret)
{
    const struct json *state = json_get(root, "State");
    const char *name = json_string(json_get(root, "Name"), NULL);
    const char *whole = json_string(json_get(root, "Id"), NULL);
    int64_t pid = json_integer(json_get(state, "Pid"), 0);
    if (!name || !whole || !str_eq(whole, id) || !json_bool(json_get(state, "Running"), false) ||
        pid <= 1 || pid > INT32_MAX)
        return 0;
    while (*name == '/')
        name++;
    *ret = container_new(whole, name);
    add_labels(*ret, json_get(json_get(root, "Config"), "Labels"));
    (*ret)->governed = mounts_a_door(d, json_get(root, "Mounts"));
    return (pid_t)pid;
}

static void looked(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct look *k = arg;
    struct docker *d = k->d;
    _cleanup_(json_freep) struct json *root = NULL;
    struct container *c = NULL;
    struct err err = {0};
    pid_t init = 0;
    (void)words;
    if (status == 200 && json_parse(body, len, NODES_MAX, &root, &err) == 0)
        init = read_container(d, root, k->id, &c);
    if (status == 404)
        census_removed(d->census, k->id);
    else if (init == 0)
        census_remove(d->census, k->id);
    else if (census_put(d->census, c, init, &err) < 0)
        log_warn(NULL, "container %.12s is not served: %s", k->id, err.text);
    bool counted = k->counted;
    free(k);
    if (counted && --d->looking == 0)
        refresh_ended(d, "");
}

static bool is_id(const char *s)
{
    return s && strlen(s) >= 12 && strlen(s) <= 64 && strspn(s, "0123456789abcdef") == strlen(s);
}

static void look(struct docker *d, const char *id, bool counted)
{
    size_t n = strlen(id) + 1;
    struct look *k = mem_zalloc(sizeof(*k) + n);
    k->d = d;
    k->counted = counted;
    memcpy(k->id, id, n);
    d->looking += counted;
    _cleanup_free_ char *path = mem_printf("/containers/%s/json", id);
    client_loop_request(d->client, "GET", path, NULL, ANSWER_MS, looked, k);
}

void docker_look(struct docker *d, const char *id)
{
    if (is_id(id))
        look(d, id, false);
}

/* ---- all of them ---- */

static bool was_listed(void *arg, const struct container *c)
{
    const struct docker *d = arg;
    return map_get(d->seen, c->id) || str_starts(c->id, "door:");
}

static void listed(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct docker *d = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    struct err err = {0};
    char text[200];
    if (status != 200 || json_parse(body, len, NODES_MAX, &root, &err) < 0 ||
        !json_is_array(root) || json_count(root) > CONTAINERS_MAX) {
        (void)snprintf(text, sizeof(text), "the engine does not list its containers: %.150s",
                       status == 0   ? words
                       : err.text[0] ? err.text
                                     : "an answer that makes no sense");
        refresh_ended(d, text);
        return;
    }
    d->seen = map_free(d->seen);
    d->seen = map_new();
    d->looking = 1; /* so that it does not end while it begins */
    for (size_t i = 0; i < json_count(root); i++) {
        const char *id = json_string(json_get(json_at(root, i), "Id"), NULL);
        if (!is_id(id))
            continue;
        (void)map_put(d->seen, id, d);
        if (!census_find(d->census, id))
            look(d, id, true);
    }
    census_sweep(d->census, was_listed, d);
    if (--d->looking == 0)
        refresh_ended(d, "");
}

static void refresh(void *arg)
{
    struct docker *d = arg;
    if (d->refreshing)
        return; /* its end answers */
    d->refreshing = true;
    client_loop_request(d->client, "GET", "/containers/json", NULL, ANSWER_MS, listed, d);
}

/* ---- events ---- */

static void on_event(void *arg, const char *line, size_t len)
{
    struct docker *d = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    if (json_parse(line, len, 1000, &root, NULL) < 0)
        return;
    const char *id = json_string(json_get(json_get(root, "Actor"), "ID"), NULL);
    if (is_id(id))
        look(d, id, false);
}

static void follow(struct docker *d);

static void on_again(uv_timer_t *t)
{
    follow(t->data);
}

static void events_ended(void *arg, const char *words)
{
    struct docker *d = arg;
    if (d->closing)
        return;
    if (d->ready || !d->words[0])
        log_warn(NULL, "the engine is away, asking again every second: %s", words);
    d->ready = d->following = false;
    (void)snprintf(d->words, sizeof(d->words), "the engine does not answer: %.200s", words);
    (void)uv_timer_start(&d->again, on_again, AGAIN_MS, 0);
}

static void follow(struct docker *d)
{
    d->following = true;
    client_loop_follow(d->client, EVENTS, on_event, events_ended, d);
    refresh(d);
}

/* ---- orders ---- */

/* One that was given. */
struct order {
    struct docker *d;
    docker_done *done;
    void *arg;
    int wants; /* 1: paused, 0: not paused, -1: another */
    char words[200];
    char id[];
};

static void order_end(struct order *o, int result, const char *words)
{
    o->done(o->arg, result, words);
    free(o);
}

/* How it stands, since an engine that refuses may do so because it is so already. */
static void order_looked(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct order *o = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    if (status == 404) {
        order_end(o, -ENOENT, "no such container runs");
        return;
    }
    if (status != 200 || json_parse(body, len, NODES_MAX, &root, NULL) < 0) {
        order_end(o, -EAGAIN, words && words[0] ? words : "the engine does not say how it stands");
        return;
    }
    const struct json *state = json_get(root, "State");
    bool runs = json_bool(json_get(state, "Running"), false);
    bool paused = json_bool(json_get(state, "Paused"), false);
    if (!runs)
        order_end(o, -ENOENT, "no such container runs");
    else if (o->wants == paused)
        order_end(o, -EALREADY, "");
    else
        order_end(o, -EIO, o->words);
}

static void order_look(struct order *o)
{
    _cleanup_free_ char *path = mem_printf("/containers/%s/json", o->id);
    client_loop_request(o->d->client, "GET", path, NULL, ANSWER_MS, order_looked, o);
}

static void order_done(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct order *o = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    if (status == 204) {
        order_end(o, 0, "");
        return;
    }
    if (status == 0) {
        (void)snprintf(o->words, sizeof(o->words), "the engine does not answer: %.150s", words);
        order_end(o, -EAGAIN, o->words);
        return;
    }
    const char *said = json_parse(body, len, 1000, &root, NULL) == 0
                           ? json_string(json_get(root, "message"), NULL)
                           : NULL;
    (void)snprintf(o->words, sizeof(o->words), "the engine refuses: %.150s",
                   said ? said : "without words");
    order_look(o);
}

static struct order *order_new(struct docker *d, const char *id, int wants, docker_done *done,
                               void *arg)
{
    size_t n = strlen(id) + 1;
    struct order *o = mem_zalloc(sizeof(*o) + n);
    *o = (struct order){.d = d, .done = done, .arg = arg, .wants = wants};
    memcpy(o->id, id, n);
    return o;
}

static void order(struct docker *d, const char *id, const char *what, int wants, docker_done *done,
                  void *arg)
{
    struct order *o = order_new(d, id, wants, done, arg);
    _cleanup_free_ char *path = mem_printf("/containers/%s/%s", id, what);
    client_loop_request(d->client, "POST", path, NULL, ANSWER_MS, order_done, o);
}

void docker_pause(struct docker *d, const char *id, bool on, docker_done *done, void *arg)
{
    order(d, id, on ? "pause" : "unpause", on, done, arg);
}

void docker_check(struct docker *d, const char *id, bool paused, docker_done *done, void *arg)
{
    order_look(order_new(d, id, paused, done, arg));
}

void docker_kill(struct docker *d, const char *id, int signo, docker_done *done, void *arg)
{
    char what[64];
    (void)snprintf(what, sizeof(what), "kill?signal=%d", signo);
    order(d, id, what, -1, done, arg);
}

/* ---- life ---- */

void docker_set_doors(struct docker *d, const char *const *dirs, size_t n)
{
    d->doors = dirs;
    d->doors_count = n;
}

int docker_new(uv_loop_t *loop, const char *socket, struct census *census, struct docker **ret,
               struct err *err)
{
    struct docker *d = mem_new(struct docker);
    *d = (struct docker){.loop = loop, .census = census, .socket = mem_strdup(socket)};
    list_init(&d->execs);
    int r = client_loop_new(loop, socket, &d->client, err);
    if (r < 0) {
        free(d->socket);
        free(d);
        return r;
    }
    d->port = (struct census_engine){.refresh = refresh, .arg = d};
    (void)uv_timer_init(loop, &d->again);
    d->again.data = d;
    census_set_engine(census, &d->port);
    follow(d);
    *ret = d;
    return 0;
}

static void again_closed(uv_handle_t *h)
{
    struct docker *d = h->data;
    map_free(d->seen);
    free(d->socket);
    free(d);
}

void docker_close(struct docker *d)
{
    if (!d || d->closing)
        return;
    d->closing = true;
    dockexec_close_all(&d->execs);
    client_loop_close(d->client);
    uv_close((uv_handle_t *)&d->again, again_closed);
}

struct client_loop *docker_client(const struct docker *d)
{
    return d->client;
}

struct list *docker_execs(struct docker *d)
{
    return &d->execs;
}

const char *docker_socket(const struct docker *d)
{
    return d->socket;
}

bool docker_ready(const struct docker *d)
{
    return d->ready;
}

const char *docker_words(const struct docker *d)
{
    return d->words;
}
