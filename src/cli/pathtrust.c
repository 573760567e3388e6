/* SPDX-License-Identifier: MIT */
/* Could this user have made or changed what a path leads to? */
#include "cli/pathtrust.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define LINKS_MAX 40 /* symlinks on one way, as in the kernel */
#define GROUPS_MAX 65536

void pathtrust_user_init(struct pathtrust_user *u, uid_t uid)
{
    const struct passwd *pw = getpwuid(uid);
    *u = (struct pathtrust_user){
        .uid = uid, .own = geteuid(), .gid = pw ? pw->pw_gid : (gid_t)uid, .groups_count = 64};
    u->groups = mem_new_array(gid_t, (size_t)u->groups_count);
    while (pw && getgrouplist(pw->pw_name, pw->pw_gid, u->groups, &u->groups_count) < 0 &&
           u->groups_count < GROUPS_MAX)
        u->groups = mem_realloc_array(u->groups, (size_t)u->groups_count, sizeof(*u->groups));
    if (!pw) {
        u->groups[0] = u->gid;
        u->groups_count = 1;
    }
}

void pathtrust_user_done(struct pathtrust_user *u)
{
    free(u->groups);
    u->groups = NULL;
}

static bool is_member(const struct pathtrust_user *u, gid_t gid)
{
    for (int i = 0; i < u->groups_count; i++)
        if (u->groups[i] == gid)
            return true;
    return false;
}

/* Why `st` does not deserve trust, or NULL. */
static const char *doubt(const struct pathtrust_user *u, const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return NULL; /* its owner cannot change it, only replace it, if he may write the directory
                      */
    if (u->uid != 0 && st->st_uid == u->uid)
        return "the caller owns";
    if (st->st_uid != 0 && st->st_uid != u->own)
        return "another user owns";
    if (st->st_mode & S_IWOTH)
        return "everybody may write";
    if ((st->st_mode & S_IWGRP) && (u->uid == 0 ? st->st_gid != 0 : is_member(u, st->st_gid)))
        return "a group of the caller may write";
    return NULL;
}

static void judge(const struct pathtrust_user *u, const char *at, const struct stat *st,
                  char why[256])
{
    const char *words = doubt(u, st);
    if (words && !why[0])
        (void)snprintf(why, 256, "%s %.200s", words, at);
}

/* Replaces `*path` by what it is when the link of `prefix` bytes is followed. */
static int follow_link(char **path, size_t prefix)
{
    char target[PATH_MAX];
    _cleanup_free_ char *link = mem_strndup(*path, prefix);
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    target[n] = '\0';
    _cleanup_free_ char *dir = path_dirname(link), *to = path_join(dir, target);
    _cleanup_free_ char *whole = mem_printf("%s%s", to, *path + prefix);
    free(*path);
    *path = mem_strdup(whole);
    return 0;
}

/* Drops "/.." and the directory before it, or "/." at `at` (the slash). */
static size_t drop_dots(char *path, size_t at, size_t end)
{
    size_t keep = at;
    if (end - at == 3) /* "/..": back to the slash before */
        while (keep > 0 && path[--keep] != '/')
            ;
    memmove(path + keep, path + end, strlen(path + end) + 1);
    return keep;
}

/* What is behind the missing component at `at` is taken by its names, unless it climbs. */
static int take_names(char *path, size_t at, char why[256])
{
    if (!why[0])
        (void)snprintf(why, 256, "it does not exist");
    while (path[at]) {
        size_t end = at + 1 + strcspn(path + at + 1, "/"), n = end - at;
        if (n == 3 && memcmp(path + at, "/..", 3) == 0)
            return -ENOENT;
        if (n == 1 || (n == 2 && path[at + 1] == '.'))
            at = drop_dots(path, at, end);
        else
            at = end;
    }
    return 0;
}

static bool is_dots(const char *component, size_t n)
{
    return n == 1 || (n == 2 && component[1] == '.') ||
           (n == 3 && component[1] == '.' && component[2] == '.');
}

/* Walks `*path` from its beginning; 1 when a link was followed and it has to begin again. */
static int walk(const struct pathtrust_user *u, char **path, bool may_miss, char why[256])
{
    struct stat st;
    size_t at = 0;
    if (stat("/", &st) == 0)
        judge(u, "/", &st, why);
    while ((*path)[at]) {
        size_t end = at + 1 + strcspn(*path + at + 1, "/");
        if (is_dots(*path + at, end - at)) {
            at = drop_dots(*path, at, end);
            continue;
        }
        char rest = (*path)[end];
        (*path)[end] = '\0';
        int r = lstat(*path, &st) < 0 ? -errno : 0;
        if (r == 0)
            judge(u, *path, &st, why);
        (*path)[end] = rest;
        if (r == -ENOENT && may_miss)
            return take_names(*path, at, why);
        if (r < 0)
            return r;
        if (S_ISLNK(st.st_mode)) {
            r = follow_link(path, end);
            return r < 0 ? r : 1;
        }
        at = end;
    }
    return 0;
}

/* Root can change anything: what it did not get with the system is not trusted for it. */
static void judge_for_root(const struct pathtrust_user *u, const char *real, char why[256])
{
    static const char *const system[] = {"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"};
    for (size_t i = 0; i < ARRAY_LEN(system); i++)
        if (str_starts(real, system[i]))
            return;
    for (const char *const *dir = u->search; dir && *dir; dir++) {
        size_t n = strlen(*dir);
        if (n > 1 && str_starts(real, *dir) && real[n] == '/')
            return;
    }
    if (!why[0])
        (void)snprintf(why, 256, "the caller is root, and it is in no directory of the system");
}

int pathtrust_follow(const struct pathtrust_user *u, const char *path, bool may_miss,
                     char **ret_real, char why[256])
{
    _cleanup_free_ char *p = mem_strdup(path);
    why[0] = '\0';
    for (int links = 0; links <= LINKS_MAX; links++) {
        int r = walk(u, &p, may_miss, why);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        if (u->uid == 0)
            judge_for_root(u, p, why);
        *ret_real = p[0] ? TAKE_PTR(p) : mem_strdup("/");
        return 0;
    }
    return -ELOOP;
}
