/* SPDX-License-Identifier: MIT */
/* A map from request id to the command's name as the log has it. */
#include "store/inflight.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/record.h"
#include "store/value.h"

#define OPEN_NODES_MAX 3000000 /* of an "open" member: three values for each of a million */

struct inflight {
    struct map *ids; /* id -> raw JSON value of the command, owned */
};

struct inflight *inflight_new(void)
{
    struct inflight *f = mem_new(struct inflight);
    f->ids = map_new();
    return f;
}

struct inflight *inflight_free(struct inflight *f)
{
    if (!f)
        return NULL;
    void *value;
    for (size_t i = 0; map_next(f->ids, &i, NULL, &value);)
        free(value);
    map_free(f->ids);
    free(f);
    return NULL;
}

static void put(struct inflight *f, const char *id, const char *command, size_t len)
{
    free(map_put(f->ids, id, mem_strndup(command, len)));
}

static bool lets_run(const char *members, size_t len)
{
    char decision[16];
    return record_field_copy(members, len, "decision", decision, sizeof(decision)) &&
           (strcmp(decision, "allow") == 0 || strcmp(decision, "ask-approved") == 0);
}

/* The ids that a file's first record carries over from the file before it. */
static void note_carried(struct inflight *f, const char *members, size_t len)
{
    const char *open;
    size_t n;
    _cleanup_(json_freep) struct json *root = NULL;
    if (!record_field(members, len, "open", &open, &n) ||
        json_parse(open, n, OPEN_NODES_MAX, &root, NULL) < 0)
        return;
    for (size_t i = 0; i < json_count(root); i++) {
        const struct json *item = json_at(root, i);
        const char *id = json_string(json_get(item, "id"), NULL);
        _cleanup_buf_ struct buf raw = BUF_INIT(RECORD_LINE_MAX), bytes = BUF_INIT(RECORD_LINE_MAX);
        struct json_writer w = JSON_WRITER(&raw);
        if (value_bytes(json_get(item, "command"), &bytes))
            json_put_bytes(&w, buf_str(&bytes), bytes.len);
        else
            json_put_null(&w);
        if (id && !raw.failed)
            put(f, id, raw.data, raw.len);
    }
}

void inflight_note(struct inflight *f, const char *members, size_t len)
{
    char event[16], id[64];
    if (!record_field_copy(members, len, "event", event, sizeof(event)))
        return;
    if (strcmp(event, "rotate") == 0 || strcmp(event, "chain-break") == 0) {
        note_carried(f, members, len);
        return;
    }
    if (!record_field_copy(members, len, "id", id, sizeof(id)))
        return;
    if (strcmp(event, "decision") == 0 && lets_run(members, len)) {
        const char *command = "null";
        size_t n = 4;
        (void)record_field(members, len, "command", &command, &n);
        put(f, id, command, n);
    } else if (strcmp(event, "end") == 0) {
        free(map_remove(f->ids, id));
    }
}

size_t inflight_count(const struct inflight *f)
{
    return map_count(f->ids);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void inflight_each(const struct inflight *f,
                   void (*fn)(void *arg, const char *id, const char *command), void *arg)
{
    size_t n = 0;
    _cleanup_free_ const char **ids = mem_new_array(const char *, map_count(f->ids));
    const char *id;
    void *value;
    for (size_t i = 0; map_next(f->ids, &i, &id, &value);)
        ids[n++] = id;
    qsort(ids, n, sizeof(*ids), by_text);
    for (size_t i = 0; i < n; i++)
        fn(arg, ids[i], map_get(f->ids, ids[i]));
}

static void write_one(void *arg, const char *id, const char *command)
{
    struct json_writer *w = arg;
    json_object_begin(w);
    json_field_string(w, "id", id);
    json_key(w, "command");
    json_put_raw(w, command, strlen(command));
    json_object_end(w);
}

void inflight_write(const struct inflight *f, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_key(&w, "open");
    json_array_begin(&w);
    inflight_each(f, write_one, &w);
    json_array_end(&w);
}
