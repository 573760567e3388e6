/* SPDX-License-Identifier: MIT */
/* clawrden-shim stands in for a governed command, by the name it is called by. It tells the warden
 * what was asked for, waits for the verdict, and lends its streams and its terminal to the command
 * that the helper starts. It decides nothing: whoever replaces it gains nothing. */
#include "shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/about.h"
#include "shim/hold.h"
#include "shim/run.h"
#include "shim/say.h"

void shim_fail(const struct shim *s, const char *what, const char *why, const char *advice)
{
    say_line(s->name, ": ", what, why ? " (" : "", why ? why : "", why ? "): " : ": ", advice);
    _exit(SHIM_EXIT_FAILED);
}

/* Without directories, and without the dash that login(1) puts before a shell's name. */
static const char *tool_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    const char *name = slash ? slash + 1 : argv0;

    return name[0] == '-' && name[1] ? name + 1 : name;
}

/* By the path that was executed, as a caller may give any argv[0] (`exec -a`). The path says
 * nothing when we are the interpreter of a script, were executed by a descriptor, or by our own
 * name: then argv[0] counts. */
static const char *called_name(const char *argv0)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): that is how the kernel hands it over; 0: none */
    const char *path = (const char *)getauxval(AT_EXECFN);
    const char *name = tool_name(argv0), *executed = path ? tool_name(path) : "";
    struct stat ours, its;

    if (strcmp(name, executed) == 0 || !executed[0] || strcmp(executed, "clawrden-shim") == 0 ||
        strncmp(path, "/dev/fd/", 8) == 0)
        return name;
    if (stat("/proc/self/exe", &ours) < 0 || stat(path, &its) < 0 || ours.st_ino != its.st_ino ||
        ours.st_dev != its.st_dev)
        return name;
    return executed;
}

static const char *socket_path(char *const *env)
{
    static const char key[] = "CLAWRDEN_SOCKET=";

    for (; *env; env++) {
        if (strncmp(*env, key, sizeof(key) - 1) == 0 && (*env)[sizeof(key) - 1])
            return *env + sizeof(key) - 1;
    }
    return SHIM_SOCKET;
}

/* A closed one of 0, 1, 2 is filled by a descriptor that can neither be read nor written, so that
 * no file of ours takes its number; what reads and writes still sees EBADF. */
static void look_at_stream(struct shim *s, int fd, short revents)
{
    if (revents & POLLNVAL) {
        int got = open("/", O_PATH | O_CLOEXEC);

        if (got == fd)
            s->closed |= 1u << fd;
        else if (got >= 0)
            (void)close(got); /* it was open after all, by O_PATH */
    } else if (isatty(fd)) {
        s->ttys |= 1u << fd;
    }
    if (revents & (POLLERR | POLLHUP))
        s->gone |= 1u << fd;
}

/* Before a file of ours is open: what is open was inherited. The lowest are the ones that a caller
 * means (process substitution, a job server, a lock); what is past the limits was left open. */
static void look_at_descriptors(struct shim *s)
{
    struct pollfd p[V2_FDS_NUMBER_MAX + 1];
    struct rlimit files;
    int n = V2_FDS_NUMBER_MAX + 1;

    /* The kernel polls no more than may be open. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < (rlim_t)n)
        n = files.rlim_cur > 3 ? (int)files.rlim_cur : 3;
    for (int fd = 0; fd < n; fd++)
        p[fd] = (struct pollfd){.fd = fd};
    if (poll(p, (nfds_t)n, 0) < 0)
        return;
    for (int fd = 0; fd < 3; fd++)
        look_at_stream(s, fd, p[fd].revents);
    for (int fd = 3; fd < n && s->more < V2_FDS_MORE_MAX; fd++) {
        if (!(p[fd].revents & POLLNVAL))
            s->inherited[s->more++] = (uint16_t)fd;
    }
}

static uint32_t count(char *const *v)
{
    uint32_t n = 0;

    while (v[n])
        n++;
    return n;
}

static void collect(struct shim *s, char **argv, char **env, char *cwd, size_t cwd_size)
{
    struct v2_request *q = &s->request.head;
    mode_t mask;

    look_at_descriptors(s);
    mask = umask(0);
    (void)umask(mask);
    s->parent = getppid();
    s->leader = getsid(0);
    s->socket = socket_path(env);
    if (!getcwd(cwd, cwd_size))
        cwd[0] = 0; /* deleted, outside of our root, or too long: the kernel will be asked */
    s->request.name = s->name;
    s->request.cwd = cwd;
    s->request.argv = (const char *const *)argv;
    s->request.env = (const char *const *)env;
    q->flags = s->ttys & (V2_REQ_TTY0 | V2_REQ_TTY1 | V2_REQ_TTY2);
    q->umask = mask & 0777;
    q->argc = count(argv);
    q->envc = count(env);
}

int main(int argc, char **argv, char **env)
{
    static struct conn c;
    struct shim s = {.name = called_name(argc > 0 ? argv[0] : "")};
    char cwd[V2_PATH_MAX];

    if (strcmp(s.name, "clawrden-shim") == 0) {
        if (argc < 4 || strcmp(argv[1], "--as") != 0)
            return about_main(argv + 1, socket_path(env));
        s.name = tool_name(argv[2]); /* a gate has put us in the place of this tool */
        argv += 3;
    }
    if (!s.name[0]) {
        say_line("called without a name, so there is no command to stand in for: nothing was run; "
                 "see 'clawrden-shim --help'");
        return SHIM_EXIT_FAILED;
    }
    collect(&s, argv, env, cwd, sizeof(cwd));
    hold_ask(&s, &c);
    hold_wait(&s, &c);
    run_command(&s, &c);
}
