/* SPDX-License-Identifier: MIT */
/* What the attackers share. Each takes ROUNDS, GOOD and EVIL: programs (or scripts) that are the
 * same but for their names; the policy allows the one and denies the other. EVIL leaves a byte in
 * the file that ATTACK_MARK names whenever it runs, and so does GOOD when its argument is "evil":
 * nothing of that may ever happen. At the end each attacker prints how its rounds ended. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What was written is there for others to see: an endless loop's stores may be left out otherwise.
 */
#define attack_publish() __asm__ volatile("" ::: "memory")

struct attack_score {
    unsigned ran, refused, killed, failed;
    int failed_with; /* the last exit code that is none of these */
};

static inline void *attack_shared(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(2);
    return p;
}

static inline void attack_count(struct attack_score *s, int status)
{
    if (WIFSIGNALED(status))
        s->killed++;
    else if (WEXITSTATUS(status) == 0)
        s->ran++;
    else if (WEXITSTATUS(status) == 126)
        s->refused++;
    else
        s->failed++, s->failed_with = WEXITSTATUS(status);
}

static inline void attack_report(const char *name, const struct attack_score *s)
{
    printf("%s ran %u refused %u killed %u failed %u", name, s->ran, s->refused, s->killed,
           s->failed);
    if (s->failed > 0)
        printf(" (exit=%d)", s->failed_with);
    printf("\n");
}

/* A process of ours that goes on for ever, and ends with us. */
static inline pid_t attack_beside(void (*fn)(void *arg), void *arg)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn(arg);
        _exit(0);
    }
    return pid;
}

static inline void attack_stop(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static inline unsigned attack_rounds(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s ROUNDS GOOD EVIL\n", argv[0]);
        exit(2);
    }
    return (unsigned)strtoul(argv[1], NULL, 10);
}

/* Some time between nothing and a little more than an exec takes to be judged. */
static inline void attack_pause(unsigned round)
{
    for (volatile unsigned i = 0; i < (round * 7919u) % 60000u; i++)
        ;
}
