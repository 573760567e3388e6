/* SPDX-License-Identifier: MIT */
/* Linux as the C library does not show it: musl-gcc sees no linux/ headers. Each part is named
 * after its header in the kernel's include/uapi/. x86-64. */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* linux/seccomp.h */
#define UAPI_SECCOMP_SET_MODE_FILTER 1u
#define UAPI_SECCOMP_FILTER_FLAG_NEW_LISTENER (1ul << 3)
#define UAPI_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1ul << 5) /* Linux 5.19 */
#define UAPI_SECCOMP_RET_KILL_PROCESS 0x80000000u
#define UAPI_SECCOMP_RET_USER_NOTIF 0x7fc00000u
#define UAPI_SECCOMP_RET_ERRNO 0x00050000u
#define UAPI_SECCOMP_RET_ALLOW 0x7fff0000u
struct uapi_seccomp_data {
    int32_t nr;
    uint32_t arch;
    uint64_t instruction_pointer;
    uint64_t args[6];
};
struct uapi_seccomp_notif {
    uint64_t id;
    uint32_t pid; /* the thread */
    uint32_t flags;
    struct uapi_seccomp_data data;
};
struct uapi_seccomp_notif_resp {
    uint64_t id;
    int64_t val;
    int32_t error;
    uint32_t flags;
};
#define UAPI_NOTIF_FLAG_CONTINUE 1u
#define UAPI_NOTIF_RECV _IOWR('!', 0, struct uapi_seccomp_notif)
#define UAPI_NOTIF_SEND _IOWR('!', 1, struct uapi_seccomp_notif_resp)
#define UAPI_NOTIF_ID_VALID _IOW('!', 2, uint64_t)
struct uapi_seccomp_notif_addfd {
    uint64_t id;
    uint32_t flags, srcfd, newfd, newfd_flags;
};
#define UAPI_ADDFD_FLAG_SETFD 1u
#define UAPI_NOTIF_ADDFD _IOW('!', 3, struct uapi_seccomp_notif_addfd)

/* linux/filter.h, linux/bpf_common.h */
struct uapi_bpf {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
struct uapi_bpf_prog {
    uint16_t len;
    const struct uapi_bpf *filter;
};
#define UAPI_BPF_LD_W_ABS 0x20
#define UAPI_BPF_JEQ 0x15
#define UAPI_BPF_JGE 0x35
#define UAPI_BPF_JSET 0x45
#define UAPI_BPF_JA 0x05
#define UAPI_BPF_RET 0x06

/* linux/audit.h */
#define UAPI_ARCH_X86_64 0xc000003eu
#define UAPI_ARCH_I386 0x40000003u
#define UAPI_X32_BIT 0x40000000u

/* linux/sched.h */
#define UAPI_CLONE_FS 0x00000200u
#define UAPI_CLONE_THREAD 0x00010000u

/* linux/capability.h */
struct uapi_cap_header {
    uint32_t version;
    int pid;
};
struct uapi_cap_data {
    uint32_t effective, permitted, inheritable;
};
#define UAPI_CAP_VERSION_3 0x20080522u
#define UAPI_CAP_SYS_PTRACE 19

/* linux/landlock.h */
struct uapi_landlock_ruleset_attr {
    uint64_t handled_access_fs;
};
struct uapi_landlock_path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));
#define UAPI_LANDLOCK_RULE_PATH_BENEATH 1
#define UAPI_LANDLOCK_ACCESS_FS_WRITE_FILE (1ull << 1)
#define UAPI_SYS_LANDLOCK_CREATE_RULESET 444
#define UAPI_SYS_LANDLOCK_ADD_RULE 445
#define UAPI_SYS_LANDLOCK_RESTRICT_SELF 446

/* linux/pidfd.h: ids since Linux 6.13, the end of a process that is not our child since 6.15 */
struct uapi_pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define UAPI_PIDFD_INFO_PID (1ull << 0)
#define UAPI_PIDFD_INFO_CREDS (1ull << 1)
#define UAPI_PIDFD_INFO_EXIT (1ull << 3)
#define UAPI_PIDFD_GET_INFO _IOWR(0xff, 11, struct uapi_pidfd_info)

#ifndef SYS_seccomp
#define SYS_seccomp 317
#endif
#define UAPI_SYS_PIDFD_OPEN 434
#define UAPI_SYS_PIDFD_SEND_SIGNAL 424
