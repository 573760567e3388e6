/* SPDX-License-Identifier: MIT */
/* Looks at the names as given and, where they lead through symlinks, at where they lead: whoever
 * can change a link or a directory on the way can change what we read. */
#include "warden/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

/* A group of our own user, or root's, is nobody else. */
static bool others_write(const struct stat *st)
{
    if (st->st_mode & S_IWOTH)
        return true;
    return (st->st_mode & S_IWGRP) && st->st_gid != 0 &&
           (geteuid() == 0 || st->st_gid != getegid());
}

static int check_one(const char *path, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return err_errno(err, -errno, "cannot look at '%s'", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, -EPERM, "'%s' belongs to uid %u, who could change it", path,
                       (unsigned)st.st_uid);
    bool sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX);
    if (!S_ISLNK(st.st_mode) && others_write(&st) && !sticky)
        return err_set(err, -EPERM, "others can write to '%s' (mode %04o); chmod go-w it", path,
                       (unsigned)(st.st_mode & 07777));
    return 0;
}

static int check_chain(const char *path, struct err *err)
{
    _cleanup_free_ char *at = path_normalise(path);
    while (at) {
        int r = check_one(at, err);
        if (r < 0 || str_eq(at, "/"))
            return r;
        char *up = path_dirname(at);
        free(at);
        at = up;
    }
    return err_set(err, -EINVAL, "'%s' is not an absolute path", path);
}

int trust_path(const char *path, struct err *err)
{
    int r = check_chain(path, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *real = realpath(path, NULL);
    if (!real)
        return err_errno(err, -errno, "cannot follow '%s'", path);
    return check_chain(real, err);
}
