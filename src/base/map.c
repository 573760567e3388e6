/* SPDX-License-Identifier: MIT */
/* Open addressing with linear probing; SipHash-1-3 under a seed of the map's own. Removing leaves a
 * tombstone and moves nothing, which is what lets a loop remove the entry it stands on. */
#include "base/map.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define MAP_SLOTS_MIN 8

struct slot {
    uint64_t hash;
    char *key; /* owned; NULL: never used, or a tombstone */
    void *value;
    bool dead; /* a tombstone: the probe goes on behind it */
};

struct map {
    uint64_t seed[2];
    struct slot *slots; /* a power of two of them */
    size_t size;
    size_t count; /* live entries */
    size_t used;  /* live entries and tombstones */
};

static inline uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein); byte order is the machine's, as nothing leaves it. */
static uint64_t sip_hash(const uint64_t seed[2], const char *s, size_t n)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t tail = (uint64_t)n << 56;
    for (; n >= 8; s += 8, n -= 8) {
        uint64_t m;
        memcpy(&m, s, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < n; i++)
        tail |= (uint64_t)(unsigned char)s[i] << (8 * i);
    v[3] ^= tail;
    sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void)
{
    struct map *m = mem_new(struct map);
    if (getentropy(m->seed, sizeof(m->seed)) < 0)
        abort(); /* without a seed anybody can choose collisions */
    m->size = MAP_SLOTS_MIN;
    m->slots = mem_new_array(struct slot, m->size);
    return m;
}

struct map *map_free(struct map *m)
{
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->size; i++)
        free(m->slots[i].key);
    free(m->slots);
    free(m);
    return NULL;
}

static uint64_t map_hash(const struct map *m, const char *key)
{
    return sip_hash(m->seed, key, strlen(key));
}

/* The slot of `key`, or NULL. Ends, because a quarter of the slots is always unused. */
static struct slot *map_find(const struct map *m, const char *key, uint64_t hash)
{
    for (size_t i = hash & (m->size - 1);; i = (i + 1) & (m->size - 1)) {
        struct slot *s = &m->slots[i];
        if (s->key && s->hash == hash && strcmp(s->key, key) == 0)
            return s;
        if (!s->key && !s->dead)
            return NULL;
    }
}

/* The first slot without an entry on the way of `hash`. */
static struct slot *map_vacant(const struct map *m, uint64_t hash)
{
    size_t i = hash & (m->size - 1);
    while (m->slots[i].key)
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

/* New slots, without tombstones, at most half full. */
static void map_rehash(struct map *m)
{
    struct slot *old = m->slots;
    size_t old_size = m->size;
    while (m->size / 2 <= m->count)
        m->size *= 2;
    m->slots = mem_new_array(struct slot, m->size);
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key)
            *map_vacant(m, old[i].hash) = old[i];
    m->used = m->count;
    free(old);
}

void *map_get(const struct map *m, const char *key)
{
    struct slot *s = map_find(m, key, map_hash(m, key));
    return s ? s->value : NULL;
}

void *map_put(struct map *m, const char *key, void *value)
{
    uint64_t hash = map_hash(m, key);
    struct slot *s = map_find(m, key, hash);
    if (s) {
        void *before = s->value;
        s->value = value;
        return before;
    }
    if (m->used + 1 > m->size / 4 * 3)
        map_rehash(m);
    s = map_vacant(m, hash);
    if (!s->dead)
        m->used++;
    *s = (struct slot){.hash = hash, .key = mem_strdup(key), .value = value};
    m->count++;
    return NULL;
}

void *map_remove(struct map *m, const char *key)
{
    struct slot *s = map_find(m, key, map_hash(m, key));
    if (!s)
        return NULL;
    void *value = s->value;
    free(s->key); /* `key` may be this very string: not used any more */
    *s = (struct slot){.dead = true};
    m->count--;
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

int map_next(const struct map *m, size_t *iter, const char **ret_key, void **ret_value)
{
    while (*iter < m->size) {
        const struct slot *s = &m->slots[(*iter)++];
        if (!s->key)
            continue;
        if (ret_key)
            *ret_key = s->key;
        if (ret_value)
            *ret_value = s->value;
        return 1;
    }
    return 0;
}
