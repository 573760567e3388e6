/* SPDX-License-Identifier: MIT */
/* The gate as a process, and what it or the person's session could have left to the agent. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/attack.h"

static pid_t find_gate(void)
{
    char path[64], text[1024];
    pid_t pid = getpid();
    while (pid > 1) {
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
            return 0;
        text[n] = '\0';
        if (strstr(text, "(clawrden-gate)"))
            return pid;
        const char *close_ = strrchr(text, ')');
        pid = close_ ? (pid_t)strtol(close_ + 4, NULL, 10) : 0;
    }
    return pid == 1 ? 1 : 0;
}

/* Whatever was done to it: the canary must be refused still, or nothing at all may start. */
static void check_gate(struct attack_try *t, const char *what, long r)
{
    int error = errno;
    char out[ATTACK_OUT_MAX];
    const char *const argv[] = {t->canary->path, t->canary->arg, NULL};
    const struct attack_child c = {.argv = argv};
    (void)usleep(50000);
    int status = attack_run(t, &c, out);
    if (strstr(out, t->canary->prize))
        attack_say(t, ATTACK_HOLE, "after %s the forbidden command ran", what);
    else
        attack_say(t, ATTACK_REFUSED, "%s: %s; then: %.*s", what,
                   r < 0 ? strerror(error) : "no effect", (int)strcspn(out, "\n"),
                   status < 0 ? "nothing starts" : out);
}

static void signal_gate(struct attack_try *t, int signo)
{
    pid_t gate = find_gate();
    char what[32];
    (void)snprintf(what, sizeof(what), "SIG%s to the gate", sigabbrev_np(signo));
    if (gate <= 0) {
        attack_say(t, ATTACK_ABSENT, "the gate is not in sight");
        return;
    }
    attack_reach(t);
    int r = kill(gate, signo);
    int error = errno;
    if (r == 0 && signo == SIGSTOP && gate != 1)
        (void)kill(gate, SIGCONT); /* or this report would not come out */
    errno = error;
    check_gate(t, what, r);
}

static void stop_gate(struct attack_try *t)
{
    signal_gate(t, SIGSTOP);
}

static void steal_from_gate(struct attack_try *t)
{
    pid_t gate = find_gate();
    _cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, gate, 0);
    if (gate <= 0 || fd < 0) {
        attack_say(t, ATTACK_ABSENT, "the gate is not in sight");
        return;
    }
    attack_reach(t);
    for (int i = 0; i < 32; i++) {
        long r = syscall(438 /* pidfd_getfd */, fd, i, 0);
        if (r >= 0 || errno != EPERM) {
            attack_must_fail(t, r, "taking a descriptor of the gate");
            if (r >= 0)
                return;
        }
    }
    errno = EPERM;
    attack_must_fail(t, -1, "taking a descriptor of the gate");
}

static void read_gate(struct attack_try *t)
{
    char path[64];
    pid_t gate = find_gate();
    if (gate <= 0) {
        attack_say(t, ATTACK_ABSENT, "the gate is not in sight");
        return;
    }
    attack_reach(t);
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)gate);
    attack_must_fail(t, open(path, O_RDONLY | O_CLOEXEC), "the gate's memory");
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)gate);
    attack_must_fail(t, open(path, O_PATH | O_CLOEXEC), "the gate's descriptors");
}

/* Lists for the kernel's sake, and a descriptor that it forgot to close. */
static void inherited_descriptors(struct attack_try *t)
{
    attack_reach(t);
    for (int fd = 0; fd < 1024; fd++) {
        struct stat st;
        if (fstat(fd, &st) < 0 || (fcntl(fd, F_GETFD) & FD_CLOEXEC))
            continue;
        if (S_ISDIR(st.st_mode) || (fd > 2 && S_ISSOCK(st.st_mode))) {
            attack_say(t, ATTACK_HOLE, "descriptor %d is a %s from outside", fd,
                       S_ISDIR(st.st_mode) ? "directory" : "socket");
            return;
        }
    }
    attack_say(t, ATTACK_REFUSED, "no socket and no directory was inherited");
}

/* By the files that it needs to judge: what it cannot look at it must refuse. */
static void limit_gate(struct attack_try *t)
{
    struct rlimit none, had;
    pid_t gate = find_gate();
    if (gate <= 0) {
        attack_say(t, ATTACK_ABSENT, "the gate is not in sight");
        return;
    }
    attack_reach(t);
    long r = prlimit(gate, RLIMIT_NOFILE, NULL, &had);
    none = (struct rlimit){0, had.rlim_max};
    if (r == 0)
        r = prlimit(gate, RLIMIT_NOFILE, &none, NULL);
    check_gate(t, "no files for the gate", r);
    (void)prlimit(gate, RLIMIT_NOFILE, &had, NULL);
}

/* What the person's session keeps for others: an inherited keyring hands it out. */
static void read_keyring(struct attack_try *t)
{
    int32_t keys[256];
    char value[256];
    attack_reach(t);
    long n = syscall(SYS_keyctl, KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, keys, sizeof(keys));
    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(keys[0]) && i < 256; i++)
        if (syscall(SYS_keyctl, KEYCTL_READ, keys[i], value, sizeof(value)) >= 0) {
            attack_say(t, ATTACK_HOLE, "key %d of the session can be read", keys[i]);
            return;
        }
    attack_say(t, ATTACK_REFUSED, "the session's keyring: %s",
               n < 0 ? strerror(errno) : "no key in it can be read");
}

const struct attack_row attack_gate[] = {
    {"gate-stop", "stopping the gate", stop_gate, false},
    {"gate-descriptors", "taking the gate's connection", steal_from_gate, false},
    {"gate-memory", "reading the gate's memory and descriptors", read_gate, false},
    {"gate-limits", "taking the gate's files by a limit", limit_gate, false},
    {"descriptors", "a connection or a directory that was left open", inherited_descriptors, false},
    {"keyring", "keys of the person's session", read_keyring, false},
    {0},
};
