/* SPDX-License-Identifier: MIT */
/* Events are followed first and the list is asked for then, so nothing falls between. Each event of
 * a container leads to a new look at it; what was said of it before does not count. */
#include "exec/docker/docker.h"

#include <errno.h>
#include <inttypes.h>
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
    unsigned looking; /* inspections of the running refresh */
    struct map *seen; /* ids in the list of the running refresh */
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
        if (!text || strlen(text) != n || n > LABEL_VALUE_MAX || strlen(key) > LABEL_KEY_MAX ||
            c->labels_count == LABELS_MAX) {
            log_warn(NULL, "container %.12s: a label is too long or one too many: ignored", c->id);
            continue;
        }
        container_add_label(c, key, text);
    }
}

/* Runs: its first process; else 0. */
static pid_t read_container(const struct json *root, const char *id, struct container **ret)
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
        init = read_container(root, k->id, &c);
    if (init == 0)
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

/* ---- life ---- */

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
