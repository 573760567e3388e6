/* SPDX-License-Identifier: MIT */
#include "mirror/script.h"

#include <string.h>

struct tool {
    const char *name;           /* "python*": and a version behind it */
    const char *inline_letters; /* the code follows on the command line, or comes from elsewhere */
    const char *value_letters;  /* take a value: the rest of the word, or the next one */
    const char *file_letters;   /* take a value, and that is the script */
    const char *inline_words;   /* long options, each between blanks */
    const char *value_words;
    bool searches; /* PATH, when the operand has no slash and is not here */
};

#define SHELL                                                                                      \
    .inline_letters = "cs", .value_letters = "oO", .value_words = " --rcfile --init-file ",        \
    .searches = true

static const struct tool tools[] = {
    {.name = "sh", SHELL},
    {.name = "bash", SHELL},
    {.name = "rbash", SHELL},
    {.name = "dash", SHELL},
    {.name = "ash", SHELL},
    {.name = "zsh*", SHELL},
    {.name = "ksh*", SHELL},
    {.name = "mksh", SHELL},
    {.name = "python*",
     .inline_letters = "cm",
     .value_letters = "WX",
     .value_words = " --check-hash-based-pycs "},
    {.name = "pypy*", .inline_letters = "cm", .value_letters = "WX"},
    {.name = "perl*", .inline_letters = "eE", .value_letters = "IMmFxiCdDl0"},
    {.name = "ruby*", .inline_letters = "e", .value_letters = "IrCEFKTWx0i"},
    {.name = "node*",
     .inline_letters = "ep",
     .value_letters = "rC",
     .inline_words = " --eval --print ",
     .value_words = " --require --import --loader --experimental-loader --conditions --input-type "
                    "--env-file --title --test-name-pattern --test-reporter "},
    {.name = "php*", .inline_letters = "rRBEa", .value_letters = "cdzSt", .file_letters = "fF"},
    {.name = "lua*", .inline_letters = "", .value_letters = "elj"},
    {.name = "tclsh*", .inline_letters = "", .value_letters = ""},
    {.name = "ld-linux*",
     .inline_letters = "",
     .value_letters = "",
     .value_words = " --library-path --inhibit-rpath --audit --preload --argv0 "
                    "--glibc-hwcaps-prepend --glibc-hwcaps-mask "},
    {.name = "ld-musl*",
     .inline_letters = "",
     .value_letters = "",
     .value_words = " --library-path --preload --argv0 "},
    {.name = "ld.so", .value_words = " --library-path --inhibit-rpath --audit --preload --argv0 "},
};

/* fs/binfmt_script.c: the kernel looks at this many bytes and the last is its own, so that of a
 * line without end 255 count. Blanks go from the end of a line, not from the end of a file. */
int script_line_parse(const char *head, size_t len, struct script_line *ret)
{
    if (len < 2 || head[0] != '#' || head[1] != '!')
        return 0;
    const char *end = memchr(head, '\n', len < SCRIPT_LINE_MAX ? len : SCRIPT_LINE_MAX);
    bool cut = !end && len >= SCRIPT_LINE_MAX - 1;
    const char *limit = end ? end : head + (cut ? SCRIPT_LINE_MAX - 1 : len);
    const char *p = head + 2;
    while (p < limit && (*p == ' ' || *p == '\t'))
        p++;
    const char *name = p;
    while (p < limit && *p != ' ' && *p != '\t' && *p != 0)
        p++;
    size_t n = (size_t)(p - name);
    /* Without an end in sight, the name may be longer than what we see. */
    if (n == 0 || (p == limit && cut) || (p < limit && *p == 0))
        return -1;
    memcpy(ret->interpreter, name, n);
    ret->interpreter[n] = 0;
    while (p < limit && (*p == ' ' || *p == '\t'))
        p++;
    while ((end || cut) && limit > p && (limit[-1] == ' ' || limit[-1] == '\t'))
        limit--;
    n = (size_t)(limit - p);
    if (memchr(p, 0, n))
        return -1;
    memcpy(ret->argument, p, n);
    ret->argument[n] = 0;
    return 1;
}

int script_env_name(const char *argument, char *out, size_t size)
{
    const char *p = argument;
    bool split = false;
    for (;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (strncmp(p, "-S", 2) == 0 && !split) {
            split = true;
            p += 2;
            continue;
        }
        size_t n = strcspn(p, " \t");
        /* Options and quoting can mean anything; assignments could change what is found. */
        if (n == 0 || *p == '-' || memchr(p, '=', n) || strpbrk(argument, "\\'\"$"))
            return -1;
        if (!split && p[n]) /* env gets all of it as one word */
            return -1;
        if (n >= size)
            return -1;
        memcpy(out, p, n);
        out[n] = 0;
        return 0;
    }
}

