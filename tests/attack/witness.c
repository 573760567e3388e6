/* SPDX-License-Identifier: MIT */
/* The program of all attacks. Installed under two names. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *mark = getenv("ATTACK_MARK");
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = 0;
    int evil = strstr(self, "evil") || (argc > 1 && strcmp(argv[1], "evil") == 0);
    int fd = evil && mark ? open(mark, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;
    if (fd >= 0 && write(fd, "x", 1) != 1)
        return 3;
    return 0;
}
