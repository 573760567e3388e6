/* SPDX-License-Identifier: MIT */
/* clawrden kill, pause, resume, panic: one command, one container, or everything. Each shows what
 * it is about to do and asks on a terminal; elsewhere it needs --yes. */
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

struct order {
    const char *verb, *path; /* "kill", "/api/kill" */
    const char *asks;        /* "send SIGTERM?" */
    const char *id, *container;
    const char *reason, *resume_after;
    int signo; /* of a kill, else 0 */
};

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
static int confirm(const struct args *a, const struct order *o, const char *what)
{
    char line[16];
    if (args_flag(a, "yes"))
        return CLI_OK;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_fail(CLI_USAGE, "without a terminal %s needs --yes", o->verb);
    (void)fprintf(stderr, "%s%s [y/N] ", what, o->asks);
    if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
        return CLI_OK;
    return cli_fail(CLI_REFUSED, "nothing was done");
}

static void put_body(const struct order *o, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    if (o->id)
        json_field_string(&w, "id", o->id);
    else if (o->container)
        json_field_string(&w, "container", o->container);
    else
        json_field_bool(&w, "all", true);
    if (o->signo)
        json_field_int(&w, "signal", o->signo);
    if (o->resume_after)
        json_field_string(&w, "resume_after", o->resume_after);
    if (o->reason)
        json_field_string(&w, "reason", o->reason);
    json_object_end(&w);
}

/* What could not be done is said on stderr, whatever stdout is for. */
static int tell_failures(const struct order *o, const struct json *root)
{
    const struct json *list = json_get(root, "containers");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *x = json_at(list, i);
        if (!json_string(json_get(x, "error"), NULL))
            continue;
        _cleanup_free_ char *name = show_text(x, "name"), *error = show_text(x, "error");
        (void)cli_fail(CLI_REFUSED, "container %s: %s", name, error);
    }
    list = json_get(root, "not_frozen");
    for (size_t i = 0; i < json_count(list); i++) {
        _cleanup_free_ char *id = show_text(json_at(list, i), "id");
        _cleanup_free_ char *error = show_text(json_at(list, i), "error");
        (void)cli_fail(CLI_REFUSED, "%s runs on: %s", id, error);
    }
    if (json_count(list) == 0 && json_string(json_get(root, "message"), NULL)) {
        _cleanup_free_ char *words = show_text(root, "message");
        (void)cli_fail(CLI_REFUSED, "%s", words);
    }
    if (!json_bool(json_get(root, "recorded"), true))
        (void)cli_fail(CLI_REFUSED,
                       "the audit log does not take records: the %s is done, and "
                       "will be recorded when it does",
                       o->verb);
    return json_integer(json_get(root, "failed"), 0) > 0 ? CLI_REFUSED : CLI_OK;
}

static void tell(const struct order *o, const struct json *root, const char *target)
{
    size_t n = json_count(json_get(root, "containers"));
    size_t frozen = json_count(json_get(root, "frozen"));
    if (o->signo) {
        printf("sent SIG%s to %s: %zu commands, %zu containers\n", sigabbrev_np(o->signo), target,
               json_count(json_get(root, "killed")), n);
        return;
    }
    bool pause = str_eq(o->path, "/api/pause");
    printf("%s %s", pause ? "paused" : "resumed", target);
    if (n)
        printf(": %zu container%s", n, n == 1 ? "" : "s");
    if (frozen && !o->id)
        printf("%s %zu command%s", n ? "," : ":", frozen, frozen == 1 ? "" : "s");
    if (json_string(json_get(root, "until"), NULL)) {
        _cleanup_free_ char *until = show_text(root, "until");
        printf(", until %s", until);
    }
    if (json_bool(json_get(root, "still_paused"), false))
        printf("; everything is paused, and it with everything");
    printf("\n");
}

struct outcome {
    const struct cli *c;
    const struct order *o;
    const char *target;
};

static int on_answer(void *arg, const struct remote_answer *a)
{
    const struct outcome *x = arg;
    if (x->c->json)
        show_json_line(a->root);
    else
        tell(x->o, a->root, x->target);
    return tell_failures(x->o, a->root);
}

