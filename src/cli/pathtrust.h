/* SPDX-License-Identifier: MIT */
/* Could this user have made or changed what a path leads to? Looks at owners and modes of every
 * directory, symlink and file on the way, by the rules of the helper (mirror/way.c), less what
 * needs its rights: access control lists and kinds of mounts are not looked at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pathtrust_user {
    uid_t uid, own; /* the user in question; whose files beside root's are trusted: the warden's */
    gid_t *groups;  /* owned, gid included */
    int groups_count;
    gid_t gid;
    /* The policy's trusted_paths, borrowed, ends with NULL; root trusts what lies there. Init says
     * NULL: none. */
    const char *const *search;
};

/* Groups from the user database; a uid that is not in it has the group of its number only. `own` is
 * whoever runs this, who would run the warden too. */
void pathtrust_user_init(struct pathtrust_user *u, uid_t uid);
void pathtrust_user_done(struct pathtrust_user *u);

/* Follows `path` (absolute), symlinks included. 0: *ret_real (owned) is where it leads, and `why`
 * is
 * "" when the user could not have changed anything on the way, else words. With `may_miss` what is
 * not there is taken by its names. -ENOENT, -ELOOP, -ENOTDIR ... */
int pathtrust_follow(const struct pathtrust_user *u, const char *path, bool may_miss,
                     char **ret_real, char why[256]);
