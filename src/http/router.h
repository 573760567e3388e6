/* SPDX-License-Identifier: MIT */
/* From method and path to a row of a table. Paths are compared segment by segment, as they were
 * sent; what stands for "{}" is decoded once and handed over. Pure. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

#define ROUTER_PARAM_MAX 128 /* bytes of one decoded parameter; longer ones match nothing */

struct exchange;
typedef void route_fn(void *arg, struct exchange *x, const char *param); /* param: see below */

struct route {
    const char *method; /* "GET" answers HEAD too */
    const char *path;   /* "/api/queue/{}/approve": at most one {} */
    unsigned level;     /* what a login must at least have; 0: none needed. Opaque here */
    route_fn *handler;
};

struct router_match {
    const struct route *route; /* NULL: no such path, or not with this method */
    unsigned level; /* of the route; of the easiest of the path when the method is wrong */
    char allow[64]; /* methods of the path, "GET, HEAD"; "": no such path */
    char param[ROUTER_PARAM_MAX + 1]; /* "" without {} */
};

/* `path` is as sent, without the query. */
void router_match(const struct route *routes, size_t n, const char *method, const char *path,
                  struct router_match *ret);

/* Decodes %XX, and '+' as blank when `plus`. Returns the length, or -1: malformed, a NUL, or longer
 * than size - 1. Always terminates `out` (size > 0). */
long router_decode(const char *s, size_t n, int plus, char *out, size_t size);
