/* SPDX-License-Identifier: MIT */
/* The floor of a gate that decides after the exec: the least that any of them does. Seccomp
 * notification, seize, stop of the new program before its first instruction, release; nobody is
 * asked and nothing is looked at. With --facts it reads of the stopped program what a policy must
 * know (executable, arguments, environment, directory), and forgets it. It judges nothing and is no
 * gate: it is installed nowhere.
 *
 *   bench-tracer [--facts] PROGRAM [ARG...]      the agent's exit status */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACE_OPTIONS (PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

static char facts[1 << 17]; /* as large as the arguments of a usual program may be */

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench-tracer: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int filter_install(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {.len = sizeof(program) / sizeof(program[0]), .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                        &p);
}

static void fd_send(int sock, int fd)
{
    char byte = 'f', room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    if (sendmsg(sock, &m, 0) != 1)
        die("sendmsg");
}

static int fd_receive(int sock)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd;
    if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&m) == NULL)
        die("recvmsg");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

static void facts_read(pid_t pid)
{
    static const char *const names[] = {"cmdline", "environ", "auxv", "status"};
    char path[64];
    struct stat st;
    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    (void)!readlinkat(dir, "exe", facts, sizeof(facts));
    (void)fstatat(dir, "exe", &st, 0);
    (void)!readlinkat(dir, "cwd", facts, sizeof(facts));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = openat(dir, names[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        while (read(fd, facts, sizeof(facts)) > 0)
            ;
        close(fd);
    }
    close(dir);
}

static void notified(int listener)
{
    struct seccomp_notif n = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) != 0)
        return;
    struct seccomp_notif_resp r = {.id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (ptrace(PTRACE_SEIZE, (pid_t)n.pid, NULL, (void *)TRACE_OPTIONS) != 0)
        die("ptrace(PTRACE_SEIZE)");
    (void)ptrace(PTRACE_INTERRUPT, (pid_t)n.pid, NULL, NULL);
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* Looks at whoever stopped or ended. The agent's status, or -1. */
static int waited(pid_t agent, int with_facts)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
        if (!WIFSTOPPED(status)) {
            if (pid == agent)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) && with_facts)
            facts_read(pid);
        int signal = status >> 16 == 0 ? WSTOPSIG(status) : 0;
        (void)ptrace(PTRACE_DETACH, pid, NULL, (void *)(long)signal);
    }
    return -1;
}

int main(int argc, char **argv)
{
    int with_facts = argc > 1 && strcmp(argv[1], "--facts") == 0, pair[2], code = -1;
    char **command = argv + 1 + with_facts;
    if (command[0] == NULL) {
        fprintf(stderr, "bench-tracer [--facts] PROGRAM [ARG...]\n");
        return 2;
    }
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        die("socketpair");
    pid_t agent = fork();
    if (agent < 0)
        die("fork");
    if (agent == 0) {
        int listener = filter_install();
        if (listener < 0)
            die("seccomp");
        fd_send(pair[1], listener);
        close(listener);
        (void)sigprocmask(SIG_UNBLOCK, &child, NULL);
        execv(command[0], command);
        die(command[0]);
    }
    int listener = fd_receive(pair[0]);
    struct pollfd p[2] = {
        {.fd = listener, .events = POLLIN},
        {.fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN}};
    while (code < 0 && poll(p, 2, -1) > 0) {
        struct signalfd_siginfo info;
        if (p[0].revents & POLLIN)
            notified(listener);
        if (p[1].revents & POLLIN) {
            (void)!read(p[1].fd, &info, sizeof(info));
            code = waited(agent, with_facts);
        }
    }
    return code < 0 ? 125 : code;
}
