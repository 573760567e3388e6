/* SPDX-License-Identifier: MIT */
/* Reads one grammar file. An option is written as its spellings and marks behind them:
 *   "-f --force"       no value        "-m --message ="   a value       "--color [=]"  attached
 * only
 *   "-o =PATH"         a file          "--url =OPERAND"   an operand    "-exec =;"     up to ";"
 *   "-C =DIR"          the directory that relative paths are taken from
 *   "!"  an allow rule has to name it  "^"  there is no leading operand to skip
 * or as a mapping {option: "...", safe: [globs], implies: "-X POST"}. */
#include "policy/grammar.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "policy/doc.h"

#define GRAMMAR_TEXT_MAX (128u << 10)
#define GRAMMAR_OPTIONS_MAX 1024 /* of one command, groups included */
#define GRAMMAR_COMMANDS_MAX 512

struct reader {
    bool in_group; /* the options at hand are those of a group */
    struct pool *pool;
    struct doc doc;
    struct grammar *g;
    const struct doc_node *groups;                           /* name: [options], or NULL */
    struct grammar_command *c;                               /* the command that is being read */
    const struct doc_node *pending_is[GRAMMAR_COMMANDS_MAX]; /* by index in g->all */
    const struct doc_node *pending_implies[GRAMMAR_COMMANDS_MAX];
};

/* ---- options ---- */

/* Doubles; what it leaves behind stays in the pool, at most as much again. */
static void make_room(struct reader *s, struct grammar_command *c)
{
    size_t n = c->longs_count;
    if (n & (n - 1) || (n > 0 && n < 4))
        return;
    struct grammar_spelling *longs =
        pool_new_array(s->pool, struct grammar_spelling, n ? 2 * n : 4);
    if (n)
        memcpy(longs, c->longs, n * sizeof(*longs));
    c->longs = longs;
}

/* A command's own options go before those of the groups that it uses. */
static bool overrides(const struct grammar_option *o, const struct grammar_option *there)
{
    return there->shared && !o->shared;
}

static int put_spelling(struct reader *s, const struct doc_node *n, const char *text,
                        struct grammar_option *o, struct err *err)
{
    struct grammar_command *c = s->c;
    size_t len = strlen(text);
    if (str_eq(text, "-NUM")) {
        o->number = true;
        c->number = o;
        return 0;
    }
    if (text[0] != '-')
        s->g->words = true;
    if (len == 2 && text[0] == '-' && text[1] != '-') {
        unsigned char u = (unsigned char)text[1];
        if (u >= 128 || (c->shorts[u] && !overrides(o, c->shorts[u])))
            return doc_fail(&s->doc, n, err, "option '%s' is here twice", text);
        c->shorts[u] = o;
        return 0;
    }
    if (c->longs_count == GRAMMAR_OPTIONS_MAX)
        return doc_fail(&s->doc, n, err, "more than %d options", GRAMMAR_OPTIONS_MAX);
    make_room(s, c);
    size_t at = c->longs_count;
    while (at > 0 && strcmp(c->longs[at - 1].text, text) > 0)
        at--;
    if (at > 0 && str_eq(c->longs[at - 1].text, text)) {
        if (!overrides(o, c->longs[at - 1].option))
            return doc_fail(&s->doc, n, err, "option '%s' is here twice", text);
        c->longs[at - 1].option = o;
        return 0;
    }
    memmove(&c->longs[at + 1], &c->longs[at], (c->longs_count - at) * sizeof(*c->longs));
    c->longs[at] = (struct grammar_spelling){text, o};
    c->longs_count++;
    return 0;
}

