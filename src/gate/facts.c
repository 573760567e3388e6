/* SPDX-License-Identifier: MIT */
/* Identity is the device and inode of what the kernel opened, held against our own way to that
 * name: a bind mount in the agent's name space can give its file any path. Everything is static: a
 * finder does one thing at a time. */
#include "gate/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gate/procfs.h"
#include "gate/steady.h"
#include "mirror/compat.h"
#include "mirror/hash.h"
#include "mirror/phrase.h"
#include "mirror/script.h"
#include "mirror/way.h"
#include "wire/gatewire.h"

#define CMDLINE_MAX (256u << 10)
#define DIGEST_BYTES_MAX (256u << 20)
#define HERE_BYTES_MAX (1u << 20) /* that the tracing thread reads of a file */
#define NAMES_MAX 4

static int proc = -1; /* the /proc of before the agent */
static struct compat_statx our_root;
static struct stat our_mounts;
static uint32_t others_uid; /* whose files count like root's, beside 0 */
static bool walled;
static const char *person_path = "", *home = "/nowhere";
#define NOT_A_TOOL                                                                                 \
    "it lies where an agent may have worked before: not on your PATH, nor in a hidden directory"

static struct {
    const struct facts_ask *ask;
    struct gatewire_facts f;
    struct helper_peer peer;
    struct way_caller caller;
    uint32_t groups[PROCFS_GROUPS_MAX];
    bool groups_known;
    char cmdline[CMDLINE_MAX];
    struct helper_strings args;
    bool args_cut;
    bool straight; /* the executable's path was walked, is trusted, and had no link on it */
    int cwd_fd;    /* -1: not needed yet */
    struct compat_statx exe_st;
    char path[WAY_PATH_MAX];
    char cwd[WAY_PATH_MAX];
    char script[WAY_PATH_MAX];
    struct way way, other;
    char head[SCRIPT_HEAD_MAX];
    char digest[HASH_TEXT_SIZE];
    char why[256];
    char words[256];
    char names[NAMES_MAX * 256];
    char operands[GATEWIRE_OPERANDS_MAX * WAY_PATH_MAX];
} l;

/* ---- /proc ---- */

/* A user name space that knows our own user only shows root's files as nobody's. */
static uint32_t owner_of_the_system(void)
{
    char text[256];
    int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *p = text;
    while (*p == ' ')
        p++;
    uint64_t inside = phrase_number(p, &p);
    while (*p == ' ')
        p++;
    uint64_t outside = phrase_number(p, &p);
    while (*p == ' ')
        p++;
    bool all = inside == 0 && outside == 0 && phrase_number(p, &p) > 65535;
    struct stat st;
    /* The owner of "/proc/sys" is the root of the host, by whatever number it shows here. */
    return all || stat("/proc/sys", &st) < 0 ? 0 : st.st_uid;
}

int facts_init(void)
{
    struct statfs fs;
    proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || fstatfs(proc, &fs) < 0)
        return -errno;
    if (fs.f_type != COMPAT_PROC_MAGIC)
        return -ENOTSUP;
    int r = way_stat(proc, "self/root", AT_NO_AUTOMOUNT, &our_root);
    if (r < 0)
        return r;
    if (fstatat(proc, "self/ns/mnt", &our_mounts, 0) < 0)
        return -errno;
    others_uid = owner_of_the_system();
    return 0;
}

uint64_t facts_mount(pid_t pid)
{
    struct compat_statx st;
    char name[48];
    struct phrase p = PHRASE(name);
    name[0] = 0;
    phrase_add_number(&p, (uint64_t)pid);
    phrase_add(&p, "/exe");
    /* Not by way_stat(), which would tell of what lies below it. */
    return syscall(SYS_statx, proc, name, COMPAT_AT_STATX_DONT_SYNC, COMPAT_STATX_MNT_ID, &st) < 0
               ? 0
               : st.mnt_id;
}

static void proc_name(char out[48], const char *what)
{
    struct phrase p = {.text = out, .size = 48};
    out[0] = 0;
    phrase_add_number(&p, (uint64_t)l.ask->pid);
    phrase_add(&p, "/");
    phrase_add(&p, what);
}

