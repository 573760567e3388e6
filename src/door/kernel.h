/* SPDX-License-Identifier: MIT */
/* Socket options that are newer than Debian 12's headers, from include/uapi/asm-generic/socket.h
 * of the kernel; the same numbers on x86-64 and arm64. */
#pragma once

#include <sys/socket.h>

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS /* Linux 6.16 */
#define SO_PASSRIGHTS 83
#endif
