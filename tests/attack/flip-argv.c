/* SPDX-License-Identifier: MIT */
/* Another process rewrites an argument, in shared memory, while execve reads it and afterwards. */
#include "attack.h"

static void flip(void *arg)
{
    char *word = arg;
    for (;;) {
        memcpy(word, "good", 5);
        attack_publish();
        memcpy(word, "evil", 5);
        attack_publish();
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    char *word = attack_shared(4096);
    memcpy(word, "good", 5);
    pid_t other = attack_beside(flip, word);
    for (unsigned i = 0; i < rounds; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            char *const args[] = {argv[2], word, NULL};
            execv(argv[2], args);
            _exit(errno == EACCES ? 126 : 99);
        }
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_stop(other);
    attack_report("flip-argv", &s);
    return 0;
}
