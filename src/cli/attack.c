/* SPDX-License-Identifier: MIT */
#include "cli/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/run-warden.h"

#define CHILD_SECONDS 10
#define TRY_SECONDS 60
#define JSON_MAX (1u << 20)

/* ---- what an attempt says ---- */

void attack_reach(struct attack_try *t)
{
    t->trial->reached = 1;
}

void attack_say(struct attack_try *t, enum attack_result result, const char *fmt, ...)
{
    _cleanup_buf_ struct buf shown = BUF_INIT(4096);
    char text[ATTACK_SAID_MAX];
    va_list ap;
    if (t->trial->result == ATTACK_HOLE)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)str_escape(&shown, text, strlen(text));
    t->trial->result = (int)result;
    (void)snprintf(t->trial->said, sizeof(t->trial->said), "%s", buf_str(&shown));
}

void attack_must_fail(struct attack_try *t, long r, const char *what)
{
    if (r >= 0)
        attack_say(t, ATTACK_HOLE, "%s worked", what);
    else
        attack_say(t, ATTACK_REFUSED, "%s: %s", what, strerror(errno));
}

/* ---- children ---- */

static _Noreturn void become(struct attack_try *t, const struct attack_child *c, int out)
{
    (void)setpgid(0, 0);
    (void)dup2(out, 1);
    (void)dup2(out, 2);
    if (c->enter)
        c->enter(t, c);
    attack_reach(t);
    (void)execve(c->argv[0], (char *const *)c->argv, c->env ? c->env : environ);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int attack_run(struct attack_try *t, const struct attack_child *c, char out[ATTACK_OUT_MAX])
{
    int ends[2], status = -1;
    size_t len = 0;
    out[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become(t, c, ends[1]);
    close(ends[1]);
    uint64_t end = clock_monotonic() + CHILD_SECONDS * CLOCK_NS_PER_SEC;
    for (uint64_t now; pid > 0 && len < ATTACK_OUT_MAX - 1 && (now = clock_monotonic()) < end;) {
        struct pollfd p = {.fd = ends[0], .events = POLLIN};
        if (poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1) <= 0)
            break;
        ssize_t n = read(ends[0], out + len, ATTACK_OUT_MAX - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    out[len] = '\0';
    close(ends[0]);
    bool late = clock_monotonic() >= end;
    if (pid > 0) {
        if (late)
            (void)kill(-pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
    }
    return late ? -1 : status;
}

void attack_judge(struct attack_try *t, const char *out, int status)
{
    const char *ours = strstr(out, "clawrden: ");
    if (strstr(out, t->canary->prize))
        attack_say(t, ATTACK_HOLE, "the forbidden command ran: %.150s", out);
    else if (ours)
        attack_say(t, ATTACK_REFUSED, "%.*s", (int)strcspn(ours, "\n"), ours);
    else if (status < 0)
        attack_say(t, ATTACK_UNPROVED, "no end within %d s", CHILD_SECONDS);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 126)
        attack_say(t, ATTACK_REFUSED, "126: %.*s", (int)strcspn(out, "\n"), out);
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        attack_say(t, ATTACK_REFUSED, "killed by the gate");
    else
        attack_say(t, ATTACK_UNPROVED, "status %d: %.*s",
                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                   (int)strcspn(out, "\n"), out);
}

void attack_command(struct attack_try *t, const char *const *argv, char *const *env)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.argv = argv, .env = env};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

static void exec_by_path(struct attack_try *t, const struct attack_child *c)
{
    char *const argv[] = {(char *)t->canary->path, (char *)t->canary->arg, NULL};
    attack_reach(t);
    (void)execve(c->arg, argv, c->env ? c->env : environ);
    (void)dprintf(2, "exec: %s\n", strerror(errno));
    _exit(126);
}

void attack_exec(struct attack_try *t, const char *path, char *const *env)
{
    char out[ATTACK_OUT_MAX];
    const struct attack_child c = {.env = env, .enter = exec_by_path, .arg = path};
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

/* ---- files ---- */

bool attack_write(struct attack_try *t, const char *path, const char *text, mode_t mode)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd >= 0 && fchmod(fd, mode) == 0 && fd_write_all(fd, text, strlen(text)) == 0)
        return true;
    attack_say(t, ATTACK_ABSENT, "cannot write %s: %s", path, strerror(errno));
    return false;
}

bool attack_copy(struct attack_try *t, const char *from, const char *to)
{
    char chunk[65536];
    ssize_t n = -1;
    _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC),
                        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    while (in >= 0 && out >= 0 && (n = read(in, chunk, sizeof(chunk))) > 0)
        if (fd_write_all(out, chunk, (size_t)n) < 0) {
            n = -1;
            break;
        }
    if (n == 0)
        return true;
    attack_say(t, ATTACK_ABSENT, "cannot copy %s to %s: %s", from, to, strerror(errno));
    return false;
}

