/* SPDX-License-Identifier: MIT */
#include "exec/lineage.h"

#include <string.h>

struct line { /* "7:cpu,cpuacct:/docker/1234" */
    const char *controllers, *path;
    size_t controllers_len, path_len;
};

/* false at the end, and for a line that is none: nothing behind it counts. */
static bool next_line(const char **at, struct line *ret)
{
    const char *first = strchr(*at, ':'), *end = strchr(*at, '\n');
    const char *second = first ? strchr(first + 1, ':') : NULL;
    if (!end)
        end = *at + strlen(*at);
    if (!second || second > end || second[1] != '/')
        return false;
    *ret = (struct line){.controllers = first + 1,
                         .controllers_len = (size_t)(second - first - 1),
                         .path = second + 1,
                         .path_len = (size_t)(end - second - 1)};
    *at = *end ? end + 1 : end;
    return true;
}

static bool is_below(const struct line *l, const char *path, size_t n)
{
    return l->path_len >= n && memcmp(l->path, path, n) == 0 &&
           (l->path_len == n || l->path[n] == '/');
}

static bool find_line(const char *text, const struct line *like, struct line *ret)
{
    while (next_line(&text, ret))
        if (ret->controllers_len == like->controllers_len &&
            memcmp(ret->controllers, like->controllers, like->controllers_len) == 0)
            return true;
    return false;
}

bool lineage_below(const char *text, const char *init, size_t *ret_depth)
{
    struct line mine, his;
    *ret_depth = 0;
    while (next_line(&init, &his)) {
        if (his.path_len <= 1)
            continue;
        if (!find_line(text, &his, &mine) || !is_below(&mine, his.path, his.path_len))
            return false;
        if (his.path_len > *ret_depth)
            *ret_depth = his.path_len;
    }
    return *ret_depth > 0;
}

bool lineage_in(const char *text, const char *cgroup)
{
    struct line l;
    size_t n = strlen(cgroup);
    while (n > 1 && cgroup[n - 1] == '/')
        n--;
    while (n > 1 && next_line(&text, &l))
        if (is_below(&l, cgroup, n))
            return true;
    return false;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool contains(const struct line *l, const char *what)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n <= l->path_len; i++)
        if (memcmp(l->path + i, what, n) == 0)
            return true;
    return false;
}

static const char *engine_of(const struct line *l)
{
    static const char *const engines[][2] = {
        {"libpod", "podman"}, {"cri-containerd", "containerd"}, {"crio-", "cri-o"},
        {"docker", "docker"}, {"kubepods", "kubernetes"},
    };
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
        if (contains(l, engines[i][0]))
            return engines[i][1];
    return NULL;
}

bool lineage_hint(const char *text, char ret_id[LINEAGE_ID_SIZE], const char **ret_engine)
{
    struct line l;
    while (next_line(&text, &l)) {
        size_t run = 0;
        for (size_t i = 0; i <= l.path_len; i++) {
            if (i < l.path_len && is_hex(l.path[i])) {
                run++;
                continue;
            }
            const char *engine = run == LINEAGE_ID_SIZE - 1 ? engine_of(&l) : NULL;
            if (engine) {
                memcpy(ret_id, l.path + i - run, run);
                ret_id[run] = 0;
                *ret_engine = engine;
                return true;
            }
            run = 0;
        }
    }
    return false;
}
