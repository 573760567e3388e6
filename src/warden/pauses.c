/* SPDX-License-Identifier: MIT */
/* Renamed into place and not synced: it outlives a killed warden, which is what it is for. After a
 * power loss nothing that was paused runs any more. */
#include "warden/pauses.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define FILE_MAX (16u << 20)

struct pauses {
    struct keeper port;
    char *path, *fresh; /* owned */
};

static int keep(struct keeper *k, const char *text, size_t len, struct err *err)
{
    const struct pauses *p = container_of(k, const struct pauses, port);
    _cleanup_close_ int fd = open(p->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : fd_write_all(fd, text, len);
    if (r == 0 && rename(p->fresh, p->path) < 0)
        r = -errno;
    return r < 0 ? err_errno(err, r, "'%s'", p->path) : 0;
}

struct pauses *pauses_new(const char *state)
{
    struct pauses *p = mem_new(struct pauses);
    p->port.keep = keep;
    p->path = path_join(state, "paused.json");
    p->fresh = path_join(state, "paused.json.new");
    return p;
}

struct pauses *pauses_free(struct pauses *p)
{
    if (!p)
        return NULL;
    free(p->path);
    free(p->fresh);
    free(p);
    return NULL;
}

struct keeper *pauses_keeper(struct pauses *p)
{
    return &p->port;
}

int pauses_load(struct pauses *p, struct holds **ret, struct err *err)
{
    _cleanup_(holds_freep) struct holds *h = holds_new();
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
    int r = access(p->path, F_OK) < 0 && errno == ENOENT
                ? -ENOENT
                : fd_read_file(p->path, FILE_MAX, &text, err);
    if (r == 0)
        r = holds_read(h, buf_str(&text), text.len, err);
    if (r < 0 && r != -ENOENT)
        return err_prefix(err, r, "what is paused ('%s'; remove it if nothing is)", p->path);
    *ret = TAKE_PTR(h);
    return 0;
}
