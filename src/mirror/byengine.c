/* SPDX-License-Identifier: MIT */
/* Taking charge: the process that the engine names joins the command's cgroup, and with it whatever
 * it started before it got there: what descends from it, and what appeared in the container since
 * and has no parent in it any more. From then on the kernel keeps them together. */
#include "mirror/byengine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/cgroup.h"
#include "mirror/phrase.h"
#include "mirror/pump.h"
#include "mirror/tree.h"
#include "wire/bytes.h"

#define ROUNDS_MAX 40
#define ROUNDS_CALM 8 /* after so many the container is held for a moment */
#define PIDS_TEXT (256u << 10)
#define KILLED_MS 3000
#define FDS_MS 5000
#define LAST_ORDERS 16
#define USER_MS 10000 /* for the engine to take the user */

/* ---- /proc ---- */

static ssize_t read_proc(pid_t pid, const char *what, char *buf, size_t size)
{
    char path[64];
    struct phrase w = PHRASE(path);
    phrase_add(&w, "/proc/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, what);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
    if (fd >= 0)
        close(fd);
    if (n >= 0)
        buf[n] = 0;
    return n;
}

struct stat_line {
    pid_t parent;
    uint64_t start;
};

static bool read_stat(pid_t pid, struct stat_line *ret)
{
    char text[1024];
    ssize_t n = read_proc(pid, "/stat", text, sizeof(text));
    const char *p = n <= 0 ? NULL : strrchr(text, ')');
    if (!p)
        return false;
    p += p[1] ? 2 : 1; /* "S ppid ..." */
    if (*p)
        p += 2;
    ret->parent = (pid_t)phrase_number(p, &p);
    for (int field = 4; field < 21 && p; field++)
        p = strchr(p + 1, ' ');
    ret->start = p ? phrase_number(p + 1, NULL) : 0;
    return p != NULL;
}

static bool same_space(pid_t a, pid_t b)
{
    char path[64];
    struct stat s[2];
    pid_t pid[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct phrase w = PHRASE(path);
        phrase_add(&w, "/proc/");
        phrase_add_number(&w, (uint64_t)pid[i]);
        phrase_add(&w, "/ns/pid");
        if (stat(path, &s[i]) < 0)
            return false;
    }
    return s[0].st_dev == s[1].st_dev && s[0].st_ino == s[1].st_ino;
}

/* Clock ticks since the machine started, as in stat; a little before now. */
static uint64_t ticks_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    uint64_t n = (uint64_t)t.tv_sec * 100 + (uint64_t)t.tv_nsec / 10000000;
    return n ? n - 1 : 0;
}

/* ---- taking charge ---- */

/* Belongs `pid` to the command? It descends from it, or all that it descends from is younger than
 * the command's start and has lost its parent to the container's init. */
static bool belongs(const struct job *j, pid_t pid, uint64_t since)
{
    pid_t init = (pid_t)j->start.init;
    for (int depth = 0; depth < 1000; depth++) {
        struct stat_line s;
        if (pid == j->engine_pid)
            return true;
        if (pid == init || !read_stat(pid, &s) || s.start < since)
            return false;
        if (s.parent == init || s.parent <= 1)
            /* Another one that an engine started has a parent outside: not an orphan. */
            return s.parent == init;
        if (!same_space(s.parent, init))
            return false;
        pid = s.parent;
    }
    return false;
}

static bool write_at(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return n >= 0;
}

static bool move(const struct job *j, pid_t pid)
{
    char text[24];
    struct phrase w = PHRASE(text);
    text[0] = 0;
    phrase_add_number(&w, (uint64_t)pid);
    return write_at(j->cgroup, "cgroup.procs", text);
}

