/* SPDX-License-Identifier: MIT */
/* The floor under the gate: its filter and the order of its calls for one exec, and nothing else.
 * It decides nothing and protects nothing; it is there to be measured beside the gate.
 *
 *   bench-floor floor PROGRAM ARG...   seized, stopped in its exec, let go
 *   bench-floor facts PROGRAM ARG...   and looked at: arguments, environment, executable, ids, cwd
 *   bench-floor asked PROGRAM ARG...   and a second process is sent that and answers at once
 *
 * One exec at a time, so for programs of one thread that do not stop each other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/filter.h"
#include "gate/talk.h"
#include "gate/uapi.h"

enum { FLOOR, FACTS, ASKED };

static int depth, other = -1; /* other: the process that answers */
static char found[64 << 10];  /* of one program */

_Noreturn static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- the process that answers ---- */

_Noreturn static void answer(int sock)
{
    static char text[sizeof(found)];
    while (recv(sock, text, sizeof(text), 0) > 0)
        if (send(sock, text, 16, MSG_NOSIGNAL) < 0)
            break;
    _exit(0);
}

static void start_other(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        fail("socketpair");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        close(pair[0]);
        answer(pair[1]);
    }
    close(pair[1]);
    other = pair[0];
}

/* ---- one exec ---- */

static size_t read_file(pid_t pid, const char *name, char *to, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size);
    if (n < 0)
        fail(path);
    close(fd);
    return (size_t)n;
}

static size_t look(pid_t pid)
{
    struct user_regs_struct regs;
    struct stat st;
    char path[64];
    size_t have = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    int exe = open(path, O_PATH | O_CLOEXEC);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0 || exe < 0 || fstat(exe, &st) < 0)
        fail("look");
    close(exe);
    memcpy(found, &st, sizeof(st));
    have = sizeof(st);
    have += read_file(pid, "status", found + have, 4096);
    ssize_t n = readlink(path, found + have, 4096);
    have += n > 0 ? (size_t)n : 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
    n = readlink(path, found + have, 4096);
    have += n > 0 ? (size_t)n : 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    /* Pointers, strings and all, up to the end of the stack. */
    n = mem < 0 ? -1 : pread(mem, found + have, sizeof(found) - have, (off_t)regs.rsp);
    if (n <= 0)
        fail(path);
    close(mem);
    return have + (size_t)n;
}

static void serve(int listener)
{
    struct uapi_seccomp_notif n;
    struct uapi_seccomp_notif_resp r = {.flags = UAPI_NOTIF_FLAG_CONTINUE};
    char word[16];
    int status;
    memset(&n, 0, sizeof(n));
    if (ioctl(listener, UAPI_NOTIF_RECV, &n) < 0)
        return;
    pid_t pid = (pid_t)n.pid;
    r.id = n.id;
    if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)(PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) <
            0 ||
        ioctl(listener, UAPI_NOTIF_ID_VALID, &r.id) < 0 ||
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || ioctl(listener, UAPI_NOTIF_SEND, &r) < 0 ||
        waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
        fail("an exec that was not seen through");
    if (status >> 16 == PTRACE_EVENT_EXEC && depth >= FACTS) {
        size_t size = look(pid);
        if (depth == ASKED && (send(other, found, size, MSG_NOSIGNAL) < 0 ||
                               recv(other, word, sizeof(word), 0) != 16))
            fail("the answer");
    }
    if (ptrace(PTRACE_DETACH, pid, NULL, NULL) < 0)
        fail("detach");
}

/* ---- the program above ---- */

_Noreturn static void become(int sock, char **argv)
{
    char go;
    int fd = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -1 : filter_install(false);
    if (fd < 0 || talk_sendmsg(sock, "", 1, fd, 0) < 0 || recv(sock, &go, 1, 0) != 1)
        _exit(125);
    close(fd);
    (void)execv(argv[0], argv);
    _exit(127);
}

static int receive(int sock)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    int fd;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = recvmsg(sock, &m, MSG_CMSG_CLOEXEC) == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (!c || c->cmsg_type != SCM_RIGHTS)
        fail("the filter (one listener a tree)");
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

int main(int argc, char **argv)
{
    static const char *const depths[] = {"floor", "facts", "asked"};
    int pair[2], status;
    for (depth = FLOOR; argc > 2 && depth <= ASKED && strcmp(argv[1], depths[depth]) != 0; depth++)
        ;
    if (argc < 3 || depth > ASKED) {
        fprintf(stderr, "bench-floor floor|facts|asked PROGRAM [ARG...]\n");
        return 2;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        fail("socketpair");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0)
        become(pair[1], argv + 2);
    int listener = receive(pair[0]), pidfd = (int)syscall(UAPI_SYS_PIDFD_OPEN, pid, 0u);
    if (depth == ASKED)
        start_other();
    struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    if (pidfd < 0 || send(pair[0], "", 1, MSG_NOSIGNAL) != 1)
        fail("start");
    while (poll(p, 2, -1) > 0 && !p[1].revents)
        if (p[0].revents & POLLIN)
            serve(listener);
    if (waitpid(pid, &status, 0) != pid)
        fail("wait");
    if (other >= 0) {
        close(other);
        (void)wait(NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