static int open_proc(const char *what, int flags)
{
    char name[48];
    proc_name(name, what);
    int fd = openat(proc, name, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static ssize_t read_proc(const char *what, char *out, size_t size)
{
    int fd = open_proc(what, O_RDONLY);
    size_t have = 0;
    ssize_t n = 0;
    if (fd < 0)
        return fd;
    while (have < size && (n = read(fd, out + have, size - have)) > 0)
        have += (size_t)n;
    int error = errno;
    close(fd);
    return n < 0 ? -error : (ssize_t)have;
}

static ssize_t read_link(const char *what, char out[WAY_PATH_MAX])
{
    char name[48];
    proc_name(name, what);
    ssize_t n = readlinkat(proc, name, out, WAY_PATH_MAX);
    if (n < 0)
        return -errno;
    if (n >= WAY_PATH_MAX)
        return -ENAMETOOLONG;
    out[n] = 0;
    return n;
}

/* ---- saying ---- */

static void because(const char *prefix, const char *why)
{
    struct phrase p = PHRASE(l.why);
    if (l.why[0])
        return;
    phrase_add(&p, prefix);
    phrase_add(&p, why);
}

static void unknown(const char *prefix, const char *why)
{
    l.f.trust = GATEWIRE_UNKNOWN;
    because(prefix, why);
}

static int fail(int error, const char *words)
{
    struct phrase p = PHRASE(l.words);
    l.words[0] = 0;
    phrase_add(&p, words);
    l.f.error = (uint32_t)(error ? error : EIO);
    return -1;
}

/* ---- who ---- */

void facts_walled(const char *dirs)
{
    const char *h = getenv("HOME");
    walled = true;
    person_path = dirs;
    home = h && h[0] == '/' && h[1] ? h : "/nowhere";
}

static bool is_below(const char *path, const char *dir, size_t n)
{
    return n > 1 && strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Tools of the person's own lie on the search path or in a hidden directory of the home. What lies
 * elsewhere in it may be another workspace, in which an agent wrote yesterday what is read-only
 * today. */
static bool is_a_tools(const struct way *w)
{
    size_t n = strlen(home);
    if (!w->by_walls || (is_below(w->real, home, n) && w->real[n + 1] == '.'))
        return true;
    for (const char *p = person_path; *p; p += p[0] == ':') {
        n = strcspn(p, ":");
        if (is_below(w->real, p, n))
            return true;
        p += n;
    }
    return false;
}

/* As `status` of its /proc says. Negative: it cannot be read, or makes no sense. */
static int read_status(void)
{
    static char text[PROCFS_STATUS_MAX];
    ssize_t n = read_proc("status", text, sizeof(text) - 1);
    if (n < 0)
        return (int)n;
    text[n] = 0;
    return procfs_ids_parse(text, l.groups, &l.peer);
}

/* Asked only where something on a way is writable by a group. What cannot be told may be so. */
static bool in_group(uint32_t gid)
{
    if (!l.groups_known && read_status() < 0)
        return true;
    l.groups_known = true;
    for (uint32_t i = 0; i < l.peer.groups_count; i++)
        if (helper_group(&l.peer, i) == gid)
            return true;
    return false;
}

static int read_ids(void)
{
    const struct procfs_who *who = l.ask->who;
    l.peer = (struct helper_peer){.pid = (uint32_t)l.ask->pid};
    l.groups_known = !who;
    if (who) {
        l.peer.uid = who->uid;
        l.peer.gid = who->gid;
    } else {
        int r = read_status();
        if (r < 0)
            return fail(-r, r == -E2BIG ? "it is in too many groups" : "its ids cannot be read");
    }
    l.caller = (struct way_caller){.peer = &l.peer,
                                   .search = {.packed = l.ask->search.packed,
                                              .size = l.ask->search.size,
                                              .count = l.ask->search.count},
                                   .own_uid = others_uid,
                                   .read_only_counts = walled,
                                   .in_group = in_group};
    return 0;
}

/* What a link of its /proc leads to. */
static int stat_link(const char *what, struct compat_statx *ret)
{
    char name[48];
    proc_name(name, what);
    return way_stat(proc, name, AT_NO_AUTOMOUNT, ret);
}

/* A root or name space of its own: what a name leads to is its own affair. A mount is in one name
 * space only, so who has ours as its root (Linux 5.8 tells) walks the same ways as we do. */
static bool foreign(void)
{
    struct compat_statx root;
    struct stat mounts;
    char name[48];
    if (stat_link("root", &root) < 0 || root.ino != our_root.ino ||
        way_dev(&root) != way_dev(&our_root))
        return true;
    if (root.mask & our_root.mask & COMPAT_STATX_MNT_ID)
        return root.mnt_id != our_root.mnt_id;
    proc_name(name, "ns/mnt");
    return fstatat(proc, name, &mounts, 0) < 0 || mounts.st_dev != our_mounts.st_dev ||
           mounts.st_ino != our_mounts.st_ino;
}

static int read_cwd(void)
{
    struct compat_statx st;
    int r = stat_link("cwd", &st);
    if (r < 0)
        return fail(-r, "its working directory does not answer");
    if (read_link("cwd", l.cwd) < 0 || st.nlink == 0 || l.cwd[0] != '/')
        l.cwd[0] = 0;
    l.f.cwd = l.cwd;
    l.f.cwd_dev = way_dev(&st);
    l.f.cwd_ino = st.ino;
    return 0;
}

/* As the program itself would follow it; its directory is opened for what is relative to it. */
static int walk(const char *path, bool may_miss, struct way *ret)
{
    if (l.cwd_fd < 0 && path[0] != '/')
        l.cwd_fd = open_proc("cwd", O_PATH | O_DIRECTORY);
    if (l.cwd_fd < 0 && path[0] != '/')
        return l.cwd_fd;
    return way_walk(&l.caller, l.cwd_fd, l.cwd[0] ? l.cwd : "/", path, may_miss, ret);
}

static int read_args(void)
{
    const struct pack_strings *all = l.ask->args;
    if (all && all->count > 0) {
        const char *p = all->packed;
        l.args = (struct helper_strings){.packed = p};
        for (; l.args.count < all->count && l.args.count < HELPER_ARGS_MAX; l.args.count++)
            p = pack_next(p);
        l.args.size = (size_t)(p - all->packed);
        l.args_cut = l.args.count < all->count;
        return 0;
    }
    ssize_t n = read_proc("cmdline", l.cmdline, sizeof(l.cmdline));
    if (n <= 0)
        return fail(n < 0 ? (int)-n : EBADMSG, "its arguments cannot be read");
    uint32_t count = 0;
    size_t size = 0;
    for (ssize_t i = 0; i < n && count < HELPER_ARGS_MAX; i++)
        if (l.cmdline[i] == 0) {
            count++;
            size = (size_t)i + 1;
        }
    if (count == 0)
        return fail(EBADMSG, "its arguments cannot be read");
    l.args_cut = size < (size_t)n || n == (ssize_t)sizeof(l.cmdline);
    l.args = (struct helper_strings){.packed = l.cmdline, .size = size, .count = count};
    return 0;
}

/* ---- files ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* An O_PATH descriptor opened for reading; regular files only, so nothing blocks here. */
static int reopen(int fd, unsigned mode)
{
    char path[40];
    struct phrase p = PHRASE(path);
    path[0] = 0;
    phrase_add(&p, "/proc/self/fd/");
    phrase_add_number(&p, (uint64_t)fd);
    return (mode & S_IFMT) == S_IFREG ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
}

/* Here nothing is read that the agent may be writing, which can make a reader wait; nor much. */
static bool may_read(const struct compat_statx *st, bool trusted)
{
    if (!way_may_touch || (trusted && l.peer.uid != 0 && st->size <= HERE_BYTES_MAX))
        return true;
    way_barred = true;
    return false;
}

static size_t read_head(const struct way *w)
{
    if (!may_read(&w->st, w->trusted))
        return 0;
    int fd = reopen(w->fd, w->st.mode);
    size_t n = 0;
    ssize_t r;
    while (fd >= 0 && n < sizeof(l.head) && (r = read(fd, l.head + n, sizeof(l.head) - n)) > 0)
        n += (size_t)r;
    if (fd >= 0)
        close(fd);
    return n;
}

static void hash(int path_fd, const struct compat_statx *st, bool trusted)
{
    if (!may_read(st, trusted))
        return;
    int fd = reopen(path_fd, st->mode);
    if (fd >= 0 && hash_fd(fd, DIGEST_BYTES_MAX, l.digest) == 0)
        l.f.digest = l.digest;
    if (fd >= 0)
        close(fd);
}

static bool same_file(const struct compat_statx *a, const struct compat_statx *b)
{
    return a->ino == b->ino && way_dev(a) == way_dev(b);
}

enum { NOT_THERE = -1, IS_ANOTHER, IS_IT };

static bool is_program(const struct compat_statx *st)
{
    return (st->mode & S_IFMT) == S_IFREG && (st->mode & 0111);
}

/* Whether DIR/name is this very file, and nobody could have made it so. `ours`: the directory is of
 * the system, so that a name in it can be asked for without walking there; what a link in it leads
 * to is walked step by step all the same. */
static int is_in(const char *dir, size_t n, const char *name, const struct compat_statx *file,
                 bool ours)
{
    bool known = false;
    static char path[WAY_PATH_MAX];
    struct compat_statx st;
    if (dir[0] != '/' || n > WAY_PATH_MAX - 300)
        return NOT_THERE;
    struct phrase p = {.text = path, .size = WAY_PATH_MAX};
    memcpy(path, dir, n);
    path[n] = 0;
    p.len = n;
    phrase_add(&p, "/");
    phrase_add(&p, name);
    if (ours || !way_may_touch) {
        if (way_stat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st) < 0)
            return NOT_THERE;
        known = (st.mode & S_IFMT) != S_IFLNK;
        if (known && !is_program(&st))
            return NOT_THERE;
        if (l.straight && strcmp(path, l.path) == 0)
            return same_file(&st, file) && same_file(&st, &l.exe_st) ? IS_IT : IS_ANOTHER;
    }
    if (way_walk(&l.caller, -1, "/", path, false, &l.other) < 0)
        return known ? IS_ANOTHER : NOT_THERE;
    bool program = is_program(&l.other.st);
    bool ok = program && l.other.trusted && same_file(&l.other.st, file);
    way_done(&l.other);
    if (ok)
        return IS_IT;
    return known || program ? IS_ANOTHER : NOT_THERE;
}

/* The first executable of that name in the trusted directories, or in those of the person's own
 * path, is this file. */
static bool leads_to(const char *name, const struct compat_statx *file)
{
    const char *dir = l.ask->search.packed;
    int r = NOT_THERE;
    if (!name[0] || strchr(name, '/') || strlen(name) > 255 || !strcmp(name, ".") ||
        !strcmp(name, ".."))
        return false;
    for (uint32_t i = 0; i < l.ask->search.count && r == NOT_THERE; i++, dir = pack_next(dir))
        r = is_in(dir, strlen(dir), name, file, true);
    if (r == IS_IT)
        return true;
    r = NOT_THERE;
    for (const char *p = person_path; *p && r == NOT_THERE; p += p[0] == ':') {
        size_t n = strcspn(p, ":");
        r = is_in(p, n, name, file, false);
        p += n;
    }
    return r == IS_IT;
}

static void put_name(const char *name, const struct compat_statx *file)
{
    const char *have = l.names;
    for (uint32_t i = 0; i < l.f.names.count; i++, have = pack_next(have))
        if (strcmp(have, name) == 0)
            return;
    if (l.f.names.count == NAMES_MAX || !leads_to(name, file))
        return;
    size_t n = strlen(name) + 1;
    memcpy(l.names + l.f.names.size, name, n);
    l.f.names.size += n;
    l.f.names.count++;
}

/* `called`: by what path, "" not known. */
static void find_names(const char *called, const char *real, const struct compat_statx *file)
{
    const char *zero = base_name(l.args.packed);
    l.f.names = (struct pack_strings){.packed = l.names};
    put_name(base_name(called), file);
    put_name(zero[0] == '-' ? zero + 1 : zero, file);
    put_name(base_name(real), file);
}

/* ---- the program ---- */

static int find_program(void)
{
    int r = stat_link("exe", &l.exe_st);
    if (r < 0)
        return fail(-r, "its executable does not answer");
    r = (int)read_link("exe", l.path);
    if (r < 0)
        return fail(-r, "its executable cannot be named");
    l.f.dev = way_dev(&l.exe_st);
    l.f.ino = l.exe_st.ino;
    l.f.path = l.path[0] == '/' ? l.path : "/";
    l.f.trust = GATEWIRE_TRUSTED;
    if (foreign()) {
        unknown("", "it lives in a root directory or mount name space of its own");
        return 0;
    }
    if (way_walk(&l.caller, -1, "/", l.path, false, &l.way) < 0) {
        unknown("", "nothing is where it was started from: it was deleted, replaced or never had a "
                    "name");
        return 0;
    }
    if (!same_file(&l.way.st, &l.exe_st))
        unknown("", "another file is where it was started from");
    else if (!l.way.trusted)
        unknown("", l.way.why);
    else if (!is_a_tools(&l.way))
        unknown("", NOT_A_TOOL);
    else
        l.straight = strcmp(l.way.real, l.path) == 0;
    way_done(&l.way);
    return 0;
}

/* ---- scripts ---- */

static void unknown_script(const char *name, const char *why)
{
    struct phrase p = PHRASE(l.script);
    l.script[0] = 0;
    phrase_add(&p, name[0] ? name : "?");
    l.f.script = l.script;
    l.f.script_trust = GATEWIRE_UNKNOWN;
    because("its script: ", why);
}

/* A loader runs its operand as if it had been started itself, by its own rules. */
static bool is_loader(const char *path)
{
    const char *name = base_name(path);
    return strncmp(name, "ld-", 3) == 0 || strcmp(name, "ld.so") == 0 ||
           strncmp(name, "ld64", 4) == 0;
}

static bool loader(void)
{
    return is_loader(l.path) || is_loader(l.args.packed);
}

/* The index of the script in argv when nothing but the kernel, or nobody, put something before it:
 * options of an interpreter make another program of it. 0: not so. */
static uint32_t script_index(const char *called, const char *name)
{
    const char *arg = l.args.packed;
    for (uint32_t i = 0; i < l.args.count && i <= GATEWIRE_SCRIPT_ARG_MAX;
         i++, arg = pack_next(arg))
        if ((i == 1 && strcmp(arg, name) == 0) || (i > 0 && strcmp(arg, called) == 0))
            return i;
    return 0;
}

/* By the name of the trusted path that leads to the script: "npm" is npm-cli.js. */
static void name_by_script(const char *called, const char *name, const struct compat_statx *script)
{
    static char kept[sizeof(l.names)];
    struct pack_strings before = l.f.names;
    uint32_t at = script_index(called, name);
    if (at == 0)
        return;
    memcpy(kept, l.names, before.size);
    l.f.names = (struct pack_strings){.packed = l.names};
    put_name(base_name(called), script); /* through a covered link that is not what it reads */
    put_name(base_name(name), script);
    if (l.f.names.count > 0) {
        l.f.interpreter = l.f.path;
        l.f.script_arg = at;
        return;
    }
    memcpy(l.names, kept, before.size);
    l.f.names = before;
}

/* `name` relative to its directory, as the interpreter will open it. */
static void take_script(const char *called, const char *name, bool searched)
{
    static struct way script;
    static char found[WAY_PATH_MAX];
    int r = -ENOENT;
    if (l.cwd[0] || name[0] == '/')
        r = walk(name, false, &script);
    if (r < 0 && searched && !strchr(name, '/')) {
        const char *dir = l.ask->search.packed;
        for (uint32_t i = 0; r < 0 && i < l.ask->search.count; i++, dir = pack_next(dir)) {
            struct phrase p = PHRASE(found);
            found[0] = 0;
            phrase_add(&p, dir);
            phrase_add(&p, "/");
            phrase_add(&p, name);
            r = way_walk(&l.caller, -1, "/", found, false, &script);
        }
    }
    if (r < 0) {
        unknown_script(name, "it was not found");
        return;
    }
    memcpy(l.script, script.real, sizeof(l.script));
    l.f.script = l.script;
    bool trusted = script.trusted && is_a_tools(&script);
    l.f.script_trust = trusted ? GATEWIRE_TRUSTED : GATEWIRE_UNKNOWN;
    if (!trusted)
        because("its script: ", script.trusted ? NOT_A_TOOL : script.why);
    hash(script.fd, &script.st, script.trusted);
    way_done(&script);
    if (l.f.script_trust == GATEWIRE_TRUSTED && l.f.trust == GATEWIRE_TRUSTED && !loader())
        name_by_script(called, name, &script.st);
}

static bool among_args(const char *text)
{
    const char *arg = l.args.packed;
    for (uint32_t i = 0; i < l.args.count; i++, arg = pack_next(arg))
        if (i > 0 && strcmp(arg, text) == 0)
            return true;
    return l.args_cut;
}

/* What was executed is not what the kernel opened, and begins with "#!". Then the kernel has put
 * its name among the arguments, as it was given (fs/binfmt_script.c, fs/binfmt_misc.c of Linux). */
static bool called_a_script(const char *called)
{
    struct script_line ignored;
    if ((l.straight && strcmp(called, l.path) == 0) || !among_args(called))
        return false;
    if (!called[0] || (!l.cwd[0] && called[0] != '/') || walk(called, false, &l.other) < 0)
        return false;
    bool script = !same_file(&l.other.st, &l.exe_st) &&
                  script_line_parse(l.head, read_head(&l.other), &ignored) != 0;
    way_done(&l.other);
    return script;
}

static void find_script(const char *called)
{
    const char *tool = base_name(l.path), *name = "";
    enum script_operand o = script_operand_find(tool, &l.args, l.args_cut, &name);
    if (o == SCRIPT_NONE && strcmp(tool, base_name(l.args.packed)) != 0) {
        tool = base_name(l.args.packed);
        o = script_operand_find(tool, &l.args, l.args_cut, &name);
    }
    if (o == SCRIPT_UNCLEAR || (o == SCRIPT_OPERAND && !name[0]))
        unknown_script("?", "it has too many arguments to tell which");
    else if (o == SCRIPT_OPERAND)
        take_script(called, name, script_searches_path(tool));
    /* An interpreter that we know nothing of reads the file that named it; env starts one that
     * does, and what is decided about the script is decided before that. */
    else if (called_a_script(called))
        take_script(called, called, false);
    if (l.f.script[0] && loader())
        unknown("", "a loader starts another program: start that one itself");
}

/* ---- operands ---- */

static void find_operands(void)
{
    const char *path = l.ask->operands.packed;
    size_t len = 0;
    for (uint32_t i = 0; i < l.ask->operands.count; i++, path = pack_next(path)) {
        const char *real = "";
        if (path[0] && l.cwd[0] && walk(path, true, &l.other) == 0) {
            real = l.other.real;
            way_done(&l.other);
        }
        size_t n = strlen(real) + 1;
        memcpy(l.operands + len, real, n);
        len += n;
    }
    l.f.operands =
        (struct pack_strings){.packed = l.operands, .size = len, .count = l.ask->operands.count};
}

static void hash_program(void)
{
    int fd = open_proc("exe", O_PATH);
    if (fd < 0)
        return;
    hash(fd, &l.exe_st, false);
    close(fd);
}

static void find(void)
{
    if (read_ids() < 0 || find_program() < 0 || read_cwd() < 0 || read_args() < 0)
        return;
    const char *called = l.ask->execfn;
    if (l.f.trust == GATEWIRE_TRUSTED)
        find_names(called, l.path, &l.exe_st);
    find_script(called);
    if (l.f.trust == GATEWIRE_UNKNOWN && !l.f.digest)
        hash_program();
    find_operands();
}

size_t facts_find(const struct facts_ask *ask, uint8_t *out, size_t size)
{
    l.ask = ask;
    l.f = (struct gatewire_facts){.script = ""};
    l.cwd_fd = -1;
    l.straight = false;
    l.why[0] = l.words[0] = l.cwd[0] = l.path[0] = l.script[0] = l.digest[0] = 0;
    l.way.fd = l.other.fd = -1;
    find();
    if (l.f.error)
        l.f = (struct gatewire_facts){.error = l.f.error, .words = l.words};
    else
        l.f.why_unknown = l.why;
    if (l.cwd_fd >= 0)
        close(l.cwd_fd);
    return gatewire_facts_encode(&l.f, out, size);
}

size_t facts_find_here(const struct facts_ask *ask, uint8_t *out, size_t size)
{
    way_barred = false;
    way_may_touch = steady_has;
    size_t n = facts_find(ask, out, size);
    way_may_touch = NULL;
    return way_barred ? 0 : n;
}
