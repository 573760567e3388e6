/* SPDX-License-Identifier: MIT */
/* Ways around the gate instead of through it: answering oneself, the warden's doors and secrets,
 * programs outside that would do it for us, and files that run later. The attack that ends the gate
 * comes last. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/attack.h"
#include "cli/cli.h"
#include "http/client.h"

#define TABLE_MAX (16u << 20)

/* ---- the warden ---- */

/* Every file of that name in the places where sessions and daemons keep theirs. */
static bool find_ours(const char *name, glob_t *ret)
{
    const struct passwd *pw = getpwuid(getuid());
    _cleanup_free_ char *state = cli_state_dir();
    const char *home = getenv("HOME");
    const char *const patterns[] = {"%s/%s", "%s/run/*/%s", "%s/.local/state/clawrden/%s",
                                    "%s/.local/state/clawrden/run/*/%s"};
    const char *door = getenv("CLAWRDEN_SOCKET");
    _cleanup_free_ char *beside = path_dirname(door ? door : ATTACK_DOOR);
    const char *const bases[] = {state, "/var/lib/clawrden", home ? home : "/",
                                 pw ? pw->pw_dir : "/", beside};
    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < ARRAY_LEN(bases); i++)
        for (size_t k = 0; k < ARRAY_LEN(patterns); k++) {
            char pattern[4096];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(pattern, sizeof(pattern), patterns[k], bases[i], name);
#pragma GCC diagnostic pop
            (void)glob(pattern, GLOB_NOSORT | (ret->gl_pathc ? GLOB_APPEND : 0), NULL, ret);
        }
    return ret->gl_pathc > 0;
}

/* With the token, if it can be read: as the person would. */
static void approve_oneself(struct attack_try *t)
{
    glob_t sockets, tokens;
    _cleanup_buf_ struct buf token = BUF_INIT(4096);
    struct err err = {0};
    attack_reach(t);
    if (find_ours("token", &tokens))
        (void)!fd_read_file(tokens.gl_pathv[0], 4096, &token, &err);
    globfree(&tokens);
    attack_say(t, ATTACK_REFUSED, "no API of a warden is in sight");
    if (find_ours("api.sock", &sockets))
        for (size_t i = 0; i < sockets.gl_pathc; i++) {
            _cleanup_client_response_ struct client_response r = CLIENT_RESPONSE_INIT;
            _cleanup_free_ char *address = mem_printf("unix:%s", sockets.gl_pathv[i]);
            _cleanup_free_ char *word =
                mem_strndup(buf_str(&token), strcspn(buf_str(&token), "\r\n"));
            struct client_target target = {.address = address, .token = word[0] ? word : NULL};
            if (client_request(&target, "GET", "/api/queue", NULL, 0, &r, &err) < 0)
                attack_say(t, ATTACK_REFUSED, "%.200s", err.text);
            else if (r.status == 200)
                attack_say(t, ATTACK_HOLE, "the API shows its queue to the agent (%s)", address);
            else
                attack_say(t, ATTACK_REFUSED, "the API answers %ld", r.status);
        }
    globfree(&sockets);
}

static void read_secrets(struct attack_try *t)
{
    static const char *const names[] = {"token", "audit.jsonl", "policy.yaml", "audit.head"};
    attack_reach(t);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        glob_t found;
        bool any = find_ours(names[i], &found);
        for (size_t k = 0; any && k < found.gl_pathc; k++)
            if (access(found.gl_pathv[k], R_OK) == 0)
                attack_say(t, ATTACK_HOLE, "%s can be read", found.gl_pathv[k]);
        globfree(&found);
    }
    attack_say(t, ATTACK_REFUSED, "token, key, policy and log are not in sight");
}

static void change_records(struct attack_try *t)
{
    static const char *const names[] = {"audit.jsonl", "policy.yaml", "token", "index.db"};
    attack_reach(t);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        glob_t found;
        bool any = find_ours(names[i], &found);
        for (size_t k = 0; any && k < found.gl_pathc; k++)
            if (open(found.gl_pathv[k], O_WRONLY | O_CLOEXEC) >= 0)
                attack_say(t, ATTACK_HOLE, "%s can be written", found.gl_pathv[k]);
        globfree(&found);
    }
    attack_say(t, ATTACK_REFUSED, "policy and log cannot be written");
}

