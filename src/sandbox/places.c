/* SPDX-License-Identifier: MIT */
#include "sandbox/places.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/sockets.h"

/* ---- variables ---- */

/* Names that lead to something hidden; `before` stands before a socket's path in the value. */
static const struct {
    const char *name, *before;
} variables[] = {
    {"SSH_AUTH_SOCK", ""},
    {"SSH_AGENT_PID", NULL},
    {"GPG_AGENT_INFO", ""},
    {"GNOME_KEYRING_CONTROL", ""},
    {"DBUS_SESSION_BUS_ADDRESS", "unix:path="},
    {"DBUS_SYSTEM_BUS_ADDRESS", "unix:path="},
    {"DBUS_STARTER_ADDRESS", "unix:path="},
    {"DOCKER_HOST", "unix://"},
    {"CONTAINER_HOST", "unix://"},
    {"CONTAINERD_ADDRESS", ""},
    {"BUILDKIT_HOST", "unix://"},
    {"KUBERNETES_SERVICE_HOST", NULL},
    {"DISPLAY", NULL},
    {"XAUTHORITY", NULL},
    {"WAYLAND_DISPLAY", ""},
    {"WAYLAND_SOCKET", NULL},
    {"SESSION_MANAGER", NULL},
    {"PULSE_SERVER", "unix:"},
    {"TMUX", ""},
    {"TMUX_PANE", NULL},
    {"TMUX_TMPDIR", NULL},
    {"STY", NULL},
    {"ZELLIJ", NULL},
    {"KITTY_LISTEN_ON", "unix:"},
    {"WEZTERM_UNIX_SOCKET", ""},
    {"NVIM", ""},
    {"EMACS_SOCKET_NAME", ""},
    {"VSCODE_IPC_HOOK_CLI", ""},
    {"VSCODE_GIT_IPC_HANDLE", ""},
    {"VSCODE_IPC_HOOK", ""},
    {"GIT_ASKPASS", NULL}, /* of an editor: a program that asks it over its socket */
    {"SYSTEMD_EXEC_PID", NULL},
    {"NOTIFY_SOCKET", ""},
    {"LISTEN_FDS", NULL},
    {"LISTEN_PID", NULL},
    {"TMPDIR", NULL}, /* its /tmp is its own */
};

static ssize_t find_variable(const char *assignment)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        size_t n = strlen(variables[i].name);
        if (strncmp(assignment, variables[i].name, n) == 0 && assignment[n] == '=')
            return (ssize_t)i;
    }
    return -1;
}

char *places_socket_of(const char *variable)
{
    ssize_t i = find_variable(variable);
    const char *before = i < 0 ? NULL : variables[i].before;
    if (!before)
        return NULL;
    const char *value = strchr(variable, '=') + 1;
    if (!str_starts(value, before) || value[strlen(before)] != '/')
        return NULL;
    value += strlen(before);
    /* "/x,1234,0" of tmux, "/x,guid=..." of D-Bus, "/x:1234:1" of an old gpg-agent */
    return mem_strndup(value, strcspn(value, ",:;"));
}

char **places_env(char *const *env)
{
    size_t n = 0, kept = 0;
    while (env[n])
        n++;
    char **out = mem_new_array(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        if (find_variable(env[i]) < 0 && !str_starts(env[i], "CLAWRDEN_"))
            out[kept++] = env[i];
    return out;
}

/* ---- directories of its own ---- */

static bool is_real_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What resolves names lies behind a symlink into /run on many hosts. */
static void show_of_run(struct plan *p)
{
    static const char *const shown[] = {"/etc/resolv.conf", "/run/current-system",
                                        "/run/booted-system", "/run/opengl-driver"};
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        char real[PATH_MAX];
        struct stat st;
        if (realpath(shown[i], real) && str_starts(real, "/run/") && stat(real, &st) == 0)
            plan_add(p, PLAN_SHOWN, real, 0);
    }
}

static void add_blanks(struct plan *p, uid_t uid)
{
    static const struct {
        const char *path;
        mode_t mode;
    } blanks[] = {{"/tmp", 01777}, {"/var/tmp", 01777}, {"/run", 0755}, {"/var/run", 0755}};
    for (size_t i = 0; i < ARRAY_LEN(blanks); i++)
        if (is_real_dir(blanks[i].path)) /* /var/run is a link to /run nearly everywhere */
            plan_add(p, PLAN_BLANK, blanks[i].path, blanks[i].mode);
    if (is_real_dir("/run")) {
        _cleanup_free_ char *own = mem_printf("/run/user/%u", (unsigned)uid);
        plan_add(p, PLAN_BLANK, own, 0700);
        show_of_run(p);
    }
}

/* ---- what is hidden ---- */

/* Of ~/.ssh only what is no secret. */
static int hide_keys(struct plan *p, const char *home, struct err *err)
{
    static const char *const harmless[] = {"config", "known_hosts", "known_hosts2",
                                           "authorized_keys"};
    char real[PATH_MAX];
    _cleanup_free_ char *ssh = path_join(home, ".ssh");
    if (!realpath(ssh, real) || !is_real_dir(real))
        return 0;
    DIR *d = opendir(real);
    if (!d)
        return err_errno(err, -errno, "'%s'", real);
    plan_add(p, PLAN_HIDDEN, real, 0);
    for (const struct dirent *e; (e = readdir(d));) {
        bool show = str_ends(e->d_name, ".pub");
        for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
            show = show || str_eq(e->d_name, harmless[i]);
        _cleanup_free_ char *path = path_join(real, e->d_name);
        struct stat st;
        if (show && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
            plan_add(p, PLAN_SHOWN, path, 0);
    }
    (void)closedir(d);
    return 0;
}

static int hide_places(struct plan *p, const char *home, struct err *err)
{
    static const char *const absolute[] = {"/var/run/docker.sock", "/var/lib/docker",
                                           "/var/lib/containerd"};
    static const char *const at_home[] = {".gnupg",
                                          ".password-store",
                                          ".docker/run",
                                          ".docker/desktop",
                                          ".colima",
                                          ".lima",
                                          ".rd",
                                          ".orbstack/run",
                                          ".1password",
                                          ".dbus",
                                          ".screen",
                                          ".Xauthority",
                                          ".ICEauthority",
                                          ".cache/keyring",
                                          ".local/share/keyrings",
                                          ".local/share/containers/podman",
                                          ".local/share/kwalletd"};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(absolute) && r >= 0; i++)
        r = plan_add_real(p, PLAN_HIDDEN, absolute[i], err);
    for (size_t i = 0; i < ARRAY_LEN(at_home) && r >= 0; i++) {
        _cleanup_free_ char *path = path_join(home, at_home[i]);
        r = plan_add_real(p, PLAN_HIDDEN, path, err);
    }
    return r < 0 ? r : 0;
}

static int hide_named_sockets(struct plan *p, char *const *env, struct err *err)
{
    int r = 0;
    for (; *env && r >= 0; env++) {
        _cleanup_free_ char *path = places_socket_of(*env);
        struct stat st;
        if (path && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
            r = plan_add_real(p, PLAN_HIDDEN, path, err);
    }
    return r < 0 ? r : 0;
}

int places_fill(struct plan *p, const struct places *of, struct err *err)
{
    add_blanks(p, of->uid);
    int r = hide_keys(p, of->home, err);
    if (r == 0)
        r = hide_places(p, of->home, err);
    if (r == 0)
        r = hide_named_sockets(p, of->env, err);
    if (r == 0)
        r = sockets_hide(p, err);
    return r;
}
