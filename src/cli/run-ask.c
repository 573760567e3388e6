/* SPDX-License-Identifier: MIT */
/* What was typed before the question is thrown away: it was meant for the agent. The agent can draw
 * what looks like a question, but an answer to that goes to the agent and approves nothing. */
#include "cli/run-ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/remote.h"
#include "cli/reply.h"
#include "cli/request-text.h"

#define LOOK_MS 250
/* Out of another character set, colours and the second screen, whatever the agent had set. */
#define CLEAR_STATE "\033[!p\033(B\033[0m\033[?1049l\r\n"

struct asking {
    struct cli cli;
    int channel, real;
    FILE *out;  /* owned; the terminal */
    char *last; /* owned; the id that was answered last, which may stand in the list for a moment */
};

/* True when the other side is gone. */
static bool wait_gone(const struct asking *q, int ms)
{
    struct pollfd p = {.fd = q->channel, .events = POLLIN};
    char byte;
    return poll(&p, 1, ms) > 0 && recv(q->channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static bool tell(const struct asking *q, char what)
{
    char answer;
    if (send(q->channel, &what, 1, MSG_NOSIGNAL) != 1)
        return false;
    return what != 'p' || recv(q->channel, &answer, 1, 0) == 1;
}

static bool still_waits(struct asking *q, const char *id)
{
    _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
    _cleanup_free_ char *path = mem_printf("/api/queue/%s", id);
    return remote_call(&q->cli, "GET", path, NULL, &a) == CLI_OK && a.status == 200;
}

/* One line from the terminal: -1 when the request is gone first, or we are. */
static int read_answer(struct asking *q, const char *id, char *line, size_t size)
{
    struct pollfd p[2] = {{.fd = q->real, .events = POLLIN}, {.fd = q->channel, .events = POLLIN}};
    for (;;) {
        int n = poll(p, 2, 1000);
        if (n > 0 && p[1].revents)
            return -1;
        if (n > 0 && p[0].revents) {
            ssize_t k = read(q->real, line, size - 1);
            line[k > 0 ? k : 0] = '\0';
            return k > 0 ? 0 : -1;
        }
        if (n == 0 && !still_waits(q, id))
            return -1;
    }
}

/* True when it was taken. */
static bool answer(struct asking *q, const struct json *request, enum reply_kind kind,
                   bool remember, const char *comment)
{
    _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
    int r = reply_send(&q->cli, request, kind, comment, remember, &a);
    bool taken = r == CLI_OK && a.status / 100 == 2;
    (void)fprintf(q->out, "clawrden: %s\r\n",
                  r != CLI_OK             ? "no answer from the warden"
                  : !taken                ? a.message
                  : kind == REPLY_APPROVE ? "approved"
                                          : "denied");
    return taken;
}

/* "y", "r", "n" and "n why": anything else is asked again. */
static bool take_line(struct asking *q, const struct json *request, const char *line)
{
    if (str_eq(line, "y") || str_eq(line, "yes") || str_eq(line, "r"))
        return answer(q, request, REPLY_APPROVE, line[0] == 'r', NULL);
    if (str_eq(line, "n") || str_eq(line, "no") || str_starts(line, "n "))
        return answer(q, request, REPLY_DENY, false,
                      line[0] == 'n' && line[1] == ' ' ? line + 2 : NULL);
    return false;
}

static void put_question(struct asking *q, const struct json *request, const char *id)
{
    char line[512];
    (void)fprintf(q->out, "%sclawrden: the agent asks to run this\n", CLEAR_STATE);
    request_text_print(request, q->out);
    do {
        /* What was typed before the question stands there whole is no answer to it. */
        (void)fprintf(q->out, "clawrden: let it run? ");
        (void)fflush(q->out);
        (void)tcflush(q->real, TCIFLUSH);
        (void)fprintf(q->out, "[y/n, r to remember the yes, or n and why] ");
        (void)fflush(q->out);
        if (read_answer(q, id, line, sizeof(line)) < 0) {
            (void)fprintf(q->out, "\nclawrden: it does not wait any more\n");
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
    } while (!take_line(q, request, line) && still_waits(q, id));
    (void)fflush(q->out);
}

static bool ask_about(struct asking *q, const char *id)
{
    _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
    _cleanup_free_ char *path = mem_printf("/api/queue/%s", id);
    if (remote_call(&q->cli, "GET", path, NULL, &a) != CLI_OK || a.status != 200)
        return true;
    if (!tell(q, 'p'))
        return false;
    put_question(q, a.root, id);
    free(q->last);
    q->last = mem_strdup(id);
    return tell(q, 'r');
}

static _Noreturn void ask_all(struct asking *q)
{
    while (!wait_gone(q, LOOK_MS)) {
        _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
        if (remote_call(&q->cli, "GET", "/api/queue", NULL, &a) != CLI_OK || a.status != 200)
            continue;
        const struct json *list = remote_list(&a, "queue");
        const char *id = NULL;
        for (size_t i = 0; list && i < json_count(list) && !id; i++) {
            id = json_string(json_get(json_at(list, i), "id"), NULL);
            if (id && q->last && str_eq(id, q->last))
                id = NULL;
        }
        if (id && !ask_about(q, id))
            break;
    }
    _exit(0);
}

int run_ask_start(const struct cli *c, const char *dir, int real, struct run_ask *ret,
                  struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, -errno, "cannot make a socket");
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGQUIT, SIG_IGN);
        _cleanup_free_ char *address = mem_printf("unix:%s/api.sock", dir);
        struct asking q = {
            .cli = *c, .channel = pair[1], .real = real, .out = fdopen(dup(real), "w")};
        close(pair[0]);
        q.cli.api = address;
        q.cli.quiet = true;
        if (q.out)
            ask_all(&q);
        _exit(1);
    }
    close(pair[1]);
    *ret = (struct run_ask){.pid = pid, .channel = pair[0]};
    return pid < 0 ? err_errno(err, -errno, "cannot start what asks") : 0;
}

void run_ask_stop(struct run_ask *a)
{
    cleanup_close(&a->channel); /* which ends it */
    if (a->pid > 0)
        (void)waitpid(a->pid, NULL, 0);
    *a = RUN_ASK_INIT;
}

enum run_ask_wish run_ask_hear(const struct run_ask *a)
{
    char what;
    ssize_t n = recv(a->channel, &what, 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return RUN_ASK_NOTHING;
    if (n != 1)
        return RUN_ASK_GONE;
    return what == 'p' ? RUN_ASK_PAUSE : RUN_ASK_RESUME;
}

void run_ask_go(const struct run_ask *a)
{
    (void)!send(a->channel, "k", 1, MSG_NOSIGNAL);
}
