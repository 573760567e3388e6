/* SPDX-License-Identifier: MIT */
/* clawrden run: an agent on this machine, governed. Wires the parts: a warden of its own outside
 * (run-warden), walls (sandbox/), the gate above the agent inside, the terminal between them
 * (run-screen), and a person (run-ask, or another terminal). Prints on stderr only: stdout is the
 * agent's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/remote.h"
#include "cli/run-ask.h"
#include "cli/run-loop.h"
#include "cli/run-screen.h"
#include "cli/run-tally.h"
#include "cli/run-view.h"
#include "cli/run-warden.h"
#include "cli/sessions.h"
#include "cli/starter-text.h"
#include "policy/policy.h"
#include "sandbox/enter.h"
#include "sandbox/gitdir.h"
#include "sandbox/places.h"

#define EXIT_CANNOT 125 /* as everywhere: Clawrden could not do its job */

enum ask { ASK_ELSEWHERE, ASK_TTY, ASK_NONE };

struct run {
    const struct cli *cli;
    const struct args *args;
    enum ask ask;
    enum enter_wall required, strongest;
    bool no_network, debuggers;
    const char *api; /* where the dashboard is to be; NULL: nowhere */
    char *workspace, *name, *dir, *policy, *audit, *gate, *tools; /* owned */
    char *url; /* owned; of the dashboard, or NULL */
    int lock;  /* owned: held while we run */
    off_t mark;
    char *agent; /* owned; a known one, or NULL */
    struct plan plan;
    struct buf notes;
    bool std_at[3];
    struct run_screen *screen;
    struct run_warden warden;
    struct run_ask asking;
    struct entered entered;
    struct err weaker; /* why the walls are not stronger; "" when they are the strongest */
};

static void run_done(struct run *x)
{
    free(x->workspace);
    free(x->name);
    free(x->dir);
    free(x->policy);
    free(x->audit);
    free(x->gate);
    free(x->tools);
    free(x->url);
    free(x->agent);
    cleanup_close(&x->lock);
    plan_done(&x->plan);
    buf_done(&x->notes);
    x->screen = run_screen_free(x->screen);
    cleanup_close(&x->entered.pidfd);
}

/* ---- options ---- */

static int read_choice(const struct args *a, const char *name, const char *const *choices,
                       unsigned *ret, struct err *err)
{
    const char *value = args_value(a, name);
    for (unsigned i = 0; value && choices[i]; i++)
        if (str_eq(value, choices[i])) {
            *ret = i;
            return 0;
        }
    return value ? err_set(err, -EINVAL, "--%s: '%s' is none of its values", name, value) : 0;
}

static int read_options(struct run *x, struct err *err)
{
    static const char *const asks[] = {"elsewhere", "tty", "none", NULL};
    static const char *const nets[] = {"host", "none", NULL};
    static const char *const walls[] = {"auto", "landlock", NULL};
    unsigned ask = ASK_ELSEWHERE, net = 0, wall = 0;
    const char *require = args_value(x->args, "require");
    int r = read_choice(x->args, "ask", asks, &ask, err);
    if (r == 0)
        r = read_choice(x->args, "net", nets, &net, err);
    if (r == 0)
        r = read_choice(x->args, "walls", walls, &wall, err);
    if (r == 0 && require &&
        (enter_wall_parse(require, &x->required) < 0 || x->required == ENTER_WALL_NONE))
        r = err_set(err, -EINVAL, "--require: say landlock or namespaces");
    if (r == 0 && net == 1)
        x->required = ENTER_WALL_NAMESPACES; /* nothing else can do it */
    x->strongest = wall == 1 ? ENTER_WALL_LANDLOCK : ENTER_WALL_NONE;
    if (wall == 1 && x->required == ENTER_WALL_NAMESPACES)
        r = err_set(err, -EINVAL, "--walls landlock is less than what is asked for");
    if (x->required == ENTER_WALL_NONE)
        x->required = ENTER_WALL_LANDLOCK; /* without any wall what waits could be overwritten */
    x->ask = (enum ask)ask;
    x->no_network = net == 1;
    x->debuggers = args_flag(x->args, "allow-debuggers");
    return r;
}

/* Who comes by TCP comes from nowhere in the tree: so only where the agent cannot read the token,
 * and where no other host can listen. */
static int read_api(struct run *x, struct err *err)
{
    const char *api = x->api = args_value(x->args, "api");
    if (!api)
        return 0;
    if (!str_starts(api, "127.") && !str_starts(api, "[::1]:") && !str_starts(api, "localhost:"))
        return err_set(err, -EINVAL,
                       "--api: '%s' is not on loopback, and a session speaks no TLS: say "
                       "127.0.0.1:PORT or [::1]:PORT (0 picks one), and reach it by a tunnel",
                       api);
    if (x->strongest == ENTER_WALL_LANDLOCK)
        return err_set(err, -EINVAL,
                       "--api needs namespaces: behind --walls landlock the agent can read the "
                       "token that logs in");
    x->required = ENTER_WALL_NAMESPACES;
    return 0;
}