static int dial(const char *path, size_t len, bool abstract)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (len == 0 || len >= sizeof(a.sun_path))
        return -1;
    memcpy(a.sun_path, path, len);
    if (abstract)
        a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + !abstract);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, n) == 0)
        return fd;
    cleanup_close(&fd);
    return -1;
}

/* A gate of one's own would speak for the agent: the first bytes of its protocol at every door. */
static void forge_gate(struct attack_try *t)
{
    glob_t doors;
    attack_reach(t);
    attack_say(t, ATTACK_REFUSED, "no door of a warden is in sight");
    if (find_ours("warden.sock", &doors))
        for (size_t i = 0; i < doors.gl_pathc; i++) {
            char answer[64];
            static const char hello[] = "CLAWRDG1\1\0\0\0\0\0\0\11\0\0\0\1\0\0\0\0";
            _cleanup_close_ int fd = dial(doors.gl_pathv[i], strlen(doors.gl_pathv[i]), false);
            if (fd < 0 || send(fd, hello, sizeof(hello), MSG_NOSIGNAL) < 0)
                continue;
            struct timeval limit = {.tv_sec = 3};
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            ssize_t n = recv(fd, answer, sizeof(answer), 0);
            if (n > 0 && (unsigned char)answer[0] == 0x81)
                attack_say(t, ATTACK_HOLE, "a second gate is welcome at %s", doors.gl_pathv[i]);
            else
                attack_say(t, ATTACK_REFUSED, "a second gate is refused");
        }
    globfree(&doors);
}

/* The door for shims leads to executors that stand outside: what a file made out there would show.
 * Version 1 of the protocol, which anybody can speak (docs/protocol.md). */
static void call_as_shim(struct attack_try *t)
{
    glob_t doors;
    const char *home = getenv("HOME");
    _cleanup_free_ char *file =
        mem_printf("%s/clawrden-canary-%d", home ? home : "", (int)getpid());
    _cleanup_free_ char *json = mem_printf("{\"command\":\"touch\",\"args\":[\"%s\"],\"cwd\":\"/\","
                                           "\"env\":[],\"identity\":{\"uid\":%u,\"gid\":%u}}",
                                           file, (unsigned)getuid(), (unsigned)getgid());
    uint32_t size = htobe32((uint32_t)strlen(json));
    attack_reach(t);
    attack_say(t, ATTACK_REFUSED, "no door of a warden is in sight");
    if (find_ours("warden.sock", &doors))
        for (size_t i = 0; i < doors.gl_pathc; i++) {
            char answer[512];
            struct timeval limit = {.tv_sec = 3};
            _cleanup_close_ int fd = dial(doors.gl_pathv[i], strlen(doors.gl_pathv[i]), false);
            if (fd < 0 || send(fd, &size, sizeof(size), MSG_NOSIGNAL) < 0 ||
                send(fd, json, strlen(json), MSG_NOSIGNAL) < 0)
                continue;
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            while (recv(fd, answer, sizeof(answer), 0) > 0)
                ;
            if (access(file, F_OK) == 0)
                attack_say(t, ATTACK_HOLE, "%s ran a command outside", doors.gl_pathv[i]);
            else
                attack_say(t, ATTACK_REFUSED, "the door for shims ran nothing");
        }
    globfree(&doors);
}

/* ---- programs outside ---- */

/* Every socket on which somebody listens, by the kernel's own list. Our own tree listens on none.
 */
static void dial_all(struct attack_try *t, bool abstract)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TABLE_MAX);
    _cleanup_close_ int table = open("/proc/net/unix", O_RDONLY | O_CLOEXEC);
    unsigned tried = 0;
    if (table < 0 || fd_read_all(table, &text) < 0) {
        attack_say(t, ATTACK_ABSENT, "no list of sockets");
        return;
    }
    attack_reach(t);
    for (const char *line = buf_str(&text); *line;
         line += strcspn(line, "\n"), line += *line == '\n') {
        size_t n = strcspn(line, "\n");
        const char *path = memmem(line, n, abstract ? " @" : " /", 2);
        if (!path || !memmem(line, n, " 00010000 0001 01 ", 18))
            continue;
        path++;
        tried++;
        _cleanup_close_ int fd = dial(path, (size_t)(line + n - path), abstract);
        if (fd >= 0)
            attack_say(t, ATTACK_HOLE, "%.*s answers", (int)(line + n - path), path);
    }
    attack_say(t, ATTACK_REFUSED, "none of %u sockets answers", tried);
}

