/* SPDX-License-Identifier: MIT */
/* clawrden completion: scripts for bash, zsh and fish, made of the command table, so that they know
 * what this very program knows. Ids of what waits or runs are asked of the warden; the filter lets
 * only hex digits and dashes through, whatever an agent does. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/args.h"
#include "cli/cmd.h"

#define IDS "clawrden \"$1\" --json 2>/dev/null | sed -n 's/^{\"id\":\"\\([0-9a-f-]*\\)\".*/\\1/p'"

/* Between single quotes, as all three shells read it. */
static void put_quoted(const char *s)
{
    for (; *s; s++)
        if (*s == '\'')
            printf("'\\''");
        else
            (void)putchar(*s);
}

/* The first row with this first word: "audit" stands for all of "audit ...". */
static bool begins_group(const struct command *c, size_t *ret_len)
{
    size_t n = *ret_len = strcspn(c->name, " ");
    for (const struct command *b = commands; b != c && b->name; b++)
        if (strcspn(b->name, " ") == n && strncmp(b->name, c->name, n) == 0)
            return false;
    return true;
}

static bool in_group(const struct command *c, const struct command *group, size_t n)
{
    return strncmp(c->name, group->name, n) == 0 && c->name[n] == ' ';
}

/* NULL, or the list that ids for it stand in. */
static const char *ids_of(const struct command *c)
{
    if (str_eq(c->name, "kill"))
        return "running";
    return str_eq(c->name, "approve") || str_eq(c->name, "deny") || str_eq(c->name, "queue")
               ? "queue"
               : NULL;
}

/* Options whose value is the next word, between `between`. */
static void put_valued_of(const struct cli_option *o, const char *between)
{
    for (; o && o->name; o++) {
        if (o->arg)
            printf("%s--%s", between, o->name);
        if (o->arg && o->letter)
            printf("%s-%c", between, o->letter);
    }
}

static void put_valued(const char *between)
{
    printf("--api");
    put_valued_of(args_common, between);
    for (const struct command *c = commands; c->name; c++)
        put_valued_of(c->options, between);
}

/* ---- bash ---- */

static void bash_options(const struct cli_option *o)
{
    for (; o && o->name; o++)
        printf(" --%s", o->name);
}

static void bash_words(void)
{
    size_t n;
    printf("        '') words='");
    for (const struct command *c = commands; c->name; c++)
        if (begins_group(c, &n))
            printf(" %.*s", (int)n, c->name);
    printf("' ;;\n");
    for (const struct command *c = commands; c->name; c++) {
        if (!begins_group(c, &n) || !c->name[n])
            continue;
        printf("        '%.*s') words='", (int)n, c->name);
        for (const struct command *b = c; b->name; b++)
            if (in_group(b, c, n))
                printf(" %s", b->name + n + 1);
        printf("' ;;\n");
    }
}

static void bash(void)
{
    printf("# bash completion of clawrden: written by 'clawrden completion bash'.\n"
           "_clawrden_ids() { " IDS "; }\n"
           "_clawrden() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} cmd= words= options= ids= i w\n"
           "    COMPREPLY=()\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        w=${COMP_WORDS[i]}\n"
           "        case $w in\n"
           "            ");
    put_valued("|");
    printf(") i=$((i + 1)) ;;\n"
           "            -*) ;;\n"
           "            *) cmd=$cmd${cmd:+ }$w ;;\n"
           "        esac\n"
           "    done\n"
           "    case $cmd in\n");
    bash_words();
    printf("    esac\n    case $cmd in\n");
    for (const struct command *c = commands; c->name; c++) {
        printf("        '%s' | '%s '*) options='", c->name, c->name);
        bash_options(c->options);
        printf("'%s%s ;;\n", ids_of(c) ? " ids=" : "", ids_of(c) ? ids_of(c) : "");
    }
    printf("    esac\n    options=\"$options");
    bash_options(args_common);
    printf("\"\n"
           "    if [ \"$i\" -gt \"$COMP_CWORD\" ]; then COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "    elif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
           "    elif [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "    elif [ -n \"$ids\" ]; then COMPREPLY=($(compgen -W \"$(_clawrden_ids $ids)\" -- "
           "\"$cur\"))\n"
           "    else COMPREPLY=($(compgen -f -- \"$cur\"))\n"
           "    fi\n"
           "}\n"
           "complete -F _clawrden clawrden clawrden-cli\n");
}

/* ---- zsh ---- */

static void zsh_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        printf(" '--%s:", o->name);
        put_quoted(o->help);
        printf("'");
    }
}

static void zsh_word(const char *name, size_t n, const char *help)
{
    printf(" '%.*s:", (int)n, name);
    put_quoted(help);
    printf("'");
}

static void zsh_words(void)
{
    size_t n;
    printf("        '') entries=(");
    for (const struct command *c = commands; c->name; c++)
        if (begins_group(c, &n))
            zsh_word(c->name, n, c->name[n] ? "..." : c->summary);
    printf(") ;;\n");
    for (const struct command *c = commands; c->name; c++) {
        if (!begins_group(c, &n) || !c->name[n])
            continue;
        printf("        '%.*s') entries=(", (int)n, c->name);
        for (const struct command *b = c; b->name; b++)
            if (in_group(b, c, n))
                zsh_word(b->name + n + 1, strlen(b->name + n + 1), b->summary);
        printf(") ;;\n");
    }
}

