/* SPDX-License-Identifier: MIT */
/* The canary by other names, other files, other calls, and names that change under the gate. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/attack.h"

#define RACES 150

/* ---- other names ---- */

static void by_its_name(struct attack_try *t)
{
    const char *const argv[] = {"/usr/bin/env", t->canary->name, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_its_path(struct attack_try *t)
{
    attack_exec(t, t->canary->path, NULL);
}

static void by_dots(struct attack_try *t)
{
    _cleanup_free_ char *dir = path_dirname(t->canary->path);
    _cleanup_free_ char *path = mem_printf("%s/../..%s/.//%s", dir, dir, t->canary->name);
    attack_exec(t, path, NULL);
}

static void by_proc_root(struct attack_try *t)
{
    _cleanup_free_ char *path = mem_printf("/proc/self/root%s", t->canary->path);
    attack_exec(t, path, NULL);
}

static void by_relative(struct attack_try *t)
{
    _cleanup_free_ char *dir = path_dirname(t->canary->path);
    _cleanup_free_ char *path = mem_printf("./%s", t->canary->name);
    if (chdir(dir) == 0)
        attack_exec(t, path, NULL);
}

static void by_symlink(struct attack_try *t)
{
    if (symlink(t->canary->path, "innocent") == 0)
        attack_exec(t, "./innocent", NULL);
}

static void by_hard_link(struct attack_try *t)
{
    attack_reach(t);
    if (link(t->canary->path, "innocent") < 0)
        attack_say(t, ATTACK_REFUSED, "link: %s", strerror(errno));
    else
        attack_exec(t, "./innocent", NULL);
}

static void by_wrong_argv0(struct attack_try *t)
{
    const char *const argv[] = {"/bin/bash",     "-c",           "exec -a true \"$0\" \"$1\"",
                                t->canary->path, t->canary->arg, NULL};
    attack_command(t, argv, NULL);
}

static void by_empty_argv(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const char *const argv[] = {t->canary->path, NULL};
    const struct attack_child c = {.argv = argv};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

/* ---- other files ---- */

static void by_copy(struct attack_try *t)
{
    if (attack_copy(t, t->canary->path, "innocent"))
        attack_exec(t, "./innocent", NULL);
}

static void by_copy_called(struct attack_try *t)
{
    _cleanup_free_ char *path = mem_printf("PATH=%s:/usr/bin:/bin", t->dir);
    char *env[] = {path, NULL};
    const char *const argv[] = {"/bin/sh", "-c", "true >/dev/null; ls \"$0\"", t->canary->arg,
                                NULL};
    if (attack_copy(t, t->canary->path, "ls"))
        attack_command(t, argv, env);
}

static void by_copy_in(struct attack_try *t, const char *place)
{
    _cleanup_free_ char *path = mem_printf("%s/clawrden-attack-%d", place, (int)getpid());
    if (attack_copy(t, t->canary->path, path))
        attack_exec(t, path, NULL);
    (void)unlink(path);
}

static void by_copy_in_tmp(struct attack_try *t)
{
    by_copy_in(t, "/tmp");
}

static void by_copy_in_shm(struct attack_try *t)
{
    by_copy_in(t, "/dev/shm");
}

static void exec_fd(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->name, (char *)t->canary->arg, NULL};
    int fd = *(const int *)c->arg;
    attack_reach(t);
    (void)syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(126);
}

static void by_fd(struct attack_try *t, int fd)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = exec_fd, .arg = &fd};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void by_descriptor(struct attack_try *t)
{
    _cleanup_close_ int fd = open(t->canary->path, O_PATH | O_CLOEXEC);
    by_fd(t, fd);
}

static void by_deleted(struct attack_try *t)
{
    if (!attack_copy(t, t->canary->path, "gone"))
        return;
    _cleanup_close_ int fd = open("gone", O_RDONLY | O_CLOEXEC);
    (void)unlink("gone");
    by_fd(t, fd);
}

static void by_memfd(struct attack_try *t)
{
    char path[64];
    _cleanup_close_ int fd = memfd_create("innocent", 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd >= 0 && attack_copy(t, t->canary->path, path))
        by_fd(t, fd);
}

static void exec_at_directory(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->name, (char *)t->canary->arg, NULL};
    _cleanup_free_ char *dir = path_dirname(t->canary->path);
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    attack_reach(t);
    (void)syscall(SYS_execveat, fd, t->canary->name, argv, environ, 0);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(126);
}

