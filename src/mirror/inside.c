/* SPDX-License-Identifier: MIT */
#include "mirror/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror/compat.h"
#include "wire/bytes.h"

static const struct {
    const char *file;
    uint64_t flag;
    const char *words;
    unsigned char get; /* the number of the pidfd's ioctl, Linux 6.11 */
} kinds[INSIDE_KINDS] = {
    {"/ns/user", COMPAT_CLONE_NEWUSER, "user", 9},
    {"/ns/mnt", COMPAT_CLONE_NEWNS, "mount", 3},
    {"/ns/pid", COMPAT_CLONE_NEWPID, "pid", 5},
    {"/ns/net", COMPAT_CLONE_NEWNET, "network", 4},
    {"/ns/ipc", COMPAT_CLONE_NEWIPC, "ipc", 2},
    {"/ns/uts", COMPAT_CLONE_NEWUTS, "uts", 10},
    {"/ns/cgroup", COMPAT_CLONE_NEWCGROUP, "cgroup", 1},
    {"/ns/time", COMPAT_CLONE_NEWTIME, "time", 7},
};
enum { KIND_USER, KIND_MOUNT, KIND_PID, KIND_TIME = 7 };

#define CAP_SYS_PTRACE 19

static void proc_path(pid_t pid, const char *what, char *out, size_t size)
{
    struct phrase w = {.text = out, .size = size};
    phrase_add(&w, "/proc/");
    if (pid)
        phrase_add_number(&w, (uint64_t)pid);
    else
        phrase_add(&w, "self");
    phrase_add(&w, what);
}

static ssize_t read_proc(pid_t pid, const char *what, char *buf, size_t size)
{
    char path[64];
    proc_path(pid, what, path, sizeof(path));
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
    int err = errno;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return -err;
    buf[n] = 0;
    return n;
}

bool inside_missing(char *words, size_t size)
{
    struct phrase w = {.text = words, .size = size};
    char text[16] = "";
    words[0] = 0;
    if (geteuid() != 0)
        phrase_add(&w, "the warden is not root");
    else if (!hierarchy_v2()[0])
        phrase_add(&w, "cgroup v2 is not mounted in full; on hosts with version 1 mount it at "
                       "/sys/fs/cgroup/unified, in a container use the host's cgroup namespace");
    else if (read_proc(0, "/status", text, sizeof(text)) < 0)
        phrase_add(&w, "/proc cannot be read");
    else {
        /* A process that changed its user would let others of that user look into our memory, which
         * a child shares with us until it executes. */
        int fd = open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, 1);
        if (fd >= 0)
            close(fd);
        if (n != 1 || text[0] == '1')
            phrase_add(&w, "fs.suid_dumpable is 1 (set it to 0 or 2)");
    }
    return words[0] != 0;
}

/* ---- init ---- */

static int look_at(pid_t pid, const char *file, struct stat *ret)
{
    char path[64];
    proc_path(pid, file, path, sizeof(path));
    return stat(path, ret) < 0 ? -errno : 0;
}

/* The number of a namespace, of "mnt:[4026531841]": reading the link is half of what looking at
 * what it leads to costs. 0: it cannot be told. */
static uint64_t space(pid_t pid, const char *file)
{
    char path[64], link[64];
    proc_path(pid, file, path, sizeof(path));
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = 0;
    const char *number = strchr(link, '[');
    return number ? phrase_number(number + 1, NULL) : 0;
}

/* The same of a process that a pidfd pins: the files of one that has just begun have to be made
 * first, which takes twice as long. */
static uint64_t caller_space(const struct inside_caller *c, int kind)
{
    static bool missing; /* before Linux 6.11 */
    struct stat st;
    int fd = missing ? -1 : ioctl(c->pidfd, _IO(0xff, kinds[kind].get), 0);
    if (fd < 0) {
        missing = missing || errno == ENOTTY || errno == EINVAL;
        return space(c->pid, kinds[kind].file);
    }
    int r = fstat(fd, &st);
    close(fd);
    return r == 0 ? st.st_ino : 0;
}

static int refuse(struct phrase *why, const char *a, const char *b, const char *c)
{
    phrase_add(why, a);
    phrase_add(why, b);
    phrase_add(why, c);
    return -EPERM;
}

