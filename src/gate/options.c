/* SPDX-License-Identifier: MIT */
#include "gate/options.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate/speak.h"
#include "mirror/phrase.h"

#define SOCKET_DEFAULT "/var/run/clawrden/warden.sock"
#define WAIT_DEFAULT_S 30

static const char usage[] =
    "usage: clawrden-gate [--socket PATH | --fd N] [--status-fd N] [--wall MODE] [--walled DIRS] "
    "[--wait SECONDS] [--allow-debuggers] [--] COMMAND [ARGUMENT...]\n"
    "       clawrden-gate exec [--] COMMAND [ARGUMENT...]\n"
    "Starts COMMAND; every program that starts in its tree waits until the warden has judged it.\n"
    "  --socket PATH    the warden's socket; default: CLAWRDEN_SOCKET, else " SOCKET_DEFAULT "\n"
    "  --fd N           an inherited socket that is connected to the warden\n"
    "  --status-fd N    gets a line when the agent was started, and one when it has ended\n"
    "  --wait SECONDS   for the warden to be there and to let the agent start; default: 30\n"
    "  --wall MODE      how the memory of what waits is protected; see clawrden-gate(8)\n"
    "  --walled DIRS    given by clawrden run: what is mounted read-only cannot be written; A:B\n"
    "                   are directories whose programs go by their names\n"
    "  --allow-debuggers  programs of the tree may trace each other: weaker, see clawrden-gate(8)\n"
    "See clawrden-gate(8).\n";

static int number(const char *text)
{
    const char *end;
    if (!text || text[0] < '0' || text[0] > '9')
        return -1;
    uint64_t n = phrase_number(text, &end);
    return *end || n > 1u << 20 ? -1 : (int)n;
}

static bool take_wall(const char *text, enum wall_mode *ret)
{
    static const char *const names[] = {"auto", "landlock", "none"};
    for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum wall_mode)i;
            return true;
        }
    return false;
}

static bool take_option(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "--socket") == 0)
        return (o->socket = value) != NULL;
    if (strcmp(name, "--fd") == 0)
        return (o->fd = number(value)) >= 0;
    if (strcmp(name, "--status-fd") == 0)
        return (o->status_fd = number(value)) >= 0;
    if (strcmp(name, "--wall") == 0)
        return take_wall(value, &o->wall);
    if (strcmp(name, "--walled") == 0)
        return (o->walled = value) != NULL;
    if (strcmp(name, "--wait") == 0)
        return (o->wait_s = number(value)) >= 0;
    return false;
}

void options_parse(int argc, char **argv, struct options *o)
{
    int i = 1;
    *o = (struct options){.fd = -1, .status_fd = -1, .wait_s = WAIT_DEFAULT_S};
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)!write(1, "clawrden-gate " CLAWRDEN_VERSION "\n",
                     sizeof("clawrden-gate " CLAWRDEN_VERSION "\n") - 1);
        exit(0);
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)!write(1, usage, sizeof(usage) - 1);
        exit(0);
    }
    if (i < argc && strcmp(argv[i], "exec") == 0)
        i++; /* beside a governed agent: a tree of its own, judged by the same warden */
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (argv[i][2] == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--allow-debuggers") == 0) {
            o->debuggers = true;
            i--; /* it has no value */
            continue;
        }
        if (!take_option(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            speak("not an option, or not a value for it: ", argv[i]);
            (void)!write(2, usage, sizeof(usage) - 1);
            exit(SPEAK_EXIT_CANNOT);
        }
    }
    o->command = argv + i;
    if (i >= argc || (o->socket && o->fd >= 0)) {
        speak(i >= argc ? "a command is missing" : "either --socket or --fd, not both", "");
        (void)!write(2, usage, sizeof(usage) - 1);
        exit(SPEAK_EXIT_CANNOT);
    }
    if (!o->socket && o->fd < 0) {
        o->socket = getenv("CLAWRDEN_SOCKET");
        if (!o->socket || !o->socket[0])
            o->socket = SOCKET_DEFAULT;
    }
}
