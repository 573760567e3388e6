/* SPDX-License-Identifier: MIT */
/* Secrets in what others read: each match becomes a mask with a digest, so that equal secrets can
 * be recognised and none can be read. What cannot be searched is masked whole. */
#include <string.h>

#include "base/mem.h"
#include "policy/model.h"

#define REDACT_MATCHES_MAX 4096 /* of one text; more: masked whole */

struct span {
    size_t start, end;
};

struct spans {
    struct span at[REDACT_MATCHES_MAX];
    size_t count;
};

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static bool find_all(const struct pattern *p, const char *text, size_t len, struct spans *s)
{
    size_t from = 0, start, end;
    while (from <= len) {
        int r = pattern_find(p, text, len, from, &start, &end);
        if (r <= 0)
            return r == 0;
        if (end <= start) { /* an empty match hides nothing */
            from = end + 1;
            continue;
        }
        if (s->count == REDACT_MATCHES_MAX)
            return false;
        s->at[s->count++] = (struct span){start, end};
        from = end;
    }
    return true;
}

static void put_mask(struct buf *out, const char *text, size_t n)
{
    char hex[DIGEST_HEX_SIZE];
    digest_hex(text, n, hex);
    (void)buf_printf(out, "[redacted:%.8s]", hex);
}

static void put_masked(struct buf *out, const char *text, size_t len, struct spans *s)
{
    size_t at = 0;
    qsort(s->at, s->count, sizeof(*s->at), by_start);
    for (size_t i = 0; i < s->count;) {
        struct span m = s->at[i++];
        while (i < s->count && s->at[i].start <= m.end) { /* overlapping ones are one */
            if (s->at[i].end > m.end)
                m.end = s->at[i].end;
            i++;
        }
        (void)buf_append(out, text + at, m.start - at);
        put_mask(out, text + m.start, m.end - m.start);
        at = m.end;
    }
    (void)buf_append(out, text + at, len - at);
}

bool policy_redact(const struct policy *p, const char *text, size_t len, struct buf *out)
{
    if (p->redact_count == 0 || len == 0)
        return false;
    _cleanup_free_ struct spans *s = mem_new(struct spans);
    for (size_t i = 0; i < p->redact_count; i++) {
        if (find_all(p->redact[i], text, len, s))
            continue;
        put_mask(out, text, len);
        return true;
    }
    if (s->count == 0)
        return false;
    put_masked(out, text, len, s);
    return true;
}
