/* SPDX-License-Identifier: MIT */
/* Another process rewrites the path, in shared memory, while execve reads it and afterwards. */
#include "attack.h"

struct paths {
    char now[4096];
    char good[4096], evil[4096];
};

static void flip(void *arg)
{
    struct paths *p = arg;
    for (;;) {
        memcpy(p->now, p->good, strlen(p->good) + 1);
        attack_publish();
        memcpy(p->now, p->evil, strlen(p->evil) + 1);
        attack_publish();
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    struct paths *p = attack_shared(sizeof(*p));
    snprintf(p->good, sizeof(p->good), "%s", argv[2]);
    snprintf(p->evil, sizeof(p->evil), "%s", argv[3]);
    memcpy(p->now, p->good, sizeof(p->now));
    pid_t other = attack_beside(flip, p);
    for (unsigned i = 0; i < rounds; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            char *const args[] = {"good", NULL};
            do /* a torn path is neither */
                execv(p->now, args);
            while (errno == ENOENT);
            _exit(errno == EACCES ? 126 : 99);
        }
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_stop(other);
    attack_report("flip-path", &s);
    return 0;
}
