/* SPDX-License-Identifier: MIT */
/* clawrden queue --watch. The selection is an id, not a row: when that request leaves, nothing is
 * selected, so that a key meant for one command never answers another. An answer is given only to
 * what stands whole on the screen, bound to the digest that was read with it. */
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/news.h"
#include "cli/remote.h"
#include "cli/reply.h"
#include "cli/show.h"
#include "cli/table.h"

#define LOOK_MS 1000          /* ages go on; and the queue is asked for, where there is no feed */
#define LOOK_ANYWAY_MS 15000  /* also where there is one */
#define SCREEN_MAX (4u << 20) /* bytes of one picture */
#define DETAIL_LINES 4        /* around the selected command */

struct screen {
    struct cli *c;
    struct remote_answer answer; /* the last one */
    const struct json *list;     /* in it */
    char *selected;              /* owned id, or NULL */
    bool whole;                  /* the selected command stands whole on the screen */
    bool away;                   /* the last look failed */
    char said[512];              /* the bottom line */
    size_t rows, columns;
    int news; /* readable when something happened; -1: none */
    uint64_t looked_at;
};

static volatile sig_atomic_t stop, resumed;
static struct termios before, raw;

static void on_signal(int signo)
{
    stop = 1;
}

/* Stopped by others and back again: the shell has the terminal as it wants it. */
static void on_resume(int signo)
{
    resumed = 1;
}

static void on_size(int signo)
{
    /* it ends poll(), and the picture is drawn anew */
}

static void enter(void)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void)fd_write_all(STDOUT_FILENO, "\033[?1049h\033[?25l", 14); /* other screen, no cursor */
}

static void leave(void)
{
    (void)fd_write_all(STDOUT_FILENO, "\033[?25h\033[?1049l", 14);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* For signals that say that we are broken: async-signal-safe, then they do what they do. */
static void on_fault(int signo)
{
    (void)!write(STDOUT_FILENO, "\033[?25h\033[?1049l", 14);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)raise(signo); /* SA_RESETHAND */
}

static const char *id_of(const struct json *o)
{
    const char *id = json_string(json_get(o, "id"), NULL);
    return id ? id : "";
}

static size_t selected_row(const struct screen *w)
{
    for (size_t i = 0; w->selected && w->list && i < json_count(w->list); i++)
        if (str_eq(id_of(json_at(w->list, i)), w->selected))
            return i;
    return SIZE_MAX;
}

static void select_row(struct screen *w, size_t i)
{
    free(w->selected);
    w->selected =
        w->list && i < json_count(w->list) ? mem_strdup(id_of(json_at(w->list, i))) : NULL;
}

/* ---- the picture ---- */

static void measure(struct screen *w)
{
    struct winsize ws = {0};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
    w->rows = ws.ws_row >= 8 ? ws.ws_row : 24;
    w->columns = ws.ws_col >= 20 ? ws.ws_col : 80;
}

/* One line, with a mark where it is cut. */
static void put_line(struct buf *out, const char *s, size_t columns)
{
    size_t n = strlen(s);
    if (table_width(s) > columns) {
        size_t w = 0;
        for (n = 0; s[n];) {
            size_t k = str_utf8_next(s + n, strlen(s + n), NULL);
            char one[5] = {0};
            memcpy(one, s + n, k ? k : 1);
            w += table_width(one);
            if (w + 4 > columns)
                break;
            n += k ? k : 1;
        }
    }
    (void)buf_append(out, s, n);
    (void)buf_append_str(out, s[n] ? " >>>\r\n" : "\r\n");
}

static void put_row(struct screen *w, struct buf *out, const struct json *o, bool selected)
{
    _cleanup_free_ char *id = show_id(o), *age = show_age(o, "waiting_at"),
                        *left = show_left(o, "deadline"), *uid = show_text(o, "uid"),
                        *command = show_command(o);
    _cleanup_free_ char *line =
        mem_printf("%c %-12s %7s %7s %6s  %s", selected ? '>' : ' ', id, age, left, uid, command);
    put_line(out, line, w->columns);
}