static void dial_paths(struct attack_try *t)
{
    dial_all(t, false);
}

static void dial_abstract(struct attack_try *t)
{
    dial_all(t, true);
}

static void dial_known(struct attack_try *t)
{
    static const char *const known[] = {"/var/run/docker.sock",
                                        "/run/podman/podman.sock",
                                        "/run/containerd/containerd.sock",
                                        "/run/dbus/system_bus_socket",
                                        "/run/systemd/private",
                                        "/tmp/.X11-unix/X0",
                                        "/run/user/%u/bus",
                                        "/run/user/%u/systemd/private",
                                        "/run/user/%u/wayland-0",
                                        "/run/user/%u/podman/podman.sock",
                                        "/run/user/%u/gnupg/S.gpg-agent",
                                        "/tmp/tmux-%u/default"};
    attack_reach(t);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char path[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(path, sizeof(path), known[i], (unsigned)getuid());
#pragma GCC diagnostic pop
        _cleanup_close_ int fd = dial(path, strlen(path), false);
        if (fd >= 0)
            attack_say(t, ATTACK_HOLE, "%s answers", path);
    }
    attack_say(t, ATTACK_REFUSED, "neither engines nor buses nor sessions answer");
}

static void see_others(struct attack_try *t)
{
    glob_t found;
    unsigned seen = 0;
    attack_reach(t);
    if (glob("/proc/[0-9]*/environ", GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *name = found.gl_pathv[i] + 6;
            pid_t pid = (pid_t)strtol(name, NULL, 10);
            _cleanup_free_ char *root = mem_printf("/proc/%d/root/", (int)pid);
            struct stat own, theirs;
            if (stat("/", &own) == 0 && stat(root, &theirs) == 0 &&
                (own.st_dev != theirs.st_dev || own.st_ino != theirs.st_ino))
                seen++;
        }
    globfree(&found);
    if (seen)
        attack_say(t, ATTACK_HOLE, "the files of %u processes outside can be reached", seen);
    else
        attack_say(t, ATTACK_REFUSED, "nobody outside can be looked into");
}

/* ---- the terminal ---- */

static void push_key(struct attack_try *t)
{
    char key = ' ';
    _cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    attack_reach(t);
    if (tty < 0) {
        attack_say(t, ATTACK_REFUSED, "no controlling terminal: %s", strerror(errno));
        return;
    }
    /* It may be the agent's own; then the person's is another and keys do not get there. */
    struct stat st;
    char name[64] = "";
    (void)!ttyname_r(tty, name, sizeof(name));
    if (ioctl(tty, TIOCSTI, &key) < 0)
        attack_say(t, ATTACK_REFUSED, "TIOCSTI: %s", strerror(errno));
    else if (stat("/dev/pts/1", &st) < 0)
        attack_say(t, ATTACK_REFUSED, "only its own terminal %s takes keys", name);
    else
        attack_say(t, ATTACK_HOLE, "keys can be pushed into %s", name);
}

static void other_terminals(struct attack_try *t)
{
    glob_t found;
    unsigned usable = 0;
    attack_reach(t);
    if (glob("/dev/pts/[0-9]*", GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct stat st, own;
            bool ours = false;
            for (int fd = 0; fd < 3; fd++)
                ours = ours || (stat(found.gl_pathv[i], &st) == 0 && fstat(fd, &own) == 0 &&
                                st.st_rdev == own.st_rdev && st.st_dev == own.st_dev);
            _cleanup_close_ int fd =
                ours ? -1 : open(found.gl_pathv[i], O_RDWR | O_NOCTTY | O_CLOEXEC);
            usable += fd >= 0;
        }
    globfree(&found);
    if (usable)
        attack_say(t, ATTACK_HOLE, "%u terminals of others can be written", usable);
    else
        attack_say(t, ATTACK_REFUSED, "no other terminal is in sight");
}

/* ---- files that run later, outside ---- */

static void write_one(struct attack_try *t, const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        attack_say(t, ATTACK_HOLE, "%s can be written", path);
        close(fd);
    }
}

static void write_startup(struct attack_try *t)
{
    static const char *const files[] = {".profile",
                                        ".bashrc",
                                        ".bash_profile",
                                        ".zshrc",
                                        ".ssh/authorized_keys",
                                        ".gitconfig",
                                        ".config/autostart/clawrden-canary.desktop",
                                        ".config/systemd/user/clawrden-canary.service",
                                        ".local/bin/git"};
    static const char *const system[] = {
        "/etc/profile.d/clawrden-canary.sh", "/etc/cron.d/clawrden-canary",
        "/usr/local/bin/clawrden-canary", "/var/spool/cron/crontabs/root"};
    const char *home = getenv("HOME");
    attack_reach(t);
    for (size_t i = 0; home && i < ARRAY_LEN(files); i++) {
        _cleanup_free_ char *path = path_join(home, files[i]);
        struct stat st;
        bool there = stat(path, &st) == 0;
        write_one(t, path);
        if (!there)
            (void)unlink(path);
    }
    for (size_t i = 0; i < ARRAY_LEN(system); i++) {
        struct stat st;
        bool there = stat(system[i], &st) == 0;
        write_one(t, system[i]);
        if (!there)
            (void)unlink(system[i]);
    }
    attack_say(t, ATTACK_REFUSED, "no startup file, unit or table can be written");
}

static void remount_root(struct attack_try *t)
{
    attack_reach(t);
    attack_must_fail(t, mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), "making / writable");
    attack_must_fail(t, umount2("/tmp", MNT_DETACH), "taking off /tmp");
}

