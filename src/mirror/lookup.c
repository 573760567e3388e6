/* SPDX-License-Identifier: MIT */
/* The facts of one request: where the caller stands, which program its name leads to, which script
 * that will read, where its path operands lead; each with what the caller could have done to it.
 *
 * The worker opens what only it may (the caller's directory); the rest it does in the caller's
 * guise: it sees and may reach what the command will. Where that is refused something, a child that
 * has become the caller in every respect looks again: only to such a one does FUSE show its user's
 * own files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/clone.h"
#include "mirror/cover.h"
#include "mirror/guise.h"
#include "mirror/hash.h"
#include "mirror/inside.h"
#include "mirror/phrase.h"
#include "mirror/script.h"
#include "mirror/seat.h"
#include "mirror/subject.h"
#include "mirror/ticket.h"
#include "mirror/way.h"
#include "mirror/worker.h"
#include "wire/bytes.h"

#define NESTED_MAX 4
#define LOCKED ".original"
#define ROOM (1u << 21) /* for an answer: HELPER_PATHS_MAX paths and what else there is */

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

/* Everything is static: the child writes it, the worker reads it, and it is too big for a stack. */
static struct {
    struct helper_resolve ask;
    struct way_caller caller;
    struct helper_resolved answer;
    int cwd_fd;
    char cwd[WAY_PATH_MAX];
    struct way program; /* of the program found */
    char exec_path[WAY_PATH_MAX];
    char head[SCRIPT_HEAD_MAX];
    size_t head_len;
    struct way other; /* script, interpreter */
    char script[WAY_PATH_MAX];
    char interpreter[WAY_PATH_MAX];
    char name[2][256];
    char digest[HASH_TEXT_SIZE];
    char why[256];
    char words_text[256];
    char paths[HELPER_PATHS_MAX * WAY_PATH_MAX];
    size_t paths_len;
    bool searched;   /* the program was found by its name */
    int below;       /* the container's root mount without what covers it, or -1 */
    bool look_below; /* what is covered is wanted, if anything is */
    bool met_shim;   /* where a tool was looked for: it may cover one */
    int initfd;      /* of the container's init, or -1; borrowed */
    bool lent;       /* the warden itself asks */
    bool seated;     /* its container is the one that this worker has a seat in */
    struct inside inside;
    struct subject subject; /* the caller */
    volatile bool complete;
} l;

static uint8_t out[ROOM];

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void because(const char *prefix, const char *why)
{
    struct phrase w = PHRASE(l.why);
    if (l.why[0])
        return;
    phrase_add(&w, prefix);
    phrase_add(&w, why);
    l.answer.why_unknown = l.why;
}

static void refuse(int err, const char *words)
{
    struct phrase w = PHRASE(l.words_text);
    w.text[0] = 0;
    phrase_add(&w, words);
    l.answer =
        (struct helper_resolved){.error = (uint32_t)(err ? err : EIO), .words = l.words_text};
}

static void forget_answer(void)
{
    l.searched = false;
    l.program.fd = l.other.fd = -1;
    l.why[0] = l.exec_path[0] = l.script[0] = l.interpreter[0] = 0;
    l.answer = (struct helper_resolved){.script = "", .digest = ""};
}

/* ---- files ---- */

/* Opens for reading what was found, by its descriptor and not by its name. */
static int reopen(const struct way *w)
{
    char path[40];
    struct phrase p = PHRASE(path);
    phrase_add(&p, "self/fd/"); /* we stand in the host's /proc */
    phrase_add_number(&p, (uint64_t)w->fd);
    if ((w->st.mode & S_IFMT) != S_IFREG)
        return -1;
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    way_denied = way_denied || fd < 0;
    return fd;
}

static size_t read_head(const struct way *w, char head[SCRIPT_HEAD_MAX])
{
    int fd = reopen(w);
    size_t n = 0;
    ssize_t r;
    while (fd >= 0 && n < SCRIPT_HEAD_MAX && (r = read(fd, head + n, SCRIPT_HEAD_MAX - n)) > 0)
        n += (size_t)r;
    if (fd >= 0)
        close(fd);
    return n;
}

