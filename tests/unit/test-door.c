/* SPDX-License-Identifier: MIT */
/* The door before a real core: callers of this very process, a resolver that knows everything, a
 * log that takes everything, an executor that keeps the connection. */
#include "door/door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "door/kernel.h"
#include "wire/bytes.h"
#include "wire/v1.h"
#include "wire/v2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BOUND (10 * CLOCK_NS_PER_SEC)

static const char policy_text[] = "default_action: deny\n"
                                  "allowed_paths: [\"/*\"]\n"
                                  "rules:\n"
                                  "  - {command: pass, action: allow}\n"
                                  "  - {command: wait, action: ask, approval_timeout: 60s}\n";

struct fixture {
    uv_loop_t loop;
    char *dir, *path;
    struct clock_port clock;
    struct resolver resolver;
    struct audit_log audit;
    struct executor executor;
    struct policy *policy;
    struct warden *warden;
    struct door_config config;
    struct door *door;
    struct request *running;
    int conn; /* that the executor got */
};

static struct fixture *fixture; /* the ports carry no pointer back */

/* ---- ports ---- */

static uint64_t now_monotonic(struct clock_port *c)
{
    return clock_monotonic();
}

static uint64_t now_realtime(struct clock_port *c)
{
    return clock_realtime();
}

static int fake_resolve(struct resolver *x, struct request *r, struct err *err)
{
    const char **names = facts_keep(&r->facts, mem_new_array(const char *, 1));
    names[0] = facts_keep(&r->facts, mem_strdup(r->ask.name));
    r->facts.cwd = mem_strdup(r->ask.cwd);
    r->facts.exec_path = mem_printf("/bin/%s", r->ask.name);
    r->facts.program = (struct policy_program){.trust = PROGRAM_TRUSTED,
                                               .path = r->facts.exec_path,
                                               .dev = 1,
                                               .ino = 1,
                                               .names = names,
                                               .names_count = 1};
    r->facts.known = true;
    warden_resolved(fixture->warden, r, 0, NULL);
    return 0;
}

static void fake_cancel(struct resolver *x, struct request *r)
{
}

static int fake_append(struct audit_log *l, const char *members, size_t len,
                       void (*done)(void *arg, int result), void *arg, struct err *err)
{
    done(arg, 0);
    return 0;
}

static int fake_start(struct executor *x, struct request *r, int conn, const char *env,
                      size_t env_len, size_t envc, struct err *err)
{
    fixture->running = r;
    fixture->conn = conn;
    warden_started(fixture->warden, r, 1);
    return 0;
}

static void fake_kill(struct executor *x, struct request *r, int signo)
{
}

static void fake_release(struct executor *x, struct request *r)
{
    close(TAKE_FD(fixture->conn));
    fixture->running = NULL;
}

/* ---- the fixture ---- */

static int open_all(struct fixture *f)
{
    struct err err = {.text = ""};
    struct warden_config c;
    f->clock = (struct clock_port){now_monotonic, now_realtime};
    f->resolver = (struct resolver){fake_resolve, fake_cancel};
    f->audit = (struct audit_log){fake_append};
    f->executor = (struct executor){
        .name = "local", .start = fake_start, .kill = fake_kill, .release = fake_release};
    f->conn = -1;
    if (policy_parse(policy_text, strlen(policy_text), "p", &f->policy, &err) < 0)
        fail_msg("%s", err.text);
    warden_config_default(&c);
    c.clock = &f->clock;
    c.resolver = &f->resolver;
    c.audit = &f->audit;
    f->warden = warden_new(&c, f->policy);
    warden_add_executor(f->warden, &f->executor);
    warden_set_default_executor(f->warden, DOOR_SHIM_V1, "local");
    warden_set_default_executor(f->warden, DOOR_SHIM_V2, "local");
    if (door_new(&f->loop, f->warden, &f->config, &f->door, &err) < 0)
        fail_msg("%s", err.text);
    door_start(f->door);
    return 0;
}

