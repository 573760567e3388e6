/* SPDX-License-Identifier: MIT */
/* The command line as data. One pass: common options count anywhere, the command's own behind its
 * name; "--" ends options. No output here. */
#include "cli/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define NAMES_MAX 64 /* candidates for "did you mean" */

enum common {
    COMMON_API,
    COMMON_SESSION,
    COMMON_CONTEXT,
    COMMON_CA,
    COMMON_TOKEN,
    COMMON_TOKEN_FILE,
    COMMON_JSON,
    COMMON_HELP,
    COMMON_VERSION
};

const struct cli_option args_common[] = {
    [COMMON_API] = {"api", 0, "ADDR", "the warden: unix:PATH or http(s)://HOST:PORT"},
    [COMMON_SESSION] = {"session", 0, "NAME", "the warden of this session of 'clawrden run'"},
    [COMMON_CONTEXT] = {"context", 0, "NAME", "one of the wardens of 'clawrden context list'"},
    [COMMON_CA] = {"ca", 0, "FILE", "certificates that vouch for an https address"},
    [COMMON_TOKEN] = {"token", 0, "TOKEN", "API token (others can see it in the process list)"},
    [COMMON_TOKEN_FILE] = {"token-file", 0, "FILE", "read the API token from FILE"},
    [COMMON_JSON] = {"json", 0, NULL, "print JSON for programs"},
    [COMMON_HELP] = {"help", 'h', NULL, "show this help"},
    [COMMON_VERSION] = {"version", 0, NULL, "print the version"},
    {0},
};

static size_t find_option(const struct cli_option *t, const char *name, size_t n, char letter)
{
    for (size_t i = 0; t && t[i].name; i++) {
        if (letter ? t[i].letter == letter : strlen(t[i].name) == n && !memcmp(t[i].name, name, n))
            return i;
    }
    return SIZE_MAX;
}

const char *args_value(const struct args *a, const char *name)
{
    size_t i = find_option(a->options, name, strlen(name), 0);
    return i == SIZE_MAX ? NULL : a->values[i];
}

bool args_flag(const struct args *a, const char *name)
{
    return args_value(a, name) != NULL;
}

void args_line_done(struct args_line *l)
{
    free(l->words);
    l->words = NULL;
    l->args.words = NULL;
}

static void set_common(struct args_line *l, size_t i, const char *value)
{
    switch ((enum common)i) {
    case COMMON_CONTEXT:
        l->cli.context = value;
        break;
    case COMMON_CA:
        l->cli.ca = value;
        break;
    case COMMON_API:
        l->cli.api = value;
        return;
    case COMMON_SESSION:
        l->cli.session = value;
        return;
    case COMMON_TOKEN:
        l->cli.token = value;
        return;
    case COMMON_TOKEN_FILE:
        l->cli.token_file = value;
        return;
    case COMMON_JSON:
        l->cli.json = true;
        return;
    case COMMON_HELP:
        l->wish = ARGS_HELP;
        return;
    case COMMON_VERSION:
        if (l->wish == ARGS_RUN)
            l->wish = ARGS_VERSION;
        return;
    }
}

/* ---- naming the command ---- */

static const struct command *find_command(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (str_eq(c->name, name))
            return c;
    return NULL;
}

static bool is_group(const char *word)
{
    size_t n = strlen(word);
    for (const struct command *c = commands; c->name; c++)
        if (strncmp(c->name, word, n) == 0 && c->name[n] == ' ')
            return true;
    return false;
}