static bool is_tool(const struct tool *t, const char *name)
{
    size_t n = strlen(t->name);
    if (t->name[n - 1] != '*')
        return strcmp(t->name, name) == 0;
    n--;
    if (strncmp(t->name, name, n) != 0)
        return false;
    if (strncmp(t->name, "ld-", 3) == 0)
        return true;
    /* "python3.11", "nodejs", "ruby3.1", "luajit": a version, or a known ending */
    const char *rest = name + n;
    return rest[strspn(rest, "0123456789.-")] == 0 || strcmp(rest, "js") == 0 ||
           strcmp(rest, "jit") == 0;
}

static const struct tool *find_tool(const char *name)
{
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (is_tool(&tools[i], name))
            return &tools[i];
    return NULL;
}

bool script_searches_path(const char *tool)
{
    const struct tool *t = find_tool(tool);
    return t && t->searches;
}

static bool has(const char *letters, char c)
{
    return letters && c && strchr(letters, c);
}

static bool word_in(const char *list, const char *word)
{
    size_t n = strcspn(word, "=");
    if (!list)
        return false;
    for (const char *p = list; (p = strchr(p, ' ')) && p[1]; p++)
        if (strncmp(p + 1, word, n) == 0 && p[1 + n] == ' ')
            return true;
    return false;
}

enum option { OPTION_PLAIN, OPTION_VALUE, OPTION_INLINE, OPTION_FILE };

static enum option long_option(const struct tool *t, const char *word)
{
    if (word_in(t->inline_words, word))
        return OPTION_INLINE;
    if (word_in(t->value_words, word) && !strchr(word, '='))
        return OPTION_VALUE;
    return OPTION_PLAIN;
}

/* A cluster of letters: the first that takes a value ends it. */
static enum option short_option(const struct tool *t, const char *word, const char **ret_value)
{
    for (const char *p = word + 1; *p; p++) {
        if (has(t->inline_letters, *p))
            return OPTION_INLINE;
        if (has(t->file_letters, *p)) {
            *ret_value = p[1] ? p + 1 : NULL;
            return OPTION_FILE;
        }
        if (has(t->value_letters, *p)) {
            /* Perl's and Ruby's "-w0", "-l", "-i.bak" have theirs attached or none. */
            bool next = p[1] == 0 && !strchr("il0FxCdDKTW", *p);
            if (t->searches) { /* "set -eo pipefail": shells take it from the next word always */
                if (p[1])
                    continue;
                next = true;
            }
            if (strncmp(t->name, "python", 6) == 0 || strncmp(t->name, "pypy", 4) == 0)
                next = p[1] == 0;
            if (strncmp(t->name, "php", 3) == 0 || strncmp(t->name, "node", 4) == 0)
                next = p[1] == 0;
            return next ? OPTION_VALUE : OPTION_PLAIN;
        }
    }
    return OPTION_PLAIN;
}

static enum script_operand parse(const struct tool *t, const char *arg, uint32_t left, bool cut,
                                 const char **ret)
{
    for (; left > 0; left--, arg = helper_next(arg)) {
        const char *value = NULL;
        enum option o;
        if (strcmp(arg, "-") == 0)
            return SCRIPT_NONE; /* standard input */
        if (strcmp(arg, "--") == 0) {
            if (left < 2)
                break;
            *ret = helper_next(arg);
            return SCRIPT_OPERAND;
        }
        bool plus = t->searches && arg[0] == '+';
        if (arg[0] != '-' && !plus) {
            *ret = arg;
            return SCRIPT_OPERAND;
        }
        o = strncmp(arg, "--", 2) == 0 ? long_option(t, arg) : short_option(t, arg, &value);
        if (o == OPTION_INLINE)
            return SCRIPT_NONE;
        if (o == OPTION_FILE && value) {
            *ret = value;
            return SCRIPT_OPERAND;
        }
        if (o == OPTION_FILE || o == OPTION_VALUE) {
            if (left < 2)
                break;
            left--;
            arg = helper_next(arg);
        }
        if (o == OPTION_FILE) {
            *ret = arg;
            return SCRIPT_OPERAND;
        }
    }
    return cut ? SCRIPT_UNCLEAR : SCRIPT_NONE;
}

enum script_operand script_operand_find(const char *tool, const struct helper_strings *args,
                                        bool cut, const char **ret)
{
    uint32_t left = args->count;
    const char *arg = args->packed;
    if (left == 0)
        return cut ? SCRIPT_UNCLEAR : SCRIPT_NONE;
    arg = helper_next(arg);
    left--;
    if (strcmp(tool, "busybox") == 0 || strcmp(tool, "toybox") == 0) {
        /* By its own name, the applet is its first operand; by another, that is the applet. */
        const char *slash = strrchr(args->packed, '/');
        tool = slash ? slash + 1 : args->packed;
        if (strcmp(tool, "busybox") == 0 || strcmp(tool, "toybox") == 0) {
            if (left == 0)
                return SCRIPT_NONE;
            tool = arg;
            arg = helper_next(arg);
            left--;
        }
    }
    const struct tool *t = find_tool(tool);
    return t ? parse(t, arg, left, cut, ret) : SCRIPT_NONE;
}
