/* SPDX-License-Identifier: MIT */
/* Whoever judges GOOD takes a while to say yes (a person). Meanwhile the argument that was shown is
 * changed: in shared memory, in /proc/PID/mem, and by process_vm_writev. */
#include "attack.h"

#include <sys/uio.h>

/* Looks for "good" on the stack of `pid` and makes it "evil"; how often that worked. */
static unsigned write_mem(pid_t pid, int by_call)
{
    char path[64], line[512], page[4096];
    unsigned done = 0;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
    int fd = by_call ? -1 : open(path, O_RDWR | O_CLOEXEC);
    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        if (!strstr(line, "[stack]") || sscanf(line, "%lx-%lx", &from, &to) != 2)
            continue;
        for (unsigned long at = to - sizeof(page); at >= from && at > to - 16 * sizeof(page);
             at -= sizeof(page)) {
            struct iovec ours = {page, sizeof(page)}, theirs = {(void *)at, sizeof(page)};
            if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) != (ssize_t)sizeof(page))
                break;
            for (char *p = page; (p = memmem(p, (size_t)(page + sizeof(page) - p), "\0good", 6));
                 p++) {
                struct iovec from_us = {"evil", 4},
                             to_them = {(void *)(at + (size_t)(p + 1 - page)), 4};
                if (by_call ? process_vm_writev(pid, &from_us, 1, &to_them, 1, 0) == 4
                            : fd >= 0 &&
                                  pwrite(fd, "evil", 4, (off_t)(at + (size_t)(p + 1 - page))) == 4)
                    done++;
            }
        }
    }
    if (maps)
        fclose(maps);
    if (fd >= 0)
        close(fd);
    return done;
}

/* Until it is stopped as the new program: what it is called with was shown by then. Changed
 * earlier, the word is judged as "evil" and refused, as it should be. */
static void wait_held(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    for (;;) {
        FILE *f = fopen(path, "re");
        char *name_end = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
        if (f)
            fclose(f);
        if (!name_end || name_end[2] == 't' || name_end[2] == 'Z')
            return;
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = attack_rounds(argc, argv), written = 0;
    struct attack_score s = {0};
    char *word = attack_shared(4096);
    for (unsigned i = 0; i < rounds; i++) {
        int status;
        memcpy(word, "good", 5);
        pid_t pid = fork();
        if (pid == 0) {
            char *const args[] = {argv[2], word, NULL};
            execv(argv[2], args);
            _exit(errno == EACCES ? 126 : 99);
        }
        wait_held(pid);
        memcpy(word, "evil", 5);
        if (i % 3 > 0)
            written += write_mem(pid, i % 3 == 2);
        (void)waitpid(pid, &status, 0);
        attack_count(&s, status);
    }
    attack_report("hold", &s);
    printf("hold written %u\n", written);
    return 0;
}
