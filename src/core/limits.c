/* SPDX-License-Identifier: MIT */
/* Caps per peer and in all. Asking a person, and filling the log, are token buckets: a minute's
 * worth at most, refilled evenly. Peers are forgotten when nothing of theirs is counted any more.
 */
#include "core/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#define MINUTE (60 * CLOCK_NS_PER_SEC)

struct limits_peer {
    unsigned flight, waiting;
    double asks, record_bytes; /* left */
    uint64_t refilled_at;
    uint64_t window_at; /* of the recorded refusals */
    unsigned recorded;
    uint64_t suppressed;
};

struct limits {
    struct limits_config config;
    struct map *peers; /* key -> struct limits_peer, owned */
    unsigned waiting;
};

struct limits *limits_new(const struct limits_config *c)
{
    struct limits *l = mem_new(struct limits);
    l->config = *c;
    l->peers = map_new();
    return l;
}

struct limits *limits_free(struct limits *l)
{
    if (!l)
        return NULL;
    const char *key;
    void *value;
    for (size_t i = 0; map_next(l->peers, &i, &key, &value);)
        free(value);
    map_free(l->peers);
    free(l);
    return NULL;
}

void limits_key(const struct peer *p, char ret[LIMITS_KEY_SIZE])
{
    if (p->container)
        (void)snprintf(ret, LIMITS_KEY_SIZE, "container:%s", p->container);
    else
        (void)snprintf(ret, LIMITS_KEY_SIZE, "uid:%u", (unsigned)p->uid);
}

static struct limits_peer *limits_peer(struct limits *l, const char *key)
{
    struct limits_peer *p = map_get(l->peers, key);
    if (p)
        return p;
    p = mem_new(struct limits_peer);
    p->asks = l->config.asks_per_minute;
    p->record_bytes = (double)l->config.record_bytes_per_minute;
    map_put(l->peers, key, p);
    return p;
}

int limits_may_enter(struct limits *l, const char *key, struct err *err)
{
    if (limits_peer(l, key)->flight >= l->config.flight_per_peer)
        return err_set(err, -EDQUOT,
                       "%u commands of this caller are under way, the most it may have",
                       l->config.flight_per_peer);
    return 0;
}

bool limits_asks_nobody(const struct limits *l)
{
    return l->config.waiting_all == 0;
}

int limits_may_wait(struct limits *l, const char *key, struct err *err)
{
    if (limits_asks_nobody(l))
        return err_set(err, -EDQUOT, LIMITS_NOBODY);
    if (limits_peer(l, key)->waiting >= l->config.waiting_per_peer)
        return err_set(err, -EDQUOT,
                       "%u commands of this caller wait for a person, the most it may have",
                       l->config.waiting_per_peer);
    if (l->waiting >= l->config.waiting_all)
        return err_set(err, -EDQUOT, "%u commands wait for a person, the most there may be",
                       l->config.waiting_all);
    return 0;
}

static void fill(double *left, double most, double minutes)
{
    *left += most * minutes;
    if (*left > most)
        *left = most;
}

static void refill(const struct limits *l, struct limits_peer *p, uint64_t now)
{
    double minutes = now > p->refilled_at ? (double)(now - p->refilled_at) / (double)MINUTE : 0;
    fill(&p->asks, l->config.asks_per_minute, minutes);
    fill(&p->record_bytes, (double)l->config.record_bytes_per_minute, minutes);
    p->refilled_at = now;
}

int limits_take_ask(struct limits *l, const char *key, uint64_t now, struct err *err)
{
    if (l->config.asks_per_minute == 0)
        return 0;
    struct limits_peer *p = limits_peer(l, key);
    refill(l, p, now);
    if (p->asks < 1)
        return err_set(err, -EDQUOT, "this caller asked for a person %u times within a minute",
                       l->config.asks_per_minute);
    p->asks -= 1;
    return 0;
}

int limits_take_record(struct limits *l, const char *key, uint64_t bytes, uint64_t now,
                       struct err *err)
{
    if (l->config.record_bytes_per_minute == 0)
        return 0;
    struct limits_peer *p = limits_peer(l, key);
    refill(l, p, now);
    if (p->record_bytes <= 0)
        return err_set(err, -EDQUOT,
                       "the records of this caller fill more than %" PRIu64 " bytes a minute",
                       l->config.record_bytes_per_minute);
    p->record_bytes -= (double)bytes;
    return 0;
}

void limits_move(struct limits *l, const char *key, enum limits_place from, enum limits_place to)
{
    if (from == to)
        return;
    struct limits_peer *p = limits_peer(l, key);
    if (from == LIMITS_FLIGHT && p->flight > 0)
        p->flight--;
    if (from == LIMITS_WAITING && p->waiting > 0) {
        p->waiting--;
        l->waiting--;
    }
    if (to == LIMITS_FLIGHT)
        p->flight++;
    if (to == LIMITS_WAITING) {
        p->waiting++;
        l->waiting++;
    }
}

bool limits_record(struct limits *l, const char *key, uint64_t now)
{
    struct limits_peer *p = limits_peer(l, key);
    if (p->recorded == 0 || now - p->window_at >= MINUTE) {
        p->window_at = now;
        p->recorded = 0;
    }
    if (p->recorded < LIMITS_RECORDS_PER_MINUTE) {
        p->recorded++;
        return true;
    }
    p->suppressed++;
    return false;
}

void limits_collect(struct limits *l, void (*fn)(void *arg, const char *key, uint64_t n), void *arg)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(l->peers, &i, &key, &value);) {
        struct limits_peer *p = value;
        uint64_t n = p->suppressed;
        p->suppressed = 0;
        if (n)
            fn(arg, key, n);
    }
}

static bool idle(const struct limits *l, struct limits_peer *p, uint64_t now)
{
    refill(l, p, now);
    return p->flight == 0 && p->waiting == 0 && p->suppressed == 0 &&
           p->asks >= l->config.asks_per_minute &&
           p->record_bytes >= (double)l->config.record_bytes_per_minute &&
           now - p->window_at >= MINUTE;
}

void limits_sweep(struct limits *l, uint64_t now)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(l->peers, &i, &key, &value);) {
        struct limits_peer *p = value;
        if (!idle(l, p, now))
            continue;
        map_remove(l->peers, key);
        free(p);
    }
}

size_t limits_peers(const struct limits *l)
{
    return map_count(l->peers);
}
