/* SPDX-License-Identifier: MIT */
/* The keys of a policy file, one table row each, and the life of a policy. */
#include "policy/parse.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"

#define PARSE_DEFAULT_TIMEOUT (UINT64_C(120) * 1000000000)
#define PARSE_APPROVAL_TIMEOUT (UINT64_C(900) * 1000000000)
#define PARSE_REDACT_MAX 64

/* ---- values ---- */

int parse_action(struct parse *s, const struct doc_node *n, const char *what, enum verdict *ret,
                 struct err *err)
{
    static const char *const names[] = {"deny", "ask", "allow", NULL};
    const char *text;
    char shown[96];
    int r = doc_string(&s->p->doc, n, what, &text, err);
    if (r < 0)
        return r;
    for (int i = 0; names[i]; i++) {
        if (str_eq(names[i], text)) {
            *ret = (enum verdict)i;
            return 0;
        }
    }
    const char *near = str_nearest(text, names);
    if (near)
        return doc_fail(&s->p->doc, n, err, "%s: unknown action %s; did you mean '%s'?", what,
                        doc_show(text, shown), near);
    return doc_fail(&s->p->doc, n, err, "%s: unknown action %s; one of allow, ask, deny", what,
                    doc_show(text, shown));
}

int parse_strings(struct parse *s, const struct doc_node *n, const char *what,
                  struct model_strings *ret, struct err *err)
{
    return doc_strings(&s->p->doc, s->p->pool, n, what, &ret->at, &ret->count, err);
}

int parse_globs(struct parse *s, const struct doc_node *n, const char *what,
                struct model_strings *ret, struct err *err)
{
    int r = parse_strings(s, n, what, ret, err);
    const struct doc_node *m = n->kind == DOC_LIST ? n->first : n;
    for (size_t i = 0; r == 0 && i < ret->count; i++, m = m->next) {
        if (!*ret->at[i])
            r = doc_fail(&s->p->doc, m, err, "%s: an empty text", what);
        else if (!glob_valid(ret->at[i]))
            r = doc_fail(&s->p->doc, m, err, "%s: a '[' is not closed, or a '\\' stands alone",
                         what);
    }
    return r;
}

int parse_pairs(struct parse *s, const struct doc_node *n, const char *what,
                const struct model_pair **ret, size_t *ret_count, struct err *err)
{
    int r = doc_map(&s->p->doc, n, what, err);
    struct model_pair *pairs = pool_new_array(s->p->pool, struct model_pair, n->count + 1);
    size_t i = 0;
    for (const struct doc_node *m = n->first; r == 0 && m; m = m->next, i++) {
        pairs[i].key = m->key->text;
        if (m->kind != DOC_SCALAR)
            r = doc_fail(&s->p->doc, m, err, "%s: each value must be a text", what);
        pairs[i].value = m->text;
    }
    *ret = pairs;
    *ret_count = i;
    return r;
}

/* ---- env ---- */

struct env_parse {
    struct parse *s;
    struct model_env *env;
};

static int env_pass(void *arg, const struct doc_node *n, struct err *err)
{
    struct env_parse *e = arg;
    return parse_globs(e->s, n, "env.pass", &e->env->pass, err);
}

static int env_set(void *arg, const struct doc_node *n, struct err *err)
{
    struct env_parse *e = arg;
    struct parse *s = e->s;
    char shown[96];
    int r = parse_pairs(s, n, "env.set", &e->env->set, &e->env->set_count, err);
    for (const struct doc_node *m = n->first; r == 0 && m; m = m->next) {
        const char *name = m->key->text;
        if (!env_is_name(name, strlen(name)))
            return doc_fail(&s->p->doc, m->key, err, "env.set: %s is not a variable's name",
                            doc_show(name, shown));
        if (str_eq(name, "PATH"))
            return doc_fail(&s->p->doc, m->key, err,
                            "env.set: PATH is made from trusted_paths; set those");
    }
    return r;
}

int parse_env(struct parse *s, const struct doc_node *n, struct model_env *ret, struct err *err)
{
    static const struct doc_key keys[] = {{"pass", env_pass}, {"set", env_set}, {NULL, NULL}};
    struct env_parse e = {s, ret};
    if (n->kind != DOC_MAP)
        return parse_globs(s, n, "env", &ret->pass, err);
    return doc_decode(&s->p->doc, n, keys, &e, "env", err);
}