static int setup_with(void **state, void (*change)(struct door_config *c))
{
    struct fixture *f = mem_new(struct fixture);
    fixture = f;
    f->dir = mem_strdup("/tmp/clawrden-door-XXXXXX");
    if (!mkdtemp(f->dir) || uv_loop_init(&f->loop) < 0)
        return -1;
    f->path = mem_printf("%s/run/warden.sock", f->dir);
    door_config_default(&f->config);
    f->config.path = f->path;
    if (change)
        change(&f->config);
    *state = f;
    return open_all(f);
}

static int setup(void **state)
{
    return setup_with(state, NULL);
}

static void older_kernel(struct door_config *c)
{
    c->accept_rights = true;
}

static int setup_older_kernel(void **state)
{
    return setup_with(state, older_kernel);
}

static void short_deadline(struct door_config *c)
{
    c->request_deadline = 300 * CLOCK_NS_PER_MS;
}

static int setup_short_deadline(void **state)
{
    return setup_with(state, short_deadline);
}

static void few(struct door_config *c)
{
    c->connections_max_peer = 8;
}

static int setup_few(void **state)
{
    return setup_with(state, few);
}

static void few_bytes(struct door_config *c)
{
    c->bytes_max_peer = 1u << 20;
}

static int setup_few_bytes(void **state)
{
    return setup_with(state, few_bytes);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    door_close(f->door);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) != 0)
        ;
    f->warden = warden_free(f->warden);
    f->door = door_free(f->door);
    policy_unref(f->policy);
    int left = uv_loop_close(&f->loop);
    char *command = mem_printf("rm -rf '%s'", f->dir);
    int r = system(command);
    free(command);
    free(f->dir);
    free(f->path);
    free(f);
    return r | left;
}

/* ---- callers ---- */

static int dial(struct fixture *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void turn(struct fixture *f)
{
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    (void)poll(NULL, 0, 1);
}

static void put(struct buf *b, const void *p, size_t n)
{
    assert_int_equal(buf_append(b, p, n), 0);
}

static struct buf v2_message(const char *name)
{
    struct buf b = BUF_INIT(1 << 16);
    const char *argv[] = {name};
    struct v2_request r = {.umask = 022, .argc = 1, .envc = 0};
    uint8_t head[V2_HEAD_SIZE], request[V2_REQUEST_HEAD_SIZE];
    size_t n = v2_request_size(name, "/tmp", argv, 1, NULL, 0);
    assert_true(n > 0);
    v2_head_encode(V2_REQUEST, (uint32_t)n, head);
    v2_request_head_encode(&r, request);
    put(&b, V2_MAGIC, V2_MAGIC_SIZE);
    put(&b, head, sizeof(head));
    put(&b, request, sizeof(request));
    put(&b, name, strlen(name) + 1);
    put(&b, "/tmp", 5);
    put(&b, name, strlen(name) + 1);
    return b;
}

static struct buf v1_message(const char *json)
{
    struct buf b = BUF_INIT(1 << 24);
    uint8_t head[4];
    bytes_put_u32(head, (uint32_t)strlen(json));
    put(&b, head, 4);
    put(&b, json, strlen(json));
    return b;
}

/* Sends all of it while the loop turns. */
static void say(struct fixture *f, int fd, struct buf b)
{
    uint64_t end = clock_monotonic() + BOUND;
    for (size_t at = 0; at < b.len;) {
        ssize_t n = send(fd, b.data + at, b.len - at, MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else
            assert_true(n < 0 && errno == EAGAIN);
        turn(f);
        assert_true(clock_monotonic() < end);
    }
    buf_done(&b);
}

/* All that comes until the end of the stream, or until `want` bytes. */
static size_t hear(struct fixture *f, int fd, char *p, size_t want, bool *ret_end)
{
    uint64_t end = clock_monotonic() + BOUND;
    size_t got = 0;
    *ret_end = false;
    while (got < want && !*ret_end) {
        ssize_t n = recv(fd, p + got, want - got, 0);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || errno == ECONNRESET)
            *ret_end = true;
        turn(f);
        assert_true(clock_monotonic() < end);
    }
    return got;
}

/* V2_REFUSED and the end of the stream: its code; the text in `text`. */
static unsigned hear_refused(struct fixture *f, int fd, char *text, size_t size)
{
    char b[16384];
    bool end;
    size_t n = hear(f, fd, b, sizeof(b), &end);
    struct v2_head h;
    assert_true(end && n >= V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE);
    assert_int_equal(v2_head_decode((uint8_t *)b, 1 << 16, &h), 0);
    assert_int_equal(h.type, V2_REFUSED);
    assert_int_equal(h.len, n - V2_HEAD_SIZE);
    (void)snprintf(text, size, "%.*s", (int)(h.len - V2_REFUSED_HEAD_SIZE),
                   b + V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE);
    return bytes_get_u32((uint8_t *)b + V2_HEAD_SIZE);
}

static void until_gone(struct fixture *f, size_t connections)
{
    uint64_t end = clock_monotonic() + BOUND;
    while (door_connections(f->door) != connections) {
        turn(f);
        assert_true(clock_monotonic() < end);
    }
}

static void until_waiting(struct fixture *f, size_t n)
{
    uint64_t end = clock_monotonic() + BOUND;
    while (warden_count(f->warden, REQUEST_WAITING) != n) {
        turn(f);
        assert_true(clock_monotonic() < end);
    }
}

/* Sends one byte with a descriptor: 1, or negative errno. */
static int send_right(int fd, int right)
{
    char c = 0;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof(control));
    struct iovec iov = {&c, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cm), &right, sizeof(int));
    return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 1;
}

