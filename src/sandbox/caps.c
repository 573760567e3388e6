/* SPDX-License-Identifier: MIT */
#include "sandbox/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))

/* Not SYS_ADMIN (mounts), not SYS_PTRACE (the gate's memory and descriptors), not MKNOD (disks). */
#define KEPT_BY_ROOT                                                                               \
    (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |         \
     BIT(CAP_FSETID) | BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID))

static int drop_bounding(uint64_t kept, struct err *err)
{
    for (unsigned cap = 0; cap < 64; cap++) {
        if (kept & BIT(cap))
            continue;
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
            continue; /* not there, or dropped before */
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
            return err_errno(err, -errno, "cannot drop capability %u", cap);
    }
    return 0;
}

int caps_drop(struct err *err)
{
    uint64_t kept = geteuid() == 0 ? KEPT_BY_ROOT : 0;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2];
    int r = drop_bounding(kept, err);
    if (r < 0)
        return r;
    if (syscall(SYS_capget, &head, now) < 0)
        return err_errno(err, -errno, "cannot read the capabilities");
    for (unsigned i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(kept >> (32 * i));
        now[i].permitted &= mask;
        now[i].effective = now[i].permitted;
        now[i].inheritable = 0;
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, now) < 0)
        return err_errno(err, -errno, "cannot drop the capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(err, -errno, "cannot set no_new_privs");
    return 0;
}
