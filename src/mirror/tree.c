/* SPDX-License-Identifier: MIT */
#include "mirror/tree.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "mirror/phrase.h"

#define PIDS_MAX 8192

static pid_t pids[PIDS_MAX];
static unsigned count;

/* /proc/PID/task/PID/children: of the main thread only, which is where ours are. */
static void add_children(pid_t pid)
{
    char path[64], text[4096];
    struct phrase w = PHRASE(path);
    phrase_add(&w, "/proc/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, "/task/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, "/children");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n;
    uint64_t value = 0;
    int digits = 0;
    while ((n = read(fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                value = value * 10 + (uint64_t)(text[i] - '0');
                digits = 1;
            } else if (digits) {
                if (count < PIDS_MAX)
                    pids[count++] = (pid_t)value;
                value = 0;
                digits = 0;
            }
        }
    }
    close(fd);
}

static int is_zombie(pid_t pid)
{
    char path[64], text[512];
    struct phrase w = PHRASE(path);
    phrase_add(&w, "/proc/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, "/stat");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    /* the state stands behind the last ')' */
    for (ssize_t i = n - 1; i >= 0; i--)
        if (text[i] == ')')
            return i + 2 < n && (text[i + 2] == 'Z' || text[i + 2] == 'X');
    return 1;
}

unsigned tree_signal(pid_t root, int signo)
{
    unsigned alive = 0, quiet = 0;
    for (int round = 0; round < 100; round++) {
        count = 0;
        alive = 0;
        add_children(root);
        for (unsigned i = 0; i < count; i++)
            add_children(pids[i]);
        for (unsigned i = 0; i < count; i++) {
            if (is_zombie(pids[i]))
                continue;
            alive++;
            if (signo)
                (void)kill(pids[i], signo);
        }
        /* Somebody may have died, and its children come to us, between two looks: only what is
         * seen to be empty again is. */
        quiet = alive ? 0 : quiet + 1;
        if (signo != SIGKILL || quiet == 3)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return alive;
}
