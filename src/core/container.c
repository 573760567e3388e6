/* SPDX-License-Identifier: MIT */
#include "core/container.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

struct container *container_new(const char *id, const char *name)
{
    struct container *c = mem_new(struct container);
    *c =
        (struct container){.refs = 1, .id = mem_strdup(id), .name = mem_strdup(name), .initfd = -1};
    return c;
}

struct container *container_ref(struct container *c)
{
    c->refs++;
    return c;
}

struct container *container_unref(struct container *c)
{
    if (!c || --c->refs > 0)
        return NULL;
    for (size_t i = 0; i < c->labels_count; i++) {
        free((char *)c->labels[i].key);
        free((char *)c->labels[i].value);
    }
    free(c->labels);
    free(c->id);
    free(c->name);
    cleanup_close(&c->initfd);
    free(c);
    return NULL;
}

void container_add_label(struct container *c, const char *key, const char *value)
{
    struct policy_label *more = mem_new_array(struct policy_label, c->labels_count + 1);
    for (size_t i = 0; i < c->labels_count; i++)
        more[i] = c->labels[i];
    more[c->labels_count++] =
        (struct policy_label){.key = mem_strdup(key), .value = mem_strdup(value)};
    free(c->labels);
    c->labels = more;
}

const char *container_label(const struct container *c, const char *key)
{
    for (size_t i = 0; i < c->labels_count; i++)
        if (str_eq(c->labels[i].key, key))
            return c->labels[i].value;
    return NULL;
}

bool container_alive(const struct container *c)
{
    struct pollfd p = {.fd = c->initfd, .events = POLLIN};
    return c->initfd >= 0 && poll(&p, 1, 0) == 0;
}

const char *container_key(const struct container *c, char out[CONTAINER_KEY_SIZE])
{
    /* A door knows its prisoner once for each of its pid namespaces: "door:NAME:PID". */
    const char *pid = str_starts(c->id, "door:") ? strrchr(c->id + strlen("door:"), ':') : NULL;
    size_t n = pid ? (size_t)(pid - c->id) : strlen(c->id);
    (void)snprintf(out, CONTAINER_KEY_SIZE, "%.*s", (int)n, c->id);
    return out;
}

bool container_is(const struct container *c, const char *key)
{
    char mine[CONTAINER_KEY_SIZE];
    return str_eq(container_key(c, mine), key);
}