/* Namespaces of init against ours. */
static int look_at_spaces(struct inside *in, enum inside_aim aim, struct phrase *why)
{
    static uint64_t own[INSIDE_KINDS]; /* do not change */
    for (int i = 0; i < INSIDE_KINDS; i++) {
        if (!own[i])
            own[i] = space(0, kinds[i].file);
        in->at[i].ino = space(in->init, kinds[i].file);
        if (!own[i] || !in->at[i].ino)
            return refuse(why, "its ", kinds[i].words, " namespace cannot be told");
        if (in->at[i].ino != own[i])
            in->spaces |= kinds[i].flag;
    }
    in->user_space = in->spaces & kinds[KIND_USER].flag;
    if (!(in->spaces & kinds[KIND_MOUNT].flag) || !(in->spaces & kinds[KIND_PID].flag))
        return refuse(why, "its container shares the ",
                      in->spaces & kinds[KIND_MOUNT].flag ? "pid" : "mount",
                      " namespace of this host, so the helper would not be out of its reach");
    if ((in->spaces & kinds[KIND_TIME].flag) && aim != INSIDE_BY_ENGINE)
        return refuse(why, "its container has a time namespace", "", ", which cannot be entered");
    return 0;
}

static int look_at_root(struct inside *in, struct phrase *why)
{
    struct stat st;
    if (look_at(in->init, "/root", &st) < 0)
        return refuse(why, "its root directory cannot be told", "", "");
    in->at[INSIDE_KINDS].dev = st.st_dev;
    in->at[INSIDE_KINDS].ino = st.st_ino;
    return 0;
}

static int compare_spaces(const struct inside *in, const struct inside_caller *caller,
                          struct phrase *why)
{
    for (int i = 0; i < INSIDE_KINDS; i++) {
        uint64_t his = caller_space(caller, i);
        if (!his)
            return refuse(why, "its ", kinds[i].words, " namespace cannot be told");
        if (in->at[i].ino != his)
            return refuse(why, "the caller is in another ", kinds[i].words,
                          " namespace than its container: it is in a sandbox of its own, and its "
                          "command would run outside of it");
    }
    return 0;
}

static int compare_walls(const struct inside *in, pid_t caller_pid, const struct subject *caller,
                         enum inside_aim aim, struct phrase *why)
{
    struct stat his;
    if (look_at(caller_pid, "/root", &his) < 0)
        return refuse(why, "its root directory cannot be told", "", "");
    if (his.st_dev != in->at[INSIDE_KINDS].dev || his.st_ino != in->at[INSIDE_KINDS].ino)
        return refuse(why, "the caller has another root directory than its container", "", "");
    if (caller->filters != in->init_status.filters)
        return refuse(why,
                      "the caller stands under other seccomp filters than its container: it is in "
                      "a sandbox of its own, or under a gate",
                      "", "");
    /* Landlock rules cannot be seen from outside. They need this, or more rights than containers
     * have. */
    if (caller->no_new_privs && !in->init_status.no_new_privs)
        return refuse(why,
                      "the caller has set no_new_privs, which its container has not: it may stand "
                      "under Landlock rules that nobody can see, and its command would run outside "
                      "of them",
                      "", "");
    /* Whoever may trace everybody could get hold of the child in the moment before it executes,
     * and with it of the helper's memory. */
    if (aim != INSIDE_BY_ENGINE && !in->user_space &&
        (((in->init_status.bounding | caller->bounding) >> CAP_SYS_PTRACE) & 1))
        return refuse(why,
                      "its container has the capability SYS_PTRACE without a user namespace; start "
                      "it without, or use --mirror=docker",
                      "", "");
    return 0;
}

static int read_start_time(struct inside *in)
{
    char text[1024];
    ssize_t n = read_proc(in->init, "/stat", text, sizeof(text));
    const char *p = n < 0 ? NULL : strrchr(text, ')');
    if (!p)
        return -ESRCH;
    for (int field = 2; field < 22 && p; field++)
        p = strchr(p + 1, ' ');
    in->start_time = p ? phrase_number(p + 1, NULL) : 0;
    return 0;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\n')
        p++;
    return p;
}