static bool put_mark(struct grammar_option *o, const char *word)
{
    static const struct {
        const char *word;
        enum grammar_value value;
        bool path, operand, moves;
    } values[] = {
        {"=", GRAMMAR_REQUIRED, false, false, false},
        {"=PATH", GRAMMAR_REQUIRED, true, false, false},
        {"=DIR", GRAMMAR_REQUIRED, true, false, true},
        {"[=]", GRAMMAR_OPTIONAL, false, false, false},
        {"[=PATH]", GRAMMAR_OPTIONAL, true, false, false},
        {"=OPERAND", GRAMMAR_REQUIRED, false, true, false},
        {"=;", GRAMMAR_UNTIL, false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (str_eq(values[i].word, word)) {
            o->value = values[i].value;
            o->path = values[i].path;
            o->operand = values[i].operand;
            o->moves = values[i].moves;
            return true;
        }
    }
    if (str_eq(word, "!"))
        return o->careful = true;
    if (str_eq(word, "^"))
        return o->replaces = true;
    return false;
}

static int read_spec(struct reader *s, const struct doc_node *n, struct grammar_option *o,
                     struct err *err)
{
    const char *text;
    int r = doc_string(&s->doc, n, "an option", &text, err);
    if (r < 0)
        return r;
    const char **spellings = pool_new_array(s->pool, const char *, strlen(text) / 2 + 1);
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, " ");
        const char *word = pool_strndup(s->pool, p, len);
        p += len + strspn(p + len, " ");
        if (!*word || put_mark(o, word))
            continue;
        if (str_eq(word, "\\!"))
            word++;
        r = put_spelling(s, n, word, o, err);
        if (r < 0)
            return r;
        spellings[o->spellings_count++] = word;
    }
    o->spellings = spellings;
    if (o->spellings_count == 0)
        return doc_fail(&s->doc, n, err, "an option without a spelling");
    return 0;
}

static int read_option(struct reader *s, const struct doc_node *n, struct err *err)
{
    struct grammar_option *o = pool_alloc(s->pool, sizeof(*o));
    o->id = s->g->options_count++;
    o->shared = s->in_group;
    if (n->kind != DOC_MAP)
        return read_spec(s, n, o, err);
    const struct doc_node *spec = doc_get(n, "option"), *safe = doc_get(n, "safe"),
                          *implies = doc_get(n, "implies");
    if (!spec || n->count != 1u + (safe != NULL) + (implies != NULL))
        return doc_fail(&s->doc, n, err, "an option has the keys option, safe, implies");
    int r = read_spec(s, spec, o, err);
    if (r == 0 && safe)
        r = doc_strings(&s->doc, s->pool, safe, "safe", &o->safe, &o->safe_count, err);
    if (r < 0 || !implies)
        return r;
    /* The implied one stands earlier in the same command: "--request POST". */
    const char *text;
    r = doc_string(&s->doc, implies, "implies", &text, err);
    if (r < 0)
        return r;
    size_t len = strcspn(text, " ");
    o->implies = grammar_long(s->c, text, len);
    if (!o->implies)
        return doc_fail(&s->doc, implies, err, "implies an option that is not written above it");
    if (text[len])
        o->implies_value = text + len + 1;
    return 0;
}

static int read_options(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    int r = doc_list(&s->doc, n, "options", err);
    for (const struct doc_node *m = n->first; r == 0 && m; m = m->next)
        r = read_option(s, m, err);
    return r;
}

static int read_use(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    const char *const *names;
    size_t count;
    int r = doc_strings(&s->doc, s->pool, n, "use", &names, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct doc_node *group = s->groups ? doc_get(s->groups, names[i]) : NULL;
        s->in_group = true;
        r = group ? read_options(s, group, err)
                  : doc_fail(&s->doc, n, err, "no group '%s'", names[i]);
        s->in_group = false;
    }
    return r;
}

/* ---- commands ---- */

static size_t index_of(const struct reader *s)
{
    size_t i = s->g->all_count;
    while (i > 1 && s->g->all[i - 1] != s->c)
        i--;
    return i - 1;
}

static int read_operands(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    const char *text;
    int r = doc_string(&s->doc, n, "operands", &text, err);
    if (r < 0)
        return r;
    if (str_eq(text, "paths"))
        s->c->operands = GRAMMAR_PATHS;
    else if (str_eq(text, "targets"))
        s->c->operands = GRAMMAR_TARGETS;
    else if (!str_eq(text, "plain"))
        return doc_fail(&s->doc, n, err, "operands must be plain, paths or targets");
    return 0;
}

static int read_skip(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    uint64_t v = 0;
    int r = doc_uint(&s->doc, n, "skip", 16, &v, err);
    s->c->skip = (size_t)v;
    return r;
}

static int read_cwd(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    return doc_bool(&s->doc, n, "cwd", &s->c->cwd, err);
}

static int read_permute(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    return doc_bool(&s->doc, n, "permute", &s->c->permute, err);
}