/* ---- the session's directory ---- */

static char *default_name(const char *workspace)
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;
    (void)localtime_r(&now, &tm);
    (void)strftime(stamp, sizeof(stamp), "%m%d-%H%M%S", &tm);
    _cleanup_free_ char *base = mem_strndup(str_basename(workspace), 24);
    for (char *p = base; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *p))
            *p = '-';
    while (base[0] == '.' || base[0] == '-')
        memmove(base, base + 1, strlen(base));
    return mem_printf("%s-%s-%d", base[0] ? base : "run", stamp, (int)getpid());
}

static int make_session(struct run *x, struct err *err)
{
    const char *name = args_value(x->args, "name");
    if (name && !sessions_name_ok(name))
        return err_set(err, -EINVAL, "--name: letters, digits, '-', '_' and '.', at most %d",
                       SESSIONS_NAME_MAX);
    _cleanup_free_ char *root = sessions_root();
    x->name = name ? mem_strdup(name) : default_name(x->workspace);
    x->dir = path_join(root, x->name);
    if (strlen(x->dir) + strlen("/warden.sock") >= 108) /* sun_path of unix(7) */
        return err_set(err, -ENAMETOOLONG,
                       "'%s' is too long for a socket: use a shorter --name, or CLAWRDEN_STATE",
                       x->dir);
    int r = path_mkdirs(x->dir, 0700, err);
    if (r == -EROFS || r == -EACCES) /* what a session sees of it, behind either wall */
        return err_prefix(err, r,
                          "no session can begin here (inside of one all is governed already: "
                          "start the command itself)");
    if (r < 0)
        return err_prefix(err, r, "state");
    char real[PATH_MAX];
    if (!realpath(x->dir, real))
        return err_errno(err, -errno, "'%s'", x->dir);
    free(x->dir);
    x->dir = mem_strdup(real);
    _cleanup_free_ char *lock = path_join(x->dir, "run.lock");
    x->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (x->lock < 0)
        return err_errno(err, -errno, "'%s'", lock);
    if (flock(x->lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, -EBUSY, "a session '%s' runs already; choose another --name", x->name);
    x->audit = path_join(x->dir, "audit.jsonl");
    x->mark = run_tally_mark(x->audit);
    return 0;
}

/* ---- the policy ---- */

/* --policy, else the person's own, else the starter policy for this workspace, written down where
 * it can be read and changed. */
static int find_policy(struct run *x, struct err *err)
{
    const char *given = args_value(x->args, "policy");
    _cleanup_free_ char *dir = cli_config_dir(), *own = path_join(dir, "policy.yaml");
    char real[PATH_MAX];
    if (given || access(own, F_OK) == 0) {
        if (!realpath(given ? given : own, real))
            return err_errno(err, -errno, "the policy '%s'", given ? given : own);
        x->policy = mem_strdup(real);
        return 0;
    }
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    size_t rules;
    x->policy = path_join(x->dir, "policy.yaml");
    int r = starter_text_fill("starter.yaml", x->workspace, true, x->policy, &text, &rules, err);
    return r < 0 ? r : fd_write_file(x->policy, 0600, buf_str(&text), text.len, err);
}

/* ---- preparing ---- */

/* It is started behind the walls, so it must be seen there, and nobody there may change it. */
static int find_gate(struct run *x, struct err *err)
{
    enum plan_kind kind;
    x->gate = run_warden_program("clawrden-gate");
    if (!x->gate)
        return err_set(err, -ENOENT, "clawrden-gate is not where this program lies");
    if (!plan_find(&x->plan, x->gate, &kind))
        return 0;
    if (kind == PLAN_WRITABLE)
        return err_set(err, -EPERM,
                       "'%s' lies where the agent can write: install Clawrden elsewhere", x->gate);
    plan_add(&x->plan, PLAN_SHOWN, x->gate, 0);
    return 0;
}

/* Through a directory that was opened outside of the walls one walks up and out. */
static int check_streams(struct err *err)
{
    static const char *const names[] = {"input", "output", "error"};
    struct stat st;
    for (int i = 0; i < 3; i++)
        if (fstat(i, &st) == 0 && S_ISDIR(st.st_mode))
            return err_set(err, -EISDIR,
                           "standard %s is a directory, by which the agent could go where it "
                           "likes: use a file, or /dev/null",
                           names[i]);
    return 0;
}

static int prepare(struct run *x, struct err *err)
{
    const char *given = args_value(x->args, "workspace");
    char real[PATH_MAX];
    struct stat st;
    int r = read_options(x, err);
    if (r == 0)
        r = read_api(x, err);
    if (r == 0)
        r = check_streams(err);
    if (r < 0)
        return r;
    if (!realpath(given ? given : ".", real) || stat(real, &st) < 0)
        return err_errno(err, -errno, "the workspace '%s'", given ? given : ".");
    if (!S_ISDIR(st.st_mode))
        return err_set(err, -ENOTDIR, "the workspace '%s' is no directory", real);
    x->workspace = mem_strdup(real);
    r = make_session(x, err);
    if (r == 0)
        r = find_policy(x, err);
    if (r < 0)
        return r;
    const struct run_view v = {.workspace = x->workspace,
                               .session = x->dir,
                               .policy = x->policy,
                               .writes = args_value(x->args, "write"),
                               .hides = args_value(x->args, "hide"),
                               .words = x->args->words,
                               .count = x->args->count};
    r = run_view_make(&v, &x->plan, &x->agent, &x->notes, err);
    if (r == 0)
        r = find_gate(x, err);
    if (r < 0)
        return r;
    x->tools = run_view_tools(&x->plan, &x->notes);
    x->screen = run_screen_new(x->std_at);
    return x->ask == ASK_TTY && !x->screen
               ? err_set(err, -ENOTTY, "--ask tty needs a terminal, and there is none here")
               : 0;
}

/* ---- starting ---- */

/* As it is, without what leads out. */
static char **agent_env(void)
{
    char **env = places_env(environ);
    size_t n = 0, kept = 0;
    _cleanup_free_ char *runtime = mem_printf("XDG_RUNTIME_DIR=/run/user/%u", (unsigned)geteuid());
    while (env[n])
        n++;
    for (size_t i = 0; i < n; i++)
        if (!str_starts(env[i], "XDG_RUNTIME_DIR=") || str_eq(env[i], runtime))
            env[kept++] = env[i];
    env[kept] = NULL;
    return env;
}

/* Where the caller is, if the agent can be there, else the workspace. */
static const char *start_directory(const struct run *x, char real[PATH_MAX])
{
    return realpath(".", real) && plan_is_below(real, x->workspace) ? real : x->workspace;
}

static int start_agent(struct run *x, struct err *err)
{
    char here[PATH_MAX];
    _cleanup_free_ char **argv = mem_new_array(char *, x->args->count + 8);
    _cleanup_free_ char **env = agent_env();
    size_t n = 0;
    argv[n++] = x->gate;
    argv[n++] = (char *)"--fd";
    argv[n++] = (char *)"3";
    if (x->tools) {
        argv[n++] = (char *)"--walled";
        argv[n++] = x->tools;
    }
    if (x->debuggers)
        argv[n++] = (char *)"--allow-debuggers";
    argv[n++] = (char *)"--";
    for (size_t i = 0; i < x->args->count; i++)
        argv[n++] = (char *)x->args->words[i];
    struct enter e = {.plan = &x->plan,
                      .cwd = start_directory(x, here),
                      .argv = argv,
                      .env = env,
                      .fds = {x->warden.gate},
                      .fds_count = 1,
                      .terminal = x->screen != NULL,
                      .std_at = {x->std_at[0], x->std_at[1], x->std_at[2]},
                      .like = x->screen ? run_screen_fd(x->screen) : -1,
                      .no_network = x->no_network,
                      .strongest = x->strongest};
    int r = enter_start(&e, x->required, &x->entered, &x->weaker);
    *err = x->weaker;
    if (r < 0)
        return err_prefix(err, r,
                          "no wall can be built around the agent here (see clawrden doctor)");
    close(TAKE_FD(x->warden.gate));
    return 0;
}

/* ---- words ---- */

static void print_banner(const struct run *x)
{
    bool spaces = x->entered.way.wall == ENTER_WALL_NAMESPACES;
    const char *policy = str_starts(x->policy, x->dir) ? "the starter policy" : x->policy;
    (void)fprintf(stderr,
                  "clawrden: judged: every program that starts here, by %s; writable: %s%s%s, "
                  "caches%s%s\n",
                  policy, x->workspace, x->agent ? ", what belongs to " : "",
                  x->agent ? x->agent : "", spaces ? ", a /tmp of its own" : ", /tmp",
                  spaces ? "; hidden: keys, sockets of engines and sessions" : "");
    (void)fprintf(stderr,
                  "clawrden: not judged: what a program does once it runs (network: %s); sudo %s"
                  "%s%s\n",
                  x->no_network ? "none" : "the host's",
                  x->debuggers ? "does not work; DEBUGGERS MAY CHANGE what was allowed once it runs"
                               : "and debuggers do not work",
                  x->entered.way.scopes ? "" : "; abstract sockets are reachable",
                  spaces ? ""
                         : "; NO NAMESPACES HERE: nothing is hidden, .git/hooks are not protected, "
                           "approvals are not protected from the agent");
    (void)fprintf(stderr, "clawrden: session %s%s; log %s\n", x->name,
                  x->ask == ASK_TTY ? "; what waits is asked here"
                  : x->ask == ASK_NONE
                      ? "; what would wait is refused"
                      : "; what waits: clawrden queue --watch, in another terminal",
                  x->audit);
    if (x->url)
        (void)fprintf(stderr,
                      "clawrden: dashboard %s; log in by the link of: clawrden --session %s link\n",
                      x->url, x->name);
    if (x->weaker.text[0])
        (void)fprintf(stderr, "clawrden: weaker than it could be: %s\n", x->weaker.text);
    if (x->notes.len)
        (void)fprintf(stderr, "%s", buf_str(&x->notes));
}

static void print_summary(const struct run *x)
{
    struct run_tally t;
    struct err err;
    _cleanup_buf_ struct buf words = BUF_INIT(4096), left = BUF_INIT(65536);
    if (run_tally_count(x->audit, x->mark, &t, &err) == 0)
        run_tally_words(&t, &words);
    else
        (void)buf_append_str(&words, err.text);
    (void)fprintf(stderr, "clawrden: %s; log %s\n", buf_str(&words), x->audit);
    gitdir_inspect(x->workspace, &left);
    if (left.len)
        (void)fprintf(stderr, "clawrden: BEWARE: %s", buf_str(&left));
}

/* ---- running ---- */

/* An agent of a run of this name before, behind weaker walls, may have kept it. */
static int renew_token(const struct run *x, struct err *err)
{
    _cleanup_free_ char *token = path_join(x->dir, "token");
    return unlink(token) == 0 || errno == ENOENT ? 0 : err_errno(err, -errno, "'%s'", token);
}

/* Which port it took, only the warden knows. */
static int find_url(struct run *x, struct err *err)
{
    _cleanup_free_ char *address = mem_printf("unix:%s/api.sock", x->dir);
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    struct cli c = {.api = address, .quiet = true};
    const char *url = NULL;
    if (remote_ask(&c, "GET", "/api/status", NULL, &answer) == CLI_OK)
        url = json_string(json_get(answer.root, "api"), NULL);
    x->url = mem_strdup(url);
    return x->url ? 0 : err_set(err, -EPROTO, "the warden does not say where its dashboard is");
}

static int start_all(struct run *x, struct err *err)
{
    int r = x->api ? renew_token(x, err) : 0;
    if (r == 0)
        r = run_warden_start(x->dir, x->policy, x->api, x->ask != ASK_NONE, &x->warden, err);
    if (r == 0 && x->api)
        r = find_url(x, err);
    if (r == 0 && x->ask == ASK_TTY)
        r = run_ask_start(x->cli, x->dir, run_screen_fd(x->screen), &x->asking, err);
    if (r == 0)
        r = start_agent(x, err);
    if (r < 0)
        return r;
    print_banner(x);
    return x->screen ? run_screen_start(x->screen, TAKE_FD(x->entered.terminal), err) : 0;
}

static int run(struct run *x)
{
    struct err err = {0};
    int code = EXIT_CANNOT, signals = run_loop_signals();
    int r = signals < 0 ? err_errno(&err, -errno, "signals") : prepare(x, &err);
    if (r < 0)
        return cli_fail(EXIT_CANNOT, "%s", err.text);
    r = start_all(x, &err);
    if (r == 0) {
        struct run_loop l = {.agent = &x->entered,
                             .warden = x->warden.pidfd,
                             .screen = x->screen,
                             .ask = &x->asking,
                             .signals = signals};
        enum run_loop_end end = run_loop(&l, &code);
        x->screen = run_screen_free(x->screen);
        if (end == RUN_LOOP_WARDEN)
            (void)cli_fail(code, "the warden ended, and the agent with it: see %s/warden.log",
                           x->dir);
    }
    x->screen = run_screen_free(x->screen);
    run_ask_stop(&x->asking);
    (void)run_warden_stop(&x->warden);
    close(signals);
    if (r < 0)
        return cli_fail(EXIT_CANNOT, "%s", err.text);
    print_summary(x);
    return code;
}

int cmd_run(struct cli *c, const struct args *a)
{
    struct run x = {.cli = c,
                    .args = a,
                    .lock = -1,
                    .plan = PLAN_INIT,
                    .notes = BUF_INIT(65536),
                    .warden = RUN_WARDEN_INIT,
                    .asking = RUN_ASK_INIT,
                    .entered = ENTERED_INIT};
    int code = run(&x);
    run_done(&x);
    return code;
}
