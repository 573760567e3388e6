/* SPDX-License-Identifier: MIT */
/* A container as its engine names it, bound to its first process. Shared by everything that asks
 * from in there; it does not change (but `governed`), a container that is renamed gets a new one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "policy/policy.h"

struct container {
    unsigned refs;
    char *id;                    /* owned; the engine's, or the door's name */
    char *name;                  /* owned; without a slash in front */
    struct policy_label *labels; /* owned, and their strings */
    size_t labels_count;
    pid_t init;    /* as the warden sees it */
    int initfd;    /* owned; pins it */
    bool governed; /* a directory of ours is mounted there, or it has asked something */
};

/* With one reference, and without init (initfd -1). */
struct container *container_new(const char *id, const char *name);
struct container *container_ref(struct container *c);
struct container *container_unref(struct container *c); /* returns NULL */
CLEANUP_DEFINE(struct container, container_unref)

void container_add_label(struct container *c, const char *key, const char *value);
/* NULL when it has no such label. */
const char *container_label(const struct container *c, const char *key);
bool container_alive(const struct container *c);
/* What stays the same while its processes come and go: the engine's id, or "door:NAME". `out` of at
 * least CONTAINER_KEY_SIZE bytes. */
#define CONTAINER_KEY_SIZE 256
const char *container_key(const struct container *c, char out[CONTAINER_KEY_SIZE]);
bool container_is(const struct container *c, const char *key);