/* The selected command, wrapped; sets w->whole. */
static void put_selected(struct screen *w, struct buf *out, const struct json *o, size_t lines)
{
    _cleanup_free_ char *command = show_command(o), *cwd = show_text(o, "cwd"),
                        *rule = show_text(o, "rule"), *reason = show_text(o, "reason"),
                        *program = show_text(o, "executable");
    _cleanup_free_ char *where = mem_printf("in %s, program %s", cwd, program);
    _cleanup_free_ char *why = mem_printf("rule: %s%s%s", rule, reason[0] ? ": " : "", reason);
    (void)buf_append_str(out, "\r\n");
    put_line(out, where, w->columns);
    put_line(out, why, w->columns);
    const char *s = command;
    for (size_t i = 0; *s && i < lines; i++) {
        size_t n = table_break(s, w->columns);
        (void)buf_append(out, s, n);
        (void)buf_append_str(out, "\r\n");
        s += n;
    }
    w->whole = !*s && !show_is_short(o);
}

static void draw(struct screen *w)
{
    _cleanup_buf_ struct buf out = BUF_INIT(SCREEN_MAX);
    measure(w);
    size_t n = w->list ? json_count(w->list) : 0, at = selected_row(w);
    size_t room = at == SIZE_MAX ? w->rows - 3 : (w->rows - 3) / 2;
    size_t first = at != SIZE_MAX && at >= room ? at - room + 1 : 0;
    (void)buf_append_str(&out, "\033[H\033[2J");
    _cleanup_free_ char *head = mem_printf(
        "%zu waiting    j/k select   a approve   r approve and remember   d deny   q quit", n);
    put_line(&out, head, w->columns);
    for (size_t i = first; i < n && i < first + room; i++)
        put_row(w, &out, json_at(w->list, i), i == at);
    w->whole = false;
    if (at != SIZE_MAX)
        put_selected(w, &out, json_at(w->list, at), w->rows - room - 3 - DETAIL_LINES + 1);
    (void)buf_printf(&out, "\033[%zu;1H", w->rows);
    (void)buf_append_str(&out, w->said);
    (void)fd_write_all(STDOUT_FILENO, buf_str(&out), out.len);
}

/* ---- what happens ---- */

/* A warden that is away is waited for: it may be starting anew. */
static void refresh(struct screen *w)
{
    struct remote_answer next = REMOTE_ANSWER_INIT;
    int r = remote_call(w->c, "GET", "/api/queue", NULL, &next);
    w->looked_at = clock_monotonic();
    remote_answer_done(&w->answer);
    w->answer = next;
    w->list = r == CLI_OK && next.status / 100 == 2 ? remote_list(&w->answer, "queue") : NULL;
    if (!w->list)
        (void)snprintf(w->said, sizeof(w->said), "%.400s",
                       next.message[0] ? next.message : "no warden answers; trying again");
    else if (w->away)
        w->said[0] = '\0';
    w->away = !w->list;
    if (w->selected && selected_row(w) == SIZE_MAX) {
        select_row(w, SIZE_MAX);
        (void)snprintf(w->said, sizeof(w->said), "the selected request is gone");
    }
}

/* `remember`: an unknown program passes from then on, by path and content. */
static void answer(struct screen *w, enum reply_kind kind, bool remember)
{
    size_t at = selected_row(w);
    const struct json *o = at == SIZE_MAX ? NULL : json_at(w->list, at);
    if (!o) {
        (void)snprintf(w->said, sizeof(w->said), "select one by j and k first");
        return;
    }
    if (kind == REPLY_APPROVE && !w->whole) {
        (void)snprintf(w->said, sizeof(w->said),
                       "too long for this screen: clawrden queue %s shows all of it", id_of(o));
        return;
    }
    _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
    const char *word = kind == REPLY_APPROVE ? "approved" : "denied";
    int r = reply_send(w->c, o, kind, NULL, remember, &a);
    if (r == CLI_OK && a.status / 100 == 2)
        (void)snprintf(w->said, sizeof(w->said), "%s %s", word, id_of(o));
    else
        (void)snprintf(w->said, sizeof(w->said), "not %s: %.400s", word,
                       a.message[0] ? a.message : "no warden answers");
    select_row(w, SIZE_MAX);
    refresh(w);
}

