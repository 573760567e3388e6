/* SPDX-License-Identifier: MIT */
#include "http/router.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

long router_decode(const char *s, size_t n, int plus, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '%') {
            char digits[3] = {i + 2 < n ? s[i + 1] : '\0', i + 2 < n ? s[i + 2] : '\0', '\0'};
            if (str_unhex(digits, &c, 1) < 0)
                return -1;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (!c || len + 1 >= size) {
            out[0] = '\0';
            return -1;
        }
        out[len++] = (char)c;
        out[len] = '\0';
    }
    return (long)len;
}

/* One path against one pattern. */
static bool router_path_matches(const char *pattern, const char *path, char *param)
{
    const char *hole = strstr(pattern, "{}");
    if (!hole)
        return str_eq(pattern, path);
    size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    const char *value = path + before;
    size_t n = strcspn(value, "/");
    return n > 0 && str_eq(hole + 2, value + n) &&
           router_decode(value, n, 0, param, ROUTER_PARAM_MAX + 1) > 0;
}

static void router_allow(struct router_match *m, const char *method)
{
    size_t len = strlen(m->allow);
    (void)snprintf(m->allow + len, sizeof(m->allow) - len, "%s%s%s", len ? ", " : "", method,
                   str_eq(method, "GET") ? ", HEAD" : "");
}

void router_match(const struct route *routes, size_t n, const char *method, const char *path,
                  struct router_match *ret)
{
    if (str_eq(method, "HEAD"))
        method = "GET";
    *ret = (struct router_match){.route = NULL};
    unsigned easiest = 0;
    for (size_t i = 0; i < n; i++) {
        const struct route *r = &routes[i];
        if (!router_path_matches(r->path, path, ret->param))
            continue;
        easiest = !ret->allow[0] || r->level < easiest ? r->level : easiest;
        router_allow(ret, r->method);
        if (str_eq(r->method, method) && !ret->route)
            ret->route = r;
    }
    ret->level = ret->route ? ret->route->level : easiest;
}
