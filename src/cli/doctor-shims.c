/* SPDX-License-Identifier: MIT */
#include "cli/doctor-shims.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define MARK "CLAWRDEN-SHIM-v2" /* shim/marker.c */
#define PAGE 4096
#define SHELL_SECONDS 5
#define NAMES_MAX 512
#define OUTPUT_MAX (1u << 20)

static const struct {
    const char *kind, *program, *option;
} shells[DOCTOR_SHELLS] = {
    {"bash -c", "bash", "-c"},
    {"bash -lc (login)", "bash", "-lc"},
    {"bash -ic (interactive)", "bash", "-ic"},
    {"sh -c", "sh", "-c"},
    {"sh -lc (login)", "sh", "-lc"},
    {"zsh -lc (login)", "zsh", "-lc"},
};

bool doctor_shims_is(const char *path)
{
    char page[PAGE];
    struct stat st;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    ssize_t n = pread(fd, page, sizeof(page), 0);
    return n > 0 && memmem(page, (size_t)n, MARK, strlen(MARK)) != NULL;
}

void doctor_shims_done(struct doctor_shims *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->dir);
    *s = (struct doctor_shims){0};
}

/* A link that leads to no shim, in a folder of shims, is a name that is not governed. */
static void look_at(struct doctor_shims *s, const char *dir, const char *name)
{
    struct stat st;
    _cleanup_free_ char *path = path_join(dir, name);
    if (lstat(path, &st) < 0 || S_ISDIR(st.st_mode))
        return;
    if (doctor_shims_is(path)) {
        if (str_eq(name, "clawrden-shim"))
            return; /* the program itself */
        s->names = mem_realloc_array(s->names, s->count + 1, sizeof(*s->names));
        s->names[s->count++] = mem_strdup(name);
    } else if (S_ISLNK(st.st_mode)) {
        if (s->broken++ == 0)
            (void)snprintf(s->broken_example, sizeof(s->broken_example), "%.500s", path);
    }
}

static bool look_into(struct doctor_shims *s, const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return false;
    for (const struct dirent *e; s->count < NAMES_MAX && (e = readdir(d));)
        look_at(s, dir, e->d_name);
    (void)closedir(d);
    if (s->count == 0) {
        s->broken = 0; /* an ordinary folder of links */
        return false;
    }
    s->dir = mem_strdup(dir);
    return true;
}

static void look_on_path(struct doctor_shims *s)
{
    const char *path = getenv("PATH");
    for (const char *p = path; p && *p && !s->dir;) {
        size_t n = strcspn(p, ":");
        _cleanup_free_ char *dir = mem_strndup(p, n);
        if (dir[0] == '/')
            (void)look_into(s, dir);
        p += n + (p[n] == ':');
    }
}

/* ---- shells ---- */

static _Noreturn void become_shell(size_t i, const char *script, int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid(); /* an interactive shell must not take our terminal */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(null, 2) == 2)
        (void)execlp(shells[i].program, shells[i].program, shells[i].option, script, NULL);
    _exit(127);
}

/* What it wrote within the time; -ENOENT when it is not there. */
static int ask_shell(size_t i, const char *script, struct buf *out)
{
    int ends[2], status = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        become_shell(i, script, ends[1]);
    close(ends[1]);
    uint64_t end = clock_monotonic() + SHELL_SECONDS * CLOCK_NS_PER_SEC;
    for (uint64_t now; pid > 0 && (now = clock_monotonic()) < end;) {
        struct pollfd p = {.fd = ends[0], .events = POLLIN};
        if (poll(&p, 1, (int)((end - now) / CLOCK_NS_PER_MS) + 1) <= 0)
            break;
        char *to = buf_reserve(out, 4096);
        ssize_t n = to ? read(ends[0], to, 4096) : 0;
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    close(ends[0]);
    if (pid > 0) {
        (void)kill(-pid, SIGKILL); /* what its startup files have left in its session's group */
        (void)waitpid(pid, &status, 0);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : 0;
}

/* Lines "name=path" behind a mark, which startup files do not write. */
static void judge_shell(const struct doctor_shims *s, const char *text, struct doctor_shell *ret)
{
    const char *at = strstr(text, "\n@clawrden\n");
    ret->there = at != NULL;
    for (size_t i = 0; at && i < s->count; i++) {
        _cleanup_free_ char *key = mem_printf("\n%s=", s->names[i]);
        const char *line = strstr(at, key);
        _cleanup_free_ char *found =
            line ? mem_strndup(line + strlen(key), strcspn(line + strlen(key), "\n")) : NULL;
        if (found && found[0] == '/' && doctor_shims_is(found))
            continue;
        if (ret->missed++ == 0)
            (void)snprintf(ret->example, sizeof(ret->example), "%.64s is %.400s", s->names[i],
                           found && found[0] ? found : "not found");
    }
}

static void ask_shells(struct doctor_shims *s)
{
    _cleanup_buf_ struct buf script = BUF_INIT(OUTPUT_MAX);
    (void)buf_append_str(&script, "echo; echo @clawrden; for n in");
    for (size_t i = 0; i < s->count; i++) {
        (void)buf_append_char(&script, ' ');
        (void)str_shell_quote(&script, s->names[i], strlen(s->names[i]));
    }
    (void)buf_append_str(&script, "; do echo \"$n=$(command -v -- \"$n\")\"; done");
    for (size_t i = 0; i < DOCTOR_SHELLS; i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(OUTPUT_MAX);
        s->shells[i].kind = shells[i].kind;
        if (ask_shell(i, buf_str(&script), &out) == 0)
            judge_shell(s, buf_str(&out), &s->shells[i]);
    }
}

int doctor_shims_find(const char *dir, struct doctor_shims *ret, struct err *err)
{
    *ret = (struct doctor_shims){0};
    if (dir && !look_into(ret, dir))
        return err_set(err, -ENOENT, "there is no shim in '%s'", dir);
    if (!dir)
        look_on_path(ret);
    if (ret->dir)
        ask_shells(ret);
    return 0;
}
