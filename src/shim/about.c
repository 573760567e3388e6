/* SPDX-License-Identifier: MIT */
#include "shim/about.h"

#include <string.h>
#include <unistd.h>

#include "shim/say.h"

static const char usage[] =
    "usage: clawrden-shim [--help | --version | --as NAME ARGV...]\n"
    "\n"
    "clawrden-shim stands in for commands that Clawrden governs. Link it under the name of\n"
    "a command, in a directory that comes first in PATH:\n"
    "\n"
    "    ln -s /usr/bin/clawrden-shim /usr/local/clawrden/bin/git\n"
    "\n"
    "Called as 'git' it asks the warden whether this command may run, waits while a person\n"
    "decides, and then behaves as the command itself: streams, signals, terminal and exit\n"
    "code. Exit codes of its own: 126 refused, 125 Clawrden could not do its job (nothing\n"
    "was run, unless it says so), 124 out of time, 127 no such command.\n"
    "\n"
    "--as stands in for NAME with these arguments, the zeroth first; a gate does so.\n"
    "\n"
    "CLAWRDEN_SOCKET names the warden's socket; here it is\n    ";

static int out(const char *s)
{
    return say_bytes(STDOUT_FILENO, s, strlen(s));
}

int about_main(char **args, const char *socket)
{
    if (!args[0] || (strcmp(args[0], "--help") == 0 && !args[1]))
        return out(usage) < 0 || out(socket) < 0 || out("\n") < 0;
    if (strcmp(args[0], "--version") == 0 && !args[1])
        return out("clawrden-shim " CLAWRDEN_VERSION "\n") < 0;
    say_line("clawrden-shim: unknown argument '", args[0], "'; see 'clawrden-shim --help'");
    return 2;
}
