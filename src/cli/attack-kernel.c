/* SPDX-License-Identifier: MIT */
/* System calls that would go around a gate: its own tools, other ABIs, other processes' memory, and
 * the gate itself. After an attack on the gate it must still refuse. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/attack.h"

/* ---- memory of others ---- */

/* A child of ours that stands still, as what waits for a person does. */
static pid_t stand_still(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)pause();
        _exit(0);
    }
    return pid;
}

static void end_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void trace_child(struct attack_try *t)
{
    pid_t pid = stand_still();
    attack_reach(t);
    attack_must_fail(t, ptrace(PTRACE_SEIZE, pid, 0, 0), "ptrace of a child");
    end_child(pid);
}

static void trace_me(struct attack_try *t)
{
    attack_reach(t);
    attack_must_fail(t, ptrace(PTRACE_TRACEME, 0, 0, 0), "being traced by a parent");
}

/* Where ptrace is refused the exec is judged as every other. */
static void enter_traced(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    (void)c;
    (void)ptrace(PTRACE_TRACEME, 0, 0, 0);
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(126);
}

static void traced_exec(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = enter_traced};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

/* A child that calls getppid(), which its tracer makes an execve of the canary. */
static void enter_tracer(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    struct user_regs_struct regs;
    int status;
    pid_t pid = fork();
    (void)c;
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0) {
            (void)dprintf(2, "ptrace: %s\n", strerror(errno));
            _exit(126);
        }
        (void)raise(SIGSTOP);
        (void)syscall(SYS_getppid);
        _exit(126);
    }
    attack_reach(t);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        if (ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0 && regs.orig_rax == SYS_getppid) {
            regs.orig_rax = SYS_execve;
            regs.rdi = (unsigned long)argv[0];
            regs.rsi = (unsigned long)argv;
            regs.rdx = (unsigned long)environ;
            (void)ptrace(PTRACE_SETREGS, pid, 0, &regs);
            (void)ptrace(PTRACE_CONT, pid, 0, 0);
        } else {
            (void)ptrace(PTRACE_SYSCALL, pid, 0, 0);
        }
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

static void rewritten_call(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = enter_tracer};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void write_memory(struct attack_try *t)
{
    static int word = 1;
    int new = 2;
    pid_t pid = stand_still();
    struct iovec from = {.iov_base = &new, .iov_len = sizeof(new)},
                 to = {.iov_base = &word, .iov_len = sizeof(word)};
    attack_reach(t);
    attack_must_fail(t, process_vm_writev(pid, &from, 1, &to, 1, 0), "process_vm_writev");
    end_child(pid);
}

static void open_memory(struct attack_try *t)
{
    char path[64];
    pid_t pid = stand_still();
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    attack_reach(t);
    attack_must_fail(t, open(path, O_RDWR | O_CLOEXEC), "/proc/PID/mem for writing");
    end_child(pid);
}

/* In a user namespace one has every capability: a new /proc must be read-only all the same. */
static int mount_and_open(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
        return errno;
    pid_t pid = fork();
    if (pid == 0) {
        if (mount("proc", "/proc", "proc", 0, NULL) < 0 &&
            mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            _exit(errno);
        (void)mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL);
        _exit(open("/proc/self/mem", O_RDWR | O_CLOEXEC) < 0 ? errno : 0);
    }
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

static void open_memory_nested(struct attack_try *t)
{
    attack_reach(t);
    errno = mount_and_open();
    attack_must_fail(t, errno ? -1 : 0, "/proc/self/mem in a new namespace's /proc");
}

/* ---- other ways to start a program ---- */

static void io_uring(struct attack_try *t)
{
    char params[120] = {0};
    attack_reach(t);
    attack_must_fail(t, syscall(425 /* io_uring_setup */, 4, params), "io_uring_setup");
}

#ifdef __x86_64__
static void exec_x32(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)syscall(0x40000000 | 520, t->canary->path, argv, environ);
    int error = errno;
    (void)syscall(0x40000000 | 59, t->canary->path, argv, environ);
    (void)dprintf(2, "exec: %s\n", strerror(error));
    _exit(126);
}

/* int $0x80 takes 32-bit pointers: everything lies low. */
static void exec_ia32(struct attack_try *t, const struct attack_child *c)
{
    char *low =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    uint32_t *argv = (uint32_t *)(low + 4096);
    int r;
    if (low == MAP_FAILED)
        _exit(98);
    (void)snprintf(low, 1024, "%s", t->canary->path);
    (void)snprintf(low + 1024, 1024, "%s", t->canary->arg);
    argv[0] = (uint32_t)(uintptr_t)low;
    argv[1] = (uint32_t)(uintptr_t)(low + 1024);
    argv[2] = 0;
    attack_reach(t);
    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"(11), "b"(low), "c"(argv), "d"(argv + 2)
                     : "memory", "r8", "r9", "r10", "r11");
    (void)dprintf(2, "exec: %s\n", strerror(-r));
    _exit(126);
}

static void by_enter(struct attack_try *t,
                     void (*enter)(struct attack_try *, const struct attack_child *))
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = enter};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void by_x32(struct attack_try *t)
{
    by_enter(t, exec_x32);
}

