/* SPDX-License-Identifier: MIT */
/* A line is "Num: RefCount Protocol Flags Type St Inode Path"; the path is as its owner wrote it,
 * so a line may be forged by one with a newline: what it names is looked at before it is hidden. */
#include "sandbox/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"

#define TABLE_MAX (16u << 20)
#define FLAG_LISTENS 0x10000ul /* __SO_ACCEPTCON */
#define FIELDS_BEFORE_PATH 7
#define FIELD_FLAGS 3

/* The start of field `n` (from 0) in [s, end), or NULL. */
static const char *field(const char *s, const char *end, int n)
{
    for (; s < end; n--) {
        while (s < end && *s == ' ')
            s++;
        if (n == 0)
            return s < end ? s : NULL;
        while (s < end && *s != ' ')
            s++;
    }
    return NULL;
}

static unsigned long hex(const char *s, const char *end)
{
    unsigned long v = 0;
    for (; s < end; s++) {
        if (*s >= '0' && *s <= '9')
            v = v << 4 | (unsigned long)(*s - '0');
        else if (*s >= 'A' && *s <= 'F')
            v = v << 4 | (unsigned long)(*s - 'A' + 10);
        else
            break;
    }
    return v;
}

size_t sockets_next(const char *text, size_t len, size_t *at, const char **ret)
{
    while (*at < len) {
        const char *s = text + *at, *nl = memchr(s, '\n', len - *at), *end = nl ? nl : text + len;
        *at = (size_t)(end - text) + (nl ? 1 : 0);
        const char *flags = field(s, end, FIELD_FLAGS), *path = field(s, end, FIELDS_BEFORE_PATH);
        if (!flags || !path || *path != '/' || !(hex(flags, end) & FLAG_LISTENS))
            continue;
        *ret = path;
        return (size_t)(end - path);
    }
    return 0;
}

int sockets_hide(struct plan *p, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TABLE_MAX);
    _cleanup_close_ int fd = open("/proc/net/unix", O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : fd_read_all(fd, &text);
    if (r < 0)
        return err_errno(err, r, "cannot tell which sockets there are");
    const char *at_path = NULL;
    size_t at = 0, n;
    while (r >= 0 && (n = sockets_next(buf_str(&text), text.len, &at, &at_path)) > 0) {
        struct stat st;
        if (n >= PATH_MAX)
            continue;
        _cleanup_free_ char *path = mem_strndup(at_path, n);
        if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
            r = plan_add_real(p, PLAN_HIDDEN, path, err);
    }
    return r < 0 ? r : 0;
}
