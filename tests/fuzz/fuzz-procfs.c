/* SPDX-License-Identifier: MIT */
/* /proc/PID/status and stat, in which a program's name is the agent's own: read without a NUL too
 * many, and nothing that stands in the name's place changes what the kernel says behind it. */
#include <stdlib.h>
#include <string.h>

#include "gate/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t groups[PROCFS_GROUPS_MAX];

static void must(int ok)
{
    if (!ok)
        abort();
}

static char *text(const char *before, const uint8_t *name, size_t n, const char *behind)
{
    size_t a = strlen(before), b = strlen(behind) + 1;
    char *s = malloc(a + n + b);
    must(s != NULL);
    memcpy(s, before, a);
    if (n > 0)
        memcpy(s + a, name, n);
    memcpy(s + a + n, behind, b);
    return s;
}

static void anything(const char *s)
{
    struct procfs_status st;
    struct helper_peer peer;
    int status;
    (void)procfs_status_parse(s, &st);
    if (procfs_ids_parse(s, groups, &peer) == 0)
        must(peer.groups == groups && peer.groups_count <= PROCFS_GROUPS_MAX);
    (void)procfs_zombie_parse(s, &status);
}

/* The kernel escapes a newline in status, and nothing in stat. */
static void named(const uint8_t *name, size_t n)
{
    struct procfs_status st;
    struct helper_peer peer;
    int status = -1;
    if (memchr(name, 0, n))
        return;
    char *s = text("7 (", name, n,
                   ") Z 1 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 "
                   "30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 2304\n");
    must(procfs_zombie_parse(s, &status) == 0 && status == 2304);
    free(s);
    if (memchr(name, '\n', n))
        return;
    s = text("Name:\t", name, n,
             "\nUmask:\t0027\nState:\tR (running)\nTgid:\t7\nNgid:\t0\nPid:\t7\nPPid:\t3\n"
             "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nSigPnd:\t0000000000000001\n"
             "ShdPnd:\t0000000000000100\nSigBlk:\t000000000000000a\nSigIgn:\t0000000000001000\n"
             "SigCgt:\t0000000180000000\n");
    must(procfs_status_parse(s, &st) == 0 && st.tgid == 7 && st.ppid == 3);
    must(st.pending == 0x101 && st.blocked == 10 && st.ignored == 0x1000 &&
         st.caught == 0x180000000);
    must(procfs_ids_parse(s, groups, &peer) == 0 && peer.uid == 4 && peer.gid == 8);
    must(peer.groups_count == 2 && groups[0] == 9 && groups[1] == 10);
    free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *s = text("", data, size, "");
    anything(s);
    free(s);
    if (size > 0)
        named(data, size);
    return 0;
}
