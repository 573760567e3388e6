/* SPDX-License-Identifier: MIT */
/* A message between warden and helper. Whatever is accepted is written back as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/helper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[1 << 20];

static void same(size_t n, const uint8_t *body, size_t len)
{
    if (n != len || (len <= sizeof(out) && memcmp(out, body, len) != 0))
        abort();
}

/* The encoder reads groups as numbers. */
static uint32_t *numbers(struct helper_peer *p)
{
    uint32_t *g = calloc(p->groups_count + 1u, sizeof(*g));
    for (uint32_t i = 0; g && i < p->groups_count; i++)
        g[i] = helper_group(p, i);
    p->groups = g;
    return g;
}

static void lookup(const uint8_t *body, size_t len)
{
    struct helper_resolve m;
    if (helper_resolve_decode(body, len, &m) < 0)
        return;
    uint32_t *g = numbers(&m.peer);
    same(helper_resolve_encode(&m, out, sizeof(out)), body, len);
    free(g);
}

static void start(const uint8_t *body, size_t len)
{
    struct helper_start m;
    if (helper_start_decode(body, len, &m) < 0)
        return;
    uint32_t *g = numbers(&m.peer);
    same(helper_start_encode(&m, out, sizeof(out)), body, len);
    free(g);
}

static void others(uint8_t type, const uint8_t *body, size_t len)
{
    struct helper_resolved resolved;
    struct helper_started started;
    struct helper_end end;
    struct helper_hello hello;
    uint32_t signo;
    if (type == HELPER_RESOLVED && helper_resolved_decode(body, len, &resolved) == 0)
        same(helper_resolved_encode(&resolved, out, sizeof(out)), body, len);
    if ((type == HELPER_STARTED || type == HELPER_LINE) &&
        helper_started_decode(body, len, &started) == 0)
        same(helper_started_encode(&started, out, sizeof(out)), body, len);
    if ((type == HELPER_ENDED || type == HELPER_RELEASE) && helper_end_decode(body, len, &end) == 0)
        same(helper_end_encode(&end, out, sizeof(out)), body, len);
    if (type == HELPER_HELLO && helper_hello_decode(body, len, &hello) == 0)
        same(helper_hello_encode(&hello, out, sizeof(out)), body, len);
    uint32_t v[HELPER_NUMBERS_MAX];
    size_t count = type == HELPER_READY     ? READY_COUNT
                   : type == HELPER_RESIZED ? RESIZED_COUNT
                                            : ADOPT_COUNT;
    if ((type == HELPER_READY || type == HELPER_RESIZED || type == HELPER_ADOPT) &&
        helper_numbers_decode(body, len, count, v) == 0)
        same(helper_numbers_encode(v, count, out), body, len);
    if (type == HELPER_FREEZE && helper_freeze_decode(body, len, &signo) == 0 && signo > 1)
        abort();
    if (type == HELPER_KILL && helper_kill_decode(body, len, &signo) == 0 &&
        (signo < 1 || signo > 64))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct helper_head h;
    if (size < HELPER_HEAD_SIZE || helper_head_decode(data, &h) < 0)
        return 0;
    data += HELPER_HEAD_SIZE, size -= HELPER_HEAD_SIZE;
    if (h.type == HELPER_RESOLVE)
        lookup(data, size);
    else if (h.type == HELPER_START)
        start(data, size);
    else
        others(h.type, data, size);
    return 0;
}
