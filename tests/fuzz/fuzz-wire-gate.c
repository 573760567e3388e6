/* SPDX-License-Identifier: MIT */
/* A message between the gate and the warden. Whatever is accepted is written back as the same
 * bytes. */
#include <stdlib.h>
#include <string.h>

#include "wire/gatewire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t in[1 << 20], out[1 << 20];

#define CHECK(kind, body, len)                                                                     \
    do {                                                                                           \
        struct gatewire_##kind m_;                                                                 \
        if (gatewire_##kind##_decode(body, len, &m_) < 0)                                          \
            break;                                                                                 \
        size_t n_ = gatewire_##kind##_encode(&m_, out, sizeof(out));                               \
        if (n_ != (len) || ((len) <= sizeof(out) && memcmp(out, body, len) != 0))                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gatewire_head h;
    uint64_t job;
    uint32_t signo;
    if (size < GATEWIRE_HEAD_SIZE || gatewire_head_decode(data, &h) < 0)
        return 0;
    data += GATEWIRE_HEAD_SIZE, size -= GATEWIRE_HEAD_SIZE;
    switch (h.type) {
    case GATEWIRE_HELLO:
        CHECK(hello, data, size);
        break;
    case GATEWIRE_REQUEST:
        if (size < 12 || size > sizeof(in))
            break;
        memcpy(in, data, size);
        memset(in + 8, 0, 4); /* was its umask: read from older gates, and not kept */
        CHECK(request, in, size);
        break;
    case GATEWIRE_FACTS:
        CHECK(found, data, size);
        break;
    case GATEWIRE_WITHDRAW:
        CHECK(withdraw, data, size);
        break;
    case GATEWIRE_STARTED:
    case GATEWIRE_FROZEN:
        if (gatewire_started_decode(data, size, &job) == 0 && job == 0)
            abort();
        break;
    case GATEWIRE_END:
        CHECK(end, data, size);
        break;
    case GATEWIRE_WELCOME:
        CHECK(welcome, data, size);
        break;
    case GATEWIRE_COVERS:
        CHECK(cover, data, size);
        break;
    case GATEWIRE_LOOK:
        CHECK(look, data, size);
        break;
    case GATEWIRE_WAITING:
        CHECK(waiting, data, size);
        break;
    case GATEWIRE_ALLOW:
    case GATEWIRE_REDIRECT:
        CHECK(allow, data, size);
        break;
    case GATEWIRE_DENY:
        CHECK(deny, data, size);
        break;
    case GATEWIRE_KILL:
        if (gatewire_kill_decode(data, size, &job, &signo) == 0 && (signo < 1 || signo > 64))
            abort();
        break;
    case GATEWIRE_FREEZE:
        if (gatewire_freeze_decode(data, size, &job, &signo) == 0 && signo > 1)
            abort();
        break;
    default:
        break;
    }
    return 0;
}