/* Refuses `word` with the nearest of the names that may stand there. */
static int refuse_command(const char *group, const char *word, struct err *err)
{
    const char *names[NAMES_MAX] = {0};
    size_t n = 0, skip = group ? strlen(group) + 1 : 0;
    for (const struct command *c = commands; c->name && n + 1 < NAMES_MAX; c++) {
        if (!group || (str_starts(c->name, group) && c->name[skip - 1] == ' '))
            names[n++] = c->name + skip;
    }
    _cleanup_buf_ struct buf shown = BUF_INIT(4096);
    (void)str_escape(&shown, word, strlen(word));
    const char *near = str_nearest(word, names);
    return err_set(err, -EINVAL, "unknown command '%s%s%s'%s%s%s", group ? group : "",
                   group ? " " : "", buf_str(&shown), near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

static int take_command_word(struct args_line *l, const char *word, struct err *err)
{
    if (!l->group && str_eq(word, "help")) { /* "clawrden help queue" */
        l->wish = ARGS_HELP;
        return 0;
    }
    _cleanup_free_ char *full = l->group ? mem_printf("%s %s", l->group, word) : mem_strdup(word);
    l->command = find_command(full);
    if (l->command) {
        l->args.options = l->command->options;
        l->group = NULL;
        return 0;
    }
    if (!l->group && is_group(word)) {
        l->group = word;
        return 0;
    }
    return refuse_command(l->group, word, err);
}

/* ---- options ---- */

static int refuse_option(const struct args_line *l, const char *word, struct err *err)
{
    const char *names[NAMES_MAX] = {0};
    size_t n = 0;
    for (size_t i = 0; args_common[i].name; i++)
        names[n++] = args_common[i].name;
    for (size_t i = 0; l->args.options && l->args.options[i].name; i++)
        names[n++] = l->args.options[i].name;
    const char *near = str_starts(word, "--") ? str_nearest(word + 2, names) : NULL;
    _cleanup_buf_ struct buf shown = BUF_INIT(4096);
    (void)str_escape(&shown, word, strcspn(word, "="));
    return err_set(err, -EINVAL, "unknown option '%s'%s%s%s", buf_str(&shown),
                   near ? "; did you mean '--" : "", near ? near : "", near ? "'?" : "");
}

/* The option at argv[*i]; moves *i onto a value that stands in the next word. */
static int take_option(struct args_line *l, int argc, char **argv, int *i, struct err *err)
{
    const char *word = argv[*i];
    bool is_long = word[1] == '-';
    const char *name = is_long ? word + 2 : "", *value = NULL;
    size_t n = is_long ? strcspn(name, "=") : 0;
    char letter = is_long ? 0 : word[1];
    if (is_long && name[n] == '=')
        value = name + n + 1;
    else if (!is_long && word[2])
        value = word + 2; /* -n5 */

    size_t own = find_option(l->args.options, name, n, letter);
    size_t common = own == SIZE_MAX ? find_option(args_common, name, n, letter) : SIZE_MAX;
    if (own == SIZE_MAX && common == SIZE_MAX)
        return refuse_option(l, word, err);
    const struct cli_option *o = own != SIZE_MAX ? &l->args.options[own] : &args_common[common];
    if (!o->arg && value)
        return err_set(err, -EINVAL, "--%s takes no value", o->name);
    if (o->arg && !value) {
        if (*i + 1 >= argc)
            return err_set(err, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name, o->arg);
        value = argv[++*i];
    }
    if (own != SIZE_MAX)
        l->args.values[own] = value ? value : "";
    else
        set_common(l, common, value);
    return 0;
}

static int check_words(const struct args_line *l, struct err *err)
{
    const struct command *c = l->command;
    if (!c || l->wish != ARGS_RUN)
        return 0;
    if (l->args.count < c->words_min)
        return err_set(err, -EINVAL, "%s: an argument is missing", c->name);
    if (l->args.count > c->words_max) {
        _cleanup_buf_ struct buf shown = BUF_INIT(4096);
        const char *extra = l->args.words[c->words_max];
        (void)str_escape(&shown, extra, strlen(extra));
        return err_set(err, -EINVAL, "%s: unexpected argument '%s'", c->name, buf_str(&shown));
    }
    return 0;
}

int args_parse(int argc, char **argv, struct args_line *ret, struct err *err)
{
    *ret = (struct args_line){.words = mem_new_array(const char *, (size_t)argc + 1)};
    ret->args.words = ret->words;
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        int r = 0;
        if (!only_words && str_eq(word, "--"))
            only_words = true;
        else if (!only_words && word[0] == '-' && word[1])
            r = take_option(ret, argc, argv, &i, err);
        else if (!ret->command)
            r = take_command_word(ret, word, err);
        else {
            ret->words[ret->args.count++] = word;
            only_words = only_words || ret->command->tail;
        }
        if (r < 0)
            return r;
    }
    return check_words(ret, err);
}
