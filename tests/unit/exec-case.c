/* SPDX-License-Identifier: MIT */
#include "exec-case.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* ---- a fake core ---- */

const char *search_path[SEARCH_PATH_SIZE] = {
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL, NULL};
size_t operands[8], operands_count;

const char *const *policy_search_path(const struct policy *p)
{
    return search_path;
}

size_t policy_path_operands(const struct policy *p, const char *command, const char *const *argv,
                            size_t argc, size_t *ret, size_t max)
{
    for (size_t i = 0; i < operands_count; i++)
        ret[i] = operands[i];
    return operands_count;
}

struct policy *policy_unref(struct policy *p)
{
    return NULL;
}

struct policy *policy_ref(struct policy *p)
{
    return p;
}

static struct seen *seen_of(struct request *r)
{
    return (struct seen *)(void *)r->track;
}

void warden_resolved(struct warden *w, struct request *r, int error, const char *words)
{
    struct seen *s = seen_of(r);
    assert_false(s->resolved);
    s->resolved = true;
    s->error = error;
    (void)snprintf(s->words, sizeof(s->words), "%s", words ? words : "");
}

void warden_started(struct warden *w, struct request *r, pid_t pid)
{
    seen_of(r)->started = true;
    seen_of(r)->pid = pid;
}

void warden_ended(struct warden *w, struct request *r, const struct end *end)
{
    struct seen *s = seen_of(r);
    assert_false(s->ended);
    s->ended = true;
    s->end = *end;
    r->end = *end;
}

/* ---- the fixture ---- */

struct fixture *f;

uint64_t now_ms(void)
{
    return clock_monotonic() / CLOCK_NS_PER_MS;
}

void pump(int ms)
{
    uint64_t end = now_ms() + (uint64_t)ms;
    do {
        struct pollfd p = {.fd = uv_backend_fd(&f->loop), .events = POLLIN};
        (void)poll(&p, 1, 1);
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    } while (now_ms() < end);
}

static const char *binary(void)
{
    const char *b = getenv("CLAWRDEN_MIRROR");
    assert_non_null(b);
    return b;
}

/* The same tests stand for other hosts: without cgroups, and with a warden that is not root. */
static void become_another_host(void)
{
    static bool done;
    if (done || !root())
        return;
    done = true;
    if (getenv("CLAWRDEN_TEST_NO_CGROUPS") &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
         mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0))
        fail_msg("the cgroups cannot be hidden: %s", strerror(errno));
    if (getenv("CLAWRDEN_TEST_USER") &&
        (setgroups(0, NULL) < 0 || setresgid(UID, UID, UID) < 0 || setresuid(UID, UID, UID) < 0))
        fail_msg("no other user can be taken: %s", strerror(errno));
    /* Our own processes are looked at by the helper, as a caller's are. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

int exec_setup(void **state)
{
    become_another_host();
    struct err err = {0};
    struct fixture *x = mem_new(struct fixture);
    f = x;
    operands_count = 0;
    search_path[6] = NULL;
    assert_int_equal(uv_loop_init(&x->loop), 0);
    if (mirror_new(&x->loop, binary(), &x->mirror, &err) < 0)
        fail_msg("%s", err.text);
    x->resolver = resolve_new(x->mirror);
    x->local = local_new(x->mirror, false);
    pump_until(mirror_ready(x->mirror));
    strcpy(x->dir, "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(x->dir));
    assert_int_equal(chmod(x->dir, 0755), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(x->dir, 1234, 1234), 0);
    *state = x;
    return 0;
}

int exec_teardown(void **state)
{
    char *cmd = mem_printf("rm -rf %s", f->dir);
    resolve_free(f->resolver);
    local_free(f->local);
    mirror_close(f->mirror);
    while (uv_run(&f->loop, UV_RUN_DEFAULT) > 0)
        ;
    assert_int_equal(uv_loop_close(&f->loop), 0);
    (void)!system(cmd);
    free(cmd);
    free(TAKE_PTR(f));
    return 0;
}

/* ---- a fake agent and its shim ---- */

bool root(void)
{
    return geteuid() == 0;
}

#define AGENT_ORDERS 3 /* the agent's end of its socket */