static bool executable(const struct way *w)
{
    if ((w->st.mode & S_IFMT) != S_IFREG || !(w->st.mode & 0111))
        return false;
    /* The ids in effect, which in a guise are the caller's. */
    if (syscall(SYS_faccessat2, w->fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0 ||
        errno == ENOSYS)
        return true;
    way_denied = true;
    return false;
}

static void hash(const struct way *w)
{
    int fd = reopen(w);
    if (fd >= 0 && hash_fd(fd, HASH_FILE_MAX, l.digest) == 0)
        l.answer.digest = l.digest;
    if (fd >= 0)
        close(fd);
}

/* ---- programs ---- */

/* An executable that is no shim; its first bytes in l.head. */
static bool tool_at(const char *path, struct way *ret, bool *ret_shim)
{
    struct compat_statx st;
    /* Mostly it is not there: one call tells. */
    if (way_stat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st) < 0 ||
        way_walk(&l.caller, -1, "/", path, false, ret) < 0)
        return false;
    l.head_len = read_head(ret, l.head);
    *ret_shim = cover_is_shim(l.head, l.head_len);
    l.met_shim = l.met_shim || *ret_shim;
    if (executable(ret) && !*ret_shim)
        return true;
    way_done(ret);
    return false;
}

/* The tool that a shim was mounted over. What a symlink there leads to has a name of its own, where
 * it is not covered. */
static bool tool_below(char path[WAY_PATH_MAX], struct way *ret)
{
    if (l.below < 0 || way_walk(&l.caller, l.below, "/", path + 1, false, ret) < 0)
        return false;
    l.head_len = read_head(ret, l.head);
    if (executable(ret) && !cover_is_shim(l.head, l.head_len)) {
        if (!cover_is_mount(AT_FDCWD, ret->real))
            memcpy(path, ret->real, WAY_PATH_MAX);
        return true;
    }
    way_done(ret);
    return false;
}

/* The first executable of that name in the trusted directories that is not the shim; its path
 * before symlinks in `path`. Where the shim has been put in a tool's place, the tool is kept beside
 * it (install-clawrden.sh). */
