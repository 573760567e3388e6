/* SPDX-License-Identifier: MIT */
/* A flood of silent or slow callers pays with its own connections: nobody else's are ended while
 * the greediest has half-sent ones. */
#include "door/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "door/session.h"
#include "door/turns.h"

struct quota *quota_of(struct room *m, uid_t uid)
{
    char key[16];
    (void)snprintf(key, sizeof(key), "%u", (unsigned)uid);
    struct quota *q = map_get(m->quotas, key);
    if (q)
        return q;
    q = mem_new(struct quota);
    memcpy(q->key, key, sizeof(key));
    q->uid = uid;
    list_init(&q->half);
    list_init(&q->line);
    list_init(&q->in_lines);
    (void)map_put(m->quotas, key, q);
    return q;
}

static void forget(struct room *m, struct quota *q)
{
    (void)map_remove(m->quotas, q->key);
    free(q);
}

/* What is owed must be remembered: a uid could come with one connection at a time. */
void quota_release(struct room *m, struct quota *q)
{
    if (q->sessions == 0 && !turns_owes(q, clock_monotonic()))
        forget(m, q);
}

void quota_sweep(struct room *m)
{
    const char *key;
    void *value;
    uint64_t now = clock_monotonic();
    for (size_t i = 0; map_next(m->quotas, &i, &key, &value);) {
        struct quota *q = value;
        if (q->sessions == 0 && (m->closing || !turns_owes(q, now)))
            forget(m, q);
    }
}

/* The uid with the most half-sent requests (or bytes of them); NULL when there is none. */
static struct quota *greediest(const struct room *m, bool by_bytes)
{
    struct quota *worst = NULL;
    const char *key;
    void *value;
    for (size_t i = 0; map_next(m->quotas, &i, &key, &value);) {
        struct quota *q = value;
        if (list_empty(&q->half))
            continue;
        if (!worst || (by_bytes ? q->bytes > worst->bytes : q->half_count > worst->half_count))
            worst = q;
    }
    return worst;
}

/* False when there is none, or when it would be `self`, who then is refused with words. */
static bool evict_oldest(struct quota *q, const struct session *self)
{
    if (!q || list_empty(&q->half))
        return false;
    struct session *oldest = list_item(q->half.next, struct session, in_quota);
    if (oldest == self)
        return false;
    session_evict(oldest);
    return true;
}

bool quota_admit(struct room *m, struct quota *q)
{
    if (q->connections >= m->config.connections_max_peer && !evict_oldest(q, NULL))
        return false;
    return m->connections < m->config.connections_max || evict_oldest(greediest(m, false), NULL);
}

bool quota_charge(struct session *s, size_t n)
{
    struct room *m = s->room;
    struct quota *q = s->quota;
    if (n > m->config.bytes_max_peer || n > m->config.bytes_max)
        return false;
    while (q->bytes > m->config.bytes_max_peer - n)
        if (!evict_oldest(q, s))
            return false;
    while (m->bytes > m->config.bytes_max - n)
        if (!evict_oldest(greediest(m, true), s))
            return false;
    s->charged += n;
    q->bytes += n;
    m->bytes += n;
    return true;
}

void quota_discharge(struct session *s)
{
    s->quota->bytes -= s->charged;
    s->room->bytes -= s->charged;
    s->charged = 0;
}
