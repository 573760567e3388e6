/* SPDX-License-Identifier: MIT */
/* A process that shares directory and root with the one that is judged moves them away. GOOD is
 * executed in a directory where it may run; EVIL is the directory where it must not. */
#include "attack.h"

#include <sys/syscall.h>

#define CLONE_FS_ 0x200

static int stack[65536];

static int move(void *arg)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        if (chdir(arg) < 0)
            return 1;
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    for (unsigned i = 0; i < rounds; i++) {
        /* By the old call, by a raw one without a signal, by the new one. */
        pid_t other = -1;
        if (i % 3 == 0)
            other = clone(move, stack + 60000, CLONE_FS_ | SIGCHLD, argv[3]);
        else if (i % 3 == 1)
            other = (pid_t)syscall(SYS_clone, CLONE_FS_, 0, 0, 0, 0);
        else {
            unsigned long long args[11] = {CLONE_FS_, 0, 0, 0, SIGCHLD};
            other = (pid_t)syscall(435, args, sizeof(args)); /* clone3 */
        }
        if (other == 0)
            _exit(move(argv[3]));
        if (other > 0) { /* it shares: our directory is its */
            s.ran++;
            attack_stop(other);
        } else if (errno == EPERM || errno == ENOSYS)
            s.refused++;
        else
            s.failed++;
    }
    attack_report("clone-fs", &s);
    return 0;
}
