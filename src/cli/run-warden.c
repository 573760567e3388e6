/* SPDX-License-Identifier: MIT */
#include "cli/run-warden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/sessions.h"

#define START_MS 20000
#define STOP_MS 15000 /* its own drain takes up to ten seconds */
#define GATE_FD 3
#define LOG_SHOWN 2048

char *run_warden_program(const char *name)
{
    static const char *const places[] = {"", "/../libexec/clawrden", "/../sbin", "/../warden",
                                         "/../../../static/src/gate"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    _cleanup_free_ char *dir = path_dirname(self);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        _cleanup_free_ char *path = mem_printf("%s%s/%s", dir, places[i], name);
        char *real = realpath(path, NULL);
        if (real && access(real, X_OK) == 0)
            return real;
        free(real);
    }
    return NULL;
}

/* None of ours: what is meant for clients, or for another warden, does not steer this one. */
static char **clean_env(void)
{
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **env = mem_new_array(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!str_starts(environ[i], "CLAWRDEN_"))
            env[kept++] = environ[i];
    return env;
}

static _Noreturn void become_warden(char *const *argv, char *const *env, int gate, int log)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setpgid(0, 0); /* what a person types is not for it */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int high = fcntl(gate, F_DUPFD_CLOEXEC, 16), high_log = fcntl(log, F_DUPFD_CLOEXEC, 16);
    if (null >= 0 && high >= 0 && high_log >= 0 && dup2(null, 0) == 0 && dup2(high_log, 1) == 1 &&
        dup2(high_log, 2) == 2 && dup2(high, GATE_FD) == GATE_FD)
        (void)execve(argv[0], argv, env);
    _exit(127);
}

/* The last lines that it wrote, for a start that failed. */
static void add_log(const char *path, struct err *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20), shown = BUF_INIT(65536);
    struct err other;
    if (fd_read_file(path, 1u << 20, &b, &other) < 0 || b.len == 0)
        return;
    while (b.len > 0 && b.data[b.len - 1] == '\n')
        b.len--;
    const char *s = b.data, *last = memrchr(s, '\n', b.len);
    const char *from = last ? last + 1 : s;
    size_t n = (size_t)(b.data + b.len - from);
    (void)str_escape(&shown, from, n < LOG_SHOWN ? n : LOG_SHOWN);
    (void)err_set(err, -ECHILD, "%s", buf_str(&shown));
}

/* SO_PASSCRED before anybody can write: the warden has to know who speaks. */
static int make_pair(int pair[2], struct err *err)
{
    int one = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, -errno, "cannot make the gate's connection");
    if (setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0) {
        close(pair[0]);
        close(pair[1]);
        return err_errno(err, -errno, "cannot make the gate's connection");
    }
    return 0;
}

static int start(char *const *argv, const char *log_path, struct run_warden *w, struct err *err)
{
    int pair[2];
    _cleanup_free_ char **env = clean_env();
    _cleanup_close_ int log =
        open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0)
        return err_errno(err, -errno, "'%s'", log_path);
    int r = make_pair(pair, err);
    if (r < 0)
        return r;
    _cleanup_close_ int theirs = pair[0];
    w->gate = pair[1];
    w->pid = fork();
    if (w->pid == 0)
        become_warden(argv, env, theirs, log);
    if (w->pid < 0)
        return err_errno(err, -errno, "cannot start the warden");
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    return w->pidfd < 0 ? err_errno(err, -errno, "cannot watch the warden") : 0;
}

static void forget(struct run_warden *w)
{
    if (w->pid > 0) {
        (void)kill(w->pid, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
    }
    cleanup_close(&w->pidfd);
    cleanup_close(&w->gate);
    *w = RUN_WARDEN_INIT;
}

int run_warden_start(const char *dir, const char *policy, const char *api, bool asks,
                     struct run_warden *ret, struct err *err)
{
    _cleanup_free_ char *program = run_warden_program("clawrden-warden");
    _cleanup_free_ char *audit = path_join(dir, "audit.jsonl"), *log = path_join(dir, "warden.log");
    _cleanup_free_ char *door = path_join(dir, "warden.sock");
    char *listens = (char *)(api ? api : "none");
    struct run_warden w = RUN_WARDEN_INIT;
    if (!program)
        return err_set(err, -ENOENT, "clawrden-warden is not where this program lies");
    char *argv[] = {program,   "--policy",      (char *)policy,
                    "--state", (char *)dir,     "--audit",
                    audit,     "--socket",      door,
                    "--api",   listens,         "--gate-fd",
                    "3",       "--waiting-max", asks ? "1000" : "0",
                    NULL};
    int r = start(argv, log, &w, err);
    if (r == 0) {
        r = sessions_await(dir, w.pidfd, START_MS);
        if (r == -ECHILD)
            add_log(log, err);
        else if (r < 0)
            (void)err_errno(err, r, "it does not listen");
    }
    if (r < 0) {
        forget(&w);
        return err_prefix(err, r, "the warden (%s)", log);
    }
    *ret = w;
    return 0;
}

bool run_warden_stop(struct run_warden *w)
{
    int status = 0;
    if (w->pid <= 0)
        return true;
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    (void)kill(w->pid, SIGTERM);
    if (poll(&p, 1, STOP_MS) <= 0)
        (void)kill(w->pid, SIGKILL);
    bool well = waitpid(w->pid, &status, 0) == w->pid && status == 0;
    w->pid = 0;
    cleanup_close(&w->pidfd);
    cleanup_close(&w->gate);
    *w = RUN_WARDEN_INIT;
    return well;
}