/* ---- one after the other ---- */

struct score {
    bool json;
    const char *mode; /* "namespaces", "landlock", "entry point" */
    bool debuggers;   /* the tree was started with --allow-debuggers */
    unsigned refused, holes, absent, allowed, unproved, unpromised;
    struct json_writer *w;
};

static const char *const result_words[] = {[ATTACK_UNPROVED] = "UNPROVED",
                                           [ATTACK_REFUSED] = "refused",
                                           [ATTACK_HOLE] = "HOLE",
                                           [ATTACK_ABSENT] = "absent",
                                           [ATTACK_ALLOWED] = "allowed"};

static void remove_tree(const char *dir)
{
    const char *const argv[] = {"/bin/rm", "-rf", dir, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        (void)execve(argv[0], (char *const *)argv, environ);
        _exit(127);
    }
    (void)waitpid(pid, NULL, 0);
}

static void wait_for_try(pid_t pid, struct attack_try *t)
{
    uint64_t end = clock_monotonic() + TRY_SECONDS * CLOCK_NS_PER_SEC;
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_monotonic() > end) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            attack_say(t, ATTACK_UNPROVED, "no end within %d s", TRY_SECONDS);
            return;
        }
        (void)poll(NULL, 0, 2);
    }
    if (WIFSIGNALED(status) && t->trial->result == ATTACK_UNPROVED)
        attack_say(t, ATTACK_UNPROVED, "it died of signal %d", WTERMSIG(status));
}

static void count(struct score *s, const struct attack_row *row, const struct attack_trial *trial)
{
    enum attack_result r = (enum attack_result)trial->result;
    bool promised = (!row->namespaces_only || !str_eq(s->mode, "landlock")) &&
                    (!row->not_entry || !str_eq(s->mode, "entry point")) &&
                    (!row->not_debuggers || !s->debuggers);
    const char *words = result_words[r];
    if (r == ATTACK_REFUSED && !trial->reached)
        r = ATTACK_UNPROVED, words = "UNPROVED";
    if ((r == ATTACK_HOLE || r == ATTACK_UNPROVED) && !promised) {
        s->unpromised++;
        words = "not promised";
    } else {
        s->refused += r == ATTACK_REFUSED;
        s->holes += r == ATTACK_HOLE;
        s->absent += r == ATTACK_ABSENT;
        s->allowed += r == ATTACK_ALLOWED;
        s->unproved += r == ATTACK_UNPROVED;
    }
    if (!s->json) {
        printf("%-12s %-20s %s: %s\n", words, row->name, row->what, trial->said);
        (void)fflush(stdout);
        return;
    }
    json_object_begin(s->w);
    json_field_string(s->w, "name", row->name);
    json_field_string(s->w, "what", row->what);
    json_field_string(s->w, "result", words);
    json_field_bool(s->w, "reached", trial->reached);
    json_field_string(s->w, "said", trial->said);
    json_object_end(s->w);
}

static void try_rows(struct score *s, const struct attack_canary *canary, const char *twin,
                     const struct attack_row *rows, struct attack_trial *trial)
{
    for (; rows->name; rows++) {
        char dir[] = "./attack-XXXXXX";
        char real[4096];
        if (!mkdtemp(dir) || !realpath(dir, real))
            return;
        memset(trial, 0, sizeof(*trial));
        struct attack_try t = {.canary = canary, .twin = twin, .dir = real, .trial = trial};
        (void)fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (chdir(real) == 0)
                rows->run(&t);
            _exit(0);
        }
        wait_for_try(pid, &t);
        count(s, rows, trial);
        remove_tree(real);
    }
}

