/* SPDX-License-Identifier: MIT */
#include "cli/run-hidden.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/contexts.h"

static int hide(struct plan *p, const char *path, struct err *err)
{
    int r = plan_add_real(p, PLAN_HIDDEN, path, err);
    return r < 0 ? r : 0;
}

static int hide_home(struct plan *p, const char *home, struct err *err)
{
    static const char *const ours[] = {".local/state/clawrden", ".config/clawrden"};
    int r = 0;
    for (size_t i = 0; home && home[0] == '/' && i < ARRAY_LEN(ours) && r == 0; i++) {
        _cleanup_free_ char *path = path_join(home, ours[i]);
        r = hide(p, path, err);
    }
    return r;
}

/* CLAWRDEN_STATE and XDG_... lead this session elsewhere; others of the same user may be where they
 * always are. Root may look into every home. */
static int hide_homes(struct plan *p, struct err *err)
{
    const struct passwd *pw = geteuid() == 0 ? NULL : getpwuid(geteuid());
    int r = hide_home(p, getenv("HOME"), err);
    if (r == 0 && pw)
        r = hide_home(p, pw->pw_dir, err);
    if (r < 0 || geteuid() != 0)
        return r;
    setpwent();
    while (r == 0 && (pw = getpwent()))
        r = hide_home(p, pw->pw_dir, err);
    endpwent();
    return r;
}

/* A private directory with these is a warden's: it makes them before it listens. */
static bool is_state(const char *dir)
{
    struct stat st;
    _cleanup_free_ char *lock = path_join(dir, "lock"), *token = path_join(dir, "token");
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 077) == 0 &&
           access(lock, F_OK) == 0 && access(token, F_OK) == 0;
}

/* Wherever they have their state: those that listen now. */
static int hide_running(struct plan *p, struct err *err)
{
    size_t count = 0;
    int r = 0;
    _cleanup_free_ char **dirs = mem_new_array(char *, p->count + 1);
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_step *s = &p->steps[i];
        char *dir = path_dirname(s->path);
        if (s->kind == PLAN_HIDDEN && str_eq(str_basename(s->path), "api.sock") && is_state(dir))
            dirs[count++] = dir;
        else
            free(dir);
    }
    for (size_t i = 0; i < count; i++) {
        r = r == 0 ? hide(p, dirs[i], err) : r;
        free(dirs[i]);
    }
    return r;
}

int run_hidden_add(struct plan *p, const char *session, struct err *err)
{
    _cleanup_free_ char *state = cli_state_dir(), *config = cli_config_dir(),
                        *contexts = contexts_dir();
    const char *const own[] = {"/var/lib/clawrden",
                               "/var/log/clawrden",
                               "/etc/clawrden",
                               state,
                               config,
                               contexts,
                               session};
    int r = hide_running(p, err);
    for (size_t i = 0; i < ARRAY_LEN(own) && r == 0; i++)
        r = hide(p, own[i], err);
    return r == 0 ? hide_homes(p, err) : r;
}
