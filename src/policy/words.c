/* SPDX-License-Identifier: MIT */
/* tokens_split(): how a line in a policy becomes words. */
#include <errno.h>
#include <string.h>

#include "policy/tokens.h"

struct splitter {
    const char *p;
    char *out;     /* room for twice the line */
    bool patterns; /* escape what was quoted */
};

static void put_literal(struct splitter *s, char c)
{
    if (s->patterns && strchr("*?[\\", c))
        *s->out++ = '\\';
    *s->out++ = c;
}

static bool quoted(struct splitter *s, char quote)
{
    for (; *s->p && *s->p != quote; s->p++) {
        if (quote == '"' && *s->p == '\\' && s->p[1] && strchr("\"\\$`", s->p[1]))
            s->p++;
        put_literal(s, *s->p);
    }
    return *s->p++ == quote;
}

static int word(struct splitter *s, struct err *err)
{
    while (*s->p && !strchr(" \t\r\n", *s->p)) {
        char c = *s->p++;
        if (c == '\'' || c == '"') {
            if (!quoted(s, c))
                return err_set(err, -EINVAL, "a quote is not closed");
        } else if (c == '\\') {
            if (!*s->p)
                return err_set(err, -EINVAL, "a backslash with nothing behind it");
            put_literal(s, *s->p++);
        } else {
            *s->out++ = c;
        }
    }
    *s->out++ = '\0';
    return 0;
}

int tokens_split(struct pool *pool, const char *line, bool patterns, const char *const **ret,
                 size_t *ret_count, struct err *err)
{
    size_t n = strlen(line);
    const char **words = pool_new_array(pool, const char *, n / 2 + 2);
    struct splitter s = {.p = line, .out = pool_alloc(pool, 2 * n + 2), .patterns = patterns};
    size_t count = 0;
    for (;;) {
        s.p += strspn(s.p, " \t\r\n");
        if (!*s.p)
            break;
        words[count++] = s.out;
        int r = word(&s, err);
        if (r < 0)
            return r;
    }
    *ret = words;
    *ret_count = count;
    return 0;
}
