/* SPDX-License-Identifier: MIT */
/* `examples` of a rule: command lines that it must and must not match. They try this rule alone,
 * and what it says of the command line; who calls and from where is taken to fit. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/eval.h"
#include "policy/parse.h"
#include "policy/suppose.h"

struct example {
    struct policy *p;
    const struct policy_rule *r;
    const struct doc_node *node;
    const char *const *argv;
    size_t argc;
};

/* Relative paths are taken from the first directory that the rule, or the policy, allows. */
static char *example_cwd(const struct example *x)
{
    const struct model_strings *l = x->r->cwd.given ? &x->r->cwd.globs : &x->p->allowed_paths;
    const char *glob = l->count ? l->at[0] : "/";
    size_t n = strcspn(glob, "*?[\\");
    while (n > 1 && glob[n - 1] == '/')
        n--;
    return n && glob[0] == '/' ? mem_strndup(glob, n) : mem_strdup("/");
}

static bool matches(const struct example *x)
{
    _cleanup_free_ char *cwd = example_cwd(x);
    struct suppose s;
    struct eval e;
    suppose_begin(&s, x->p, x->argv, x->argc, cwd);
    eval_begin(&e, x->p, &s.q);
    enum eval_why why = eval_rule(&e, x->r);
    eval_done(&e);
    suppose_done(&s);
    return why == EVAL_MATCH || why == EVAL_CWD || why == EVAL_UID || why == EVAL_CONTAINER ||
           why == EVAL_LABELS || why == EVAL_BELOW;
}

static int check_one(struct example *x, bool wanted, struct err *err)
{
    const char *line;
    struct err words;
    char shown[96];
    int r = doc_string(&x->p->doc, x->node, "an example", &line, err);
    if (r < 0)
        return r;
    if (tokens_split(x->p->pool, line, false, &x->argv, &x->argc, &words) < 0)
        return doc_fail(&x->p->doc, x->node, err, "example: %s", words.text);
    if (x->argc == 0)
        return doc_fail(&x->p->doc, x->node, err, "example: an empty line");
    if (matches(x) == wanted)
        return 0;
    return doc_fail(&x->p->doc, x->node, err, "example %s is %s by %s", doc_show(line, shown),
                    wanted ? "not matched" : "matched", x->r->name);
}

static int check_list(struct policy *p, const struct policy_rule *r, const struct doc_node *list,
                      bool wanted, struct err *err)
{
    struct example x = {.p = p, .r = r};
    int e = 0;
    if (list->kind == DOC_MAP)
        return doc_list(&p->doc, list, "examples", err);
    for (const struct doc_node *n = list->kind == DOC_LIST ? list->first : list; e == 0 && n;
         n = list->kind == DOC_LIST ? n->next : NULL) {
        x.node = n;
        e = check_one(&x, wanted, err);
    }
    return e;
}

struct examples {
    struct policy *p;
    const struct policy_rule *r;
};

static int key_match(void *arg, const struct doc_node *n, struct err *err)
{
    struct examples *x = arg;
    return check_list(x->p, x->r, n, true, err);
}

static int key_no_match(void *arg, const struct doc_node *n, struct err *err)
{
    struct examples *x = arg;
    return check_list(x->p, x->r, n, false, err);
}

int examples_check(struct policy *p, struct err *err)
{
    static const struct doc_key keys[] = {
        {"match", key_match}, {"no_match", key_no_match}, {NULL, NULL}};
    for (size_t i = 0; i < p->rules_count; i++) {
        struct examples x = {p, &p->rules[i]};
        if (!x.r->examples)
            continue;
        int r = doc_decode(&p->doc, x.r->examples, keys, &x, "examples", err);
        if (r < 0)
            return r;
    }
    return 0;
}
