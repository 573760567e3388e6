/* SPDX-License-Identifier: MIT */
/* Another process swaps the link that is executed, by rename. */
#include "attack.h"

static void flip(void *arg)
{
    char **argv = arg;
    for (;;) {
        for (int i = 2; i < 4; i++)
            if (symlink(argv[i], "next") == 0 && rename("next", "link") < 0)
                _exit(1);
        sched_yield();
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    (void)unlink("next");
    (void)unlink("link");
    if (symlink(argv[2], "link") < 0)
        return 2;
    pid_t other = attack_beside(flip, argv);
    for (unsigned i = 0; i < rounds; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            char *const args[] = {"good", NULL};
            attack_pause(i);
            execv("./link", args);
            _exit(errno == EACCES ? 126 : 99);
        }
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_stop(other);
    (void)unlink("next");
    (void)unlink("link");
    attack_report("symlink", &s);
    return 0;
}
