/* SPDX-License-Identifier: MIT */
#include "mirror/guise.h"

#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror/compat.h"

#define NOBODY (-1L) /* no id: the call changes nothing and returns what is */

static struct {
    bool known;
    struct compat_cap_data caps[2];
} own;

static struct compat_cap_header cap_header = {.version = COMPAT_CAP_VERSION_3};

static bool know_own(void)
{
    own.known = own.known || syscall(SYS_capget, &cap_header, own.caps) == 0;
    return own.known;
}

static bool set_effective(uint32_t low, uint32_t high)
{
    struct compat_cap_data caps[2] = {own.caps[0], own.caps[1]};
    caps[0].effective = low;
    caps[1].effective = high;
    return syscall(SYS_capset, &cap_header, caps) == 0;
}

/* They say what was, and not whether they did it. */
static bool set_fs_ids(uint32_t uid, uint32_t gid)
{
    (void)syscall(SYS_setfsgid, gid);
    (void)syscall(SYS_setfsuid, uid);
    return syscall(SYS_setfsgid, NOBODY) == (long)gid && syscall(SYS_setfsuid, NOBODY) == (long)uid;
}

bool guise_take(const struct helper_peer *peer, const uint32_t *groups, uint64_t caps)
{
    if (!know_own() || syscall(SYS_setgroups, peer->groups_count, groups) < 0)
        return false;
    /* The ids first: a change from root to another takes capabilities away, and back gives them. */
    if (((peer->uid == 0 && peer->gid == 0) || set_fs_ids(peer->uid, peer->gid)) &&
        set_effective(own.caps[0].effective & (uint32_t)caps,
                      own.caps[1].effective & (uint32_t)(caps >> 32)))
        return true;
    guise_drop();
    return false;
}

void guise_drop(void)
{
    /* The capabilities first: the rest needs them. */
    if (!set_effective(own.caps[0].effective, own.caps[1].effective) || !set_fs_ids(0, 0) ||
        syscall(SYS_setgroups, 0, NULL) < 0)
        _exit(1);
}

int guise_set_groups(uint32_t count, const uint32_t *groups)
{
    if (count == 0 && syscall(SYS_getgroups, 0, NULL) == 0)
        return 0;
    return (int)syscall(SYS_setgroups, count, groups);
}
