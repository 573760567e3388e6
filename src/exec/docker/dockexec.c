/* SPDX-License-Identifier: MIT */
/* Container's environment -> create -> connect and ask to start -> inspect until it has a pid, and
 * at the end until it has an exit code. https://docs.docker.com/engine/api/v1.41/#tag/Exec */
#include "exec/docker/dockexec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/docker/docker.h"
#include "http/client-loop.h"

#define ANSWER_MS 20000
#define BODY_MAX (16u << 20)
#define NODES_MAX 200000
#define LOOK_MIN_MS 2 /* between two looks at it, doubled each time */
#define LOOK_MAX_MS 250
#define START_LOOKS 120 /* about 20 s */
#define CODE_LOOKS 40   /* about 8 s */
/* Nobody types this: the engine would leave the command when it reads it. */
#define DETACH_KEYS "ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@"

enum look { LOOK_START, LOOK_CODE };

struct dockexec {
    struct list link;           /* the engine's */
    struct client_loop *client; /* borrowed */
    char *socket;               /* owned */
    const struct dockexec_ops *ops;
    void *arg;
    uv_timer_t timer;
    char *container, *path, *cwd, *env; /* owned */
    char **argv;                        /* owned, and its strings */
    size_t argc, env_len;
    uint32_t uid, gid, rows, columns;
    bool emptied; /* variables are made empty, for an engine that takes none out (podman) */
    bool groups, tty, left, kill, asked_to_start, started, resizing;
    enum look look;
    unsigned looks, wait_ms;
    unsigned under_way; /* questions to the engine: it cannot be freed before their answers */
    bool timer_closed;
    char id[80];
};

/* ---- life ---- */

static void free_all(struct dockexec *x)
{
    list_remove(&x->link);
    for (size_t i = 0; i < x->argc; i++)
        free(x->argv[i]);
    free(x->argv);
    free(x->env);
    free(x->cwd);
    free(x->path);
    free(x->container);
    free(x->socket);
    free(x);
}

static void closed(uv_handle_t *h)
{
    struct dockexec *x = h->data;
    x->timer_closed = true;
    if (x->under_way == 0)
        free_all(x);
}

/* True when it is over and an answer's owner is gone. */
static bool answered(struct dockexec *x)
{
    x->under_way--;
    if (x->timer_closed && x->under_way == 0) {
        free_all(x);
        return true;
    }
    return x->timer_closed || uv_is_closing((uv_handle_t *)&x->timer);
}

static void finish(struct dockexec *x)
{
    if (!uv_is_closing((uv_handle_t *)&x->timer))
        uv_close((uv_handle_t *)&x->timer, closed);
}

static void fail(struct dockexec *x, const char *words)
{
    if (x->left)
        finish(x);
    else
        x->ops->failed(x->arg, words);
}

static void ask(struct dockexec *x, const char *method, const char *path, const char *body,
                client_loop_done *done)
{
    x->under_way++;
    client_loop_request(x->client, method, path, body, ANSWER_MS, done, x);
}

/* What the engine says in an error's body. */
static void say_refusal(struct dockexec *x, const char *what, long status, const char *body,
                        size_t len, const char *words)
{
    char text[400];
    _cleanup_(json_freep) struct json *root = NULL;
    const char *said = NULL;
    if (status && json_parse(body, len, 100, &root, NULL) == 0)
        said = json_string(json_get(root, "message"), NULL);
    (void)snprintf(text, sizeof(text), "the engine %s (%ld): %.300s", what, status,
                   said ? said : words);
    fail(x, text);
}

/* ---- looking at it ---- */

static void look_again(struct dockexec *x);

static void on_pid(struct dockexec *x, pid_t pid)
{
    if (x->left) {
        /* Nobody has it: it is the first process that the engine made for it. */
        if (pid > 1 && x->kill) {
            (void)kill(-pid, SIGKILL);
            (void)kill(pid, SIGKILL);
        }
        finish(x);
        return;
    }
    x->started = true;
    if (x->rows && x->columns)
        dockexec_resize(x, x->rows, x->columns);
    x->ops->started(x->arg, pid);
}