/* ---- tests ---- */

static void a_denial_of_version_2_has_its_reason(void **state)
{
    struct fixture *f = *state;
    char text[9000];
    int fd = dial(f);
    say(f, fd, v2_message("nothing"));
    assert_int_equal(hear_refused(f, fd, text, sizeof(text)), 126);
    assert_non_null(strstr(text, "clawrden:"));
    close(fd);
    until_gone(f, 0);
}

static void a_denial_of_version_1_is_a_stderr_frame_and_126(void **state)
{
    struct fixture *f = *state;
    char b[9000];
    bool end;
    int fd = dial(f);
    say(f, fd, v1_message("{\"command\":\"nothing\",\"cwd\":\"/tmp\"}"));
    size_t n = hear(f, fd, b, sizeof(b), &end);
    assert_true(end && n > 12);
    assert_int_equal(b[0], V1_ACK_ALLOWED);
    assert_int_equal(b[1], V1_STDERR);
    uint32_t len = bytes_get_u32((uint8_t *)b + 2);
    assert_int_equal(n, 1 + 5 + len + 5 + 1);
    assert_memory_equal(b + 6, "clawrden:", 9);
    assert_memory_equal(b + 6 + len, "\3\0\0\0\1\x7e", 6);
    close(fd);
}

static void copy_id(void *arg, const struct request *r)
{
    memcpy(arg, r->id_text, UUID_TEXT_SIZE);
}

static void a_waiting_version_1_gets_one_ack_and_then_one_more(void **state)
{
    struct fixture *f = *state;
    char b[9000];
    bool end;
    struct err err;
    int fd = dial(f);
    say(f, fd, v1_message("{\"command\":\"wait\",\"cwd\":\"/tmp\"}"));
    assert_int_equal(hear(f, fd, b, 1, &end), 1);
    assert_int_equal(b[0], V1_ACK_PENDING);
    warden_set_policy(f->warden, f->policy, "test"); /* judged anew: no second one */
    struct answer a = {.verdict = VERDICT_DENY, .approver = "ana", .channel = "cli"};
    until_waiting(f, 1);
    char id[UUID_TEXT_SIZE] = "";
    warden_each(f->warden, copy_id, id);
    assert_int_equal(warden_answer(f->warden, id, &a, NULL, &err), 0);
    size_t n = hear(f, fd, b, sizeof(b), &end);
    assert_true(end && n > 12);
    assert_int_equal(b[0], V1_ACK_ALLOWED);
    assert_int_equal(b[1], V1_STDERR);
    close(fd);
}

static void who_hangs_up_while_it_waits_is_withdrawn(void **state)
{
    struct fixture *f = *state;
    for (int v = 1; v <= 2; v++) {
        int fd = dial(f);
        say(f, fd,
            v == 1 ? v1_message("{\"command\":\"wait\",\"cwd\":\"/tmp\"}") : v2_message("wait"));
        until_waiting(f, 1);
        close(fd);
        until_waiting(f, 0);
        until_gone(f, 0);
    }
}