static void zsh(void)
{
    printf("#compdef clawrden clawrden-cli\n"
           "# zsh completion of clawrden: written by 'clawrden completion zsh'.\n"
           "_clawrden_ids() { " IDS "; }\n"
           "_clawrden() {\n"
           "    local cmd= ids= w i\n"
           "    local -a entries options\n"
           "    for ((i = 2; i < CURRENT; i++)); do\n"
           "        w=$words[i]\n"
           "        case $w in\n"
           "            (");
    put_valued("|");
    printf(") i=$((i + 1)) ;;\n"
           "            (-*) ;;\n"
           "            (*) cmd=\"$cmd${cmd:+ }$w\" ;;\n"
           "        esac\n"
           "    done\n"
           "    case $cmd in\n");
    zsh_words();
    printf("    esac\n    case $cmd in\n");
    for (const struct command *c = commands; c->name; c++) {
        printf("        '%s'|'%s '*) options=(", c->name, c->name);
        zsh_options(c->options);
        printf(")%s%s ;;\n", ids_of(c) ? " ids=" : "", ids_of(c) ? ids_of(c) : "");
    }
    printf("    esac\n    options+=(");
    zsh_options(args_common);
    printf(")\n"
           "    if ((i > CURRENT)); then _files\n"
           "    elif [[ $words[CURRENT] == -* ]]; then _describe -o option options\n"
           "    elif ((#entries)); then _describe command entries\n"
           "    elif [[ -n $ids ]]; then compadd -- ${(f)\"$(_clawrden_ids $ids)\"}\n"
           "    else _files\n"
           "    fi\n"
           "}\n"
           "compdef _clawrden clawrden clawrden-cli 2>/dev/null\n"
           "[[ $funcstack[1] != _clawrden ]] || _clawrden \"$@\"\n");
}

/* ---- fish ---- */

/* `when`: the command so far is this. */
static void fish_word(const char *when, size_t when_len, const char *word, size_t n,
                      const char *help)
{
    printf("complete -c clawrden -f -n 'test \"$(__clawrden_command)\" = \"%.*s\"' -a '%.*s' -d '",
           (int)when_len, when, (int)n, word);
    put_quoted(help);
    printf("'\n");
}

static void fish_options(const char *command, const struct cli_option *o)
{
    for (; o && o->name; o++) {
        printf("complete -c clawrden");
        if (command)
            printf(" -n 'string match -qr \"^%s( |\\$)\" -- \"$(__clawrden_command)\"'", command);
        printf(" -l '%s'", o->name);
        if (o->letter)
            printf(" -s '%c'", o->letter);
        printf("%s -d '", o->arg ? " -r" : "");
        put_quoted(o->help);
        printf("'\n");
    }
}

static void fish(void)
{
    size_t n;
    printf("# fish completion of clawrden: written by 'clawrden completion fish'.\n"
           "function __clawrden_ids\n"
           "    clawrden $argv[1] --json 2>/dev/null | sed -n "
           "'s/^{\"id\":\"\\([0-9a-f-]*\\)\".*/\\1/p'\n"
           "end\n"
           "function __clawrden_command\n"
           "    set -l skip 0\n"
           "    set -l found\n"
           "    for w in (commandline -opc)[2..-1]\n"
           "        if test $skip = 1\n"
           "            set skip 0\n"
           "        else if contains -- $w ");
    put_valued(" ");
    printf("\n"
           "            set skip 1\n"
           "        else if not string match -q -- '-*' $w\n"
           "            set -a found $w\n"
           "        end\n"
           "    end\n"
           "    string join ' ' -- $found\n"
           "end\n");
    for (const struct command *c = commands; c->name; c++) {
        if (!begins_group(c, &n))
            continue;
        fish_word("", 0, c->name, n, c->name[n] ? "..." : c->summary);
        for (const struct command *b = c; b->name && c->name[n]; b++)
            if (in_group(b, c, n))
                fish_word(c->name, n, b->name + n + 1, strlen(b->name + n + 1), b->summary);
    }
    for (const struct command *c = commands; c->name; c++) {
        fish_options(c->name, c->options);
        if (ids_of(c))
            printf("complete -c clawrden -f -n 'string match -qr \"^%s( |\\$)\" -- "
                   "\"$(__clawrden_command)\"' -a '(__clawrden_ids %s)'\n",
                   c->name, ids_of(c));
    }
    fish_options(NULL, args_common);
    printf("complete -c clawrden-cli -w clawrden\n");
}

int cmd_completion(struct cli *c, const struct args *a)
{
    if (str_eq(a->words[0], "bash"))
        bash();
    else if (str_eq(a->words[0], "zsh"))
        zsh();
    else if (str_eq(a->words[0], "fish"))
        fish();
    else
        return cli_fail(CLI_USAGE, "there are completions for bash, zsh and fish");
    return CLI_OK;
}
