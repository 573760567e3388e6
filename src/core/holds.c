/* SPDX-License-Identifier: MIT */
/* A short list: people make its entries. */
#include "core/holds.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define NODES_MAX 4000000
#define VERSION 1

struct holds {
    struct hold **at; /* owned */
    size_t count;
};

static const char *const scopes[] = {"request", "container", "all"};

const char *hold_scope_name(enum hold_scope s)
{
    return (unsigned)s < ARRAY_LEN(scopes) ? scopes[s] : "request";
}

/* ---- one ---- */

void hold_set(char **text, const char *value)
{
    char *copy = mem_strdup(value ? value : ""); /* `value` may be *text */
    free(*text);
    *text = copy;
}

static struct hold *hold_free(struct hold *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < x->frozen_count; i++)
        free(x->frozen[i]);
    free(x->frozen);
    free(x->key);
    free(x->name);
    free(x->who);
    free(x->why);
    free(x);
    return NULL;
}

static size_t frozen_at(const struct hold *x, const char *key)
{
    size_t i = 0;
    while (i < x->frozen_count && !str_eq(x->frozen[i], key))
        i++;
    return i;
}

bool hold_froze(const struct hold *x, const char *key)
{
    return frozen_at(x, key) < x->frozen_count;
}

void hold_add_frozen(struct hold *x, const char *key)
{
    if (hold_froze(x, key))
        return;
    x->frozen = mem_realloc_array(x->frozen, x->frozen_count + 1, sizeof(char *));
    x->frozen[x->frozen_count++] = mem_strdup(key);
}

void hold_drop_frozen(struct hold *x, const char *key)
{
    size_t i = frozen_at(x, key);
    if (i == x->frozen_count)
        return;
    free(x->frozen[i]);
    x->frozen[i] = x->frozen[--x->frozen_count];
}

static void put_time(struct json_writer *w, const char *key, uint64_t realtime)
{
    char text[32];
    json_field_string(w, key, realtime ? clock_format(realtime, text) : NULL);
}

static void put_bytes(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    json_put_bytes(w, s, strlen(s));
}

void hold_put_json(const struct hold *x, struct json_writer *w)
{
    json_object_begin(w);
    json_field_string(w, "scope", hold_scope_name(x->scope));
    if (x->scope == HOLD_REQUEST)
        json_field_string(w, "id", x->key);
    if (x->scope == HOLD_CONTAINER) {
        json_field_string(w, "id", x->key);
        put_bytes(w, "container", x->name);
    }
    put_bytes(w, "by", x->who);
    put_bytes(w, "reason", x->why);
    put_time(w, "since", x->since);
    put_time(w, "until", x->until);
    json_object_end(w);
}

/* ---- the set ---- */

struct holds *holds_new(void)
{
    return mem_new(struct holds);
}

struct holds *holds_free(struct holds *h)
{
    if (!h)
        return NULL;
    for (size_t i = 0; i < h->count; i++)
        hold_free(h->at[i]);
    free(h->at);
    free(h);
    return NULL;
}

size_t holds_count(const struct holds *h)
{
    return h->count;
}

struct hold *holds_at(const struct holds *h, size_t i)
{
    return i < h->count ? h->at[i] : NULL;
}

struct hold *holds_find(const struct holds *h, enum hold_scope scope, const char *key)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->at[i]->scope == scope && (scope == HOLD_ALL || str_eq(h->at[i]->key, key)))
            return h->at[i];
    return NULL;
}

static bool is_named(const struct hold *x, const char *name)
{
    return x->scope == HOLD_CONTAINER &&
           (str_eq(x->name, name) || (strlen(name) >= 12 && str_starts(x->key, name)));
}

struct hold *holds_named(const struct holds *h, const char *name, bool *ret_many)
{
    struct hold *found = holds_find(h, HOLD_CONTAINER, name);
    *ret_many = false;
    if (found)
        return found;
    for (size_t i = 0; i < h->count; i++) {
        if (!is_named(h->at[i], name))
            continue;
        *ret_many = found != NULL;
        if (*ret_many)
            return NULL;
        found = h->at[i];
    }
    return found;
}

struct hold *holds_put(struct holds *h, enum hold_scope scope, const char *key)
{
    struct hold *x = holds_find(h, scope, key);
    if (x || h->count >= HOLDS_MAX)
        return x;
    x = mem_new(struct hold);
    x->scope = scope;
    x->key = mem_strdup(scope == HOLD_ALL ? "" : key);
    x->name = mem_strdup("");
    x->who = mem_strdup("");
    x->why = mem_strdup("");
    h->at = mem_realloc_array(h->at, h->count + 1, sizeof(struct hold *));
    h->at[h->count++] = x;
    return x;
}