static void half_a_hang_up_is_one(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, v2_message("wait"));
    until_waiting(f, 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    until_waiting(f, 0);
    close(fd);
}

static void a_version_1_may_cancel(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    say(f, fd, v1_message("{\"command\":\"wait\",\"cwd\":\"/tmp\"}"));
    until_waiting(f, 1);
    struct buf b = BUF_INIT(64);
    put(&b, "\4\0\0\0\0", 5);
    say(f, fd, b);
    until_waiting(f, 0);
    close(fd);
}

static void data_behind_a_request_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[9000], b[16384];
    bool end;
    int fd = dial(f);
    struct buf m = v2_message("wait");
    put(&m, "x", 1); /* in one piece with it */
    say(f, fd, m);
    assert_int_equal(hear_refused(f, fd, text, sizeof(text)), 125);
    assert_int_equal(warden_count(f->warden, REQUEST_WAITING), 0);
    close(fd);
    fd = dial(f);
    say(f, fd, v2_message("wait"));
    until_waiting(f, 1);
    m = BUF_INIT(8);
    put(&m, "x", 1);
    say(f, fd, m);
    until_waiting(f, 0);
    assert_true(hear(f, fd, b, sizeof(b), &end) > 0 && end);
    close(fd);
}

static void an_allowed_caller_is_handed_over_clean(void **state)
{
    struct fixture *f = *state;
    int fd = dial(f);
    uint64_t bound = clock_monotonic() + BOUND;
    say(f, fd, v2_message("pass"));
    while (f->conn < 0) {
        turn(f);
        assert_true(clock_monotonic() < bound);
    }
    assert_int_equal(door_connections(f->door), 0);
    int on = -1;
    socklen_t n = sizeof(on);
    assert_int_equal(getsockopt(f->conn, SOL_SOCKET, SO_PASSCRED, &on, &n), 0);
    assert_int_equal(on, 0);
    assert_int_equal(send_right(fd, 0), 1); /* the helper takes descriptors */
    warden_ended(f->warden, f->running, &(struct end){.kind = END_EXIT, .value = 0});
    assert_int_equal(f->conn, -1);
    close(fd);
}

static bool kernel_refuses_rights(void)
{
    int zero = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof(zero)) == 0;
    close(fd);
    return yes;
}

/* Before and behind the accept: the option is the listener's. */
static void a_descriptor_never_reaches_the_door(void **state)
{
    struct fixture *f = *state;
    int pair[2], fd = dial(f);
    assert_int_equal(pipe(pair), 0);
    int r = send_right(fd, pair[1]);
    if (kernel_refuses_rights())
        assert_int_equal(r, -EPERM);
    for (int i = 0; i < 5; i++)
        turn(f);
    r = send_right(fd, pair[1]);
    assert_true(r < 0);
    close(pair[0]);
    close(pair[1]);
    close(fd);
    until_gone(f, 0);
}

/* Where the kernel cannot refuse it: received with room, closed elsewhere, and the caller cut off.
 */
static void a_descriptor_that_came_is_disposed_of_and_its_sender_cut_off(void **state)
{
    struct fixture *f = *state;
    int pair[2], fd = dial(f);
    char b[64];
    bool end;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(send_right(fd, pair[1]), 1);
    close(pair[1]);
    (void)hear(f, fd, b, sizeof(b), &end);
    assert_true(end);
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1); /* its last copy is closed */
    assert_true(p.revents & POLLHUP);
    assert_int_equal(metrics_errors(warden_metrics(f->warden), METRICS_ERROR_IDENTITY), 1);
    close(pair[0]);
    close(fd);
    until_gone(f, 0);
}

