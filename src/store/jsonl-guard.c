/* SPDX-License-Identifier: MIT */
/* Notices when somebody removes, renames, replaces, shortens or lengthens the log under a running
 * warden. What is there is left alone as evidence; the log goes on where PATH is, and says so. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/jsonl-own.h"

int jsonl_guard_init(struct jsonl *j, struct err *err)
{
    struct stat st;
    if (fstat(j->fd, &st) < 0)
        return err_errno(err, -errno, "cannot stat '%s'", j->c.path);
    j->dev = st.st_dev;
    j->ino = st.st_ino;
    return 0;
}

/* The file is ours but not as long as we left it. */
static void resized(struct jsonl *j, off_t size)
{
    char last = '\n';
    log_error(NULL, "audit: somebody changed '%s': it had %lld bytes and now has %lld", j->c.path,
              (long long)j->size, (long long)size);
    jsonl_own_break(j, size == 0, "somebody else changed the file: it had %lld bytes and then %lld",
                    (long long)j->size, (long long)size);
    if (size == 0)
        j->first_seq = 0;
    if (size > 0 && pread(j->fd, &last, 1, size - 1) == 1)
        j->newline_owed = last != '\n';
    j->size = size;
    j->torn = false;
}

/* PATH is not our file any more: begin another one there. What stands there is not ours to write
 * to, so it gets another name. */
static int replaced(struct jsonl *j, bool exists, nlink_t links, struct err *err)
{
    char stamp[32];
    _cleanup_free_ char *aside =
        mem_printf("%s.foreign-%s", j->c.path, clock_format(jsonl_now(j), stamp));
    if (exists && rename(j->c.path, aside) < 0)
        return err_errno(err, -errno,
                         "cannot move aside what stands in place of the audit log '%s'", j->c.path);
    int fd =
        open(j->c.path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, j->c.mode);
    if (fd < 0)
        return err_errno(err, -errno, "the audit log '%s' was %s and cannot be created anew",
                         j->c.path, links ? "renamed" : "removed");
    log_error(NULL, "audit: somebody %s '%s'; the log goes on in a new file there%s%s",
              links ? "renamed" : "removed", j->c.path,
              exists ? ", the file found there is now " : "", exists ? aside : "");
    jsonl_own_break(j, true, "somebody %s the file with records %" PRIu64 " to %" PRIu64,
                    links ? "renamed" : "removed", j->first_seq, j->seq);
    syncer_switch(j->syncer, fd);
    j->fd = fd;
    j->size = 0;
    j->first_seq = 0;
    j->torn = j->newline_owed = false;
    return jsonl_guard_init(j, err);
}

int jsonl_guard_check(struct jsonl *j, struct err *err)
{
    struct stat st, there;
    uint64_t now = clock_monotonic();
    if (now - j->checked_at < j->c.check_every && j->checked_at != 0)
        return 0;
    if (fstat(j->fd, &st) < 0)
        return err_errno(err, -errno, "cannot stat the audit log '%s'", j->c.path);
    bool exists = lstat(j->c.path, &there) == 0;
    if (!exists && errno != ENOENT && errno != ENOTDIR)
        return err_errno(err, -errno, "cannot look for the audit log '%s'", j->c.path);
    if (!exists || there.st_ino != j->ino || there.st_dev != j->dev) {
        int r = replaced(j, exists, st.st_nlink, err);
        if (r < 0)
            return r;
    } else if (st.st_size != j->size && !j->torn) {
        resized(j, st.st_size);
    }
    j->checked_at = now;
    return 0;
}