static void open_disk(struct attack_try *t)
{
    attack_reach(t);
    if (mknod("disk", S_IFBLK | 0600, (8 << 8)) == 0)
        attack_must_fail(t, open("disk", O_RDONLY | O_CLOEXEC), "a disk by a node of one's own");
    else
        attack_must_fail(t, -1, "making a node for a disk");
    if (open("/dev/mem", O_RDONLY | O_CLOEXEC) >= 0)
        attack_say(t, ATTACK_HOLE, "/dev/mem can be read");
}

static void leave_cgroup(struct attack_try *t)
{
    static const char *const tables[] = {"/sys/fs/cgroup/cgroup.procs",
                                         "/sys/fs/cgroup/unified/cgroup.procs"};
    attack_reach(t);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (access(tables[i], F_OK) == 0)
            attack_must_fail(t, open(tables[i], O_WRONLY | O_CLOEXEC),
                             "leaving for another cgroup");
    if (t->trial->result == ATTACK_UNPROVED)
        attack_say(t, ATTACK_ABSENT, "no cgroup v2");
}

/* ---- the end of the gate ---- */

/* In a tree of its own this would end the report too, so it is sent where it has no effect: as
 * process 1 of a pid namespace the gate takes no SIGKILL from inside. */
static void kill_gate(struct attack_try *t)
{
    char out[ATTACK_OUT_MAX];
    const char *const argv[] = {t->canary->path, t->canary->arg, NULL};
    const struct attack_child c = {.argv = argv};
    char name[64] = "";
    _cleanup_close_ int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, name, sizeof(name) - 1) <= 0 || !str_starts(name, "clawrden-gate")) {
        attack_say(t, ATTACK_ABSENT,
                   "the gate is not process 1 here: its death would end the tree");
        return;
    }
    attack_reach(t);
    (void)kill(1, SIGKILL);
    int status = attack_run(t, &c, out);
    attack_judge(t, out, status);
}

const struct attack_row attack_ways[] = {
    {"approve", "answering oneself at the warden's API", approve_oneself, false},
    {"forge-gate", "a gate of one's own at the warden's door", forge_gate, false},
    {"shim-door", "a command by the door for shims, to be run outside", call_as_shim, false},
    {"records", "changing policy, log or token", change_records, false},
    {"secrets", "reading policy, log, token and keys", read_secrets, true},
    {"sockets-known", "engines, buses, desktops, sessions", dial_known, true},
    {"sockets-paths", "every listening socket with a path", dial_paths, true},
    {"sockets-abstract", "every listening abstract socket", dial_abstract, false},
    {"others", "files of processes outside, through /proc", see_others, false},
    {"TIOCSTI", "keys into the person's terminal", push_key, false},
    {"terminals", "writing to the person's terminal", other_terminals, true},
    {.name = "startup",
     .what = "files that run later, outside",
     .run = write_startup,
     .not_entry = true},
    {"remount", "taking the walls off", remount_root, false},
    {"disk", "the disk below the walls", open_disk, false},
    {"cgroup", "leaving for another cgroup", leave_cgroup, false},
    {"gate-kill", "killing the gate", kill_gate, true},
    {0},
};