/* A child that inherited the connection sends the request, or its second half. */
static void another_sender_is_refused(void **state)
{
    struct fixture *f = *state;
    for (int half = 0; half < 2; half++) {
        struct buf m = v2_message("pass");
        int fd = dial(f);
        size_t first = half ? 20 : 0;
        if (first) {
            assert_int_equal(send(fd, m.data, first, 0), first);
            turn(f);
        }
        pid_t child = fork();
        if (child == 0)
            _exit(send(fd, m.data + first, m.len - first, 0) == (ssize_t)(m.len - first) ? 0 : 1);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        char b[9000];
        bool end;
        (void)hear(f, fd, b, sizeof(b), &end);
        assert_true(end);
        assert_int_equal(f->conn, -1);
        assert_int_equal(metrics_errors(warden_metrics(f->warden), METRICS_ERROR_IDENTITY),
                         half + 1);
        buf_done(&m);
        close(fd);
        until_gone(f, 0);
    }
}

static void half_a_request_is_ended_in_time(void **state)
{
    struct fixture *f = *state;
    char text[9000], b[64];
    bool end;
    int silent = dial(f), half = dial(f);
    struct buf m = v2_message("pass");
    m.len -= 3;
    uint64_t begin = clock_monotonic();
    say(f, half, m);
    assert_int_equal(hear(f, silent, b, sizeof(b), &end), 0);
    assert_true(end);
    assert_int_equal(hear_refused(f, half, text, sizeof(text)), 125);
    assert_true(clock_monotonic() - begin < 3 * CLOCK_NS_PER_SEC);
    close(silent);
    close(half);
    until_gone(f, 0);
}

static void silent_callers_make_room_for_new_ones(void **state)
{
    struct fixture *f = *state;
    int silent[50];
    char text[9000];
    for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
        silent[i] = dial(f);
        turn(f);
        assert_true(door_connections(f->door) <= 8);
    }
    int fd = dial(f);
    say(f, fd, v2_message("nothing"));
    assert_int_equal(hear_refused(f, fd, text, sizeof(text)), 126);
    close(fd);
    for (size_t i = 0; i < ARRAY_LEN(silent); i++)
        close(silent[i]);
    until_gone(f, 0);
}

static void who_waits_does_not_make_room(void **state)
{
    struct fixture *f = *state;
    int waiting[8];
    char b[64];
    bool end;
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++) {
        waiting[i] = dial(f);
        say(f, waiting[i], v2_message("wait"));
        until_waiting(f, i + 1);
    }
    int fd = dial(f);
    assert_int_equal(hear(f, fd, b, sizeof(b), &end), 0);
    assert_true(end);
    assert_int_equal(warden_count(f->warden, REQUEST_WAITING), 8);
    close(fd);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        close(waiting[i]);
    until_waiting(f, 0);
}

static void bytes_in_flight_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct buf m = BUF_INIT(1 << 20);
    uint8_t head[4], piece[600 << 10];
    int a = dial(f), b = dial(f);
    bool end;
    char text[64];
    memset(piece, ' ', sizeof(piece));
    bytes_put_u32(head, 5 << 20);
    put(&m, head, 4);
    put(&m, piece, sizeof(piece));
    struct buf again = BUF_INIT(1 << 20);
    put(&again, m.data, m.len);
    say(f, a, m);
    say(f, b, again); /* with it the first, which is the older, has to go */
    (void)hear(f, a, text, sizeof(text), &end);
    assert_true(end);
    assert_int_equal(door_connections(f->door), 1);
    close(a);
    close(b);
    until_gone(f, 0);
}

static void a_large_version_1_request_is_read_on_the_side(void **state)
{
    struct fixture *f = *state;
    struct buf json = BUF_INIT(1 << 23);
    char b[9000];
    bool end;
    (void)buf_append_str(&json, "{\"command\":\"nothing\",\"cwd\":\"/tmp\",\"args\":[\"x\"");
    for (int i = 0; i < 100000; i++)
        (void)buf_printf(&json, ",\"%d\"", i);
    (void)buf_append_str(&json, "]}");
    int fd = dial(f), quick = dial(f);
    say(f, fd, v1_message(json.data));
    say(f, quick, v2_message("nothing"));
    assert_int_equal(hear_refused(f, quick, b, sizeof(b)), 126);
    size_t n = hear(f, fd, b, sizeof(b), &end);
    assert_true(end && n > 12);
    assert_int_equal(b[n - 1], 126);
    buf_done(&json);
    close(fd);
    close(quick);
    until_gone(f, 0);
}