/* ---- the canary ---- */

static const struct attack_canary canaries[] = {
    {"dirname", "/usr/bin/dirname", "/clawrden-canary/x", "/clawrden-canary\n"},
    {"fdisk", "/usr/sbin/fdisk", "--version", "fdisk from util-linux"},
    {"wipefs", "/usr/sbin/wipefs", "--version", "wipefs from util-linux"},
    {"mkswap", "/usr/sbin/mkswap", "--version", "mkswap from util-linux"},
};

/* The first that is refused when it is simply called: then we stand in a governed tree. */
static const struct attack_canary *find_canary(struct attack_trial *trial)
{
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        struct attack_try t = {.canary = &canaries[i], .dir = ".", .trial = trial};
        memset(trial, 0, sizeof(*trial));
        if (access(canaries[i].path, X_OK) < 0)
            continue;
        attack_exec(&t, canaries[i].path, NULL);
        if (trial->result == ATTACK_REFUSED && strstr(trial->said, "clawrden: "))
            return &canaries[i];
    }
    return NULL;
}

/* Of the same length, so that flipping letters leads from one to the other. */
static const char *find_twin(const struct attack_canary *c)
{
    static const char *const twins[] = {"/usr/bin/pathchk", "/usr/bin/getconf", "/usr/sbin/mkswap",
                                        "/usr/sbin/blkid"};
    for (size_t i = 0; i < ARRAY_LEN(twins); i++)
        if (strlen(twins[i]) == strlen(c->path) && access(twins[i], X_OK) == 0)
            return twins[i];
    return NULL;
}

/* ---- inside ---- */

/* A container: the gate is process 1, and a door is in sight, which `clawrden run` shows nobody. */
static bool entry_point_here(void)
{
    _cleanup_buf_ struct buf comm = BUF_INIT(64);
    struct err err;
    struct stat st;
    return fd_read_file("/proc/1/comm", 64, &comm, &err) == 0 &&
           str_eq(buf_str(&comm), "clawrden-gate\n") && stat(ATTACK_DOOR, &st) == 0 &&
           S_ISSOCK(st.st_mode);
}

static const char *mode_here(void)
{
    struct statvfs v;
    if (entry_point_here())
        return "entry point";
    return statvfs("/", &v) == 0 && (v.f_flag & ST_RDONLY) ? "namespaces" : "landlock";
}

/* The filter says EPERM before the kernel looks for whom it is about. */
static bool debuggers_here(void)
{
    return ptrace(PTRACE_DETACH, getpid(), 0, 0) < 0 && errno == ESRCH;
}

static int finish(struct score *s)
{
    unsigned tried = s->refused + s->holes + s->unproved;
    if (!s->json)
        printf("\n%s%s: %u of %u attempts refused, %u got through, %u proved nothing; %u allowed "
               "by the "
               "policy, %u not promised here, %u not possible here\n",
               s->mode, s->debuggers ? ", debuggers allowed" : "", s->refused, tried, s->holes,
               s->unproved, s->allowed, s->unpromised, s->absent);
    return s->holes || s->unproved ? CLI_REFUSED : CLI_OK;
}

/* Where a person is asked about what the agent made, most attempts would wait for one. */
static bool somebody_is_asked(struct attack_trial *trial)
{
    char out[ATTACK_OUT_MAX], copy[] = "./clawrden-attack";
    const char *const argv[] = {copy, NULL};
    const struct attack_child c = {.argv = argv};
    struct attack_try t = {.dir = ".", .trial = trial};
    memset(trial, 0, sizeof(*trial));
    bool held = attack_copy(&t, "/bin/true", copy) && attack_run(&t, &c, out) == -1;
    (void)unlink(copy);
    return held;
}

