/* SPDX-License-Identifier: MIT */
/* clawrden kill: ends a running or waiting command. On a terminal it shows the command and asks. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/ids.h"
#include "cli/remote.h"
#include "cli/show.h"

#define REASON_MAX 256 /* bytes, as in the API */

/* KILL, SIGKILL, kill or 9. 0 for a name that is none. */
static int signal_number(const char *name)
{
    uint64_t n;
    if (str_parse_u64(name, 64, &n) == 0)
        return (int)n;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcasecmp(known, name) == 0)
            return i;
    }
    return 0;
}

/* Looks among what runs and what waits. 0 with *ret in one of the answers, else an exit code. */
static int find(struct cli *c, const char *typed, struct remote_answer *running,
                struct remote_answer *queue, const struct json **ret)
{
    struct err err = {0};
    const struct json *list, *waiting;
    int code, code2, r = remote_get_list(c, "/api/running", "running", running, &list);
    if (r == CLI_OK)
        r = remote_get_list(c, "/api/queue", "queue", queue, &waiting);
    if (r != CLI_OK)
        return r;
    const struct json *a = ids_find(list, typed, &code, &err);
    if (code != 0 && code != -ENOENT)
        return cli_fail(CLI_REFUSED, "%s", err.text);
    const struct json *b = ids_find(waiting, typed, &code2, &err);
    if (code2 == -ENOTUNIQ || (a && b))
        return cli_fail(CLI_REFUSED, "'%s' names several requests: type more of the id", typed);
    *ret = a ? a : b;
    return *ret ? CLI_OK : ids_missing(c, typed, "run or wait");
}

/* 0 for yes, or an exit code with the words out. `what` is shown first, whole lines. */
static int confirm(const struct args *a, const char *what, int signo)
{
    char line[16];
    if (args_flag(a, "yes"))
        return CLI_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_fail(CLI_USAGE, "without a terminal kill needs --yes");
    (void)fprintf(stderr, "%ssend SIG%s? [y/N] ", what, sigabbrev_np(signo));
    if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
        return CLI_OK;
    return cli_fail(CLI_REFUSED, "nothing was sent");
}

static char *join_words(const struct args *a, size_t from)
{
    _cleanup_buf_ struct buf b = BUF_INIT(REASON_MAX);
    for (size_t i = from; i < a->count; i++)
        (void)buf_printf(&b, "%s%s", i > from ? " " : "", a->words[i]);
    return b.failed ? NULL : mem_strdup(buf_str(&b));
}

/* `id` NULL: all that starts or runs. */
static int ask_warden(struct cli *c, const char *id, int signo, const char *reason,
                      struct remote_answer *ret)
{
    _cleanup_buf_ struct buf body = BUF_INIT(64u << 10);
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    if (id)
        json_field_string(&w, "id", id);
    else
        json_field_bool(&w, "all", true);
    json_field_int(&w, "signal", signo);
    if (reason[0])
        json_field_string(&w, "reason", reason);
    json_object_end(&w);
    int r = remote_ask(c, "POST", "/api/kill", &body, ret);
    if (r == CLI_OK && c->json)
        show_json_line(ret->root);
    return r;
}

static int kill_everything(struct cli *c, const struct args *a, int signo, const char *reason)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = confirm(a, "every command that runs, of every agent\n", signo);
    if (r == CLI_OK)
        r = ask_warden(c, NULL, signo, reason, &answer);
    if (r == CLI_OK && !c->json)
        printf("sent SIG%s to %zu commands\n", sigabbrev_np(signo),
               json_count(json_get(answer.root, "killed")));
    return r;
}

int cmd_kill(struct cli *c, const struct args *a)
{
    const char *name = args_value(a, "signal");
    int signo = name ? signal_number(name) : SIGKILL;
    if (signo <= 0 || !sigabbrev_np(signo))
        return cli_fail(CLI_USAGE, "--signal: '%s' is no signal; say KILL, TERM, INT, HUP ...",
                        name);
    _cleanup_free_ char *reason = join_words(a, 1);
    if (!reason)
        return cli_fail(CLI_USAGE, "the reason is longer than %d bytes", REASON_MAX);
    if (str_eq(a->words[0], "all"))
        return kill_everything(c, a, signo, reason);

    _cleanup_remote_ struct remote_answer running = REMOTE_ANSWER_INIT, queue = REMOTE_ANSWER_INIT,
                                          answer = REMOTE_ANSWER_INIT;
    const struct json *o = NULL;
    int r = find(c, a->words[0], &running, &queue, &o);
    if (r != CLI_OK)
        return r;
    _cleanup_free_ char *id = show_text(o, "id"), *command = show_command(o);
    _cleanup_free_ char *what = mem_printf("%s\n%s\n", id, command);
    r = confirm(a, what, signo);
    if (r == CLI_OK)
        r = ask_warden(c, id, signo, reason, &answer);
    if (r == CLI_OK && !c->json)
        printf("sent SIG%s to %s: %s\n", sigabbrev_np(signo), id, command);
    return r;
}