static void who_goes_while_its_request_is_read_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct buf json = BUF_INIT(1 << 23);
    (void)buf_append_str(&json, "{\"command\":\"wait\",\"cwd\":\"/tmp\",\"args\":[\"x\"");
    for (int i = 0; i < 100000; i++)
        (void)buf_printf(&json, ",\"%d\"", i);
    (void)buf_append_str(&json, "]}");
    for (int i = 0; i < 4; i++) {
        int fd = dial(f);
        say(f, fd, v1_message(json.data));
        close(fd);
    }
    buf_done(&json);
    until_gone(f, 0);
    assert_int_equal(warden_count(f->warden, REQUEST_WAITING), 0);
}

static void neither_version_is_answered_with_silence(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\x7f", "CLAWRDN9xxxxxxxx"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char b[9000];
        bool end;
        struct buf m = BUF_INIT(64);
        int fd = dial(f);
        put(&m, texts[i], strlen(texts[i]));
        say(f, fd, m);
        (void)hear(f, fd, b, sizeof(b), &end);
        assert_true(end);
        close(fd);
    }
    assert_int_equal(metrics_errors(warden_metrics(f->warden), METRICS_ERROR_PROTOCOL), 3);
    until_gone(f, 0);
}

static void the_socket_has_its_mode_and_goes_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0660);
    door_shut(f->door);
    assert_int_equal(stat(f->path, &st), -1);
}

static void somebody_else_s_socket_stays(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    door_shut(f->door);
    assert_int_equal(stat(f->path, &st), 0);
}

static void a_second_door_is_refused_with_words(void **state)
{
    struct fixture *f = *state;
    struct door *second = NULL;
    struct err err;
    assert_int_equal(door_new(&f->loop, f->warden, &f->config, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "another warden listens"));
    assert_null(second);
    int fd = dial(f); /* the first is unharmed */
    char text[9000];
    say(f, fd, v2_message("nothing"));
    assert_int_equal(hear_refused(f, fd, text, sizeof(text)), 126);
    close(fd);
}

static void no_socket_in_its_place_is_not_overwritten(void **state)
{
    struct fixture *f = *state;
    struct door *second = NULL;
    struct err err;
    struct door_config c = f->config;
    char *path = mem_printf("%s/file", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    c.path = path;
    assert_int_equal(door_new(&f->loop, f->warden, &c, &second, &err), -EEXIST);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    free(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_WITH(f, s) cmocka_unit_test_setup_teardown(f, s, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_denial_of_version_2_has_its_reason),
        TEST(a_denial_of_version_1_is_a_stderr_frame_and_126),
        TEST(a_waiting_version_1_gets_one_ack_and_then_one_more),
        TEST(who_hangs_up_while_it_waits_is_withdrawn),
        TEST(half_a_hang_up_is_one),
        TEST(a_version_1_may_cancel),
        TEST(data_behind_a_request_is_refused),
        TEST(an_allowed_caller_is_handed_over_clean),
        TEST(a_descriptor_never_reaches_the_door),
        TEST_WITH(a_descriptor_that_came_is_disposed_of_and_its_sender_cut_off, setup_older_kernel),
        TEST(another_sender_is_refused),
        TEST_WITH(another_sender_is_refused, setup_older_kernel),
        TEST_WITH(half_a_request_is_ended_in_time, setup_short_deadline),
        TEST_WITH(silent_callers_make_room_for_new_ones, setup_few),
        TEST_WITH(who_waits_does_not_make_room, setup_few),
        TEST_WITH(bytes_in_flight_are_bounded, setup_few_bytes),
        TEST(a_large_version_1_request_is_read_on_the_side),
        TEST(who_goes_while_its_request_is_read_is_forgotten),
        TEST(neither_version_is_answered_with_silence),
        TEST(the_socket_has_its_mode_and_goes_at_the_end),
        TEST(somebody_else_s_socket_stays),
        TEST(a_second_door_is_refused_with_words),
        TEST(no_socket_in_its_place_is_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
