/* SPDX-License-Identifier: MIT */
#include "gate/steady.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEVICES_MAX 32

/* linux/magic.h. No network, no process of a user, no automounter stands behind these. */
static const uint32_t kinds[] = {
    0xef53,     /* ext2, ext3, ext4 */
    0x58465342, /* xfs */
    0x9123683e, /* btrfs */
    0x794c7630, /* overlay: of what root has laid over one another */
    0x01021994, /* tmpfs */
    0xf2f52010, /* f2fs */
    0x73717368, /* squashfs */
    0xe0f5e1e2, /* erofs */
};

static uint64_t devices[DEVICES_MAX];
static size_t count;

static bool is_steady(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i] == (uint32_t)fs.f_type)
            return true;
    return false;
}

static void add(const char *path)
{
    struct stat st;
    int fd = path && count < DEVICES_MAX ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && !steady_has(st.st_dev) && is_steady(fd))
        devices[count++] = st.st_dev; /* `fd` stays open: the number is taken as long as we live */
    else
        close(fd);
}

void steady_init(void)
{
    static const char *const usual[] = {"/",     "/usr", "/usr/local", "/etc",     "/opt", "/home",
                                        "/root", "/tmp", "/var",       "/var/tmp", "/nix", "."};
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        add(usual[i]);
    add(getenv("HOME"));
    add(getenv("TMPDIR"));
}

void steady_add(const struct pack_strings *dirs)
{
    const char *dir = dirs->packed;
    for (uint32_t i = 0; i < dirs->count; i++, dir = pack_next(dir))
        add(dir);
}

bool steady_has(uint64_t dev)
{
    for (size_t i = 0; i < count; i++)
        if (devices[i] == dev)
            return true;
    return false;
}
