/* SPDX-License-Identifier: MIT */
#include "mirror/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire/v2.h"

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
    if (fd < 0)
        return -errno;
    size_t done = 0;
    ssize_t n = 0;
    while (done < size - 1 && (n = read(fd, buf + done, size - 1 - done)) > 0)
        done += (size_t)n;
    int err = errno;
    close(fd);
    if (n < 0)
        return -err;
    buf[done] = 0;
    return (ssize_t)done;
}

bool subject_alive(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return pidfd >= 0 && poll(&p, 1, 0) == 0;
}

static uint64_t hex(const char *s)
{
    uint64_t v = 0;
    for (;; s++) {
        if (*s >= '0' && *s <= '9')
            v = v << 4 | (uint64_t)(*s - '0');
        else if (*s >= 'a' && *s <= 'f')
            v = v << 4 | (uint64_t)(*s - 'a' + 10);
        else
            return v;
    }
}

enum {
    LINE_IGN,
    LINE_CGT,
    LINE_INH,
    LINE_PRM,
    LINE_EFF,
    LINE_BND,
    LINE_AMB,
    LINE_NNP,
    LINE_SECCOMP,
    LINE_FILTERS,
    LINES
};

/* The values of the lines of /proc/PID/status that we need, in the order in which they stand there;
 * NULL where there is none. */
static void find_lines(const char *text, const char *ret[LINES])
{
    static const char *const names[LINES] = {
        [LINE_IGN] = "SigIgn:",      [LINE_CGT] = "SigCgt:",
        [LINE_INH] = "CapInh:",      [LINE_PRM] = "CapPrm:",
        [LINE_EFF] = "CapEff:",      [LINE_BND] = "CapBnd:",
        [LINE_AMB] = "CapAmb:",      [LINE_NNP] = "NoNewPrivs:",
        [LINE_SECCOMP] = "Seccomp:", [LINE_FILTERS] = "Seccomp_filters:"};
    int next = 0;
    /* The name, which a process chooses itself, stands in the first line, its newlines escaped. */
    for (const char *line = strchr(text, '\n'); line && next < LINES; line = strchr(line, '\n')) {
        line++;
        for (int i = next; i < LINES; i++) {
            size_t n = strlen(names[i]);
            if (line[0] != names[i][0] || strncmp(line, names[i], n) != 0)
                continue;
            ret[i] = line + n + strspn(line + n, " \t");
            next = i + 1;
            break;
        }
    }
}

int subject_read_status(pid_t pid, struct subject *ret)
{
    /* What we need stands behind "Groups:", which are at most 65,536 of up to 11 characters. */
    static char text[1u << 20];
    const char *at[LINES] = {NULL};
    ssize_t n = read_proc(pid, "/status", text, sizeof(text));
    if (n < 0)
        return (int)n;
    find_lines(text, at);
    for (int i = 0; i < LINE_FILTERS; i++)
        if (!at[i])
            return -EBADMSG;
    ret->ignored = hex(at[LINE_IGN]);
    ret->caught = hex(at[LINE_CGT]);
    ret->permitted = hex(at[LINE_PRM]);
    ret->bounding = hex(at[LINE_BND]);
    ret->effective = hex(at[LINE_EFF]);
    ret->inheritable = hex(at[LINE_INH]);
    ret->ambient = hex(at[LINE_AMB]);
    ret->no_new_privs = *at[LINE_NNP] != '0';
    ret->filters = at[LINE_FILTERS] ? (unsigned)phrase_number(at[LINE_FILTERS], NULL)
                                    : *at[LINE_SECCOMP] == '2';
    if (*at[LINE_SECCOMP] == '1')
        ret->filters = 1000;
    return 0;
}

/* A column of /proc/PID/limits. */
static rlim_t limit_value(const char **p)
{
    while (**p == ' ')
        (*p)++;
    if (**p < '0' || **p > '9') { /* "unlimited" */
        while (**p && **p != ' ' && **p != '\n')
            (*p)++;
        return RLIM_INFINITY;
    }
    return (rlim_t)phrase_number(*p, p);
}

