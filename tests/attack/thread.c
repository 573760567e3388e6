/* SPDX-License-Identifier: MIT */
/* Threads of the very process rewrite argument and path, and try to start a program too: two in
 * execve at once, one of them seized, is what a tracer can hang on. */
#include "attack.h"

#include <pthread.h>

static char word[64];
static const char *good, *evil;
static volatile const char *path;

static void *flip(void *arg)
{
    (void)arg;
    for (;;) {
        memcpy(word, "good", 5);
        path = good;
        attack_publish();
        memcpy(word, "evil", 5);
        path = evil;
        attack_publish();
    }
    return NULL;
}

static void *start(void *arg)
{
    char *const args[] = {"x", word, NULL};
    (void)arg;
    for (;;)
        execv((const char *)path, args);
    return NULL;
}

/* While a sibling is inside execve the kernel gives no new thread (EAGAIN, copy_fs(): fs->in_exec);
 * without a gate too. Either that exec ends us or it fails: try again. */
static void begin(void *(*fn)(void *arg))
{
    pthread_t t;
    int error;
    do
        error = pthread_create(&t, NULL, fn, NULL);
    while (error == EAGAIN);
    if (error != 0)
        _exit(99);
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv);
    struct attack_score s = {0};
    good = argv[2], evil = argv[3];
    for (unsigned i = 0; i < rounds; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            path = good;
            memcpy(word, "good", 5);
            begin(flip);
            for (unsigned k = 0; k < i % 4; k++)
                begin(start);
            attack_pause(i);
            start(NULL);
        }
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_report("thread", &s);
    return 0;
}