static int read_ids(pid_t pid, const char *what, struct inside_ids *ret)
{
    static char text[16384];
    if (read_proc(pid, what, text, sizeof(text)) < 0)
        return -EIO;
    for (const char *p = skip_blanks(text); *p; p = skip_blanks(p)) {
        if (ret->count == INSIDE_RANGES || *p < '0' || *p > '9')
            return -E2BIG;
        uint32_t v[3];
        for (int i = 0; i < 3; i++) {
            p = skip_blanks(p);
            v[i] = (uint32_t)phrase_number(p, &p);
        }
        ret->range[ret->count].inside = v[0];
        ret->range[ret->count].outside = v[1];
        ret->range[ret->count++].count = v[2];
    }
    return 0;
}

/* AppArmor's profile or SELinux' context. A command has to run under it too. */
static int read_label(pid_t pid, char out[INSIDE_LABEL_MAX])
{
    static bool no_module; /* which does not change while a kernel runs */
    ssize_t n = no_module ? -EINVAL : read_proc(pid, "/attr/current", out, INSIDE_LABEL_MAX);
    if (n < 0) {
        no_module = no_module || (pid == 0 && n == -EINVAL);
        out[0] = 0;
        return 0;
    }
    if (n == INSIDE_LABEL_MAX - 1)
        return -E2BIG;
    while (n > 0 && (out[n - 1] == '\n' || out[n - 1] == 0))
        out[--n] = 0;
    return 0;
}

static int look_at_label(struct inside *in, struct phrase *why)
{
    char own[INSIDE_LABEL_MAX];
    if (read_label(in->init, in->label) < 0 || read_label(0, own) < 0)
        return refuse(why, "its security label is too long", "", "");
    in->labelled = strcmp(in->label, own) != 0;
    in->selinux = strchr(in->label, ':') && access("/sys/fs/selinux", F_OK) == 0;
    return 0;
}

static int compare_labels(const struct inside *in, pid_t caller, struct phrase *why)
{
    char his[INSIDE_LABEL_MAX];
    if (read_label(caller, his) < 0)
        return refuse(why, "its security label is too long", "", "");
    if (strcmp(in->label, his) != 0)
        return refuse(why, "the caller has another security label than its container", "", "");
    return 0;
}

static int compare_caller(const struct inside *in, const struct inside_caller *caller,
                          enum inside_aim aim, struct phrase *why)
{
    int r = compare_spaces(in, caller, why);
    if (r == 0)
        r = compare_walls(in, caller->pid, caller->subject, aim, why);
    return r < 0 ? r : compare_labels(in, caller->pid, why);
}

static int check_alive(int initfd, struct phrase *why)
{
    if (subject_alive(initfd))
        return 0;
    phrase_add(why, "its container has ended");
    return -ESRCH;
}

int inside_again(const struct inside *known, int initfd, const struct inside_caller *caller,
                 enum inside_aim aim, struct inside *ret, struct phrase *why)
{
    *ret = *known;
    ret->initfd = initfd;
    ret->root = fcntl(known->root, F_DUPFD_CLOEXEC, 3);
    if (ret->root < 0) {
        phrase_add(why, "its container's root directory cannot be opened");
        return -errno;
    }
    int r = compare_caller(ret, caller, aim, why);
    return r < 0 ? r : check_alive(initfd, why);
}

int inside_open_cgroups(struct inside *in, struct phrase *why)
{
    const char *what;
    in->tasks_count = hierarchy_open(in->init, in->tasks, &what);
    if (in->tasks_count >= 0 && subject_alive(in->initfd))
        return 0;
    if (in->tasks_count >= 0) {
        phrase_add(why, "its container has ended");
        return -ESRCH;
    }
    int r = in->tasks_count;
    in->tasks_count = 0;
    phrase_add(why, "its cgroup (");
    phrase_add_safe(why, what);
    phrase_add(why, ") cannot be joined, and its limits would not hold");
    return r;
}

int inside_open(pid_t init, int initfd, const struct inside_caller *caller, enum inside_aim aim,
                struct inside *ret, struct phrase *why)
{
    char path[64];
    *ret = (struct inside){.init = init, .initfd = initfd, .root = -1};
    proc_path(init, "/root", path, sizeof(path));
    int r = subject_read_status(init, &ret->init_status);
    if (r == 0)
        r = read_start_time(ret);
    if (r < 0) {
        phrase_add(why, "its container's first process cannot be looked at");
        return r;
    }
    r = look_at_spaces(ret, aim, why);
    if (r == 0)
        r = look_at_root(ret, why);
    if (r == 0)
        r = look_at_label(ret, why);
    if (r == 0)
        r = compare_caller(ret, caller, aim, why);
    if (r == 0 && ret->user_space &&
        ((r = read_ids(init, "/uid_map", &ret->uids)) < 0 ||
         (r = read_ids(init, "/gid_map", &ret->gids)) < 0))
        phrase_add(why, "its user namespace cannot be read");
    if (r == 0) {
        ret->root = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (ret->root < 0) {
            r = -errno;
            phrase_add(why, "its container's root directory cannot be opened");
        }
    }
    return r < 0 ? r : check_alive(initfd, why);
}