/* `what` is shown before the question, `target` is named behind it. */
static int carry_out(struct cli *c, const struct args *a, const struct order *o, const char *what,
                     const char *target)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf body = BUF_INIT(64u << 10);
    struct outcome x = {c, o, target};
    int r = confirm(a, o, what);
    if (r != CLI_OK)
        return r;
    put_body(o, &body);
    if (!o->id && !o->container) /* of every session */
        return remote_ask_each(c, "POST", o->path, &body, on_answer, &x);
    r = remote_ask(c, "POST", o->path, &body, &answer);
    return r == CLI_OK ? on_answer(&x, &answer) : r;
}

static int to_one(struct cli *c, const struct args *a, struct order *o)
{
    _cleanup_remote_ struct remote_answer running = REMOTE_ANSWER_INIT, queue = REMOTE_ANSWER_INIT;
    const struct json *found = NULL;
    int r = find(c, a->words[0], &running, &queue, &found);
    if (r != CLI_OK)
        return r;
    _cleanup_free_ char *id = show_text(found, "id"), *command = show_command(found);
    _cleanup_free_ char *what = mem_printf("%s\n%s\n", id, command);
    _cleanup_free_ char *target = mem_printf("%s (%s)", id, command);
    o->id = id;
    return carry_out(c, a, o, what, target);
}

static int to_container(struct cli *c, const struct args *a, const struct order *o)
{
    _cleanup_buf_ struct buf name = BUF_INIT(4096);
    (void)str_escape(&name, o->container, strlen(o->container));
    _cleanup_free_ char *target = mem_printf("container %s", buf_str(&name));
    _cleanup_free_ char *what = mem_printf("%s, and all that runs and waits in it\n", target);
    return carry_out(c, a, o, what, target);
}

/* Exactly one of ID, --container and --all. */
static int give(struct cli *c, const struct args *a, struct order *o)
{
    bool all = args_flag(a, "all");
    o->container = args_value(a, "container");
    o->reason = args_value(a, "reason");
    if ((a->count > 0) + (o->container != NULL) + all != 1)
        return cli_fail(CLI_USAGE, "%s what? Say an ID, --container NAME, or --all", o->verb);
    if (o->reason && strlen(o->reason) > REASON_MAX)
        return cli_fail(CLI_USAGE, "the reason is longer than %d bytes", REASON_MAX);
    if (all)
        return carry_out(c, a, o, "everything: every governed container, all that runs and waits\n",
                         "everything");
    return o->container ? to_container(c, a, o) : to_one(c, a, o);
}

int cmd_kill(struct cli *c, const struct args *a)
{
    const char *name = args_value(a, "signal");
    struct order o = {.verb = "kill", .path = "/api/kill"};
    o.signo = name ? signal_number(name) : SIGTERM;
    if (o.signo <= 0 || !sigabbrev_np(o.signo))
        return cli_fail(CLI_USAGE, "--signal: '%s' is no signal; say KILL, TERM, INT, HUP ...",
                        name);
    _cleanup_free_ char *asks = mem_printf("send SIG%s?", sigabbrev_np(o.signo));
    o.asks = asks;
    return give(c, a, &o);
}

/* A duration, checked here so that the words name the option. */
static int read_resume_after(const struct args *a, struct order *o)
{
    struct err err = {0};
    uint64_t ns;
    o->resume_after = args_value(a, "resume-after");
    if (o->resume_after && (str_parse_duration(o->resume_after, &ns, &err) < 0 || ns == 0))
        return cli_fail(CLI_USAGE, "--resume-after: '%s' is no time; say 90s, 15m, 2h",
                        o->resume_after);
    return CLI_OK;
}

int cmd_pause(struct cli *c, const struct args *a)
{
    struct order o = {.verb = "pause", .path = "/api/pause", .asks = "pause?"};
    int r = read_resume_after(a, &o);
    return r == CLI_OK ? give(c, a, &o) : r;
}

int cmd_resume(struct cli *c, const struct args *a)
{
    struct order o = {.verb = "resume", .path = "/api/resume", .asks = "let go on?"};
    return give(c, a, &o);
}

int cmd_panic(struct cli *c, const struct args *a)
{
    struct order o = {.verb = "panic", .path = "/api/pause", .asks = "pause everything?"};
    int r = read_resume_after(a, &o);
    o.reason = args_value(a, "reason");
    if (o.reason && strlen(o.reason) > REASON_MAX)
        return cli_fail(CLI_USAGE, "the reason is longer than %d bytes", REASON_MAX);
    if (r != CLI_OK)
        return r;
    return carry_out(c, a, &o, "everything: every governed container, all that runs and waits\n",
                     "everything");
}
