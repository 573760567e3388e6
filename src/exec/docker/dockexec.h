/* SPDX-License-Identifier: MIT */
/* One command that the engine runs in a container (`docker exec`, by its API): made, started, its
 * pid, its size, its exit code. The stream is opened here and given away: no byte of it is read. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"

struct docker;
struct dockexec;

/* What is known of it. After failed() and gone() nothing more is said. */
struct dockexec_ops {
    /* Made, and asked to start on this connection: owned by the callee. */
    void (*stream)(void *arg, int fd);
    /* 0: it has ended already. */
    void (*started)(void *arg, pid_t pid);
    /* The answer to dockexec_ask_code(). -1: nobody knows, `words` say why. */
    void (*code)(void *arg, int code, const char *words);
    /* It was not started. */
    void (*failed)(void *arg, const char *words);
};

struct dockexec_spec {
    const char *container; /* its id */
    const char *path;      /* what to execute, absolute */
    char *const *argv;     /* the first is not used: the engine gives the path */
    size_t argc;
    const char *env; /* packed strings */
    size_t env_len;
    const char *cwd;
    uint32_t uid, gid; /* as they are called in the container */
    bool groups;       /* with all that the container gives this user, and not the gid alone */
    bool tty;
    uint32_t rows, columns;
};

/* The API carries text: -EILSEQ with words for what is not UTF-8. `d` and `ops` are borrowed. */
int dockexec_check(const struct dockexec_spec *s, struct err *err) MUST_CHECK;
struct dockexec *dockexec_new(uv_loop_t *loop, struct docker *d, const struct dockexec_spec *s,
                              const struct dockexec_ops *ops, void *arg);
void dockexec_resize(struct dockexec *x, uint32_t rows, uint32_t columns);
void dockexec_ask_code(struct dockexec *x);
/* Nothing is said from here on. `kill`: nobody has taken charge of it: whatever was started is
 * killed as soon as its pid is known. Frees itself. */
void dockexec_leave(struct dockexec *x, bool kill);
/* The engine's connection goes: docker.c calls it. */
void dockexec_close_all(struct list *all);