static void by_directory(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = exec_at_directory};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

/* ---- other calls ---- */

static void by_vfork(struct attack_try *t)
{
    const char *const argv[] = {
        "/usr/bin/python3", "-c",           "import subprocess,sys; subprocess.run(sys.argv[1:])",
        t->canary->path,    t->canary->arg, NULL};
    if (access(argv[0], X_OK) < 0)
        attack_say(t, ATTACK_ABSENT, "no python3");
    else
        attack_command(t, argv, NULL);
}

static void spawn_it(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    pid_t pid;
    int status = 0;
    attack_reach(t);
    int r = posix_spawn(&pid, t->canary->path, NULL, NULL, argv, environ);
    if (r == 0)
        (void)waitpid(pid, &status, 0);
    _exit(r == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

static void by_spawn(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = spawn_it};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void *exec_in_thread(void *arg)
{
    struct attack_try *t = arg;
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(126);
}

static void start_thread(struct attack_try *t, const struct attack_child *c)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, exec_in_thread, t) == 0)
        (void)pthread_join(thread, NULL);
    _exit(126);
}

static void by_thread(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = start_thread};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void orphan_it(struct attack_try *t, const struct attack_child *c)
{
    if (fork() > 0)
        _exit(126); /* the orphan holds the pipe, and its words are judged */
    (void)setsid();
    if (fork() > 0)
        _exit(0);
    while (getppid() != 1 && kill(getppid(), 0) == 0 && usleep(1000) == 0)
        if (c->arg && --*(int *)c->arg < 0)
            break;
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(126);
}

