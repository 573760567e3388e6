/* SPDX-License-Identifier: MIT */
#include "gate/agent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/filter.h"
#include "gate/speak.h"
#include "gate/talk.h"
#include "gate/uapi.h"
#include "gate/wall.h"

/* What the child tells before it waits for the go-ahead. */
struct report {
    int error; /* of the filter, negative errno */
    uint32_t wall;
};

/* Who has this right could trace us. Without it nobody can whom we made. */
static int drop_ptrace(void)
{
    struct uapi_cap_header h = {.version = UAPI_CAP_VERSION_3};
    struct uapi_cap_data d[2];
    const uint32_t keep = ~(1u << UAPI_CAP_SYS_PTRACE);
    (void)prctl(PR_CAPBSET_DROP, UAPI_CAP_SYS_PTRACE, 0, 0, 0); /* EPERM: we do not have it */
    if (syscall(SYS_capget, &h, d) < 0)
        return -errno;
    d[0].effective &= keep;
    d[0].permitted &= keep;
    d[0].inheritable &= keep;
    if (syscall(SYS_capset, &h, d) < 0)
        return -errno;
    return prctl(PR_CAPBSET_READ, UAPI_CAP_SYS_PTRACE, 0, 0, 0) == 1 && geteuid() == 0 ? -EPERM : 0;
}

/* Everything of ours is close-on-exec; the disposition and mask of signals are those that we got.
 */
_Noreturn static void become_agent(int sock, const struct options *o, const sigset_t *mask)
{
    struct report r = {.error = 0};
    char go;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r.error = -errno;
    if (r.error == 0 && o->debuggers)
        r.error = drop_ptrace();
    if (r.error == 0)
        r.wall = wall_raise(o->wall);
    int fd = r.error == 0 ? filter_install(o->debuggers) : r.error;
    if (fd < 0)
        r.error = fd;
    if (talk_sendmsg(sock, &r, sizeof(r), fd, 0) < 0 || r.error < 0)
        _exit(SPEAK_EXIT_CANNOT);
    close(fd);
    if (recv(sock, &go, 1, 0) != 1)
        _exit(SPEAK_EXIT_CANNOT);
    (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(o->command[0], o->command);
    int error = errno;
    speak(o->command[0], error == ENOENT ? ": not found" : ": cannot be executed");
    _exit(error == ENOENT ? 127 : 126);
}

static int receive(int sock, struct report *ret)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;
    if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*ret))
        return -EPIPE;
    if (ret->error < 0)
        return ret->error;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return -EPROTO;
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

pid_t agent_start(const struct options *o, const sigset_t *mask, int *ret_sock)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        speak_cannot("cannot make a socket", errno);
    /* Who was started with more rights than before is not dumpable (exec of another user in a
     * container), and neither would be the child, which we could not trace then. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    pid_t pid = fork();
    if (pid < 0)
        speak_cannot("cannot start a process", errno);
    if (pid == 0) {
        close(pair[0]);
        close(talk_fd());
        if (o->status_fd >= 0)
            close(o->status_fd);
        become_agent(pair[1], o, mask);
    }
    close(pair[1]);
    *ret_sock = pair[0];
    return pid;
}

_Noreturn static void say_filter(int error)
{
    if (error == -EBUSY)
        speak_cannot(
            "another gate stands above this one already (one seccomp listener a tree): start it "
            "outside",
            0);
    if (error == -EINVAL || error == -ENOSYS)
        speak_cannot("this kernel has no seccomp user notification; Linux 5.14 or newer is needed",
                     0);
    speak_cannot("cannot install the filter", error);
}

int agent_listener(int sock, uint32_t *ret_wall)
{
    struct report r = {.error = -EPIPE};
    int fd = receive(sock, &r);
    if (fd < 0)
        say_filter(fd);
    *ret_wall = r.wall;
    return fd;
}
