/* SPDX-License-Identifier: MIT */
/* Landlock cannot take /proc out of an allowed tree, so everything beside it at the top is allowed
 * by name. That leaves out files that lie in "/" itself, and directories that are made there later.
 * /sys is left out too where commands get cgroups: who can write those can leave its own.
 * Its price is that mount(2) is refused in the tree (include/uapi: landlock(7)), so it is used only
 * where nothing else protects /proc. */
#include "gate/wall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gate/scope.h"
#include "gate/uapi.h"
#include "wire/gatewire.h"

#define PROC_MAGIC 0x9fa0L /* linux/magic.h */

/* Asked of the kernel, whatever it is that refuses: a read-only mount, Landlock, a policy. */
static bool memory_is_walled(void)
{
    int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EROFS || errno == EACCES || errno == EPERM || errno == ENOENT;
    close(fd);
    return false;
}

static bool allow(int ruleset, int dir, const char *name)
{
    struct uapi_landlock_path_beneath_attr rule = {
        .allowed_access = UAPI_LANDLOCK_ACCESS_FS_WRITE_FILE,
        .parent_fd = openat(dir, name, O_PATH | O_CLOEXEC)};
    struct statfs fs;
    if (rule.parent_fd < 0)
        return true; /* what cannot be opened stays without a rule */
    bool ok = fstatfs(rule.parent_fd, &fs) < 0 || fs.f_type == PROC_MAGIC ||
              syscall(UAPI_SYS_LANDLOCK_ADD_RULE, ruleset, UAPI_LANDLOCK_RULE_PATH_BENEATH, &rule,
                      0) == 0;
    close(rule.parent_fd);
    return ok;
}

static bool allow_all_but_proc(int ruleset)
{
    DIR *d = opendir("/");
    const struct dirent *e;
    bool ok = d != NULL;
    while (ok && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "proc") != 0 && (strcmp(e->d_name, "sys") != 0 || !scope_is_there()))
            ok = allow(ruleset, dirfd(d), e->d_name);
    if (d)
        closedir(d);
    return ok;
}

static bool landlock(void)
{
    const struct uapi_landlock_ruleset_attr attr = {.handled_access_fs =
                                                        UAPI_LANDLOCK_ACCESS_FS_WRITE_FILE};
    int fd = (int)syscall(UAPI_SYS_LANDLOCK_CREATE_RULESET, &attr, sizeof(attr), 0);
    if (fd < 0)
        return false;
    bool ok = allow_all_but_proc(fd) && syscall(UAPI_SYS_LANDLOCK_RESTRICT_SELF, fd, 0) == 0;
    close(fd);
    return ok;
}

unsigned wall_raise(enum wall_mode mode)
{
    if (mode == WALL_NONE)
        return memory_is_walled() ? GATEWIRE_WALL_MEMORY : 0;
    if (mode == WALL_AUTO && memory_is_walled())
        return GATEWIRE_WALL_MEMORY;
    if (!landlock() || !memory_is_walled())
        return 0;
    return GATEWIRE_WALL_MEMORY | GATEWIRE_WALL_LANDLOCK;
}
