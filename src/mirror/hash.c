/* SPDX-License-Identifier: MIT */
#include "mirror/hash.h"

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/sha256.h"

int hash_fd(int fd, size_t max, char out[HASH_TEXT_SIZE])
{
    static uint8_t buf[65536];
    static const char digits[] = "0123456789abcdef";
    struct sha256 h;
    struct stat st;
    uint8_t sum[SHA256_SIZE];
    off_t at = 0;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    sha256_init(&h);
    while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
        at += n;
        if (at > (off_t)max)
            return -EFBIG;
        sha256_update(&h, buf, (size_t)n);
    }
    if (n < 0)
        return -errno;
    sha256_final(&h, sum);
    for (int i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
    out[2 * SHA256_SIZE] = 0;
    return 0;
}