/* One packet with descriptors; -1 at the end. */
static ssize_t take_packet(int sock, void *p, size_t n, int fds[253], size_t *ret_count)
{
    char control[CMSG_SPACE(sizeof(int) * 253)];
    struct iovec iov = {p, n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    *ret_count = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    if (c)
        memcpy(fds, CMSG_DATA(c), *ret_count * sizeof(int));
    return got > 0 ? got : -1;
}

static ssize_t send_packet(int sock, const void *p, size_t n, const int *fds, size_t count)
{
    char control[CMSG_SPACE(sizeof(int) * 253)] = {0};
    struct iovec iov = {(void *)p, n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    return sendmsg(sock, &m, MSG_NOSIGNAL);
}

/* The kernel names the senders, so the agent itself has to say what we want said: first comes the
 * connection, then what is to be sent on it, then the word to do so. */
_Noreturn static void agent_serve(void)
{
    static char bytes[4096];
    int conn[253], fds[253];
    size_t n, count;
    for (;;) {
        ssize_t len;
        if (take_packet(AGENT_ORDERS, bytes, 1, conn, &n) < 0 || n != 1 ||
            (len = take_packet(AGENT_ORDERS, bytes, sizeof(bytes), fds, &count)) < 0)
            _exit(0);
        char ok;
        if (read(AGENT_ORDERS, &ok, 1) != 1)
            _exit(0);
        ok = send_packet(conn[0], bytes, (size_t)len, fds, count) == len;
        /* First the word: a close may be the last, and wait. */
        (void)!write(AGENT_ORDERS, &ok, 1);
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        close(conn[0]);
    }
}

/* A process with that uid in that directory, which does as it is told. */
static pid_t agent_new(uid_t uid, const char *cwd, void (*setup_fn)(void), int *ret_orders)
{
    int orders[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, orders), 0);
    pid_t pid = fork();
    if (pid == 0) {
        /* Our end of the helper's socket is not for others: it would not see us go. */
        if (dup2(orders[1], AGENT_ORDERS) < 0 || close_range(AGENT_ORDERS + 1, ~0U, 0) < 0)
            _exit(7);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setup_fn)
            setup_fn();
        if (root() && uid != 0 &&
            (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
             setresuid(uid, uid, uid) < 0))
            _exit(9);
        prctl(PR_SET_DUMPABLE, 1);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (chdir(cwd) < 0)
            _exit(8);
        (void)!write(AGENT_ORDERS, "", 1);
        agent_serve();
    }
    char c;
    close(orders[1]);
    assert_int_equal(read(orders[0], &c, 1), 1);
    *ret_orders = orders[0];
    return pid;
}

static void order(struct shim *s, const void *p, size_t n, const int *fds, size_t count)
{
    assert_int_equal(send_packet(s->orders, "", 1, &s->conn, 1), 1);
    assert_int_equal(send_packet(s->orders, p, n, fds, count), n);
}

static void await_order(struct shim *s)
{
    char ok = 0;
    assert_int_equal(write(s->orders, "", 1), 1);
    assert_int_equal(read(s->orders, &ok, 1), 1);
    assert_true(ok);
}

void shim_say(struct shim *s, const void *p, size_t n, const int *fds, size_t count)
{
    order(s, p, n, fds, count);
    await_order(s);
}

void (*agent_setup)(void); /* for the next shim_new() */

struct shim *shim_new(enum door_kind door, uid_t uid, const char *cwd, const char *const *argv)
{
    struct shim *s = mem_new(struct shim);
    int sv[2], out[2];
    struct request *r = request_new();
    s->agent = agent_new(uid, cwd, agent_setup, &s->orders);
    agent_setup = NULL;
    s->r = r;
    r->track = (void *)&s->seen;
    r->peer.pid = s->agent;
    r->peer.pidfd = (int)syscall(SYS_pidfd_open, s->agent, 0);
    r->peer.uid = root() ? uid : getuid();
    r->peer.gid = root() ? uid : getgid();
    r->ask.door = door;
    r->ask.name = argv[0];
    r->ask.cwd = cwd;
    r->ask.umask = 022;
    while (argv[r->ask.argc])
        r->ask.argc++;
    r->ask.argv = mem_new_array(const char *, r->ask.argc + 1);
    for (size_t i = 0; i < r->ask.argc; i++)
        r->ask.argv[i] = argv[i];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    (void)fcntl(out[1], F_SETFL, 0);
    s->conn = sv[0];
    s->theirs = sv[1];
    s->out = out[0];
    s->out_w = out[1];
    s->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return s;
}

void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void shim_free(struct shim *s)
{
    if (s->r->job) {
        s->r->end = s->seen.end;
        f->local->release(f->local, s->r);
        pump(20);
    }
    kill(s->agent, SIGKILL);
    waitpid(s->agent, NULL, 0);
    close_fd(&s->orders);
    close_fd(&s->conn);
    close_fd(&s->theirs);
    close_fd(&s->out);
    close_fd(&s->out_w);
    close_fd(&s->in);
    s->r->track = NULL;
    request_free(s->r);
    free(s);
}

void shim_resolve(struct shim *s)
{
    struct err err = {0};
    s->seen.resolved = false;
    assert_int_equal(f->resolver->resolve(f->resolver, s->r, &err), 0);
    pump_until(s->seen.resolved);
}