/* ---- keys of the file ---- */

static int key_version(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    uint64_t v;
    int r = doc_uint(&s->p->doc, n, "version", UINT32_MAX, &v, err);
    if (r == 0 && v != 1)
        r = doc_fail(&s->p->doc, n, err,
                     "version %llu is not known here; this program reads "
                     "version 1",
                     (unsigned long long)v);
    return r;
}

static int key_default_action(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->p->default_action_line = n->line;
    return parse_action(s, n, "default_action", &s->p->default_action, err);
}

static int key_unknown_executable(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->p->unknown_executable_line = n->line;
    int r = parse_action(s, n, "unknown_executable", &s->p->unknown_executable, err);
    if (r == 0 && s->p->unknown_executable == VERDICT_ALLOW)
        r = doc_fail(&s->p->doc, n, err,
                     "unknown_executable: allow would let the agent run what it wrote itself under "
                     "any name; one of ask, deny");
    return r;
}

/* A script that the agent wrote is its interpreter with other arguments, or a program of its own.
 */
static int key_unknown_script(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    const char *text;
    int r = doc_string(&s->p->doc, n, "unknown_script", &text, err);
    if (r < 0)
        return r;
    s->p->script_is_interpreter = str_eq(text, "as_interpreter");
    if (!s->p->script_is_interpreter && !str_eq(text, "as_executable"))
        return doc_fail(&s->p->doc, n, err, "unknown_script: one of as_executable, as_interpreter");
    return 0;
}

static int key_default_timeout(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_duration(&s->p->doc, n, "default_timeout", &s->p->default_timeout, err);
}

static int key_approval_timeout(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_duration(&s->p->doc, n, "approval_timeout", &s->p->approval_timeout, err);
}

static int key_allowed_paths(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->p->allowed_paths_line = n->key->line;
    return parse_globs(s, n, "allowed_paths", &s->p->allowed_paths, err);
}

static int key_trusted_paths(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    int r = parse_strings(s, n, "trusted_paths", &s->p->trusted_paths, err);
    if (r == 0 && s->p->trusted_paths.count == 0)
        r = doc_fail(&s->p->doc, n, err, "trusted_paths: an empty list; nothing could be found");
    const struct doc_node *m = n->kind == DOC_LIST ? n->first : n;
    for (size_t i = 0; r == 0 && i < s->p->trusted_paths.count; i++, m = m->next)
        if (s->p->trusted_paths.at[i][0] != '/' || strchr(s->p->trusted_paths.at[i], ':'))
            r = doc_fail(&s->p->doc, m, err,
                         "trusted_paths: each must be an absolute directory without ':'");
    return r;
}

static int key_jails(void *arg, const struct doc_node *n, struct err *err)
{
    return parse_jails(arg, n, err);
}

static int key_env(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_env(s, n, &s->p->env, err);
}

static int key_redact(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    struct model_strings texts;
    struct err words;
    int r = parse_strings(s, n, "redact", &texts, err);
    if (r == 0 && texts.count > PARSE_REDACT_MAX)
        r = doc_fail(&s->p->doc, n, err, "redact: more than %d patterns", PARSE_REDACT_MAX);
    if (r < 0)
        return r;
    s->p->redact = mem_new_array(struct pattern *, texts.count + 1);
    const struct doc_node *m = n->kind == DOC_LIST ? n->first : n;
    for (size_t i = 0; i < texts.count; i++, m = m->next) {
        s->p->redact[i] = pattern_new(texts.at[i], true, &words);
        if (!s->p->redact[i])
            return doc_fail(&s->p->doc, m, err, "redact: %s", words.text);
        s->p->redact_count = i + 1;
    }
    return 0;
}

static int key_rules(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->rules = n; /* read when the rest is known */
    return doc_list(&s->p->doc, n, "rules", err);
}

static const struct doc_key file_keys[] = {
    {"version", key_version},
    {"default_action", key_default_action},
    {"default_timeout", key_default_timeout},
    {"approval_timeout", key_approval_timeout},
    {"allowed_paths", key_allowed_paths},
    {"jails", key_jails},
    {"rules", key_rules},
    {"env", key_env},
    {"unknown_executable", key_unknown_executable},
    {"unknown_script", key_unknown_script},
    {"trusted_paths", key_trusted_paths},
    {"redact", key_redact},
    {NULL, NULL},
};

/* ---- the whole ---- */

