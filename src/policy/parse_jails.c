/* SPDX-License-Identifier: MIT */
/* `jails:`: folders of command names, and for whom they are. Three forms of the same: a mapping of
 * names to commands or to a mapping, a list of mappings with a name, a list of names. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "policy/glob.h"
#include "policy/jailname.h"
#include "policy/parse.h"

struct jail_parse {
    struct parse *s;
    struct policy_jail *jail;
};

static int jail_name(void *arg, const struct doc_node *n, struct err *err)
{
    struct jail_parse *j = arg;
    struct err why = {""};
    int r = doc_string(&j->s->p->doc, n, "the name of a jail", &j->jail->name, err);
    if (r == 0 && jailname_check(j->jail->name, &why) < 0)
        r = doc_fail(&j->s->p->doc, n, err, "jails: %s", why.text);
    return r;
}

static int jail_commands(void *arg, const struct doc_node *n, struct err *err)
{
    struct jail_parse *j = arg;
    struct model_strings list;
    struct err why = {""};
    int r = parse_strings(j->s, n, "commands", &list, err);
    if (r == 0 && list.count > POLICY_JAIL_COMMANDS_MAX)
        r = doc_fail(&j->s->p->doc, n, err, "jails: more than %d commands",
                     POLICY_JAIL_COMMANDS_MAX);
    const struct doc_node *m = n->kind == DOC_LIST ? n->first : n;
    for (size_t i = 0; r == 0 && i < list.count; i++, m = m->next)
        if (jailname_check_command(list.at[i], &why) < 0)
            r = doc_fail(&j->s->p->doc, m, err, "jails: a command: %s", why.text);
    if (r == 0) {
        j->jail->commands = list.at;
        j->jail->commands_count = list.count;
    }
    return r;
}

static int jail_containers(void *arg, const struct doc_node *n, struct err *err)
{
    struct jail_parse *j = arg;
    struct model_strings list;
    int r = parse_globs(j->s, n, "containers", &list, err);
    if (r == 0) {
        j->jail->containers = list.at;
        j->jail->containers_count = list.count;
    }
    return r;
}

static int jail_labels(void *arg, const struct doc_node *n, struct err *err)
{
    struct jail_parse *j = arg;
    struct policy *p = j->s->p;
    const struct model_pair *pairs;
    int r = parse_pairs(j->s, n, "labels", &pairs, &j->jail->labels_count, err);
    struct policy_label *labels =
        pool_new_array(p->pool, struct policy_label, j->jail->labels_count + 1);
    const struct doc_node *m = n->first;
    for (size_t i = 0; r == 0 && i < j->jail->labels_count; i++, m = m->next) {
        if (!glob_valid(pairs[i].value))
            r = doc_fail(&p->doc, m, err, "labels: a '[' is not closed");
        labels[i] = (struct policy_label){pairs[i].key, pairs[i].value};
    }
    j->jail->labels = labels;
    return r;
}

static int jail_mode(void *arg, const struct doc_node *n, struct err *err)
{
    struct jail_parse *j = arg;
    const char *text;
    int r = doc_string(&j->s->p->doc, n, "mode", &text, err);
    j->jail->hardened = r == 0 && str_eq(text, "hardened");
    if (r == 0 && !j->jail->hardened && !str_eq(text, "plain"))
        r = doc_fail(&j->s->p->doc, n, err, "mode: one of plain, hardened");
    return r;
}

static const struct doc_key jail_keys[] = {
    {"name", jail_name},     {"commands", jail_commands}, {"containers", jail_containers},
    {"labels", jail_labels}, {"mode", jail_mode},         {NULL, NULL},
};

static int parse_jail(struct parse *s, const struct doc_node *list, const struct doc_node *n,
                      struct policy_jail *ret, struct err *err)
{
    struct jail_parse j = {s, ret};
    int r = 0;
    ret->line = n->line;
    if (list->kind == DOC_MAP)
        r = jail_name(&j, n->key, err);
    else if (n->kind == DOC_SCALAR)
        r = jail_name(&j, n, err);
    if (r == 0 && n->kind == DOC_MAP)
        r = doc_decode(&s->p->doc, n, jail_keys, &j, "a jail", err);
    else if (r == 0 && list->kind == DOC_MAP)
        r = jail_commands(&j, n, err);
    else if (r == 0 && n->kind == DOC_LIST)
        r = doc_fail(&s->p->doc, n, err, "jails: a jail is a name or a mapping");
    if (r == 0 && !ret->name)
        r = doc_fail(&s->p->doc, n, err, "jails: a jail without a name");
    return r;
}

int parse_jails(struct parse *s, const struct doc_node *n, struct err *err)
{
    if (n->kind == DOC_SCALAR)
        return doc_fail(&s->p->doc, n, err, "jails must be a list of names or mappings");
    if (n->count > POLICY_JAILS_MAX)
        return doc_fail(&s->p->doc, n, err, "jails: more than %d", POLICY_JAILS_MAX);
    struct policy_jail *jails = pool_new_array(s->p->pool, struct policy_jail, n->count + 1);
    size_t i = 0;
    for (const struct doc_node *m = n->first; m; m = m->next, i++) {
        int r = parse_jail(s, n, m, &jails[i], err);
        for (size_t k = 0; r == 0 && k < i; k++)
            if (str_eq(jails[k].name, jails[i].name))
                r = doc_fail(&s->p->doc, m, err, "jails: a jail of this name is in line %u already",
                             jails[k].line);
        if (r < 0)
            return r;
    }
    s->p->jails = jails;
    s->p->jails_count = i;
    return 0;
}

size_t policy_jails_count(const struct policy *p)
{
    return p->jails_count;
}

const struct policy_jail *policy_jail(const struct policy *p, size_t i)
{
    return &p->jails[i];
}
