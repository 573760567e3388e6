/* SPDX-License-Identifier: MIT */
#include "cli/starter-text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "cli/starter.h"
#include "policy/policy.h"

#define PLACEHOLDER "/workspace" /* in the shipped texts: where the agent works */
#define GATED_ONLY "# run: "     /* what stands behind it counts under `clawrden run` only */

static const struct starter *find_text(const char *name)
{
    const struct starter *s = starter;
    while (s->name && !str_eq(s->name, name))
        s++;
    return s; /* a name that is not there gives the empty end, which is no policy */
}

/* What a glob or YAML would read as something else, and what a reviewer could not see. */
static bool is_plain_directory(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16u * PATH_MAX);
    (void)str_escape(&b, path, strlen(path));
    return str_eq(buf_str(&b), path) && !strpbrk(path, "*?[]{}\"'!,:#&|<>%@`");
}

/* The first of the two in the text; what stands for it goes to `ret`. */
static const char *next_mark(const char *p, size_t len, const char *workspace, bool gated,
                             const char **ret, size_t *ret_len)
{
    const char *hit = memmem(p, len, PLACEHOLDER, strlen(PLACEHOLDER));
    const char *mark = gated ? memmem(p, len, GATED_ONLY, strlen(GATED_ONLY)) : NULL;
    bool by_mark = mark && (!hit || mark < hit);
    *ret = by_mark ? "" : workspace;
    *ret_len = strlen(by_mark ? GATED_ONLY : PLACEHOLDER);
    return by_mark ? mark : hit;
}

static void fill_in(const struct starter *s, const char *workspace, bool gated, struct buf *out)
{
    const char *p = (const char *)s->text, *end = p + s->len;
    while (p && p < end) {
        const char *with;
        size_t n;
        const char *hit = next_mark(p, (size_t)(end - p), workspace, gated, &with, &n);
        (void)buf_append(out, p, (size_t)((hit ? hit : end) - p));
        if (!hit)
            return;
        (void)buf_append_str(out, with);
        p = hit + n;
    }
}

int starter_text_fill(const char *name, const char *workspace, bool gated, const char *path,
                      struct buf *out, size_t *ret_rules, struct err *err)
{
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    if (!is_plain_directory(workspace) || str_eq(workspace, "/"))
        return err_set(err, -EINVAL,
                       "the workspace %s cannot be used as it is: it needs a directory with a "
                       "plain name,\n          and not /",
                       workspace);
    fill_in(find_text(name), workspace, gated, out);
    if (out->failed || policy_parse(buf_str(out), out->len, path, &p, err) < 0)
        return err_prefix(err, -EINVAL, "the starter policy cannot be used for %s", workspace);
    *ret_rules = policy_rules_count(p);
    return 0;
}