static void set_defaults(struct policy *p)
{
    static const char *const paths[] = {"/app/*", "/tmp/*"};
    static const char *const trusted[] = {
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL};
    p->default_timeout = PARSE_DEFAULT_TIMEOUT;
    p->approval_timeout = PARSE_APPROVAL_TIMEOUT;
    p->allowed_paths = (struct model_strings){paths, ARRAY_LEN(paths)};
    p->trusted_paths = (struct model_strings){trusted, ARRAY_LEN(trusted) - 1};
}

static char *joined(struct pool *pool, const struct model_strings *l, const char *between)
{
    _cleanup_buf_ struct buf b = BUF_INIT(POLICY_TEXT_MAX * 4);
    for (size_t i = 0; i < l->count; i++) {
        (void)buf_append_str(&b, i ? between : "");
        (void)buf_append_str(&b, l->at[i]);
    }
    return pool_strndup(pool, buf_str(&b), b.len);
}

static void set_derived(struct policy *p)
{
    const char *list = joined(p->pool, &p->allowed_paths, ", ");
    p->allowed_paths_reason = pool_printf(
        p->pool, "the working directory is outside the policy's allowed_paths (%.300s)", list);
    p->allowed_paths_instead = pool_printf(p->pool, "run it in one of: %.300s", list);
    p->search_path = joined(p->pool, &p->trusted_paths, ":");
    if (!p->unknown_executable_line)
        p->unknown_executable = p->default_action == VERDICT_DENY ? VERDICT_DENY : VERDICT_ASK;
}

static int parse_into(struct policy *p, const char *text, size_t len, const char *name,
                      struct err *err)
{
    struct parse s = {.p = p};
    int r = grammar_all(&p->grammars, err);
    if (r == 0)
        r = doc_parse(p->pool, text, len, POLICY_TEXT_MAX, name, &p->doc, err);
    if (r == 0)
        r = doc_decode(&p->doc, p->doc.root, file_keys, &s, "the policy", err);
    if (r < 0)
        return r;
    set_derived(p);
    if (s.rules)
        r = parse_rules(&s, err);
    if (r < 0)
        return r;
    rule_index(p);
    return examples_check(p, err);
}

int policy_parse(const char *text, size_t len, const char *name, struct policy **ret,
                 struct err *err)
{
    _cleanup_(policy_unrefp) struct policy *p = mem_new(struct policy);
    p->refs = 1;
    p->pool = pool_new();
    set_defaults(p);
    int r = parse_into(p, text, len, name, err);
    if (r < 0)
        return r;
    digest_hex(text, len, p->digest);
    p->text = pool_strndup(p->pool, text, len);
    p->text_len = len;
    *ret = TAKE_PTR(p);
    return 0;
}

struct policy *policy_ref(struct policy *p)
{
    p->refs++;
    return p;
}

struct policy *policy_unref(struct policy *p)
{
    if (!p || --p->refs > 0)
        return NULL;
    for (size_t i = 0; i < p->rules_count; i++) {
        (void)pattern_free(p->rules[i].regex);
        free(p->rules[i].items);
    }
    for (size_t i = 0; i < p->redact_count; i++)
        (void)pattern_free(p->redact[i]);
    free(p->redact);
    rule_index_free(p);
    (void)pool_free(p->pool);
    free(p);
    return NULL;
}

/* ---- what others ask ---- */

const char *policy_digest(const struct policy *p)
{
    return p->digest;
}

const char *policy_source(const struct policy *p, size_t *ret_len)
{
    *ret_len = p->text_len;
    return p->text;
}

const char *policy_name(const struct policy *p)
{
    return p->doc.name;
}

size_t policy_rules_count(const struct policy *p)
{
    return p->rules_count;
}

const char *const *policy_search_path(const struct policy *p)
{
    return p->trusted_paths.at;
}

bool policy_uses_executor(const struct policy *p, const char *executor)
{
    for (size_t i = 0; i < p->rules_count; i++)
        if (p->rules[i].executor && str_eq(p->rules[i].executor, executor))
            return true;
    return false;
}

void policy_rule_info(const struct policy *p, size_t i, struct policy_rule_info *ret)
{
    const struct policy_rule *r = &p->rules[i];
    *ret = (struct policy_rule_info){.name = r->name,
                                     .line = r->line,
                                     .command = r->commands.at[0],
                                     .action = r->action,
                                     .reason = r->reason};
}
