/* SPDX-License-Identifier: MIT */
/* libyaml's events, strictly: anything that a flat mapping does not need is an error. */
#include "warden/config-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"

#define KEYS_MAX 64

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* valid while `has_event` */
    bool has_event;
    const char *name;
    char *keys[KEYS_MAX]; /* owned; seen so far */
    size_t count;
};

static int fault(const struct reader *r, yaml_mark_t at, struct err *err, const char *words)
{
    return err_set(err, -EINVAL, "%s:%zu:%zu: %s", r->name, at.line + 1, at.column + 1, words);
}

static int next(struct reader *r, struct err *err)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (r->has_event)
        return 0;
    return fault(r, r->parser.problem_mark, err,
                 r->parser.problem ? r->parser.problem : "cannot be read");
}

/* The scalar at hand, as a string without NUL; NULL when it is none. */
static const char *scalar(const struct reader *r)
{
    if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.anchor ||
        r->event.data.scalar.tag)
        return NULL;
    const char *s = (const char *)r->event.data.scalar.value;
    return strlen(s) == r->event.data.scalar.length ? s : NULL;
}

static int remember_key(struct reader *r, const char *key, struct err *err)
{
    char *k = mem_strdup(key);
    for (char *p = k; *p; p++)
        if (*p == '_')
            *p = '-';
    for (size_t i = 0; i < r->count; i++)
        if (str_eq(r->keys[i], k)) {
            free(k);
            return fault(r, r->event.start_mark, err, "this key stands here twice");
        }
    if (r->count == KEYS_MAX) {
        free(k);
        return fault(r, r->event.start_mark, err, "too many keys");
    }
    r->keys[r->count++] = k;
    return 0;
}

static int read_pair(struct reader *r, struct config *c, struct err *err)
{
    const char *key = scalar(r), *value;
    yaml_mark_t key_mark = r->event.start_mark;
    if (!key)
        return fault(r, key_mark, err, "a key must be a plain word");
    int e = remember_key(r, key, err);
    if (e < 0 || (e = next(r, err)) < 0)
        return e;
    value = scalar(r);
    if (!value)
        return fault(r, r->event.start_mark, err, "a value must be a single word or text");
    struct err why;
    e = config_set(c, r->keys[r->count - 1], value, &why);
    if (e < 0)
        return fault(r, e == -ENOENT ? key_mark : r->event.start_mark, err, why.text);
    return next(r, err);
}

static int expect(struct reader *r, yaml_event_type_t type, const char *words, struct err *err)
{
    int e = next(r, err);
    if (e < 0)
        return e;
    return r->event.type == type ? 0 : fault(r, r->event.start_mark, err, words);
}

static int read_document(struct reader *r, struct config *c, struct err *err)
{
    int e = expect(r, YAML_STREAM_START_EVENT, "cannot be read", err);
    if (e < 0 || (e = next(r, err)) < 0)
        return e;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0; /* nothing but comments */
    e = expect(r, YAML_MAPPING_START_EVENT, "must be lines of \"key: value\"", err);
    if (e < 0 || (e = next(r, err)) < 0)
        return e;
    if (r->event.type == YAML_ALIAS_EVENT)
        return fault(r, r->event.start_mark, err, "aliases are not used here");
    while (r->event.type != YAML_MAPPING_END_EVENT)
        if ((e = read_pair(r, c, err)) < 0)
            return e;
    e = expect(r, YAML_DOCUMENT_END_EVENT, "nothing may follow", err);
    return e < 0 ? e : expect(r, YAML_STREAM_END_EVENT, "only one document may stand here", err);
}

int config_file_apply(const char *text, size_t len, const char *name, struct config *c,
                      struct err *err)
{
    struct reader r = {.name = name};
    if (len > CONFIG_FILE_MAX)
        return err_set(err, -E2BIG, "%s: longer than %u bytes", name, CONFIG_FILE_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, -ENOMEM, "%s: out of memory", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    int e = read_document(&r, c, err);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.count; i++)
        free(r.keys[i]);
    return e;
}
