/* SPDX-License-Identifier: MIT */
#include "shim/say.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SAY_LINE_MAX 1024
#define SAY_STUCK_MS 10000 /* a reader that takes nothing for so long reads no words */

int say_bytes(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd pfd = {.fd = fd, .events = POLLOUT};

            if (poll(&pfd, 1, SAY_STUCK_MS) == 0)
                return -ETIMEDOUT;
        } else if (n == 0 || errno != EINTR) {
            return n == 0 ? -EIO : -errno;
        }
    }
    return 0;
}

void say_parts(const char *const *parts)
{
    static const char prefix[] = "clawrden: ";
    char line[SAY_LINE_MAX];
    size_t n = sizeof(prefix) - 1;

    memcpy(line, prefix, n);
    for (; *parts; parts++) {
        for (const char *s = *parts; *s && n < sizeof(line) - 1; s++)
            line[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s;
    }
    line[n++] = '\n';
    (void)say_bytes(STDERR_FILENO, line, n);
}

/* Drops C0 controls, DEL, and the C1 controls in their UTF-8 form. */
static size_t drop_controls(char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0;

        if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            i++;
        else if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f))
            text[n++] = (char)c;
    }
    return n;
}

void say_text(char *text, size_t len)
{
    if (len > 0 && isatty(STDERR_FILENO))
        len = drop_controls(text, len);
    (void)say_bytes(STDERR_FILENO, text, len);
}

char *say_number(unsigned n, char out[12])
{
    char digits[12];
    int i = 0, k = 0;

    do
        digits[i++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (i > 0)
        out[k++] = digits[--i];
    out[k] = 0;
    return out;
}

const char *say_errno(int e)
{
    static char other[20] = "error ";
    static const struct {
        int e;
        const char *words;
    } known[] = {
        {ENOENT, "there is no such socket"},
        {ENOTDIR, "there is no such socket"},
        {ECONNREFUSED, "nobody listens there"},
        {EACCES, "permission denied"},
        {EPERM, "permission denied"},
        {EAGAIN, "it takes no more callers now"},
        {ENOTSOCK, "that is no socket"},
        {EPROTOTYPE, "that is another kind of socket"},
        {ENAMETOOLONG, "the path is too long for a socket"},
        {EMFILE, "too many open files"},
        {ENFILE, "too many open files"},
        {EPIPE, "it hung up"},
        {ECONNRESET, "it hung up"},
        {ETIMEDOUT, "no answer in time"},
        {EBADMSG, "its answer is not our protocol"},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].e == e)
            return known[i].words;
    }
    say_number((unsigned)e, other + 6);
    return other;
}
