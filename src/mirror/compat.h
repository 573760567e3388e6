/* SPDX-License-Identifier: MIT */
/* Linux as the C library does not show it: musl-gcc sees no linux/ headers. Each value is named
 * after its header in the kernel's include/uapi/. */
#pragma once

#include <stdint.h>
#include <sys/syscall.h>

/* linux/sched.h */
struct compat_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};
#define COMPAT_CLONE_VM UINT64_C(0x00000100)
#define COMPAT_CLONE_VFORK UINT64_C(0x00004000)
#define COMPAT_CLONE_INTO_CGROUP UINT64_C(0x200000000)
#define COMPAT_CLONE_PARENT UINT64_C(0x00008000)
#define COMPAT_CLONE_FILES UINT64_C(0x00000400)
#define COMPAT_CLONE_PIDFD UINT64_C(0x00001000)
#define COMPAT_CLONE_NEWTIME UINT64_C(0x00000080)
#define COMPAT_CLONE_NEWNS UINT64_C(0x00020000)
#define COMPAT_CLONE_NEWCGROUP UINT64_C(0x02000000)
#define COMPAT_CLONE_NEWUTS UINT64_C(0x04000000)
#define COMPAT_CLONE_NEWIPC UINT64_C(0x08000000)
#define COMPAT_CLONE_NEWUSER UINT64_C(0x10000000)
#define COMPAT_CLONE_NEWPID UINT64_C(0x20000000)
#define COMPAT_CLONE_NEWNET UINT64_C(0x40000000)
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* linux/stat.h */
struct compat_statx_time {
    int64_t sec;
    uint32_t nsec;
    int32_t reserved;
};
struct compat_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct compat_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mnt_id;
    uint32_t dio_mem_align, dio_offset_align;
    uint64_t spare[12];
};
#define COMPAT_STATX_BASIC 0x7ffu
#define COMPAT_STATX_MNT_ID 0x1000u
#define COMPAT_AT_STATX_DONT_SYNC 0x4000
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef SYS_statx
#define SYS_statx 332
#endif

#define COMPAT_STATX_ATTR_MOUNT_ROOT UINT64_C(0x2000)

/* linux/mount.h, openat2.h, fs.h */
struct compat_mount_attr {
    uint64_t set, clear, propagation, userns;
};
#define COMPAT_MOUNT_ATTR_RDONLY UINT64_C(1)
#define COMPAT_MOUNT_ATTR_NOSUID UINT64_C(2)
#define COMPAT_MOUNT_ATTR_NODEV UINT64_C(4)
#define COMPAT_MS_PRIVATE UINT64_C(0x40000)
#define COMPAT_OPEN_TREE_CLONE 1
#define COMPAT_MOVE_MOUNT_F_EMPTY_PATH 0x4
#define COMPAT_MOVE_MOUNT_T_EMPTY_PATH 0x40
struct compat_open_how {
    uint64_t flags, mode, resolve;
};
#define COMPAT_RESOLVE_NO_MAGICLINKS UINT64_C(0x02)
#define COMPAT_RESOLVE_IN_ROOT UINT64_C(0x10)
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* linux/ptrace.h, seccomp.h, keyctl.h */
#define COMPAT_PTRACE_SECCOMP_GET_FILTER 0x420c
#define COMPAT_SECCOMP_SET_MODE_FILTER 1
#define COMPAT_KEYCTL_JOIN_SESSION_KEYRING 1

/* linux/capability.h */
struct compat_cap_header {
    uint32_t version;
    int pid;
};
struct compat_cap_data {
    uint32_t effective, permitted, inheritable; /* two of them: the low and the high 32 bits */
};
#define COMPAT_CAP_VERSION_3 0x20080522u

/* linux/close_range.h */
#define COMPAT_CLOSE_RANGE_CLOEXEC 4u
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* linux/magic.h */
#define COMPAT_CGROUP2_MAGIC 0x63677270L
#define COMPAT_PROC_MAGIC 0x9fa0L
#define COMPAT_FUSE_MAGIC 0x65735546L
/* linux/dirent.h: struct linux_dirent64 */
struct compat_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};
#define COMPAT_DT_DIR 4
/* f_flags, as ST_RDONLY and ST_NOSUID of statvfs */
#define COMPAT_ST_RDONLY 1
#define COMPAT_ST_NOSUID 2

/* linux/major.h: the slaves of pseudo terminals */
#define COMPAT_PTS_MAJOR_FIRST 136u
#define COMPAT_PTS_MAJOR_LAST 143u

/* linux/net.h, socket.h */
#define COMPAT_SCM_MAX_FD 253
/* asm-generic/socket.h, 6.16 */
#define COMPAT_SO_PASSRIGHTS 83