static void on_code(struct dockexec *x, int code, const char *words)
{
    if (x->left)
        finish(x);
    else
        x->ops->code(x->arg, code, words);
}

static void inspected(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct dockexec *x = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    (void)words;
    if (answered(x))
        return;
    bool known = status == 200 && json_parse(body, len, NODES_MAX, &root, NULL) == 0;
    const struct json *code = json_get(root, "ExitCode");
    bool running = json_bool(json_get(root, "Running"), false);
    int64_t pid = json_integer(json_get(root, "Pid"), 0);
    bool ended = known && !running && json_is_integer(code);
    /* Podman has the code 0 for what has not begun. */
    bool begun = pid > 0 || json_integer(code, 0) != 0;
    if (x->look == LOOK_CODE && ended)
        on_code(x, (int)json_integer(code, 0) & 255, "");
    else if (x->look == LOOK_CODE && (status == 404 || x->looks >= CODE_LOOKS))
        on_code(x, -1,
                status == 404 ? "the engine does not know the command any more"
                              : "the engine does not say how the command ended");
    else if (x->look == LOOK_START && ended && begun)
        on_pid(x, 0);
    else if (x->look == LOOK_START && known && running && pid > 1 && pid <= INT32_MAX)
        on_pid(x, (pid_t)pid);
    else if (x->look == LOOK_START && (status == 404 || x->looks >= START_LOOKS))
        fail(x, "the engine does not say what became of the command");
    else
        look_again(x);
}

static void on_timer(uv_timer_t *t)
{
    struct dockexec *x = t->data;
    _cleanup_free_ char *path = mem_printf("/exec/%s/json", x->id);
    x->looks++;
    ask(x, "GET", path, NULL, inspected);
}

static void look_again(struct dockexec *x)
{
    (void)uv_timer_start(&x->timer, on_timer, x->wait_ms, 0);
    x->wait_ms = x->wait_ms * 2 > LOOK_MAX_MS ? LOOK_MAX_MS : x->wait_ms * 2 + (x->wait_ms == 0);
}

static void look_for(struct dockexec *x, enum look what)
{
    x->look = what;
    x->looks = 0;
    x->wait_ms = LOOK_MIN_MS;
    on_timer(&x->timer);
}

/* ---- start ---- */

/* Connecting to a unix socket does not wait: it is there, or its queue is full. */
static int dial(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return -errno;
    return fcntl(fd, F_SETFL, 0) < 0 ? -errno : TAKE_FD(fd);
}

static void ask_container(struct dockexec *x);

static void start(struct dockexec *x)
{
    char body[64], text[512];
    _cleanup_close_ int fd = dial(x->socket);
    (void)snprintf(body, sizeof(body), "{\"Detach\":false,\"Tty\":%s}", x->tty ? "true" : "false");
    (void)snprintf(text, sizeof(text),
                   "POST /exec/%s/start HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                   "Content-Length: %zu\r\n\r\n%s",
                   x->id, strlen(body), body);
    if (fd < 0 ||
        send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)strlen(text)) {
        fail(x, "the engine's socket takes no more");
        return;
    }
    x->asked_to_start = true;
    x->ops->stream(x->arg, TAKE_FD(fd));
    if (!x->left)
        look_for(x, LOOK_START);
}

static void created(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct dockexec *x = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    if (answered(x))
        return;
    const char *id = status == 201 && json_parse(body, len, 1000, &root, NULL) == 0
                         ? json_string(json_get(root, "Id"), NULL)
                         : NULL;
    if (!id || strlen(id) < 12 || strlen(id) >= sizeof(x->id) ||
        strspn(id, "0123456789abcdef") != strlen(id)) {
        if (status == 400 && !x->emptied && !x->left) {
            x->emptied = true;
            ask_container(x);
            return;
        }
        say_refusal(x, "makes no command of it", status, body, len, words);
        return;
    }
    if (x->left) {
        finish(x); /* made and never started: nothing runs */
        return;
    }
    memcpy(x->id, id, strlen(id) + 1);
    start(x);
}

