/* SPDX-License-Identifier: MIT */
/* What is newer than Debian 12's headers, from include/uapi/ of the kernel: asm-generic/socket.h
 * and linux/pidfd.h; the same numbers on x86-64 and arm64. */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS /* Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif

/* Linux 6.13: struct pidfd_info in its first size, PIDFD_INFO_SIZE_VER0. */
struct kernel_pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define KERNEL_PIDFD_INFO_PID (1u << 0)
#define KERNEL_PIDFD_INFO_CREDS (1u << 1)
#define KERNEL_PIDFD_INFO_CGROUPID (1u << 2)
#define KERNEL_PIDFD_GET_INFO _IOWR(0xff, 11, struct kernel_pidfd_info)
