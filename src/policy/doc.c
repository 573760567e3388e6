/* SPDX-License-Identifier: MIT */
/* libyaml's events, never its document API (that one is quadratic in anchors and keeps aliases). */
#include "policy/doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "base/str.h"

struct builder {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, owned */
    bool have_event;
    struct pool *pool;
    struct doc *doc;
    struct err *err;
    struct { /* open lists and maps */
        struct doc_node *node;
        struct doc_node **tail;
        struct doc_node *key; /* read, its value is next */
    } stack[DOC_DEPTH_MAX];
    size_t depth;
    struct doc_node *root;
};

int doc_fail(const struct doc *d, const struct doc_node *n, struct err *err, const char *fmt, ...)
{
    char words[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    return err_set(err, -EINVAL, "%s:%u:%u: %s", d->name, n->line, n->column, words);
}

const char *doc_show(const char *text, char out[96])
{
    struct buf b = BUF_INIT(4096);
    size_t n = strlen(text), cut = n > 60 ? 60 : n;
    (void)str_escape(&b, text, cut);
    (void)snprintf(out, 96, "'%.80s%s'", buf_str(&b), cut < n ? "..." : "");
    buf_done(&b);
    return out;
}

static int fail_at(struct builder *b, yaml_mark_t at, const char *words)
{
    return err_set(b->err, -EINVAL, "%s:%zu:%zu: %s", b->doc->name, at.line + 1, at.column + 1,
                   words);
}

/* A reader error (bad UTF-8, control character) has an offset only. */
static int fail_parse(struct builder *b, const char *text, size_t len)
{
    const char *words = b->parser.problem ? b->parser.problem : "not YAML";
    if (b->parser.error != YAML_READER_ERROR)
        return fail_at(b, b->parser.problem_mark, words);
    yaml_mark_t at = {0};
    for (size_t i = 0; i < len && i < b->parser.problem_offset; i++) {
        at.column = text[i] == '\n' ? 0 : at.column + 1;
        at.line += text[i] == '\n';
    }
    return fail_at(b, at, words);
}

static int next_event(struct builder *b, const char *text, size_t len)
{
    if (b->have_event)
        yaml_event_delete(&b->event);
    b->have_event = yaml_parser_parse(&b->parser, &b->event) == 1;
    return b->have_event ? 0 : fail_parse(b, text, len);
}

static struct doc_node *new_node(struct builder *b, enum doc_kind kind)
{
    struct doc_node *n = pool_alloc(b->pool, sizeof(*n));
    n->kind = kind;
    n->text = "";
    n->line = (unsigned)b->event.start_mark.line + 1;
    n->column = (unsigned)b->event.start_mark.column + 1;
    return n;
}

static int duplicate_key(struct builder *b, const struct doc_node *map, const struct doc_node *key)
{
    char shown[96];
    if (map->count >= DOC_KEYS_MAX)
        return doc_fail(b->doc, key, b->err, "more than %d keys in one mapping", DOC_KEYS_MAX);
    const struct doc_node *there = doc_get(map, key->text);
    if (!there)
        return 0;
    return doc_fail(b->doc, key, b->err, "key %s is here twice; the first is in line %u",
                    doc_show(key->text, shown), there->key->line);
}

/* Hangs a finished or opened node into what is open. */
static int place(struct builder *b, struct doc_node *n)
{
    if (b->depth == 0) {
        b->root = n;
        return 0;
    }
    struct doc_node *in = b->stack[b->depth - 1].node;
    if (in->kind == DOC_MAP) {
        struct doc_node *key = b->stack[b->depth - 1].key;
        if (!key) {
            if (n->kind != DOC_SCALAR)
                return doc_fail(b->doc, n, b->err, "a key must be plain text");
            b->stack[b->depth - 1].key = n;
            return duplicate_key(b, in, n);
        }
        n->key = key;
        b->stack[b->depth - 1].key = NULL;
    }
    *b->stack[b->depth - 1].tail = n;
    b->stack[b->depth - 1].tail = &n->next;
    in->count++;
    return 0;
}

static int refuse_marks(struct builder *b, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return fail_at(b, b->event.start_mark, "anchors (&name) are not accepted");
    if (tag)
        return fail_at(b, b->event.start_mark, "tags (!name) are not accepted");
    return 0;
}

static int scalar(struct builder *b)
{
    const char *value = (const char *)b->event.data.scalar.value;
    size_t n = b->event.data.scalar.length;
    int r = refuse_marks(b, b->event.data.scalar.anchor, b->event.data.scalar.tag);
    if (r < 0)
        return r;
    if (memchr(value, '\0', n))
        return fail_at(b, b->event.start_mark, "a text must not contain a NUL byte");
    struct doc_node *node = new_node(b, DOC_SCALAR);
    node->plain = b->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = pool_strndup(b->pool, value, n);
    return place(b, node);
}

static int open_node(struct builder *b, enum doc_kind kind)
{
    int r = kind == DOC_MAP ? refuse_marks(b, b->event.data.mapping_start.anchor,
                                           b->event.data.mapping_start.tag)
                            : refuse_marks(b, b->event.data.sequence_start.anchor,
                                           b->event.data.sequence_start.tag);
    if (r < 0)
        return r;
    if (b->depth == DOC_DEPTH_MAX)
        return fail_at(b, b->event.start_mark, "nested deeper than 32 levels");
    struct doc_node *node = new_node(b, kind);
    r = place(b, node);
    if (r < 0)
        return r;
    b->stack[b->depth].node = node;
    b->stack[b->depth].tail = &node->first;
    b->stack[b->depth].key = NULL;
    b->depth++;
    return 0;
}

/* 1 at the end of the stream. */
static int take_event(struct builder *b)
{
    switch (b->event.type) {
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return fail_at(b, b->event.start_mark, "a second document; one is expected");
        if (b->event.data.document_start.tag_directives.start !=
            b->event.data.document_start.tag_directives.end)
            return fail_at(b, b->event.start_mark, "%TAG is not accepted");
        return 0;
    case YAML_ALIAS_EVENT:
        return fail_at(b, b->event.start_mark,
                       "aliases (*name) are not accepted; quote a text "
                       "that begins with '*'");
    case YAML_SCALAR_EVENT:
        return scalar(b);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(b, DOC_LIST);
    case YAML_MAPPING_START_EVENT:
        return open_node(b, DOC_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return 0;
    case YAML_NO_EVENT:
        break;
    }
    return fail_at(b, b->event.start_mark, "not understood");
}

static int build(struct builder *b, const char *text, size_t len)
{
    for (;;) {
        int r = next_event(b, text, len);
        if (r < 0)
            return r;
        r = take_event(b);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

int doc_parse(struct pool *pool, const char *text, size_t len, size_t len_max, const char *name,
              struct doc *ret, struct err *err)
{
    *ret = (struct doc){.name = pool_strndup(pool, name, strlen(name))};
    if (len > len_max)
        return err_set(err, -E2BIG, "%s:1:1: %zu bytes; at most %zu are accepted", ret->name, len,
                       len_max);
    struct builder b = {.pool = pool, .doc = ret, .err = err};
    if (!yaml_parser_initialize(&b.parser))
        abort();
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
    int r = build(&b, text, len);
    if (b.have_event)
        yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    if (r < 0)
        return r;
    if (!b.root)
        return err_set(err, -EINVAL, "%s:1:1: the file is empty", ret->name);
    ret->root = b.root;
    return 0;
}

const struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
    for (const struct doc_node *n = map->first; n; n = n->next)
        if (str_eq(n->key->text, key))
            return n;
    return NULL;
}

static const char *kind_name(const struct doc_node *n)
{
    switch (n->kind) {
    case DOC_SCALAR:
        return n->plain && !*n->text ? "nothing" : "a text";
    case DOC_LIST:
        return "a list";
    case DOC_MAP:
        return "a mapping";
    }
    return "something else";
}

int doc_map(const struct doc *d, const struct doc_node *n, const char *what, struct err *err)
{
    if (n->kind == DOC_MAP)
        return 0;
    return doc_fail(d, n, err, "%s must be a mapping (key: value), not %s", what, kind_name(n));
}

int doc_list(const struct doc *d, const struct doc_node *n, const char *what, struct err *err)
{
    if (n->kind == DOC_LIST)
        return 0;
    return doc_fail(d, n, err, "%s must be a list, not %s", what, kind_name(n));
}

static bool is_null(const struct doc_node *n)
{
    return n->plain && (!*n->text || str_eq(n->text, "~") || str_eq(n->text, "null"));
}

int doc_string(const struct doc *d, const struct doc_node *n, const char *what, const char **ret,
               struct err *err)
{
    if (n->kind != DOC_SCALAR)
        return doc_fail(d, n, err, "%s must be a text, not %s", what, kind_name(n));
    if (is_null(n))
        return doc_fail(d, n, err, "%s is empty; write a text, or leave the key out", what);
    *ret = n->text;
    return 0;
}

int doc_bool(const struct doc *d, const struct doc_node *n, const char *what, bool *ret,
             struct err *err)
{
    if (n->kind == DOC_SCALAR && n->plain) {
        *ret = str_eq(n->text, "true");
        if (*ret || str_eq(n->text, "false"))
            return 0;
    }
    return doc_fail(d, n, err, "%s must be true or false", what);
}

int doc_uint(const struct doc *d, const struct doc_node *n, const char *what, uint64_t max,
             uint64_t *ret, struct err *err)
{
    if (n->kind == DOC_SCALAR && n->plain && str_parse_u64(n->text, max, ret) == 0)
        return 0;
    return doc_fail(d, n, err, "%s must be a number from 0 to %llu", what, (unsigned long long)max);
}

int doc_duration(const struct doc *d, const struct doc_node *n, const char *what, uint64_t *ret,
                 struct err *err)
{
    const char *s = "";
    char shown[96];
    int r = doc_string(d, n, what, &s, err);
    if (r < 0)
        return r;
    if (str_parse_duration(s, ret, NULL) < 0)
        return doc_fail(d, n, err, "%s: %s is not a duration; write 30s, 15m or 1h30m", what,
                        doc_show(s, shown));
    if (*ret == 0)
        return doc_fail(d, n, err, "%s must be longer than nothing", what);
    return 0;
}

int doc_strings(const struct doc *d, struct pool *pool, const struct doc_node *n, const char *what,
                const char *const **ret, size_t *ret_count, struct err *err)
{
    bool one = n->kind == DOC_SCALAR;
    if (!one && doc_list(d, n, what, err) < 0)
        return -EINVAL;
    size_t count = one ? 1 : n->count, i = 0;
    const char **list = pool_new_array(pool, const char *, count + 1);
    for (const struct doc_node *m = one ? n : n->first; m && i < count; m = m->next) {
        int r = doc_string(d, m, what, &list[i++], err);
        if (r < 0)
            return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

static int unknown_key(const struct doc *d, const struct doc_node *key, const struct doc_key *keys,
                       const char *what, struct err *err)
{
    const char *names[64] = {0};
    char shown[96];
    for (size_t i = 0; i < 63 && keys[i].name; i++)
        names[i] = keys[i].name;
    const char *near = str_nearest(key->text, names);
    if (near)
        return doc_fail(d, key, err, "unknown key %s in %s; did you mean '%s'?",
                        doc_show(key->text, shown), what, near);
    return doc_fail(d, key, err, "unknown key %s in %s", doc_show(key->text, shown), what);
}

int doc_decode(const struct doc *d, const struct doc_node *map, const struct doc_key *keys,
               void *arg, const char *what, struct err *err)
{
    int r = doc_map(d, map, what, err);
    if (r < 0)
        return r;
    for (const struct doc_node *n = map->first; n; n = n->next) {
        const struct doc_key *k = keys;
        while (k->name && !str_eq(k->name, n->key->text))
            k++;
        if (!k->name)
            return unknown_key(d, n->key, keys, what, err);
        r = k->read(arg, n, err);
        if (r < 0)
            return r;
    }
    return 0;
}
