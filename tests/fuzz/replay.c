/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over files, without a fuzzer: what a corpus once found stays found.
 * Each input lies in a block of exactly its size, so that a sanitizer sees a read behind it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rbe");
    uint8_t *data = NULL;
    int ok = 0;

    if (f && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode)) {
        data = malloc(st.st_size ? (size_t)st.st_size : 1);
        ok = data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size;
    }
    if (ok)
        LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    else
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (f)
        fclose(f);
    return ok;
}

/* The number of files run, or -1. */
static int replay_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    while (d && n >= 0 && (e = readdir(d))) {
        char file[4096];

        if (e->d_name[0] == '.')
            continue;
        if (snprintf(file, sizeof(file), "%s/%s", path, e->d_name) >= (int)sizeof(file))
            n = -1;
        else
            n = replay_file(file) ? n + 1 : -1;
    }
    if (d)
        closedir(d);
    return d ? n : -1;
}

/* An argument is a file or a directory of files. An empty corpus proves nothing and fails. */
int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int n = 0;

        if (stat(argv[i], &st) < 0) {
            perror(argv[i]);
            return 1;
        }
        n = S_ISDIR(st.st_mode) ? replay_dir(argv[i]) : (replay_file(argv[i]) ? 1 : -1);
        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