/* One line a limit in the order of their numbers, the name in 26 columns. */
static void read_limits_as_text(pid_t pid, struct subject *ret)
{
    static char text[4096];
    if (read_proc(pid, "/limits", text, sizeof(text)) < 0)
        return;
    const char *line = strchr(text, '\n');
    for (int i = 0; i < SUBJECT_LIMITS && line && strlen(line) > 27; i++) {
        const char *p = line + 27;
        ret->limits[i].rlim_cur = limit_value(&p);
        ret->limits[i].rlim_max = limit_value(&p);
        ret->limit_known[i] = true;
        line = strchr(p, '\n');
    }
}

void subject_read_limits(pid_t pid, struct subject *ret)
{
    for (int i = 0; i < SUBJECT_LIMITS && (i == 0 || ret->limit_known[0]); i++)
        ret->limit_known[i] = prlimit(pid, i, NULL, &ret->limits[i]) == 0;
    if (!ret->limit_known[0]) /* of another user, and without CAP_SYS_RESOURCE */
        read_limits_as_text(pid, ret);
    errno = 0;
    int nice = getpriority(PRIO_PROCESS, (id_t)pid);
    ret->nice = errno ? 0 : nice; /* the helper's own is the warden's, before all others */
    char text[32] = "";
    ret->oom_score = 0;
    if (read_proc(pid, "/oom_score_adj", text, sizeof(text)) > 0) {
        int sign = text[0] == '-';
        ret->oom_score = (int)phrase_number(text + sign, NULL);
        if (sign)
            ret->oom_score = -ret->oom_score;
    }
}

void subject_bound_root(struct subject *s, uint32_t uid)
{
    if (uid == 0)
        s->bounding &= s->permitted;
}

#define WALLS 5
#define LINK_SIZE 64

/* The links of namespaces read as "mnt:[4026531841]": reading one is half of what looking at what
 * it leads to costs. */
static const char *const walls[WALLS][2] = {
    {"/ns/mnt", "the caller is in a mount namespace of its own"},
    {"/ns/user", "the caller is in a user namespace of its own"},
    {"/ns/pid", "the caller is in a pid namespace of its own"},
    {"/ns/net", "the caller is in a network namespace of its own"},
    {"/ns/ipc", "the caller is in an ipc namespace of its own"},
};

/* The helper's own, which do not change. */
static struct {
    bool known;
    char walls[WALLS][LINK_SIZE];
    struct stat root;
    struct subject status;
} own;

static int read_wall(pid_t pid, int i, char ret[LINK_SIZE])
{
    char path[64];
    proc_path(pid, walls[i][0], path, sizeof(path));
    ssize_t n = readlink(path, ret, LINK_SIZE - 1);
    ret[n > 0 ? n : 0] = 0;
    return n < 0 ? -errno : 0;
}

static int look_at_root(pid_t pid, struct stat *ret)
{
    char path[64];
    proc_path(pid, "/root", path, sizeof(path));
    return stat(path, ret) < 0 ? -errno : 0;
}

static int know_own(void)
{
    int r = subject_read_status(0, &own.status);
    for (int i = 0; i < WALLS && r == 0; i++)
        r = read_wall(0, i, own.walls[i]);
    if (r == 0)
        r = look_at_root(0, &own.root);
    own.known = r == 0;
    return r;
}

static int behind_wall(struct phrase *why, const char *which)
{
    phrase_add(why, which);
    phrase_add(why, "; the executor 'local' would run its command outside of it");
    return -EPERM;
}

int subject_check_walls(pid_t pid, const struct subject *s, struct phrase *why)
{
    char link[LINK_SIZE];
    struct stat root;
    int r = own.known ? 0 : know_own();
    if (r < 0) {
        phrase_add(why, "the helper cannot look at itself");
        return r;
    }
    for (int i = 0; i < WALLS; i++)
        if (read_wall(pid, i, link) < 0 || strcmp(link, own.walls[i]) != 0)
            return behind_wall(why, walls[i][1]);
    if (look_at_root(pid, &root) < 0 || root.st_dev != own.root.st_dev ||
        root.st_ino != own.root.st_ino)
        return behind_wall(why, "the caller has a root directory of its own");
    if (s->filters > own.status.filters) {
        phrase_add(why, "the caller is under a seccomp filter; the executor 'local' would run its "
                        "command without it");
        return -EPERM;
    }
    return 0;
}

