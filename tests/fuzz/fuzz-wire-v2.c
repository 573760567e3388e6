/* SPDX-License-Identifier: MIT */
/* What a v2 client may send: messages one behind the other. A request that is accepted must be
 * exactly what its own parts would be written as. */
#include <stdlib.h>
#include <string.h>

#include "wire/v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

/* Walks n strings from s and says where they end. */
static const char *walk(const char *s, uint32_t n, const char **list)
{
    for (uint32_t i = 0; i < n; i++, s = v2_next_string(s))
        list[i] = s;
    return s;
}

static void request(const uint8_t *payload, size_t len)
{
    struct v2_request r;
    uint8_t head[V2_REQUEST_HEAD_SIZE];

    if (v2_request_decode(payload, len, &r) < 0)
        return;
    must(r.argc >= 1 && r.argc <= len && r.envc <= len);
    const char **argv = calloc(r.argc, sizeof(*argv));
    const char **env = calloc(r.envc + 1, sizeof(*env));

    must(argv && env);
    must(walk(r.argv, r.argc, argv) == r.env);
    must(walk(r.env, r.envc, env) == (const char *)payload + len);
    must(v2_request_size(r.name, r.cwd, argv, r.argc, env, r.envc) == len);
    v2_request_head_encode(&r, head);
    must(memcmp(head, payload, sizeof(head)) == 0);
    free(argv);
    free(env);
}

static void handover(const uint8_t *payload, size_t len)
{
    struct v2_fds f;
    uint8_t again[V2_FDS_SIZE_MAX];

    if (v2_fds_decode(payload, len, &f) < 0)
        return;
    must(f.more <= V2_FDS_MORE_MAX && v2_fds_carried(&f) <= 4 + V2_FDS_MORE_MAX);
    must(v2_fds_encode(&f, again) == len && memcmp(again, payload, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < V2_MAGIC_SIZE || memcmp(data, V2_MAGIC, V2_MAGIC_SIZE) != 0)
        return 0;
    data += V2_MAGIC_SIZE, size -= V2_MAGIC_SIZE;
    while (size >= V2_HEAD_SIZE) {
        struct v2_head h;
        uint8_t again[V2_HEAD_SIZE];

        if (v2_head_decode(data, V2_REQUEST_BYTES_MAX, &h) < 0)
            return 0;
        v2_head_encode(h.type, h.len, again);
        must(memcmp(again, data, sizeof(again)) == 0);
        data += V2_HEAD_SIZE, size -= V2_HEAD_SIZE;
        if (h.len > size)
            return 0;
        if (h.type == V2_REQUEST)
            request(data, h.len);
        if (h.type == V2_FDS)
            handover(data, h.len);
        data += h.len, size -= h.len;
    }
    return 0;
}
