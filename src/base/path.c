/* SPDX-License-Identifier: MIT */
/* Paths as text, and making directories. Only path_mkdirs() touches the file system. */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

char *path_join(const char *dir, const char *name)
{
    if (name[0] == '/')
        return mem_strdup(name);
    size_t n = strlen(dir);
    bool slash = n > 0 && dir[n - 1] == '/'; /* "/" and "a" are "/a" */
    return mem_printf("%s%s%s", dir, slash ? "" : "/", name);
}

char *path_normalise(const char *path)
{
    if (path[0] != '/')
        return NULL;
    char *out = mem_zalloc(strlen(path) + 2);
    size_t len = 0; /* of whole "/part"s; the root is nothing until the end */
    for (const char *s = path; *s;) {
        s += strspn(s, "/");
        size_t n = strcspn(s, "/");
        if (n == 2 && s[0] == '.' && s[1] == '.') {
            while (len > 0 && out[--len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && s[0] == '.')) {
            out[len++] = '/';
            memcpy(out + len, s, n);
            len += n;
        }
        s += n;
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    return out;
}

char *path_dirname(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return mem_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return mem_strndup(path, n);
}

/* One directory. The umask is undone through a descriptor, so that nothing swapped in under this
 * name between the two calls is changed. */
static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0) {
        if (errno != EEXIST)
            return -errno;
        struct stat st;
        if (stat(path, &st) < 0)
            return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return -errno;
    return 0;
}

int path_mkdirs(const char *path, mode_t mode, struct err *err)
{
    if (path[0] == '\0')
        return err_set(err, -EINVAL, "cannot make a directory without a name");
    _cleanup_free_ char *p = mem_strdup(path);
    for (char *s = p + strspn(p, "/");; s += strspn(s, "/")) {
        s += strcspn(s, "/");
        char end = *s;
        *s = '\0';
        int r = make_dir(p, mode);
        if (r < 0)
            return err_errno(err, r, "cannot make directory '%s'", p);
        *s = end;
        if (s[strspn(s, "/")] == '\0')
            return 0;
    }
}
