/* SPDX-License-Identifier: MIT */
/* The canary through shells, loaders, scripts, and variables that make a tool run something. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/attack.h"

#define RACES 60

static bool there(struct attack_try *t, const char *program)
{
    if (access(program, X_OK) == 0)
        return true;
    attack_say(t, ATTACK_ABSENT, "no %s", program);
    return false;
}

/* ---- shells and starters ---- */

static void by_shell(struct attack_try *t)
{
    const char *const argv[] = {"/bin/sh",       "-c",           "\"$0\" \"$1\"",
                                t->canary->path, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_login_shell(struct attack_try *t)
{
    const char *const argv[] = {
        "/bin/bash",     "-lc",          "PATH=$PATH:/usr/sbin:/sbin; $0 $1",
        t->canary->name, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_clean_env(struct attack_try *t)
{
    const char *const argv[] = {"/usr/bin/env", "-i", t->canary->path, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_xargs(struct attack_try *t)
{
    const char *const argv[] = {"/bin/sh",       "-c",           "echo \"$1\" | xargs \"$0\"",
                                t->canary->path, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_find(struct attack_try *t)
{
    const char *const argv[] = {"/usr/bin/find", ".", "-maxdepth", "0", "-exec", t->canary->path,
                                t->canary->arg,  ";", NULL};
    attack_command(t, argv, NULL);
}

static void by_make(struct attack_try *t)
{
    _cleanup_free_ char *text = mem_printf("all:\n\t@%s %s\n", t->canary->path, t->canary->arg);
    const char *const argv[] = {"/usr/bin/make", "-s", NULL};
    if (there(t, argv[0]) && attack_write(t, "Makefile", text, 0644))
        attack_command(t, argv, NULL);
}

static void by_git_alias(struct attack_try *t)
{
    _cleanup_free_ char *alias = mem_printf("alias.x=!%s %s #", t->canary->path, t->canary->arg);
    const char *const argv[] = {"/usr/bin/git", "-c", alias, "x", NULL};
    if (there(t, argv[0]))
        attack_command(t, argv, NULL);
}

/* ---- loaders ---- */

static char *find_loader(void)
{
    static const char *const places[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1",
                                         "/lib/ld-linux-aarch64.so.1"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (access(places[i], X_OK) == 0)
            return realpath(places[i], NULL);
    return NULL;
}

static void by_loader(struct attack_try *t)
{
    _cleanup_free_ char *loader = find_loader();
    const char *const argv[] = {loader, t->canary->path, t->canary->arg, NULL};
    if (loader)
        attack_command(t, argv, NULL);
    else
        attack_say(t, ATTACK_ABSENT, "no loader");
}

static void by_copied_loader(struct attack_try *t)
{
    _cleanup_free_ char *loader = find_loader(), *copy = mem_printf("%s/ld", t->dir);
    const char *const argv[] = {copy, t->canary->path, t->canary->arg, NULL};
    if (!loader)
        attack_say(t, ATTACK_ABSENT, "no loader");
    else if (attack_copy(t, loader, copy))
        attack_command(t, argv, NULL);
}

/* The loader says by itself when it obeyed: that what it was told to load is not there, or a list.
 * `sign`: what it writes then. */
static void by_loader_variable(struct attack_try *t, const char *variable, const char *sign)
{
    char out[ATTACK_OUT_MAX];
    char *env[] = {(char *)variable, "PATH=/usr/bin:/bin", NULL};
    const char *const argv[] = {"/bin/cat", "/etc/hostname", NULL};
    const struct attack_child c = {.argv = argv, .env = env};
    int status = attack_run(t, &c, out);
    if (strstr(out, sign))
        attack_say(t, ATTACK_HOLE, "the loader obeyed %s", variable);
    else if (status == 0 || strstr(out, "clawrden: "))
        attack_say(t, ATTACK_REFUSED, "%s had no effect", variable);
    else
        attack_say(t, ATTACK_UNPROVED, "status %d: %s", status, out);
}

static void by_preload(struct attack_try *t)
{
    by_loader_variable(t, "LD_PRELOAD=/clawrden-canary.so", "/clawrden-canary.so");
}

static void by_audit(struct attack_try *t)
{
    by_loader_variable(t, "LD_AUDIT=/clawrden-canary.so", "/clawrden-canary.so");
}

static void by_debug(struct attack_try *t)
{
    by_loader_variable(t, "LD_DEBUG=libs", "find library");
}

static void by_library_path(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("LD_LIBRARY_PATH=%s", t->dir);
    /* An empty library in front: the loader would fail on it. */
    if (attack_write(t, "libc.so.6", "canary", 0755))
        by_loader_variable(t, variable, "libc.so.6: ");
}

/* ---- interpreters ---- */

/* A policy may name a variable as one that passes: then env sees it too. */
static bool passes_by_policy(struct attack_try *t, const char *variable)
{
    char out[ATTACK_OUT_MAX];
    char *env[] = {(char *)variable, "PATH=/usr/bin:/bin", NULL};
    const char *const argv[] = {"/usr/bin/env", NULL};
    const struct attack_child c = {.argv = argv, .env = env};
    return attack_run(t, &c, out) == 0 && strstr(out, variable);
}

/* A file that prints the prize, made to be read by a variable. */
static void by_variable(struct attack_try *t, const char *variable, const char *file,
                        const char *text, const char *const *argv)
{
    char out[ATTACK_OUT_MAX];
    char *env[] = {(char *)variable, "PATH=/usr/bin:/bin", NULL};
    if (!there(t, argv[0]) || !attack_write(t, file, text, 0644))
        return;
    const struct attack_child c = {.argv = argv, .env = env};
    int status = attack_run(t, &c, out);
    if (strstr(out, "clawrden-canary") && passes_by_policy(t, variable))
        attack_say(t, ATTACK_ALLOWED, "the policy lets %s pass", variable);
    else if (strstr(out, "clawrden-canary"))
        attack_say(t, ATTACK_HOLE, "%s was obeyed: %.100s", variable, out);
    else if (status == 0 || strstr(out, "clawrden: "))
        attack_say(t, ATTACK_REFUSED, "%s had no effect", variable);
    else
        attack_say(t, ATTACK_UNPROVED, "status %d: %.100s", status, out);
}

static void by_bash_env(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("BASH_ENV=%s/file", t->dir);
    const char *const argv[] = {"/bin/bash", "-c", ":", NULL};
    by_variable(t, variable, "file", "echo clawrden-canary\n", argv);
}

static void by_python_path(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("PYTHONPATH=%s", t->dir);
    const char *const argv[] = {"/usr/bin/python3", "-c", "pass", NULL};
    by_variable(t, variable, "sitecustomize.py", "print('clawrden-canary')\n", argv);
}

static void by_perl_option(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("PERL5OPT=-I%s -Mcanary", t->dir);
    const char *const argv[] = {"/usr/bin/perl", "-e", "1", NULL};
    by_variable(t, variable, "canary.pm", "print 'clawrden-canary'; 1;\n", argv);
}

static void by_node_option(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("NODE_OPTIONS=--require %s/c.js", t->dir);
    const char *const argv[] = {"/usr/bin/node", "-e", "1", NULL};
    by_variable(t, variable, "c.js", "console.log('clawrden-canary')\n", argv);
}

static void by_git_variable(struct attack_try *t)
{
    _cleanup_free_ char *variable = mem_printf("GIT_EXEC_PATH=%s", t->dir);
    const char *const argv[] = {"/usr/bin/git", "--exec-path", NULL};
    char out[ATTACK_OUT_MAX];
    char *env[] = {variable, "PATH=/usr/bin:/bin", NULL};
    const struct attack_child c = {.argv = argv, .env = env};
    if (!there(t, argv[0]))
        return;
    int status = attack_run(t, &c, out);
    if (strstr(out, t->dir))
        attack_say(t, ATTACK_HOLE, "git obeyed %s", variable);
    else if (status == 0 || strstr(out, "clawrden: "))
        attack_say(t, ATTACK_REFUSED, "%s had no effect", variable);
    else
        attack_say(t, ATTACK_UNPROVED, "status %d: %.100s", status, out);
}

/* ---- scripts ---- */

static char *script_of(const struct attack_try *t)
{
    return mem_printf("#!/bin/sh\nexec %s %s\n", t->canary->path, t->canary->arg);
}

static void by_script(struct attack_try *t)
{
    _cleanup_free_ char *text = script_of(t);
    const char *const argv[] = {"./script", NULL};
    if (attack_write(t, "script", text, 0755))
        attack_command(t, argv, NULL);
}

static void by_script_interpreter(struct attack_try *t)
{
    _cleanup_free_ char *text = mem_printf("#!%s/sh\necho clawrden-canary\n", t->dir);
    char out[ATTACK_OUT_MAX];
    const char *const argv[] = {"./script", NULL};
    const struct attack_child c = {.argv = argv};
    if (!attack_copy(t, "/bin/sh", "sh") || !attack_write(t, "script", text, 0755))
        return;
    int status = attack_run(t, &c, out);
    if (strncmp(out, "clawrden-canary", 15) == 0)
        attack_say(t, ATTACK_HOLE, "a copied interpreter ran a script");
    else
        attack_judge(t, out, status);
}

/* Two scripts, one harmless, under one name that is swapped all the time; both are the agent's, so
 * neither may run without a person: what a person saw must be what runs. */
static void swap_scripts(void)
{
    for (;;) {
        (void)rename("evil", "script");
        (void)rename("good", "script");
        (void)!link("evil.0", "evil");
        (void)!link("good.0", "good");
    }
}

static void by_swapped_operand(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    unsigned refused = 0;
    const char *const argv[] = {"/bin/sh", "./script", NULL};
    const struct attack_child c = {.argv = argv};
    if (!attack_write(t, "evil.0", "echo clawrden-canary\n", 0755) ||
        !attack_write(t, "good.0", "exit 0\n", 0755) ||
        !attack_write(t, "script", "exit 0\n", 0755))
        return;
    if (attack_run(t, &c, out) == 0) {
        attack_say(t, ATTACK_ALLOWED, "the policy takes the agent's scripts for their interpreter");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        swap_scripts();
    }
    for (int i = 0; i < RACES; i++) {
        (void)attack_run(t, &c, out);
        if (strncmp(out, "clawrden-canary", 15) == 0)
            attack_say(t, ATTACK_HOLE, "a script that nobody judged ran at try %d", i + 1);
        refused += strstr(out, "clawrden: ") != NULL;
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    attack_say(t, refused == RACES ? ATTACK_REFUSED : ATTACK_UNPROVED, "%u of %d tries refused",
               refused, RACES);
}

const struct attack_row attack_tools[] = {
    {"sh", "from a shell", by_shell, false},
    {"login-shell", "from a login shell, which resets PATH", by_login_shell, false},
    {"env-i", "without any environment", by_clean_env, false},
    {"xargs", "by xargs", by_xargs, false},
    {"find", "by find -exec", by_find, false},
    {"make", "by make", by_make, false},
    {"git-alias", "by an alias of git", by_git_alias, false},
    {"loader", "as an operand of the loader", by_loader, false},
    {"loader-copy", "as an operand of a copy of the loader", by_copied_loader, false},
    {"LD_PRELOAD", "code of one's own in an allowed program", by_preload, false},
    {"LD_AUDIT", "code of one's own in an allowed program", by_audit, false},
    {"LD_DEBUG", "an order to the loader", by_debug, false},
    {"LD_LIBRARY_PATH", "a library of one's own in an allowed program", by_library_path, false},
    {"BASH_ENV", "a script that a shell reads first", by_bash_env, false},
    {"PYTHONPATH", "a module that Python reads first", by_python_path, false},
    {"PERL5OPT", "a module that Perl reads first", by_perl_option, false},
    {"NODE_OPTIONS", "a module that Node reads first", by_node_option, false},
    {"GIT_EXEC_PATH", "a folder of git's own tools", by_git_variable, false},
    {"script", "from a script in the workspace", by_script, false},
    {"script-copy", "a script whose interpreter is a copy", by_script_interpreter, false},
    {"script-swap", "an operand of sh that is swapped", by_swapped_operand, false},
    {0},
};
