/* SPDX-License-Identifier: MIT */
/* Ownership in the type of a local: it is released when its scope ends, unless it was taken out.
 * No I/O here beyond the close(2) of cleanup_close(). */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)

/* Moves ownership out of a local. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })

/* Defines f##p, for _cleanup_(), from `type *f(type *)`, which takes NULL and returns NULL. */
#define CLEANUP_DEFINE(type, f)                                                                    \
    static inline void f##p(type **p)                                                              \
    {                                                                                              \
        if (*p)                                                                                    \
            *p = f(*p);                                                                            \
    }

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