void inside_close(struct inside *in)
{
    if (in->root >= 0)
        close(in->root);
    hierarchy_close(in->tasks, in->tasks_count);
    in->root = -1;
    in->tasks_count = 0;
}

int inside_check_rights(const struct inside *in, const struct subject *caller, uint32_t uid,
                        struct phrase *why)
{
    const struct subject *init = &in->init_status;
    uint64_t all = init->bounding;
    if ((all & ~caller->bounding) || (uid == 0 && (all & ~caller->permitted)))
        return refuse(why,
                      "the caller has given up rights that its container has, and the engine would "
                      "give its command all of them",
                      "", "");
    return 0;
}

/* ---- ids ---- */

static bool translate(const struct inside_ids *ids, uint32_t id, uint32_t *ret)
{
    for (unsigned i = 0; i < ids->count; i++) {
        if (id < ids->range[i].outside || id - ids->range[i].outside >= ids->range[i].count)
            continue;
        *ret = ids->range[i].inside + (id - ids->range[i].outside);
        return true;
    }
    return false;
}

int inside_translate(const struct inside *in, struct helper_peer *p, uint8_t *groups_room)
{
    uint32_t id;
    if (!in->user_space)
        return 0;
    for (uint32_t i = 0; i < p->groups_count; i++) {
        if (!translate(&in->gids, helper_group(p, i), &id))
            return -ERANGE;
        bytes_put_u32(groups_room + (size_t)4 * i, id);
    }
    p->groups_raw = groups_room;
    p->groups = NULL;
    if (!translate(&in->uids, p->uid, &id))
        return -ERANGE;
    p->uid = id;
    if (!translate(&in->gids, p->gid, &id))
        return -ERANGE;
    p->gid = id;
    return 0;
}

/* ---- the child ---- */

static int enter(const struct inside *in, uint64_t spaces, int proc)
{
    if (syscall(SYS_setns, in->initfd, (unsigned long)(in->spaces & spaces)) < 0)
        return -errno;
    /* What init has as its root may not be the root of its mount namespace. */
    if (fchdir(in->root) < 0 || chroot(".") < 0 || fchdir(proc) < 0)
        return -errno;
    return 0;
}

int inside_enter_files(const struct inside *in, int proc)
{
    return enter(in, COMPAT_CLONE_NEWUSER | COMPAT_CLONE_NEWNS, proc);
}

int inside_leave_files(int space, int root, int proc)
{
    if (syscall(SYS_setns, space, (unsigned long)COMPAT_CLONE_NEWNS) < 0 || fchdir(root) < 0 ||
        chroot(".") < 0 || fchdir(proc) < 0)
        return -errno;
    return 0;
}

/* The module applies it at the next exec. AppArmor wants a word before it. */
int inside_set_label(const struct inside *in)
{
    char text[INSIDE_LABEL_MAX + 8] = "";
    struct phrase w = PHRASE(text);
    char *mode = NULL;
    if (!in->labelled)
        return 0;
    bool selinux = in->selinux;
    if (!selinux)
        phrase_add(&w, "exec ");
    phrase_add(&w, in->label);
    /* "docker-default (enforce)" is the profile and its mode */
    if (!selinux && (mode = strstr(text, " (")))
        *mode = 0;
    int fd = open("self/attr/exec", O_WRONLY | O_CLOEXEC); /* we stand in the host's /proc */
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, strlen(text));
    int err = errno;
    close(fd);
    return n < 0 ? -err : 0;
}

int inside_enter(const struct inside *in, int proc)
{
    int r = hierarchy_join(in->tasks, in->tasks_count);
    /* Ours may hold keys that are not for it. */
    if (r == 0 && syscall(SYS_keyctl, COMPAT_KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 &&
        errno != ENOSYS)
        r = -errno;
    return r < 0 ? r : enter(in, ~UINT64_C(0), proc);
}
