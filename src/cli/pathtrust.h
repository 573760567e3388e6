/* SPDX-License-Identifier: MIT */
/* Could this user have made or changed what a path leads to? Looks at owners and modes of every
 * directory, symlink and file on the way. Access control lists are not read. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct pathtrust_user {
    uid_t uid;
    gid_t *groups; /* owned, gid included */
    int groups_count;
    gid_t gid;
};

/* From the user database; a uid that is not in it has the group of its number only. */
void pathtrust_user_init(struct pathtrust_user *u, uid_t uid);
void pathtrust_user_done(struct pathtrust_user *u);

/* Follows `path` (absolute), symlinks included. 0: *ret_real (owned) is where it leads, and `why`
 * is
 * "" when the user could not have changed anything on the way, else words. -ENOENT, -ELOOP ... */
int pathtrust_follow(const struct pathtrust_user *u, const char *path, char **ret_real, char why[256]);
