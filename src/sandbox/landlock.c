/* SPDX-License-Identifier: MIT */
/* Constants and structures are the kernel's (include/uapi/linux/landlock.h); ours are newer than
 * the headers of the oldest system that builds this. */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

enum { CREATE_VERSION = 1, RULE_PATH_BENEATH = 1 };
enum { SCOPE_ABSTRACT_SOCKETS = 1, SCOPE_SIGNALS = 2 };

/* Everything that changes something, by the ABI that brought it. */
#define ACCESS_WRITE_FILE (UINT64_C(1) << 1)
#define ACCESS_REMOVE_AND_MAKE (UINT64_C(0x1ff) << 4) /* remove dir, file; make char ... sym */
#define ACCESS_REFER (UINT64_C(1) << 13)              /* 2: rename and link across directories */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)           /* 3 */
#define ACCESS_OF_FILES (ACCESS_WRITE_FILE | ACCESS_TRUNCATE)

int landlock_abi(void)
{
    long r = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    return r < 0 ? 0 : (int)r;
}

static uint64_t writes(int abi)
{
    uint64_t all = ACCESS_WRITE_FILE | ACCESS_REMOVE_AND_MAKE;
    if (abi >= 2)
        all |= ACCESS_REFER;
    if (abi >= 3)
        all |= ACCESS_TRUNCATE;
    return all;
}

static int create(uint64_t fs, uint64_t scoped, struct err *err)
{
    struct ruleset_attr attr = {.handled_access_fs = fs, .scoped = scoped};
    size_t size = scoped ? sizeof(attr) : sizeof(attr.handled_access_fs);
    long fd = syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    return fd < 0 ? err_errno(err, -errno, "Landlock") : (int)fd;
}

static int restrict_self(int fd, struct err *err)
{
    return syscall(SYS_landlock_restrict_self, fd, 0) < 0
               ? err_errno(err, -errno, "Landlock: cannot restrict this process")
               : 0;
}

static int allow(int ruleset, const char *path, uint64_t access, struct err *err)
{
    struct stat st;
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, -errno, "Landlock: '%s'", path);
    struct path_beneath rule = {
        .parent_fd = fd, .allowed_access = S_ISDIR(st.st_mode) ? access : access & ACCESS_OF_FILES};
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0
               ? err_errno(err, -errno, "Landlock: '%s'", path)
               : 0;
}

int landlock_scope(struct err *err)
{
    _cleanup_close_ int fd = create(0, SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS, err);
    return fd < 0 ? fd : restrict_self(fd, err);
}

int landlock_writes(const struct plan *p, struct err *err)
{
    int abi = landlock_abi();
    if (abi == 0)
        return err_set(err, -ENOSYS, "this kernel has no Landlock, or it is switched off");
    uint64_t all = writes(abi);
    _cleanup_close_ int fd =
        create(all, abi >= LANDLOCK_ABI_SCOPES ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0, err);
    if (fd < 0)
        return fd;
    /* Not create and remove: a device is written, /dev itself is not changed. */
    int r = allow(fd, "/dev", all & ACCESS_OF_FILES, err);
    for (size_t i = 0; i < p->count && r == 0; i++) {
        const struct plan_step *s = &p->steps[i];
        if (s->kind == PLAN_WRITABLE || (s->kind == PLAN_BLANK && access(s->path, F_OK) == 0))
            r = allow(fd, s->path, all, err);
    }
    return r < 0 ? r : restrict_self(fd, err);
}