static int attack_inside(bool json, const struct attack_canary *canary, struct attack_trial *trial)
{
    static const struct attack_row *const lists[] = {attack_paths, attack_tools, attack_kernel,
                                                     attack_gate, attack_ways};
    _cleanup_buf_ struct buf b = BUF_INIT(JSON_MAX);
    struct json_writer w = JSON_WRITER(&b);
    struct score s = {.json = json, .mode = mode_here(), .debuggers = debuggers_here(), .w = &w};
    if (somebody_is_asked(trial))
        return cli_fail(CLI_USAGE, "a person is asked about programs of the agent's own here, and "
                                   "every attempt would wait: use a session with --ask none");
    json_object_begin(&w);
    json_field_string(&w, "mode", s.mode);
    json_field_bool(&w, "debuggers", s.debuggers);
    json_field_string(&w, "canary", canary->path);
    json_key(&w, "attempts");
    json_array_begin(&w);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        try_rows(&s, canary, find_twin(canary), lists[i], trial);
    json_array_end(&w);
    json_field_uint(&w, "refused", s.refused);
    json_field_uint(&w, "holes", s.holes);
    json_field_uint(&w, "unproved", s.unproved);
    json_field_uint(&w, "not_promised", s.unpromised);
    json_field_uint(&w, "absent", s.absent);
    json_field_uint(&w, "allowed", s.allowed);
    json_object_end(&w);
    if (json)
        printf("%s\n", buf_str(&b));
    return finish(&s);
}

/* ---- from outside ---- */

static int write_policy(const char *path, const char *self, struct err *err)
{
    _cleanup_free_ char *dir = path_dirname(self);
    _cleanup_free_ char *text =
        mem_printf("# Of `clawrden doctor --attack`: all is allowed but one harmless command.\n"
                   "default_action: deny\n"
                   "unknown_executable: deny\n"
                   "allowed_paths: ['/*']\n"
                   "trusted_paths: [/usr/local/sbin, /usr/local/bin, /usr/sbin, /usr/bin, /sbin, "
                   "/bin, \"%s\"]\n"
                   "rules:\n"
                   "  - {name: canary, command: dirname, action: deny, reason: it is the canary}\n"
                   "  - {name: all, command: ['*'], action: allow}\n",
                   dir);
    return fd_write_file(path, 0600, text, strlen(text), err);
}

/* In a governed tree of its own; its output is the attack's. */
static int attack_in_tree(bool json, const char *walls, const char *self, const char *policy,
                          const char *dir)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) == 0)
            (void)execl(self, self, "run", "--policy", policy, "--workspace", dir, "--ask", "none",
                        "--walls", walls, "--", self, "doctor", "--attack", json ? "--json" : NULL,
                        NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return CLI_UNREACHABLE;
    return WEXITSTATUS(status);
}

static int attack_outside(bool json, const char *walls)
{
    struct err err = {0};
    char dir[] = "/var/tmp/clawrden-attack-XXXXXX";
    _cleanup_free_ char *self = run_warden_program("clawrden"), *state = cli_state_dir();
    _cleanup_free_ char *policy = mem_printf("%s/attack-%d.yaml", state, (int)getpid());
    if (!self)
        return cli_fail(CLI_UNREACHABLE, "clawrden is not where it was started from");
    if (path_mkdirs(state, 0700, &err) < 0 || write_policy(policy, self, &err) < 0)
        return cli_fail(CLI_UNREACHABLE, "%s", err.text);
    if (!mkdtemp(dir))
        return cli_fail(CLI_UNREACHABLE, "%s: %s", dir, strerror(errno));
    int r = attack_in_tree(json, walls ? walls : "auto", self, policy, dir);
    (void)unlink(policy);
    remove_tree(dir);
    return r == CLI_OK || r == CLI_REFUSED
               ? r
               : cli_fail(CLI_UNREACHABLE, "the governed tree could not be started");
}

int attack(bool json, const char *walls)
{
    struct attack_trial *trial =
        mmap(NULL, sizeof(*trial), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial == MAP_FAILED)
        return cli_fail(CLI_UNREACHABLE, "no memory");
    const struct attack_canary *canary = find_canary(trial);
    int r = canary ? attack_inside(json, canary, trial) : attack_outside(json, walls);
    (void)munmap(trial, sizeof(*trial));
    return r;
}