void shim_start(struct shim *s)
{
    static const char env[] = "PATH=/usr/bin:/bin\0A=b";
    struct err err = {0};
    if (!s->r->facts.known)
        shim_resolve(s);
    if (s->seen.error)
        fail_msg("%s", s->seen.words);
    if (f->local->start(f->local, s->r, s->theirs, env, sizeof(env), 2, &err) < 0)
        fail_msg("%s", err.text);
    s->theirs = -1;
}

ssize_t shim_read(struct shim *s, void *p, size_t n)
{
    size_t done = 0;
    uint64_t end = now_ms() + WAIT_MS;
    while (done < n && now_ms() < end) {
        ssize_t r = recv(s->conn, (char *)p + done, n - done, MSG_DONTWAIT);
        if (r == 0 || (r < 0 && errno != EAGAIN))
            return done ? (ssize_t)done : r;
        if (r > 0)
            done += (size_t)r;
        else
            pump(0);
    }
    return (ssize_t)done;
}

/* The next message; its type, or 0 at the end of the connection. */
uint8_t shim_message(struct shim *s, uint8_t payload[8192], uint32_t *ret_len)
{
    uint8_t head[V2_HEAD_SIZE];
    struct v2_head h;
    if (shim_read(s, head, sizeof(head)) != (ssize_t)sizeof(head))
        return 0;
    assert_int_equal(v2_head_decode(head, 8192, &h), 0);
    assert_int_equal(shim_read(s, payload, h.len), h.len);
    *ret_len = h.len;
    return h.type;
}

void send_handover(struct shim *s, uint32_t flags, const uint32_t *numbers, unsigned count,
                   const int *fds, unsigned n, int *last)
{
    uint8_t bytes[V2_HEAD_SIZE + V2_FDS_SIZE + 4 * 300];
    uint32_t size = V2_FDS_SIZE + 4 * count;
    v2_head_encode(V2_FDS, size, bytes);
    bytes_put_u32(bytes + V2_HEAD_SIZE, flags);
    for (unsigned i = 0; i < count; i++)
        bytes_put_u32(bytes + V2_HEAD_SIZE + V2_FDS_SIZE + (size_t)4 * i, numbers[i]);
    order(s, bytes, V2_HEAD_SIZE + size, fds, n);
    if (last)
        close_fd(last);
    await_order(s);
}

void send_fds(struct shim *s, uint32_t flags, const int *fds, unsigned n)
{
    send_handover(s, flags, NULL, 0, fds, n, NULL);
}

void shim_hand_over(struct shim *s)
{
    uint8_t payload[8192];
    uint32_t len;
    assert_int_equal(shim_message(s, payload, &len), V2_GO);
    assert_int_equal(len, V2_GO_SIZE);
    assert_memory_equal(payload, s->r->id, 16);
    int fds[3] = {s->in, s->out_w, s->out_w};
    send_fds(s, 0, fds, 3);
    close_fd(&s->out_w);
}

void shim_send(struct shim *s, enum v2_type type, uint32_t value)
{
    uint8_t out[V2_HEAD_SIZE + 4];
    v2_head_encode(type, 4, out);
    bytes_put_u32(out + V2_HEAD_SIZE, value);
    shim_say(s, out, sizeof(out), NULL, 0);
}

void release(struct shim *s)
{
    pump_until(s->seen.ended);
    f->local->release(f->local, s->r);
}

/* Waits for the end and returns what the shim is told of it: code, or 1000 + signal. */
uint32_t shim_exit(struct shim *s)
{
    uint8_t payload[8192];
    uint32_t len;
    release(s);
    assert_int_equal(shim_message(s, payload, &len), V2_EXIT);
    uint32_t value = bytes_get_u32(payload + 4);
    return bytes_get_u32(payload) == V2_EXIT_SIGNAL ? 1000 + value : value;
}

/* What the command wrote, up to the end of the stream. */
char *shim_output(struct shim *s)
{
    static char text[65536];
    size_t n = 0;
    uint64_t end = now_ms() + WAIT_MS;
    while (now_ms() < end) {
        ssize_t r = read(s->out, text + n, sizeof(text) - 1 - n);
        if (r == 0)
            break;
        if (r > 0)
            n += (size_t)r;
        pump(0);
    }
    text[n] = 0;
    return text;
}

struct shim *run(const char *const *argv)
{
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, argv);
    shim_start(s);
    shim_hand_over(s);
    return s;
}

struct shim *run_sh(const char *script)
{
    return run(ARGV("sh", "-c", script));
}

bool gone(pid_t pid)
{
    char path[64], text[256] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    (void)!read(fd, text, sizeof(text) - 1);
    close(fd);
    const char *p = strrchr(text, ')');
    return !p || p[2] == 'Z' || p[2] == 'X';
}

void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    if (root())
        assert_int_equal(fchown(fd, UID, UID), 0);
    close(fd);
}