static void by_ia32(struct attack_try *t)
{
    by_enter(t, exec_ia32);
}
#endif

/* Shares root and working directory with its parent, which can then move both under a held image.
 */
static void share_fs(struct attack_try *t)
{
    attack_reach(t);
    long pid = syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    int error = errno;
    if (pid > 0)
        (void)waitpid((pid_t)pid, NULL, 0);
    errno = error;
    attack_must_fail(t, pid, "clone with CLONE_FS");
}

static void share_fs3(struct attack_try *t)
{
    struct clone_args args = {.flags = CLONE_FS, .exit_signal = SIGCHLD};
    attack_reach(t);
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        _exit(0);
    int error = errno;
    if (pid > 0)
        (void)waitpid((pid_t)pid, NULL, 0);
    errno = error;
    attack_must_fail(t, pid, "clone3 with CLONE_FS");
}

/* A bind mount gives the canary the path of an allowed program. */
static void exec_bound(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)"/usr/bin/true", (char *)t->canary->arg, NULL};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount(t->canary->path, "/usr/bin/true", NULL, MS_BIND, NULL) < 0) {
        attack_reach(t);
        (void)dprintf(2, "mount: %s\n", strerror(errno));
        _exit(126);
    }
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(126);
}

static void exec_rooted(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)"/usr/bin/true", (char *)t->canary->arg, NULL};
    bool made = mkdir("usr", 0755) == 0 && mkdir("usr/bin", 0755) == 0 && mkdir("lib", 0755) == 0 &&
                mkdir("lib64", 0755) == 0 && attack_copy(t, t->canary->path, "usr/bin/true");
    if (!made || unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount("/usr/lib", "lib", NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount("/lib64/.", "lib64", NULL, MS_BIND | MS_REC, NULL) < 0 || chroot(".") < 0) {
        attack_reach(t);
        (void)dprintf(2, "chroot: %s\n", strerror(errno));
        _exit(126);
    }
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(126);
}

static void by_enter_any(struct attack_try *t,
                         void (*enter)(struct attack_try *, const struct attack_child *))
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.enter = enter};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void by_bind_mount(struct attack_try *t)
{
    by_enter_any(t, exec_bound);
}

static void by_chroot(struct attack_try *t)
{
    by_enter_any(t, exec_rooted);
}

/* ---- filters ---- */

static void stack_filter(uint32_t action)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, action)};
    const struct sock_fprog prog = {.len = 1, .filter = all};
    (void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

static void exec_under_allow(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    stack_filter(SECCOMP_RET_ALLOW);
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    _exit(126);
}

/* With TRACE and no tracer a call gives ENOSYS; only exec is made so. */
static void exec_under_trace(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    struct sock_filter some[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog prog = {.len = ARRAY_LEN(some), .filter = some};
    (void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
    attack_reach(t);
    (void)execve(argv[0], argv, environ);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(126);
}

static void by_allow_filter(struct attack_try *t)
{
    by_enter_any(t, exec_under_allow);
}

static void by_trace_filter(struct attack_try *t)
{
    by_enter_any(t, exec_under_trace);
}

static void second_listener(struct attack_try *t)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog prog = {.len = 1, .filter = all};
    attack_reach(t);
    attack_must_fail(
        t, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog),
        "a listener of one's own");
}

static void drop_no_new_privs(struct attack_try *t)
{
    attack_reach(t);
    errno = EPERM;
    attack_must_fail(t, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -1 : 0,
                     "a set-user-id program gaining rights");
}

const struct attack_row attack_kernel[] = {
    {"ptrace", "changing what waits, by ptrace", trace_child, false, true},
    {"ptrace-me", "being traced, so that the gate cannot", trace_me, false, true},
    {"ptrace-exec", "a program that is traced from before its exec", traced_exec, false},
    {"ptrace-rewrite", "another system call made an exec by a tracer", rewritten_call, false},
    {"vm-writev", "changing what waits, by process_vm_writev", write_memory, false},
    {"proc-mem", "changing what waits, by /proc/PID/mem", open_memory, false},
    {"proc-mem-nested", "the same in a namespace of its own", open_memory_nested, false},
    {"io-uring", "files past the filter, by io_uring", io_uring, false},
#ifdef __x86_64__
    {"x32", "exec by the x32 ABI", by_x32, false},
    {"ia32", "exec by the 32-bit ABI", by_ia32, false},
#endif
    {"clone-fs", "sharing root and directory with a held image", share_fs, false},
    {"clone3-fs", "the same by clone3", share_fs3, false},
    {"bind-mount", "bound over an allowed program, in a user namespace", by_bind_mount, false},
    {"chroot", "as an allowed path in another root", by_chroot, false},
    {"filter-allow", "under a filter that allows all", by_allow_filter, false},
    {"filter-trace", "under a filter that asks for a tracer", by_trace_filter, false},
    {"listener", "answering the kernel instead of the gate", second_listener, false},
    {"set-user-id", "rights by a set-user-id program", drop_no_new_privs, false},
    {0},
};