/* One look through the container's own cgroup. How many were moved. */
static unsigned move_once(const struct job *j, int base, uint64_t since)
{
    static char text[PIDS_TEXT];
    size_t len = 0;
    ssize_t n = 0;
    unsigned moved = 0;
    int fd = openat(base, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    text[len] = 0;
    for (const char *p = text; *p;) {
        pid_t pid = (pid_t)phrase_number(p, &p);
        while (*p && (*p < '0' || *p > '9'))
            p++;
        if (pid > 0 && pid != (pid_t)j->start.init && same_space(pid, (pid_t)j->start.init) &&
            belongs(j, pid, since) && move(j, pid))
            moved++;
    }
    return moved;
}

/* What forks faster than we look is held while we do; a container that was paused stays so. */
static bool hold(int base)
{
    char text[8] = "";
    int fd = openat(base, "cgroup.freeze", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 1);
    if (fd >= 0)
        close(fd);
    if (n != 1 || text[0] != '0' || !write_at(base, "cgroup.freeze", "1"))
        return false;
    (void)poll(NULL, 0, 20);
    return true;
}

static bool gather(const struct job *j, uint64_t since)
{
    char path[HIERARCHY_PATH_MAX];
    bool held = false;
    unsigned moved = 1;
    if (!move(j, j->engine_pid) && errno != ESRCH)
        return false;
    if (hierarchy_v2_path((pid_t)j->start.init, path) < 0)
        memcpy(path, hierarchy_v2(), strlen(hierarchy_v2()) + 1);
    int base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return false;
    for (int i = 0; i < ROUNDS_MAX && moved; i++) {
        if (i == ROUNDS_CALM)
            held = hold(base);
        else if (i > ROUNDS_CALM) /* what is ending is listed, and moved, until its threads have */
            (void)poll(NULL, 0, 2);
        moved = move_once(j, base, since);
    }
    if (held)
        (void)write_at(base, "cgroup.freeze", "0");
    close(base);
    return moved == 0;
}

/* ---- who it became ---- */

/* The real id behind "\nUid:", as this host calls it. */
static uint32_t real_id(const char *text, const char *field)
{
    const char *p = strstr(text, field);
    for (p = p ? p + strlen(field) : NULL; p && (*p == ' ' || *p == '\t'); p++)
        ;
    return p ? (uint32_t)phrase_number(p, NULL) : UINT32_MAX;
}

static bool has_group(const struct helper_peer *who, uint32_t group)
{
    bool found = group == who->gid;
    for (uint32_t i = 0; i < who->groups_count && !found; i++)
        found = helper_group(who, i) == group;
    return found;
}

/* Those of a status are the caller's uid and gid, and no group that it does not have. */
static bool within(const char *text, const struct helper_peer *who)
{
    const char *p = strstr(text, "\nGroups:");
    if (!p || real_id(text, "\nUid:") != who->uid || real_id(text, "\nGid:") != who->gid)
        return false;
    for (p += 8;;) {
        while (*p == ' ' || *p == '\t')
            p++;
        if (*p < '0' || *p > '9')
            return true;
        if (!has_group(who, (uint32_t)phrase_number(p, &p)))
            return false;
    }
}

/* Nothing but what the caller has. The engine's own code runs first in there, as root, and takes
 * the user last of all: as long as it has another, no code of the container has run. Root's groups
 * are its own choice. */
static bool same_ids(const struct job *j)
{
    static char text[1u << 16];
    const struct helper_peer *who = &j->start.peer;
    if (who->uid == 0 || j->who.uid == 0)
        return true;
    for (int waited = 0;; waited += 2) {
        if (read_proc(j->engine_pid, "/status", text, sizeof(text)) <= 0 ||
            !subject_alive(j->enginefd))
            return true; /* it has ended */
        if (real_id(text, "\nUid:") == who->uid)
            break;
        if (waited >= USER_MS)
            return false;
        (void)poll(NULL, 0, 2);
    }
    return within(text, who);
}

/* Its pid is the engine's word: it counts when the kernel says that it is in that container. */
static bool is_of_container(const struct job *j)
{
    char init[HIERARCHY_PATH_MAX], own[HIERARCHY_PATH_MAX];
    if (!same_space(j->engine_pid, (pid_t)j->start.init))
        return false;
    if (hierarchy_v2_path((pid_t)j->start.init, init) < 0)
        return true;
    size_t n = strlen(init);
    return hierarchy_v2_path(j->engine_pid, own) == 0 && strncmp(own, init, n) == 0 &&
           (own[n] == 0 || own[n] == '/');
}

/* False: j->end says why not, and nothing of it is left. */
static bool take_charge(struct job *j, uint64_t since)
{
    j->enginefd = (int)syscall(SYS_pidfd_open, j->engine_pid, 0);
    if (j->enginefd < 0) {
        j->engine_pid = 0; /* ended, and so not to be named by its number */
        return true;
    }
    if (!is_of_container(j)) {
        bool alive = subject_alive(j->enginefd);
        j->engine_pid = 0; /* nothing of ours: it is not to be killed either */
        close(j->enginefd);
        j->enginefd = -1;
        if (alive)
            job_fail(j, 125, "the engine names a process that is not in its container", 0);
        return !alive;
    }
    if (j->cgroup >= 0 && !gather(j, since)) {
        job_fail(j, 125, "its processes could not be taken charge of", 0);
        return false;
    }
    if (!same_ids(j)) {
        job_fail(j, 125, "the engine would give it groups that its caller does not have", 0);
        return false;
    }
    return true;
}

/* ---- waiting for the engine ---- */

static bool tell_ready(struct job *j)
{
    static char status[1u << 16];
    uint8_t out[4 * HELPER_NUMBERS_MAX];
    uint32_t v[READY_COUNT] = {[READY_UID] = j->who.uid, [READY_GID] = j->who.gid};
    uint32_t all = V2_FDS_PTY | V2_FDS_PTY0 | V2_FDS_PTY1 | V2_FDS_PTY2;
    struct winsize size;
    /* The engine gives a user the groups that the container has for it. Those are not more than
     * the caller has when the container's first process is the same user with no more. */
    v[READY_GROUPS] = read_proc((pid_t)j->start.init, "/status", status, sizeof(status)) > 0 &&
                      within(status, &j->start.peer);
    if (!j->v1 && (j->plan.handover.flags & all) == all && j->slave >= 0) {
        v[READY_TTY] = 1;
        if (ioctl(j->slave, TIOCGWINSZ, &size) == 0) {
            v[READY_ROWS] = size.ws_row;
            v[READY_COLUMNS] = size.ws_col;
        }
    }
    j->tty = v[READY_TTY];
    size_t n = helper_numbers_encode(v, READY_COUNT, out);
    return packet_send(j->boss, HELPER_READY, j->id, out, n, true) == 0;
}

/* A message of the warden: true when it was the pid, which is the last of them. */
static bool hear(struct job *j)
{
    static uint8_t buf[HELPER_HEAD_SIZE + 16384];
    struct packet p;
    uint32_t pid = 0;
    bool adopted = false;
    if (packet_receive(j->boss, buf, sizeof(buf), true, &p) <= 0)
        worker_leave();
    if (p.head.job == j->id && p.head.type == HELPER_KILL) {
        j->killed = true;
    } else if (p.head.job == j->id && p.head.type == HELPER_STREAM && p.fds_count == 1 &&
               j->stream < 0) {
        j->stream = p.fds[0];
        p.fds[0] = -1;
    } else if (p.head.job == j->id && p.head.type == HELPER_ADOPT &&
               helper_numbers_decode(p.body, p.head.len, ADOPT_COUNT, &pid) == 0) {
        j->engine_pid = (pid_t)pid;
        adopted = true;
    }
    packet_done(&p);
    return adopted;
}

/* Also when the caller goes meanwhile: what the engine is about to start has to be ended. */
static void await_pid(struct job *j)
{
    for (;;) {
        bool look = !j->caller_gone;
        struct pollfd p[3] = {{.fd = j->boss, .events = POLLIN},
                              {.fd = look ? j->pidfd : -1, .events = POLLIN},
                              {.fd = look ? j->conn : -1, .events = POLLRDHUP}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[1].revents || p[2].revents)
            j->caller_gone = true;
        if (p[0].revents && hear(j))
            return;
    }
}

bool byengine_await(struct job *j)
{
    uint64_t since = ticks_now();
    if (!tell_ready(j)) {
        job_fail(j, 125, "the warden cannot be told", 0);
        return false;
    }
    await_pid(j);
    bool fine = j->engine_pid <= 0 || take_charge(j, since);
    if (fine && j->stream < 0) {
        job_fail(j, 125, "the engine did not start it", 0);
        fine = false;
    }
    if (fine && (j->killed || j->caller_gone)) {
        job_fail(j, 125, j->killed ? "was killed before it started" : "its caller is gone", 0);
        fine = false;
    }
    if (!fine)
        byengine_kill(j);
    return fine;
}

/* ---- while it runs ---- */

/* Until the pump has taken the caller's descriptors: what comes on the connection then is a message
 * for us. It takes them first of all, and that waits for nobody. */
static void await_fds(const struct job *j)
{
    struct pollfd p = {.fd = j->news, .events = POLLIN};
    struct pump_news n;
    while (poll(&p, 1, FDS_MS) < 0)
        ;
    (void)!read(j->news, &n, sizeof(n));
}

bool byengine_launch(struct job *j)
{
    int news[2];
    if (pipe2(news, O_CLOEXEC | O_NONBLOCK) < 0) {
        job_fail(j, 125, "no pipe could be made for it", errno);
        byengine_kill(j);
        return false;
    }
    struct pump p = {.plan = &j->plan,
                     .stream = j->stream,
                     .process = j->enginefd,
                     .news = news[1],
                     .tty = j->tty,
                     .leads = j->plan.slave >= 0};
    pid_t pid = fork();
    if (pid == 0)
        pump_run(&p);
    close(news[1]);
    j->news = news[0];
    if (pid < 0) {
        job_fail(j, 125, "no process could be made for it", errno);
        byengine_kill(j);
        return false;
    }
    (void)setpgid(pid, pid); /* whoever is first: it is signalled by this number */
    close(j->stream);
    j->stream = -1;
    j->pid = pid;
    await_fds(j);
    return true;
}

void byengine_signal(const struct job *j, int signo, bool all)
{
    if (j->enginefd < 0 || !subject_alive(j->enginefd))
        return;
    if (!all || kill(-j->engine_pid, signo) < 0)
        (void)syscall(SYS_pidfd_send_signal, j->enginefd, signo, NULL, 0);
}

void byengine_kill(struct job *j)
{
    if (j->cgroup >= 0) {
        cgroup_kill(j->cgroup);
        j->spent = true;
    }
    if (j->enginefd >= 0 && subject_alive(j->enginefd)) {
        if (j->cgroup < 0)
            (void)tree_signal(j->engine_pid, SIGKILL);
        byengine_signal(j, SIGKILL, true);
        (void)syscall(SYS_pidfd_send_signal, j->enginefd, SIGKILL, NULL, 0);
    }
    /* What the record calls killed is gone. */
    for (int i = 0; i < KILLED_MS && j->cgroup >= 0 && cgroup_populated(j->cgroup); i += 5)
        (void)poll(NULL, 0, 5);
}

void byengine_ended(struct job *j, int status)
{
    /* The dispatcher kills the cgroup itself, and the order to us may still lie here. */
    struct pollfd p = {.fd = j->boss, .events = POLLIN};
    for (int i = 0; i < LAST_ORDERS && poll(&p, 1, 0) == 1; i++)
        (void)job_command(j);
    bool fine = WIFEXITED(status) && WEXITSTATUS(status) == PUMP_FINE;
    if (j->killed || j->caller_gone || !fine)
        byengine_kill(j); /* also what is left of one that ended by its SIGTERM */
    if (fine && !j->shot) {
        j->end = (struct helper_end){
            .kind = HELPER_END_EXIT, .flags = HELPER_END_ASK_ENGINE, .text = ""};
        return;
    }
    if (j->killed || j->caller_gone)
        j->end = (struct helper_end){.kind = HELPER_END_SIGNAL, .value = SIGKILL, .text = ""};
    else if (WIFEXITED(status) && WEXITSTATUS(status) == PUMP_REFUSED)
        job_fail(j, 125, "the engine did not start it", 0);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == PUMP_NO_FDS)
        job_fail(j, 125, "stdin, stdout and stderr were not handed over as they should", 0);
    else
        job_fail(j, 125, "its streams broke off", 0);
}

void byengine_news(struct job *j)
{
    struct pump_news n;
    uint8_t out[4 * HELPER_NUMBERS_MAX];
    while (read(j->news, &n, sizeof(n)) == (ssize_t)sizeof(n)) {
        uint32_t v[RESIZED_COUNT] = {[RESIZED_ROWS] = n.rows, [RESIZED_COLUMNS] = n.columns};
        if (n.kind == PUMP_NO_READER)
            byengine_signal(j, SIGPIPE, false);
        else if (n.kind == PUMP_RESIZED)
            (void)packet_send(j->boss, HELPER_RESIZED, j->id, out,
                              helper_numbers_encode(v, RESIZED_COUNT, out), false);
    }
}

void byengine_done(struct job *j)
{
    int *fds[] = {&j->stream, &j->news, &j->enginefd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}