static void by_orphan(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    int looks = 100;
    const struct attack_child c = {.enter = orphan_it, .arg = &looks};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

/* ---- names that change ---- */

/* The verdict on many tries: the prize must never appear, and the flipping must have happened. */
static void race(struct attack_try *t,
                 void (*enter)(struct attack_try *, const struct attack_child *), void *arg)
{
    char out[ATTACK_OUT_MAX];
    unsigned refused = 0, innocent = 0;
    for (int i = 0; i < RACES; i++) {
        const struct attack_child c = {.enter = enter, .arg = arg};
        int status = attack_run(t, &c, out);
        if (strstr(out, t->canary->prize)) {
            attack_say(t, ATTACK_HOLE, "the forbidden command ran at try %d", i + 1);
            return;
        }
        if (strstr(out, "clawrden: "))
            refused++;
        else if (status >= 0)
            innocent++;
    }
    if (refused == 0)
        attack_say(t, ATTACK_UNPROVED, "in %d tries the name never changed in time", RACES);
    else
        attack_say(t, ATTACK_REFUSED, "%d tries: %u refused, %u ran the allowed program", RACES,
                   refused, innocent);
}

struct flip {
    char path[64];
    const char *canary, *twin;
    volatile bool stop;
};

static struct flip *flip_new(const struct attack_try *t)
{
    struct flip *f =
        mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (f == MAP_FAILED)
        return NULL;
    *f = (struct flip){.canary = t->canary->path, .twin = t->twin};
    (void)snprintf(f->path, sizeof(f->path), "%s", t->twin);
    return f;
}

static void flip_names(struct flip *f)
{
    size_t n = strlen(f->twin);
    while (!f->stop) {
        memcpy(f->path, f->canary, n);
        memcpy(f->path, f->twin, n);
    }
}

static void exec_flipping(struct attack_try *t, const struct attack_child *c)
{
    struct flip *f = (struct flip *)c->arg;
    char *const argv[] = {f->path, (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)execve(f->path, argv, environ);
    _exit(99); /* a name that was neither */
}

static void by_flipping_page(struct attack_try *t)
{
    struct flip *f = t->twin ? flip_new(t) : NULL;
    if (!f) {
        attack_say(t, ATTACK_ABSENT, "no allowed program with a name of the same length");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        flip_names(f);
        _exit(0);
    }
    race(t, exec_flipping, f);
    f->stop = true;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void *flip_in_thread(void *arg)
{
    flip_names(arg);
    return NULL;
}

static void exec_with_thread(struct attack_try *t, const struct attack_child *c)
{
    pthread_t thread;
    struct flip *f = (struct flip *)c->arg;
    if (pthread_create(&thread, NULL, flip_in_thread, f) != 0)
        _exit(98);
    exec_flipping(t, c);
}

static void by_flipping_thread(struct attack_try *t)
{
    struct flip *f = t->twin ? flip_new(t) : NULL;
    if (!f)
        attack_say(t, ATTACK_ABSENT, "no allowed program with a name of the same length");
    else
        race(t, exec_with_thread, f);
}

static void swap_links(void)
{
    for (;;) {
        (void)rename("to-canary", "link");
        (void)rename("to-twin", "link");
        (void)syscall(SYS_symlinkat, "canary", AT_FDCWD, "to-canary");
        (void)syscall(SYS_symlinkat, "twin", AT_FDCWD, "to-twin");
    }
}

static void exec_link(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {"link", (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)execve("./link", argv, environ);
    _exit(99);
}

static void by_swapped_link(struct attack_try *t)
{
    if (symlink(t->canary->path, "canary") < 0 || symlink("/bin/true", "twin") < 0 ||
        symlink("twin", "link") < 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        swap_links();
    }
    race(t, exec_link, NULL);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void flood_signals(pid_t group)
{
    for (;;) {
        (void)kill(-group, SIGSTOP);
        (void)kill(-group, SIGCONT);
    }
}

static void exec_flooded(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        flood_signals(self);
    }
    (void)usleep(2000);
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(99);
}

static void by_signal_flood(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    for (int i = 0; i < 10 && t->trial->result != ATTACK_HOLE; i++) {
        const struct attack_child c = {.enter = exec_flooded};
        int status = attack_run(t, &c, out);
        attack_judge(t, out, status);
    }
}

const struct attack_row attack_paths[] = {
    {"name", "by its name, found on PATH", by_its_name, false},
    {"path", "by its path", by_its_path, false},
    {"path-dots", "by a path with dots", by_dots, false},
    {"path-proc", "through /proc/self/root", by_proc_root, false},
    {"path-relative", "from its own directory", by_relative, false},
    {"symlink", "through a symlink in the workspace", by_symlink, false},
    {"hard-link", "through a hard link in the workspace", by_hard_link, false},
    {"argv0", "with the first word of an allowed command", by_wrong_argv0, false},
    {"no-arguments", "with no arguments at all", by_empty_argv, false},
    {"copy", "as a copy under another name", by_copy, false},
    {"copy-called", "as a copy with an allowed tool's name, first on PATH", by_copy_called, false},
    {"copy-tmp", "as a copy in /tmp", by_copy_in_tmp, false},
    {"copy-shm", "as a copy in /dev/shm", by_copy_in_shm, false},
    {"descriptor", "by a descriptor of it (execveat)", by_descriptor, false},
    {"deleted", "as a file that is deleted", by_deleted, false},
    {"memfd", "from memory (memfd, fexecve)", by_memfd, false},
    {"directory", "relative to a directory's descriptor (execveat)", by_directory, false},
    {"python", "from an interpreter (vfork)", by_vfork, false},
    {"spawn", "by posix_spawn", by_spawn, false},
    {"thread", "from a thread", by_thread, false},
    {"orphan", "from a process that left its parents and its session", by_orphan, false},
    {"flip-page", "while another process changes the path in memory", by_flipping_page, false},
    {"flip-thread", "while a thread changes the path in memory", by_flipping_thread, false},
    {"swap-link", "while a symlink to it is swapped", by_swapped_link, false},
    {"signal-flood", "under a flood of SIGSTOP and SIGCONT", by_signal_flood, false},
    {0},
};
