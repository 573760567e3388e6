/* SPDX-License-Identifier: MIT */
#include "sandbox/plan.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

void plan_done(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->steps[i].path);
    free(p->steps);
    *p = PLAN_INIT;
}

/* A path sorts behind every path above it, because that is its beginning. */
static int compare(const struct plan_step *a, enum plan_kind kind, const char *path)
{
    int r = strcmp(a->path, path);
    return r ? r : (int)a->kind - (int)kind;
}

void plan_add(struct plan *p, enum plan_kind kind, const char *path, mode_t mode)
{
    size_t at = 0;
    while (at < p->count && compare(&p->steps[at], kind, path) < 0)
        at++;
    if (at < p->count && compare(&p->steps[at], kind, path) == 0)
        return;
    p->steps = mem_realloc_array(p->steps, p->count + 1, sizeof(*p->steps));
    memmove(&p->steps[at + 1], &p->steps[at], (p->count - at) * sizeof(*p->steps));
    p->steps[at] = (struct plan_step){.kind = kind, .path = mem_strdup(path), .mode = mode};
    p->count++;
}

int plan_add_real(struct plan *p, enum plan_kind kind, const char *path, struct err *err)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES
                   ? 0
                   : err_errno(err, -errno, "'%s'", path);
    bool usable = S_ISDIR(st.st_mode) || S_ISREG(st.st_mode);
    if (!usable && !(kind == PLAN_HIDDEN && S_ISSOCK(st.st_mode)))
        return err_set(err, -EINVAL, "'%s' is neither a directory nor a file", path);
    plan_add(p, kind, real, 0);
    return 1;
}

bool plan_is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1) /* the root */
        return true;
    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool plan_find(const struct plan *p, const char *path, enum plan_kind *ret)
{
    /* Sorted: the last one that is above is the nearest and lies on top. */
    for (size_t i = p->count; i > 0; i--) {
        if (!plan_is_below(path, p->steps[i - 1].path))
            continue;
        *ret = p->steps[i - 1].kind;
        return true;
    }
    return false;
}

static bool is_covered(const struct plan *p, size_t i)
{
    for (size_t k = i; k > 0; k--) {
        const struct plan_step *s = &p->steps[k - 1];
        if (s->path && plan_is_below(p->steps[i].path, s->path))
            return s->kind == PLAN_BLANK || s->kind == PLAN_HIDDEN;
    }
    return false;
}

void plan_drop_covered(struct plan *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == PLAN_HIDDEN && is_covered(p, i)) {
            free(p->steps[i].path);
            p->steps[i].path = NULL;
        }
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].path)
            p->steps[kept++] = p->steps[i];
    p->count = kept;
}

static bool lets_write(enum plan_kind kind)
{
    switch (kind) {
    case PLAN_BLANK:
    case PLAN_WRITABLE:
        return true;
    case PLAN_SHOWN:
    case PLAN_FIXED:
    case PLAN_HIDDEN:
        return false;
    }
    return true; /* what is not known does not count as a wall */
}

/* A step that hides or fixes a file below something writable does not make it private: under
 * Landlock, and for whatever opens the directory above it, it is still there. */
int plan_check_private(const struct plan *p, const char *path, const char *what, struct err *err)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_step *s = &p->steps[i];
        if (lets_write(s->kind) && plan_is_below(path, s->path))
            return err_set(err, -EPERM, "%s would lie where the agent can write: '%s' is in '%s'",
                           what, path, s->path);
    }
    return 0;
}