void holds_remove(struct holds *h, struct hold *x)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->at[i] != x)
            continue;
        memmove(&h->at[i], &h->at[i + 1], (h->count - i - 1) * sizeof(struct hold *));
        h->count--;
        hold_free(x);
        return;
    }
}

const struct hold *holds_over_key(const struct holds *h, const char *key)
{
    const struct hold *all = holds_find(h, HOLD_ALL, "");
    return all ? all : holds_find(h, HOLD_CONTAINER, key);
}

const struct hold *holds_over(const struct holds *h, const struct request *r)
{
    const struct hold *best = NULL;
    for (size_t i = 0; i < h->count; i++) {
        const struct hold *x = h->at[i];
        bool it = false;
        switch (x->scope) {
        case HOLD_ALL:
            it = true;
            break;
        case HOLD_CONTAINER:
            it = r->peer.in && container_is(r->peer.in, x->key);
            break;
        case HOLD_REQUEST:
            it = str_eq(x->key, r->id_text);
            break;
        }
        if (it && (!best || x->scope > best->scope))
            best = x;
    }
    return best;
}

/* ---- text ---- */

static void write_one(const struct hold *x, struct json_writer *w)
{
    json_object_begin(w);
    json_field_string(w, "scope", hold_scope_name(x->scope));
    json_field_string(w, "key", x->key);
    json_field_string(w, "name", str_utf8_valid(x->name, strlen(x->name)) ? x->name : "?");
    json_field_string(w, "by", str_utf8_valid(x->who, strlen(x->who)) ? x->who : "?");
    json_field_string(w, "reason", str_utf8_valid(x->why, strlen(x->why)) ? x->why : "?");
    json_field_uint(w, "since", x->since);
    json_field_uint(w, "until", x->until);
    json_key(w, "frozen");
    json_array_begin(w);
    for (size_t i = 0; i < x->frozen_count; i++)
        json_put_string(w, x->frozen[i]);
    json_array_end(w);
    json_object_end(w);
}

void holds_write(const struct holds *h, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    json_field_int(&w, "version", VERSION);
    json_key(&w, "paused");
    json_array_begin(&w);
    for (size_t i = 0; i < h->count; i++)
        write_one(h->at[i], &w);
    json_array_end(&w);
    json_object_end(&w);
    (void)buf_append_char(out, '\n');
}

static const char *text_of(const struct json *j, const char *key)
{
    size_t n = 0;
    const char *s = json_string(json_get(j, key), &n);
    return s && strlen(s) == n ? s : NULL;
}

static int read_one(struct holds *h, const struct json *j)
{
    const char *scope = text_of(j, "scope"), *key = text_of(j, "key"), *name = text_of(j, "name");
    const char *who = text_of(j, "by"), *why = text_of(j, "reason");
    int64_t since = json_integer(json_get(j, "since"), -1);
    int64_t until = json_integer(json_get(j, "until"), -1);
    const struct json *frozen = json_get(j, "frozen");
    size_t s = 0;
    while (s < ARRAY_LEN(scopes) && !str_eq(scope, scopes[s]))
        s++;
    if (s == ARRAY_LEN(scopes) || !key || !name || !who || !why || since < 0 || until < 0 ||
        !json_is_array(frozen) || (!key[0] && s != HOLD_ALL))
        return -EBADMSG;
    struct hold *x = holds_put(h, (enum hold_scope)s, key);
    if (!x)
        return -EBADMSG;
    hold_set(&x->name, name);
    hold_set(&x->who, who);
    hold_set(&x->why, why);
    x->since = (uint64_t)since;
    x->until = (uint64_t)until;
    for (size_t i = 0; i < json_count(frozen); i++) {
        const char *k = json_string(json_at(frozen, i), NULL);
        if (!k)
            return -EBADMSG;
        hold_add_frozen(x, k);
    }
    return 0;
}

int holds_read(struct holds *h, const char *text, size_t len, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_(holds_freep) struct holds *fresh = holds_new();
    int r = json_parse(text, len, NODES_MAX, &root, err);
    if (r < 0)
        return -EBADMSG;
    const struct json *list = json_get(root, "paused");
    if (json_integer(json_get(root, "version"), 0) != VERSION || !json_is_array(list))
        return err_set(err, -EBADMSG, "it is no list of pauses of this version");
    for (size_t i = 0; i < json_count(list); i++)
        if (read_one(fresh, json_at(list, i)) < 0)
            return err_set(err, -EBADMSG, "its entry %zu makes no sense", i + 1);
    struct holds was = *h;
    *h = *fresh;
    *fresh = was;
    return 0;
}