/* ---- create ---- */

static bool has_name(const struct dockexec *x, const char *name, size_t n)
{
    for (const char *p = x->env; p < x->env + x->env_len; p += strlen(p) + 1)
        if (strncmp(p, name, n) == 0 && p[n] == '=')
            return true;
    return false;
}

/* A name alone takes a variable out that the engine would put in. */
static void take_out(struct json_writer *w, const struct dockexec *x, const char *text)
{
    size_t n = strcspn(text, "=");
    if (n == 0 || has_name(x, text, n))
        return;
    _cleanup_free_ char *name = mem_printf("%.*s%s", (int)n, text, x->emptied ? "=" : "");
    json_put_string(w, name);
}

static void put_environment(struct json_writer *w, const struct dockexec *x,
                            const struct json *theirs)
{
    json_key(w, "Env");
    json_array_begin(w);
    for (const char *p = x->env; p < x->env + x->env_len; p += strlen(p) + 1)
        json_put_string(w, p);
    for (size_t i = 0; json_is_array(theirs) && i < json_count(theirs); i++) {
        const char *text = json_string(json_at(theirs, i), NULL);
        if (text)
            take_out(w, x, text);
    }
    take_out(w, x, "PATH");
    take_out(w, x, "HOSTNAME");
    take_out(w, x, "TERM");
    json_array_end(w);
}

static void create(struct dockexec *x, const struct json *environment)
{
    _cleanup_buf_ struct buf b = BUF_INIT(BODY_MAX);
    struct json_writer w = JSON_WRITER(&b);
    char user[32];
    /* Without a gid the engine looks both up in the container; the helper compares. */
    if (x->groups)
        (void)snprintf(user, sizeof(user), "%" PRIu32, x->uid);
    else
        (void)snprintf(user, sizeof(user), "%" PRIu32 ":%" PRIu32, x->uid, x->gid);
    json_object_begin(&w);
    json_field_bool(&w, "AttachStdin", true);
    json_field_bool(&w, "AttachStdout", true);
    json_field_bool(&w, "AttachStderr", true);
    json_field_bool(&w, "Tty", x->tty);
    json_field_string(&w, "DetachKeys", x->tty ? DETACH_KEYS : "");
    json_field_string(&w, "User", user);
    json_field_string(&w, "WorkingDir", x->cwd);
    put_environment(&w, x, environment);
    json_key(&w, "Cmd");
    json_array_begin(&w);
    json_put_string(&w, x->path);
    for (size_t i = 1; i < x->argc; i++)
        json_put_string(&w, x->argv[i]);
    json_array_end(&w);
    json_object_end(&w);
    if (b.failed) {
        fail(x, "its arguments and environment are too long");
        return;
    }
    _cleanup_free_ char *path = mem_printf("/containers/%s/exec", x->container);
    ask(x, "POST", path, buf_str(&b), created);
}

static void got_container(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct dockexec *x = arg;
    _cleanup_(json_freep) struct json *root = NULL;
    if (answered(x))
        return;
    if (x->left)
        finish(x);
    else if (status != 200 || json_parse(body, len, NODES_MAX, &root, NULL) < 0)
        say_refusal(x, "does not show the container", status, body, len, words);
    else
        create(x, json_get(json_get(root, "Config"), "Env"));
}

static void ask_container(struct dockexec *x)
{
    _cleanup_free_ char *path = mem_printf("/containers/%s/json", x->container);
    ask(x, "GET", path, NULL, got_container);
}