static void key(struct screen *w, char k)
{
    size_t n = w->list ? json_count(w->list) : 0, at = selected_row(w);
    w->said[0] = '\0';
    switch (k) {
    case 'j':
        if (n > 0)
            select_row(w, at == SIZE_MAX ? 0 : at + 1 < n ? at + 1 : at);
        return;
    case 'k':
        if (n > 0)
            select_row(w, at == SIZE_MAX ? n - 1 : at > 0 ? at - 1 : 0);
        return;
    case 'a':
        answer(w, REPLY_APPROVE, false);
        return;
    case 'r':
        answer(w, REPLY_APPROVE, true);
        return;
    case 'd':
        answer(w, REPLY_DENY, false);
        return;
    case 'q':
    case 3: /* Ctrl-C */
    case 4: /* Ctrl-D */
        stop = 1;
        return;
    }
}

static bool is_stale(const struct screen *w)
{
    uint64_t ms = (clock_monotonic() - w->looked_at) / CLOCK_NS_PER_MS;
    return ms >= (news_all_heard() && !w->away ? LOOK_ANYWAY_MS : LOOK_MS);
}

/* Waits for a key, news, a signal or the next second. */
static void step(struct screen *w)
{
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                          {.fd = w->news, .events = POLLIN}};
    char k;
    int n = poll(p, 2, LOOK_MS);
    if (resumed) {
        resumed = 0;
        enter();
    }
    if (n > 0 && p[1].revents) {
        news_taken(w->news);
        refresh(w);
    } else if (is_stale(w)) {
        refresh(w);
    }
    if (n <= 0 || !p[0].revents)
        return; /* a signal: the caller looks at `stop`, a new size is drawn */
    if (read(STDIN_FILENO, &k, 1) == 1)
        key(w, k);
    else
        stop = 1;
}

static void hear_signals(void)
{
    static const struct {
        int signo;
        void (*fn)(int);
    } rows[] = {{SIGTERM, on_signal}, {SIGHUP, on_signal}, {SIGINT, on_signal},
                {SIGQUIT, on_signal}, {SIGPIPE, SIG_IGN},  {SIGCONT, on_resume},
                {SIGWINCH, on_size},  {SIGABRT, on_fault}, {SIGSEGV, on_fault},
                {SIGBUS, on_fault}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sigaction sa = {.sa_handler = rows[i].fn};
        sa.sa_flags = rows[i].fn == on_fault ? (int)SA_RESETHAND : 0;
        (void)sigaction(rows[i].signo, &sa, NULL);
    }
}

static int run_screen(struct screen *w)
{
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return cli_fail(CLI_USAGE, "--watch needs a terminal to read keys from");
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    hear_signals();
    enter();
    (void)atexit(leave); /* also when memory ends the program */
    w->news = news_open(w->c);
    while (!stop) {
        draw(w);
        step(w);
    }
    return CLI_OK;
}

int screen_run(struct cli *c)
{
    struct screen w = {.c = c, .news = -1};
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return cli_fail(CLI_USAGE,
                        "--watch needs a terminal; clawrden queue --json is for programs");
    /* The first look says aloud what is wrong; after it the screen does. */
    int r = remote_get_list(c, "/api/queue", "queue", &w.answer, &w.list);
    if (r == CLI_OK) {
        c->quiet = true;
        r = run_screen(&w);
    }
    remote_answer_done(&w.answer);
    free(w.selected);
    return r;
}