static bool search(const char *name, struct way *ret, char path[WAY_PATH_MAX])
{
    const char *dir = l.ask.search.packed;
    if (strchr(name, '/') || strlen(name) > 255 || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (uint32_t i = 0; i < l.ask.search.count; i++, dir = helper_next(dir)) {
        struct phrase w = {.text = path, .size = WAY_PATH_MAX};
        bool shim = false;
        if (dir[0] != '/' || strlen(dir) > WAY_PATH_MAX - 300)
            continue;
        path[0] = 0;
        phrase_add(&w, dir);
        phrase_add(&w, "/");
        phrase_add(&w, name);
        if (tool_at(path, ret, &shim) || (shim && tool_below(path, ret)))
            return true;
        phrase_add(&w, LOCKED);
        if (shim && tool_at(path, ret, &shim))
            return true;
    }
    return false;
}

/* A name with slashes, as version 1 clients may send it. */
static bool named_by_path(const char *name)
{
    struct phrase w = PHRASE(l.exec_path);
    if (way_walk(&l.caller, l.cwd_fd, l.cwd, name, false, &l.program) < 0)
        return false;
    l.head_len = read_head(&l.program, l.head);
    if (!executable(&l.program) || cover_is_shim(l.head, l.head_len)) {
        way_done(&l.program);
        return false;
    }
    phrase_add(&w, l.program.real);
    return true;
}

static bool find_program(void)
{
    const char *name = l.ask.name;
    if (strchr(name, '/')) {
        if (named_by_path(name))
            return true;
        /* Through a shim that stands for the tool; a path to nothing stays one. */
        struct way w;
        char head[SCRIPT_HEAD_MAX];
        if (way_walk(&l.caller, l.cwd_fd, l.cwd, name, false, &w) < 0)
            return false;
        bool shim = cover_is_shim(head, read_head(&w, head));
        way_done(&w);
        if (!shim)
            return false;
    }
    l.searched = search(base_name(name), &l.program, l.exec_path);
    return l.searched;
}

/* Names by which the trusted directories lead to this very file: what it was called, and its own.
 */
static void find_names(bool searched)
{
    static char path[WAY_PATH_MAX];
    static char packed[2 * 256];
    static char head[SCRIPT_HEAD_MAX];
    size_t len = 0, head_len = l.head_len;
    const char *candidates[2] = {base_name(l.ask.name), base_name(l.program.real)};
    memcpy(head, l.head, head_len);
    l.answer.names = (struct helper_strings){.packed = packed};
    for (int i = 0; i < 2; i++) {
        struct way w = {.fd = -1};
        bool same = i == 0 && searched;
        if (i == 1 && strcmp(candidates[0], candidates[1]) == 0)
            continue;
        if (!same && search(candidates[i], &w, path))
            same = w.trusted && w.st.ino == l.program.st.ino &&
                   way_dev(&w.st) == way_dev(&l.program.st);
        if (same) {
            size_t n = strlen(candidates[i]) + 1;
            memcpy(packed + len, candidates[i], n);
            len += n;
            l.answer.names.count++;
        }
        way_done(&w);
    }
    l.answer.names.size = len;
    memcpy(l.head, head, head_len);
    l.head_len = head_len;
}

/* ---- scripts ---- */

/* One step of "#!": finds the interpreter; its first bytes are in l.head afterwards. */
static bool find_interpreter(const struct script_line *line)
{
    static char path[WAY_PATH_MAX];
    char name[SCRIPT_LINE_MAX];
    if (way_walk(&l.caller, l.cwd_fd, l.cwd, line->interpreter, false, &l.other) < 0)
        return false;
    if (strcmp(base_name(l.other.real), "env") == 0) {
        bool trusted = l.other.trusted;
        way_done(&l.other);
        if (!trusted || script_env_name(line->argument, name, sizeof(name)) < 0 ||
            !search(name, &l.other, path))
            return false;
        return true;
    }
    l.head_len = read_head(&l.other, l.head);
    return true;
}

/* The program begins with "#!": it is the script, and somebody else reads it. */
static void follow_interpreters(void)
{
    struct script_line line;
    int r;
    for (int i = 0; (r = script_line_parse(l.head, l.head_len, &line)) != 0; i++) {
        if (r < 0 || i == NESTED_MAX || !find_interpreter(&line)) {
            because("its interpreter: ", "it cannot be told what it is");
            l.answer.trust = HELPER_TRUST_UNKNOWN;
            break;
        }
        if (!l.other.trusted) {
            because("its interpreter: ", l.other.why);
            l.answer.trust = HELPER_TRUST_UNKNOWN;
        }
        memcpy(l.interpreter, l.other.real, sizeof(l.interpreter));
        l.answer.interpreter = l.interpreter;
        way_done(&l.other);
    }
    memcpy(l.script, l.program.real, sizeof(l.script));
    l.answer.script = l.script;
    l.answer.script_trust = l.program.trusted && l.answer.trust == HELPER_TRUST_TRUSTED
                                ? HELPER_TRUST_TRUSTED
                                : HELPER_TRUST_UNKNOWN;
    hash(&l.program);
}

static void unknown_script(const char *name, const char *why)
{
    struct phrase w = PHRASE(l.script);
    w.text[0] = 0;
    phrase_add(&w, name);
    l.answer.script = l.script;
    l.answer.script_trust = HELPER_TRUST_UNKNOWN;
    because("its script: ", why);
}

/* An interpreter that is told which file to read. */
static void follow_operand(void)
{
    static char path[WAY_PATH_MAX];
    const char *tool = base_name(l.program.real), *name;
    bool cut = l.ask.flags & HELPER_ARGS_CUT;
    enum script_operand o = script_operand_find(tool, &l.ask.args, cut, &name);
    if (o == SCRIPT_NONE) {
        tool = base_name(l.ask.name);
        o = script_operand_find(tool, &l.ask.args, cut, &name);
    }
    if (o == SCRIPT_NONE)
        return;
    if (o == SCRIPT_UNCLEAR || !name[0]) {
        unknown_script("?", "it has too many arguments to tell which");
        return;
    }
    bool found = way_walk(&l.caller, l.cwd_fd, l.cwd, name, false, &l.other) == 0;
    if (!found && !strchr(name, '/') && script_searches_path(tool))
        found = search(name, &l.other, path);
    if (!found) {
        unknown_script(name, "it was not found");
        return;
    }
    memcpy(l.script, l.other.real, sizeof(l.script));
    l.answer.script = l.script;
    l.answer.script_trust = l.other.trusted ? HELPER_TRUST_TRUSTED : HELPER_TRUST_UNKNOWN;
    if (!l.other.trusted)
        because("its script: ", l.other.why);
    hash(&l.other);
    way_done(&l.other);
}

static void describe_program(void)
{
    l.answer.exec_path = l.exec_path;
    l.answer.path = l.program.real;
    l.answer.dev = way_dev(&l.program.st);
    l.answer.ino = l.program.st.ino;
    l.answer.trust = l.program.trusted ? HELPER_TRUST_TRUSTED : HELPER_TRUST_UNKNOWN;
    if (!l.program.trusted)
        because("", l.program.why);
    find_names(l.searched && l.program.trusted);
    if (l.head_len >= 2 && l.head[0] == '#' && l.head[1] == '!')
        follow_interpreters();
    else
        follow_operand();
    if (l.answer.trust == HELPER_TRUST_UNKNOWN && !l.answer.script[0])
        hash(&l.program);
}

/* ---- with the caller's eyes ---- */

static void resolve_paths(void)
{
    const char *path = l.ask.paths.packed;
    l.paths_len = 0;
    for (uint32_t i = 0; i < l.ask.paths.count; i++, path = helper_next(path)) {
        const char *real = "";
        if (path[0] && l.cwd[0] &&
            way_walk(&l.caller, l.cwd_fd, l.cwd, path, true, &l.other) == 0) {
            real = l.other.real;
            way_done(&l.other);
        }
        size_t n = strlen(real) + 1;
        memcpy(l.paths + l.paths_len, real, n);
        l.paths_len += n;
    }
    l.answer.paths =
        (struct helper_strings){.packed = l.paths, .size = l.paths_len, .count = l.ask.paths.count};
}

/* Where the caller's directory is, seen from here. */
static void name_cwd(void)
{
    char link[40];
    struct phrase f = PHRASE(link);
    phrase_add(&f, "self/fd/");
    phrase_add_number(&f, (uint64_t)l.cwd_fd);
    ssize_t n = readlink(link, l.cwd, sizeof(l.cwd) - 1);
    l.cwd[n > 0 ? n : 0] = 0;
    if (n == (ssize_t)sizeof(l.cwd) - 1)
        l.cwd[0] = 0;
}

/* A directory's path says nothing about its mount namespace: a caller can hold one of another,
 * where
 * "/app" is something else. Followed here, it must lead to the same directory on the same mount. */
static bool find_cwd_by_path(const struct compat_statx *have)
{
    struct compat_statx seen;
    int r = way_stat(AT_FDCWD, l.cwd, 0, &seen);
    if (r == -EACCES && l.initfd < 0) { /* the caller came here in another way */
        l.cwd[0] = 0;
        return true;
    }
    if (r == 0 && way_dev(&seen) == way_dev(have) && seen.ino == have->ino &&
        seen.mnt_id == have->mnt_id)
        return true;
    refuse(r < 0 ? -r : EXDEV,
           "its working directory is not the one of that path here: it is in "
           "another mount namespace, or something was mounted or moved over it");
    return false;
}

static bool find_cwd(void)
{
    struct compat_statx st;
    if (!(l.ask.flags & HELPER_PEER_V1))
        name_cwd();
    if (l.ask.flags & HELPER_PEER_V1) {
        struct way w;
        int r = l.ask.cwd[0] == '/' ? way_walk(&l.caller, -1, "/", l.ask.cwd, false, &w) : -EINVAL;
        if (r < 0 || (w.st.mode & S_IFMT) != S_IFDIR) {
            way_done(&w);
            refuse(r < 0 ? -r : ENOTDIR, "its working directory cannot be used");
            return false;
        }
        l.cwd_fd = w.fd;
        memcpy(l.cwd, w.real, sizeof(l.cwd));
    }
    int r = way_stat(l.cwd_fd, "", AT_EMPTY_PATH, &st);
    if (r < 0) {
        refuse(-r, "its working directory does not answer");
        return false;
    }
    if (l.initfd >= 0 && (st.nlink == 0 || l.cwd[0] != '/')) {
        refuse(ENOENT, "its working directory cannot be found in its container");
        return false;
    }
    if (st.nlink == 0 || l.cwd[0] != '/')
        l.cwd[0] = 0; /* removed, or not below our root: unknown */
    if (l.cwd[0] && !(l.ask.flags & HELPER_PEER_V1) && !find_cwd_by_path(&st))
        return false;
    l.answer.cwd = l.cwd;
    l.answer.cwd_dev = way_dev(&st);
    l.answer.cwd_ino = st.ino;
    l.answer.cwd_mnt = st.mnt_id;
    return true;
}

static void look(void)
{
    if (!find_cwd())
        return;
    if (find_program())
        describe_program();
    else
        l.answer.trust = HELPER_TRUST_NOT_FOUND;
    resolve_paths();
}

static void come_back(const struct worker *w, bool inside)
{
    if (inside && inside_leave_files(w->space, w->top, w->proc) < 0)
        worker_leave();
}

/* Whether one of the trusted directories has something mounted over the name that is looked for. */
static bool is_covered(void)
{
    char path[WAY_PATH_MAX];
    const char *dir = l.ask.search.packed, *name = base_name(l.ask.name);
    for (uint32_t i = 0; i < l.ask.search.count; i++, dir = helper_next(dir)) {
        struct phrase w = PHRASE(path);
        path[0] = 0;
        phrase_add(&w, dir);
        phrase_add(&w, "/");
        phrase_add(&w, name);
        if (cover_is_mount(AT_FDCWD, path))
            return true;
    }
    return false;
}

/* With all rights still, in the container's files. The engine would find the shim and not what it
 * covers. */
static void open_below(void)
{
    if (l.look_below && l.initfd >= 0 && l.below < 0 && !(l.ask.flags & HELPER_BY_ENGINE) &&
        is_covered())
        l.below = cover_open_below();
}

/* false: something was refused to the guise, and the answer is void. */
static bool look_in_guise(const struct worker *w, const uint32_t *groups)
{
    bool inside = l.initfd >= 0;
    /* On this host root's capabilities are its command's too. */
    uint64_t caps = inside                ? l.subject.effective & l.subject.bounding
                    : l.ask.peer.uid == 0 ? ~UINT64_C(0)
                                          : 0;
    if (inside && inside_enter_files(&l.inside, w->proc) < 0) {
        come_back(w, inside);
        return false;
    }
    open_below();
    if (w->root && !guise_take(&l.ask.peer, groups, caps)) {
        come_back(w, inside);
        return false;
    }
    way_denied = false;
    look();
    bool fine = !w->root || !way_denied;
    way_done(&l.program);
    way_done(&l.other);
    if (l.ask.flags & HELPER_PEER_V1) {
        if (l.cwd_fd >= 0)
            close(l.cwd_fd);
        l.cwd_fd = -1;
    }
    if (w->root)
        guise_drop();
    come_back(w, inside);
    return fine;
}

/* Most containers have nothing covered, and in the others the first look meets a shim: from then on
 * it is expected there. */
static bool look_twice(const struct worker *w, const uint32_t *groups)
{
    static uint32_t covered; /* the init of the container in which it was so last */
    l.met_shim = false;
    l.look_below = l.ask.init == covered;
    bool fine = look_in_guise(w, groups);
    if (!fine || !l.met_shim || l.look_below)
        return fine;
    covered = l.ask.init;
    l.look_below = true;
    forget_answer();
    return look_in_guise(w, groups);
}

/* No more rights than the caller has. */
static bool drop_caps(void)
{
    struct compat_cap_header head = {.version = COMPAT_CAP_VERSION_3};
    uint64_t has = l.subject.effective & l.subject.bounding;
    struct compat_cap_data data[2];
    for (int i = 0; i < 2; i++) {
        uint32_t part = (uint32_t)(has >> 32 * i);
        data[i] = (struct compat_cap_data){.effective = part, .permitted = part};
    }
    return syscall(SYS_capset, &head, data) == 0;
}

_Noreturn static void child(const struct worker *w, const uint32_t *groups)
{
    const struct helper_peer *p = &l.ask.peer;
    bool inside = l.initfd >= 0;
    if (inside &&
        (inside_enter_files(&l.inside, w->proc) < 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0))
        _exit(1);
    open_below();
    if (guise_set_groups(p->groups_count, groups) < 0 ||
        syscall(SYS_setresgid, p->gid, p->gid, p->gid) < 0 ||
        syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0 || (inside && !drop_caps()))
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    look();
    l.complete = true;
    _exit(0);
}

static void look_as_child(const struct worker *w, const uint32_t *groups)
{
    int status, below = l.below; /* the child's own is in its table alone */
    l.complete = false;
    long pid = clone_vfork(-1);
    if (pid == 0)
        child(w, groups);
    if (pid > 0)
        (void)waitpid((pid_t)pid, &status, 0);
    l.below = below;
    if (!l.complete)
        refuse(pid < 0 ? (int)-pid : EIO, "the lookup broke off");
}

/* ---- the worker ---- */

/* Is the caller where its command would run? 0 or -EPERM with words. */
static int check_walls(pid_t pid, int pidfd, const struct subject *s, struct phrase *why)
{
    static uint8_t groups[HELPER_GROUPS_MAX * 4];
    if (l.initfd < 0)
        return subject_check_walls(pid, s, why);
    enum inside_aim aim = l.ask.flags & HELPER_BY_ENGINE ? INSIDE_BY_ENGINE : INSIDE_LOOK;
    const struct inside *known = l.lent ? seat_inside((pid_t)l.ask.init) : NULL;
    const struct inside_caller caller = {pid, pidfd, s};
    l.seated = known != NULL;
    int r = known ? inside_again(known, l.initfd, &caller, aim, &l.inside, why) : -EPERM;
    /* A container that has walled itself in since the seat was made has callers behind its new
     * walls: the start will find the seat unfit. */
    if (r < 0) {
        inside_close(&l.inside);
        l.seated = false;
        why->len = 0;
        why->text[0] = 0;
        r = inside_open((pid_t)l.ask.init, l.initfd, &caller, aim, &l.inside, why);
    }
    if (r == 0 && inside_translate(&l.inside, &l.ask.peer, groups) < 0) {
        phrase_add(why, "an id of the caller has no number in its container");
        r = -ERANGE;
    }
    return r < 0 ? -EPERM : 0;
}

/* What only the worker may: 0, or -1 with l.answer saying why not. */
static int look_at_caller(int pidfd)
{
    char path[40];
    struct phrase w = PHRASE(path), why = PHRASE(l.words_text);
    struct subject s = {0};
    pid_t pid = (pid_t)l.ask.peer.pid;
    phrase_add(&w, "/proc/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, "/cwd");
    int r = subject_read_status(pid, &s), walls = 0;
    if (r == 0) {
        l.subject = s;
        why.text[0] = 0;
        walls = check_walls(pid, pidfd, &s, &why);
    }
    if (!(l.ask.flags & HELPER_PEER_V1)) {
        l.cwd_fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (l.cwd_fd < 0 && r == 0)
            r = -errno;
    }
    if (!subject_alive(pidfd))
        refuse(ESRCH, "the caller is gone");
    else if (r < 0)
        refuse(-r, "the caller cannot be looked at");
    else if (walls < 0)
        l.answer = (struct helper_resolved){.error = EPERM, .words = l.words_text};
    else
        return 0;
    return -1;
}

static void find(struct worker *w, int pidfd)
{
    static uint32_t groups[HELPER_GROUPS_MAX];
    if (!w->root && l.ask.peer.uid != geteuid()) {
        refuse(EPERM, "the warden does not run as root and serves callers of its own user only");
        return;
    }
    if (look_at_caller(pidfd) < 0)
        return;
    for (uint32_t i = 0; i < l.ask.peer.groups_count; i++)
        groups[i] = helper_group(&l.ask.peer, i);
    /* Nobody gets out of a user namespace again: a child looks there. */
    if ((l.initfd < 0 || !l.inside.user_space) && look_twice(w, groups))
        return;
    forget_answer();
    l.look_below = true;
    look_as_child(w, groups);
}

/* The caller is the container's init itself. */
static void cover(struct worker *w, int shim, int below)
{
    struct phrase why = PHRASE(l.words_text);
    struct subject s = {0};
    why.text[0] = 0;
    int r = subject_read_status((pid_t)l.ask.init, &s);
    if (r == 0)
        r = inside_open((pid_t)l.ask.init, l.initfd,
                        &(struct inside_caller){(pid_t)l.ask.init, l.initfd, &s}, INSIDE_BY_ENGINE,
                        &l.inside, &why);
    if (r < 0)
        l.answer = (struct helper_resolved){.error = (uint32_t)-r, .words = l.words_text};
    else
        cover_run(w, &l.inside, &l.ask, shim, below, &l.answer);
}

/* The warden first: it waits, the dispatcher does not. */
static void say(struct worker *w, uint64_t job, int from)
{
    const struct helper_end idle = {.text = ""};
    size_t n = helper_resolved_encode(&l.answer, out, sizeof(out));
    if (n == 0 || n > sizeof(out)) {
        refuse(EMSGSIZE, "the answer is too long");
        n = helper_resolved_encode(&l.answer, out, sizeof(out));
    }
    int r = packet_send_long(l.lent ? from : w->answers, HELPER_RESOLVED, job, out, n);
    if (r == 0 && !l.lent)
        r = packet_send(from, HELPER_IDLE, job, out, helper_end_encode(&idle, out, sizeof(out)),
                        true);
    if (r < 0)
        worker_leave();
}

/* What was seen serves the start, which comes to this worker too. */
static void keep(struct worker *w)
{
    worker_does(w, CREW_READY);
    if (!l.answer.error && l.seated && !(l.ask.flags & HELPER_PEER_V1))
        ticket_write(w, &(struct ticket_facts){.peer = &l.ask.peer,
                                               .init = (pid_t)l.ask.init,
                                               .subject = &l.subject,
                                               .inside = &l.inside,
                                               .cwd = &l.cwd_fd});
}

void lookup_run(struct worker *w, struct packet *p, int from)
{
    ticket_drop();
    l.lent = from == w->line;
    l.seated = false;
    l.cwd_fd = l.initfd = l.below = -1;
    l.inside = (struct inside){.root = -1};
    l.cwd[0] = 0;
    forget_answer();
    if (packet_map(p) < 0 || helper_resolve_decode(p->body, p->head.len, &l.ask) < 0) {
        refuse(EBADMSG, "the helper did not understand the warden");
    } else if (p->fds_count != 1u + (l.ask.init != 0) + !!(l.ask.flags & HELPER_COVER) +
                                   !!(l.ask.flags & HELPER_BELOW) +
                                   !!(p->head.flags & HELPER_ATTACHED) ||
               ((l.ask.flags & HELPER_COVER) && (!l.ask.init || !w->root))) {
        refuse(EBADMSG, "the helper did not get what belongs to the message");
    } else {
        l.initfd = l.ask.init ? p->fds[1] : -1;
        way_forget_root();
        l.caller = (struct way_caller){
            .peer = &l.ask.peer, .search = l.ask.search, .own_uid = (uint32_t)geteuid()};
        if (l.ask.flags & HELPER_COVER)
            cover(w, p->fds[2], l.ask.flags & HELPER_BELOW ? p->fds[3] : -1);
        else
            find(w, p->fds[0]);
    }
    say(w, p->head.job, from);
    if (l.lent)
        keep(w);
    if (l.cwd_fd >= 0 && !(l.ask.flags & HELPER_PEER_V1))
        close(l.cwd_fd);
    if (l.below >= 0)
        close(l.below);
    inside_close(&l.inside);
}