static struct subject known; /* limit_known[0]: subject_know_limits() has filled it */

void subject_know_limits(void)
{
    known.limit_known[0] = false;
    subject_read_limits(getpid(), &known);
}

static bool is_known(int which, const struct rlimit *want)
{
    const struct rlimit *have = &known.limits[which];
    return known.limit_known[0] && known.limit_known[which] && have->rlim_cur == want->rlim_cur &&
           have->rlim_max == want->rlim_max;
}

static void apply_limit(int which, struct rlimit want)
{
    struct rlimit have;
    if (is_known(which, &want))
        return;
    if (prlimit(0, which, NULL, &have) < 0)
        return;
    if (have.rlim_cur == want.rlim_cur && have.rlim_max == want.rlim_max)
        return;
    if (prlimit(0, which, &want, NULL) == 0)
        return;
    /* Not privileged: as much as we may give. */
    if (want.rlim_max > have.rlim_max)
        want.rlim_max = have.rlim_max;
    if (want.rlim_cur > want.rlim_max)
        want.rlim_cur = want.rlim_max;
    (void)prlimit(0, which, &want, NULL);
}

static void apply_limits(const struct subject *s)
{
    for (int i = 0; i < SUBJECT_LIMITS; i++) {
        struct rlimit want = s->limits[i], have;
        if (!s->limit_known[i] || is_known(i, &want))
            continue;
        if (i == RLIMIT_NOFILE && prlimit(0, i, NULL, &have) == 0) {
            if (want.rlim_cur < have.rlim_cur)
                want.rlim_cur = have.rlim_cur;
            if (want.rlim_max < have.rlim_max)
                want.rlim_max = have.rlim_max;
        }
        apply_limit(i, want);
    }
}

void subject_apply_files(const struct subject *s)
{
    if (s->limit_known[RLIMIT_NOFILE])
        apply_limit(RLIMIT_NOFILE, s->limits[RLIMIT_NOFILE]);
}

/* What a caller ignores, as below nohup, its commands ignore too. */
static void apply_ignored(const struct subject *s)
{
    for (int signo = 1; signo <= 64; signo++)
        if (s->ignored >> (signo - 1) & 1)
            (void)signal(signo, SIG_IGN);
}

void subject_ignore_forwarded(struct subject *s)
{
    for (uint32_t signo = 1; signo <= 64; signo++)
        if (!v2_signal_ok(signo))
            s->ignored &= ~(UINT64_C(1) << (signo - 1));
}

static void apply_oom_score(const struct subject *s)
{
    char text[8] = {0};
    int have = 0;
    /* We stand in the host's /proc; the container's may be anything. */
    int fd = open("self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
        int sign = text[0] == '-';
        have = (int)phrase_number(text + sign, NULL) * (sign ? -1 : 1);
    }
    if (fd >= 0 && have != s->oom_score) {
        char out[16] = "";
        struct phrase w = PHRASE(out);
        if (s->oom_score < 0)
            phrase_add(&w, "-");
        phrase_add_number(&w, (uint64_t)(s->oom_score < 0 ? -s->oom_score : s->oom_score));
        (void)!pwrite(fd, out, w.len, 0);
    }
    if (fd >= 0)
        close(fd);
}

void subject_apply_limits(const struct subject *s)
{
    bool all = !known.limit_known[0];
    apply_ignored(s);
    if (all ? getpriority(PRIO_PROCESS, 0) != s->nice : known.nice != s->nice)
        (void)setpriority(PRIO_PROCESS, 0, s->nice);
    if (all || known.oom_score != s->oom_score)
        apply_oom_score(s);
    apply_limits(s);
}

void subject_drop_bounds(uint64_t caps)
{
    for (int cap = 0, has = 1; cap < 64 && has >= 0; cap++) {
        if (!(caps >> cap & 1))
            continue;
        has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0); /* -1: the kernel has no more of them */
        if (has == 1)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
}

void subject_apply_bounds(const struct subject *s, uint64_t have)
{
    subject_drop_bounds(have & ~s->bounding);
    if (s->no_new_privs)
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