static int read_aliases(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    return doc_strings(&s->doc, s->pool, n, "aliases", &s->c->aliases, &s->c->aliases_count, err);
}

static int read_is(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    s->pending_is[index_of(s)] = n;
    return n->kind == DOC_SCALAR ? 0 : doc_fail(&s->doc, n, err, "is must be a command's name");
}

static int read_implies(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    s->pending_implies[index_of(s)] = n;
    return doc_list(&s->doc, n, "implies", err);
}

static int read_commands(void *arg, const struct doc_node *n, struct err *err);

static const struct doc_key command_keys[] = {
    {"aliases", read_aliases},
    {"options", read_options},
    {"use", read_use},
    {"operands", read_operands},
    {"skip", read_skip},
    {"cwd", read_cwd},
    {"permute", read_permute},
    {"is", read_is},
    {"implies", read_implies},
    {"commands", read_commands},
    {NULL, NULL},
};

/* {operand: "+*", option: "--force", without: "+"} */
static int read_implied(struct reader *s, const struct doc_node *n, struct grammar_implied *i,
                        struct err *err)
{
    int r = doc_map(&s->doc, n, "implies", err);
    if (r < 0)
        return r;
    const struct doc_node *operand = doc_get(n, "operand"), *option = doc_get(n, "option"),
                          *without = doc_get(n, "without");
    if (!operand || !option || n->count != 2u + (without != NULL))
        return doc_fail(&s->doc, n, err, "implies has the keys operand, option, without");
    i->operand = operand->text;
    i->without = without ? without->text : "";
    i->option = grammar_long(s->c, option->text, strlen(option->text));
    return i->option ? 0 : doc_fail(&s->doc, option, err, "no such option in this command");
}

static int finish_implied(struct reader *s, const struct doc_node *list, struct err *err)
{
    struct grammar_implied *all = pool_new_array(s->pool, struct grammar_implied, list->count);
    int r = 0;
    size_t i = 0;
    for (const struct doc_node *n = list->first; r == 0 && n; n = n->next)
        r = read_implied(s, n, &all[i++], err);
    s->c->implied = all;
    s->c->implied_count = i;
    return r;
}

static int begin_command(struct reader *s, struct grammar_command *c, const struct doc_node *n,
                         struct err *err)
{
    if (s->g->all_count == GRAMMAR_COMMANDS_MAX)
        return doc_fail(&s->doc, n, err, "more than %d commands", GRAMMAR_COMMANDS_MAX);
    s->g->all[s->g->all_count++] = c;
    c->permute = true;
    s->c = c;
    return 0;
}

static int read_command(struct reader *s, const struct doc_node *n, struct grammar_command *parent,
                        struct grammar_command **ret, struct err *err)
{
    struct grammar_command *c = pool_alloc(s->pool, sizeof(*c));
    c->name = n->key->text;
    c->parent = parent;
    *ret = c;
    int r = begin_command(s, c, n, err);
    bool bare = n->kind == DOC_SCALAR && !*n->text; /* "status:" alone: no options of its own */
    if (r == 0 && !bare)
        r = doc_decode(&s->doc, n, command_keys, s, "a command", err);
    return r;
}

static int read_commands(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    struct grammar_command *c = s->c;
    int r = doc_map(&s->doc, n, "commands", err);
    if (r < 0)
        return r;
    c->commands = pool_new_array(s->pool, struct grammar_command *, n->count + 1);
    for (const struct doc_node *m = n->first; r == 0 && m; m = m->next) {
        r = read_command(s, m, c, &c->commands[c->commands_count++], err);
        s->c = c;
    }
    return r;
}

/* ---- the tool ---- */