int dockexec_check(const struct dockexec_spec *s, struct err *err)
{
    for (size_t i = 1; i < s->argc; i++)
        if (!str_utf8_valid(s->argv[i], strlen(s->argv[i])))
            return err_set(err, -EILSEQ,
                           "argument %zu is not UTF-8, and the engine's API carries text only", i);
    for (const char *p = s->env; p < s->env + s->env_len; p += strlen(p) + 1)
        if (!str_utf8_valid(p, strlen(p)))
            return err_set(err, -EILSEQ,
                           "the variable %.*s is not UTF-8, and the engine's API carries text only",
                           (int)strcspn(p, "="), p);
    if (!str_utf8_valid(s->cwd, strlen(s->cwd)) || !str_utf8_valid(s->path, strlen(s->path)))
        return err_set(
            err, -EILSEQ,
            "its directory or program is not UTF-8, and the engine's API carries text only");
    return 0;
}

struct dockexec *dockexec_new(uv_loop_t *loop, struct docker *d, const struct dockexec_spec *s,
                              const struct dockexec_ops *ops, void *arg)
{
    struct dockexec *x = mem_new(struct dockexec);
    *x = (struct dockexec){.client = docker_client(d),
                           .socket = mem_strdup(docker_socket(d)),
                           .ops = ops,
                           .arg = arg,
                           .container = mem_strdup(s->container),
                           .path = mem_strdup(s->path),
                           .cwd = mem_strdup(s->cwd),
                           .env = s->env_len ? mem_dup(s->env, s->env_len) : NULL,
                           .env_len = s->env_len,
                           .argv = mem_zalloc((s->argc + 1) * sizeof(char *)),
                           .argc = s->argc,
                           .uid = s->uid,
                           .gid = s->gid,
                           .groups = s->groups,
                           .tty = s->tty,
                           .rows = s->rows,
                           .columns = s->columns};
    for (size_t i = 0; i < s->argc; i++)
        x->argv[i] = mem_strdup(s->argv[i]);
    list_append(docker_execs(d), &x->link);
    (void)uv_timer_init(loop, &x->timer);
    x->timer.data = x;
    ask_container(x);
    return x;
}

/* ---- later ---- */

static void resized(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct dockexec *x = arg;
    (void)status;
    (void)body;
    (void)len;
    (void)words;
    x->resizing = false;
    if (answered(x))
        return;
    /* What came meanwhile: the last size counts. */
    uint32_t rows = x->rows, columns = x->columns;
    x->rows = x->columns = 0;
    if (rows && columns && !x->left)
        dockexec_resize(x, rows, columns);
}

void dockexec_resize(struct dockexec *x, uint32_t rows, uint32_t columns)
{
    if (!x->started || x->resizing || rows == 0 || columns == 0 || rows > 65535 ||
        columns > 65535) {
        x->rows = rows;
        x->columns = columns;
        return;
    }
    x->rows = x->columns = 0;
    x->resizing = true;
    _cleanup_free_ char *path =
        mem_printf("/exec/%s/resize?h=%" PRIu32 "&w=%" PRIu32, x->id, rows, columns);
    ask(x, "POST", path, NULL, resized);
}

void dockexec_ask_code(struct dockexec *x)
{
    (void)uv_timer_stop(&x->timer);
    look_for(x, LOOK_CODE);
}

void dockexec_leave(struct dockexec *x, bool kill)
{
    if (!x || x->left)
        return;
    x->left = true;
    x->kill = kill;
    (void)uv_timer_stop(&x->timer);
    if (x->asked_to_start && kill)
        look_for(x, LOOK_START); /* on_pid() kills it */
    else
        finish(x);
}

void dockexec_close_all(struct list *all)
{
    list_foreach(it, all)
    {
        struct dockexec *x = list_item(it, struct dockexec, link);
        list_remove(it);
        list_init(it);
        x->left = true;
        x->under_way = 0; /* the client gives no answers any more */
        finish(x);
    }
}