#define READ_BOOL(field)                                                                           \
    static int read_##field(void *arg, const struct doc_node *n, struct err *err)                  \
    {                                                                                              \
        struct reader *s = arg;                                                                    \
        return doc_bool(&s->doc, n, #field, &s->g->field, err);                                    \
    }
READ_BOOL(anywhere)
READ_BOOL(negatable)
READ_BOOL(short_equals)
READ_BOOL(command_prefix)
READ_BOOL(dashed)
READ_BOOL(bool_values)
READ_BOOL(multicall)

static int read_names(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    return doc_strings(&s->doc, s->pool, n, "names", &s->g->names, &s->g->names_count, err);
}

static int read_groups(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg; /* each is read where it is used */
    return doc_map(&s->doc, n, "groups", err);
}

static int read_runs(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    uint64_t v = 0;
    s->g->runs = true;
    int r = doc_uint(&s->doc, n, "runs", 16, &v, err);
    s->g->runs_skip = (size_t)v;
    return r;
}

static int read_same(void *arg, const struct doc_node *n, struct err *err)
{
    struct reader *s = arg;
    int r = doc_list(&s->doc, n, "same", err);
    const char *const **same = pool_new_array(s->pool, const char *const *, n->count + 1);
    size_t i = 0, count;
    for (const struct doc_node *m = n->first; r == 0 && m; m = m->next)
        r = doc_strings(&s->doc, s->pool, m, "same", &same[i++], &count, err);
    s->g->same = same;
    s->g->same_count = i;
    return r;
}

static const struct doc_key tool_keys[] = {
    {"names", read_names},
    {"groups", read_groups},
    {"anywhere", read_anywhere},
    {"negatable", read_negatable},
    {"short_equals", read_short_equals},
    {"command_prefix", read_command_prefix},
    {"dashed", read_dashed},
    {"bool_values", read_bool_values},
    {"multicall", read_multicall},
    {"runs", read_runs},
    {"same", read_same},
    {"options", read_options},
    {"use", read_use},
    {"operands", read_operands},
    {"skip", read_skip},
    {"cwd", read_cwd},
    {"permute", read_permute},
    {"implies", read_implies},
    {"commands", read_commands},
    {NULL, NULL},
};

/* "docker image rm" is: rmi, a command of the tool itself; its last word becomes an alias too, for
 * the case that a command line is not understood well enough to follow the words. */
static int finish_is(struct reader *s, struct grammar_command *c, const struct doc_node *n,
                     struct err *err)
{
    struct grammar_command *is = grammar_command(&s->g->root, n->text);
    if (!is || is->is || is == c)
        return doc_fail(&s->doc, n, err, "no such command of the tool itself");
    c->is = is;
    const char **aliases = pool_new_array(s->pool, const char *, is->loose_count + 1);
    if (is->loose_count)
        memcpy(aliases, is->loose, is->loose_count * sizeof(*aliases));
    aliases[is->loose_count] = c->name;
    is->loose = aliases;
    is->loose_count++;
    return 0;
}

static int finish(struct reader *s, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->g->all_count; i++) {
        s->c = s->g->all[i];
        if (s->pending_is[i])
            r = finish_is(s, s->c, s->pending_is[i], err);
        if (r == 0 && s->pending_implies[i])
            r = finish_implied(s, s->pending_implies[i], err);
    }
    return r;
}

static void name_after_file(struct reader *s, const char *name)
{
    size_t n = strlen(name);
    if (str_ends(name, ".yaml"))
        n -= strlen(".yaml");
    s->g->name = pool_strndup(s->pool, name, n);
    if (s->g->names_count)
        return;
    const char **names = pool_new_array(s->pool, const char *, 1);
    names[0] = s->g->name;
    s->g->names = names;
    s->g->names_count = 1;
}

int grammar_load(struct pool *pool, const char *text, size_t len, const char *name,
                 struct grammar **ret, struct err *err)
{
    struct reader *s = pool_alloc(pool, sizeof(*s));
    s->pool = pool;
    int r = doc_parse(pool, text, len, GRAMMAR_TEXT_MAX, name, &s->doc, err);
    if (r < 0)
        return r;
    s->g = pool_alloc(pool, sizeof(*s->g));
    s->g->root.name = "";
    s->g->all = pool_new_array(pool, struct grammar_command *, GRAMMAR_COMMANDS_MAX);
    r = doc_map(&s->doc, s->doc.root, "a grammar", err);
    if (r < 0)
        return r;
    s->groups = doc_get(s->doc.root, "groups");
    r = begin_command(s, &s->g->root, s->doc.root, err);
    if (r == 0)
        r = doc_decode(&s->doc, s->doc.root, tool_keys, s, "a grammar", err);
    if (r == 0)
        r = finish(s, err);
    if (r < 0)
        return r;
    name_after_file(s, name);
    *ret = s->g;
    return 0;
}
