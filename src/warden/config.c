/* SPDX-License-Identifier: MIT */
/* Every source sets values by the same rows, so a value is checked in one way wherever it comes
 * from. */
#include "warden/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "warden/config-file.h"
#include "warden/trust.h"

enum option_kind {
    OPTION_TEXT,
    OPTION_LIST,     /* each adds one, separated by ';' */
    OPTION_PATH,     /* made absolute */
    OPTION_CHOICE,   /* one of `arg`, separated by '|' */
    OPTION_DURATION, /* uint64_t ns */
    OPTION_SIZE,     /* uint64_t bytes; K, M, G */
    OPTION_COUNT,    /* uint64_t */
    OPTION_MODE,     /* unsigned, octal */
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;       /* in struct config */
    const char *arg;     /* what --help calls it */
    const char *initial; /* @config, @state, @log, @run: by who runs it, see place() */
    const char *help;
};

#define AT(field) offsetof(struct config, field)
static const struct option options[] = {
    {"policy", OPTION_PATH, AT(policy), "FILE", "@config/policy.yaml", "the rules"},
    {"socket", OPTION_PATH, AT(socket), "PATH", "@run/warden.sock", "where shims call"},
    {"audit", OPTION_PATH, AT(audit), "FILE", "@log/audit.jsonl",
     "the record of all that happened"},
    {"api", OPTION_TEXT, AT(api), "HOST:PORT", "127.0.0.1:8421",
     "the API on loopback; port 0 picks one, \"none\" leaves only STATE/api.sock"},
    {"api-cert", OPTION_PATH, AT(api_cert), "FILE", "",
     "the API's certificate chain (PEM): TCP speaks TLS; read anew at SIGHUP"},
    {"api-key", OPTION_PATH, AT(api_key), "FILE", "", "its private key (PEM)"},
    {"api-insecure", OPTION_CHOICE, AT(api_insecure), "no|yes", "no",
     "whether --api may be an address that others can reach without TLS"},
    {"api-origin", OPTION_LIST, AT(api_origins), "ORIGIN", "",
     "https://HOST[:PORT] where a proxy shows the API to browsers; once for each"},
    {"trusted-proxy", OPTION_LIST, AT(trusted_proxies), "ADDRESS", "",
     "a proxy, or network of them, whose X-Forwarded-For is believed; once for each"},
    {"session-idle", OPTION_DURATION, AT(session_idle), "TIME", "1h",
     "a browser's session ends when nothing was asked for this long"},
    {"session-max", OPTION_DURATION, AT(session_max), "TIME", "12h",
     "and this long after its login, whatever was asked"},
    {"oidc-issuer", OPTION_TEXT, AT(oidc_issuer), "URL", "",
     "an OpenID provider at which people log in: its issuer, https://HOST/..."},
    {"oidc-client-id", OPTION_TEXT, AT(oidc_client_id), "ID", "", "what the provider calls us"},
    {"oidc-client-secret-file", OPTION_PATH, AT(oidc_client_secret_file), "FILE", "",
     "holds the secret that it knows us by; empty: a public client"},
    {"oidc-role", OPTION_LIST, AT(oidc_roles), "GROUP=ROLE", "",
     "the role of a group of the provider's; once for each. The highest one counts"},
    {"oidc-groups-claim", OPTION_TEXT, AT(oidc_groups_claim), "NAME", "groups",
     "the claim of its tokens that names groups"},
    {"oidc-scope", OPTION_TEXT, AT(oidc_scope), "WORDS", "openid profile email",
     "what is asked of it"},
    {"oidc-ca", OPTION_PATH, AT(oidc_ca), "FILE", "",
     "certificates (PEM) that vouch for it; empty: the system's"},
    {"state", OPTION_PATH, AT(state), "DIR", "@state", "everything else the warden keeps"},
    {"config", OPTION_PATH, AT(config), "FILE", "@config/clawrden.yaml",
     "options of this table as \"key: value\""},
    {"socket-mode", OPTION_MODE, AT(socket_mode), "MODE", "0660", "mode of the socket"},
    {"socket-group", OPTION_TEXT, AT(socket_group), "GROUP", "",
     "group of the socket, by name or number"},
    {"log-level", OPTION_CHOICE, AT(log_level), "debug|info|warn|error", "info", "what is logged"},
    {"log-format", OPTION_CHOICE, AT(log_format), "text|json", "text", "how it is logged"},
    {"audit-sync", OPTION_CHOICE, AT(audit_sync), "write|always", "write",
     "when a record counts: written, or safe from power loss"},
    {"audit-key", OPTION_PATH, AT(audit_key), "FILE", "",
     "key that seals the audit log (HMAC); without one it is a plain chain"},
    {"audit-rotate-size", OPTION_SIZE, AT(audit_rotate_size), "SIZE", "100M",
     "a new audit file beyond this size; 0: never"},
    {"audit-rotate-age", OPTION_DURATION, AT(audit_rotate_age), "TIME", "0s",
     "a new audit file after this time; 0s: never"},
    {"audit-keep-files", OPTION_COUNT, AT(audit_keep_files), "N", "0",
     "rotated audit files to keep; 0: all"},
    {"audit-keep-age", OPTION_DURATION, AT(audit_keep_age), "TIME", "0s",
     "remove audit files this long after their rotation; 0s: never"},
    {"history-keep", OPTION_DURATION, AT(history_keep), "TIME", "0s",
     "remove requests from the history (not from the log) this long after their decision; 0s: "
     "never"},
    {"kill-grace", OPTION_DURATION, AT(kill_grace), "TIME", "5s",
     "between SIGTERM and the kill of a command"},
    {"drain-timeout", OPTION_DURATION, AT(drain_timeout), "TIME", "10s",
     "what runs may take this long to end at SIGTERM"},
    {"request-deadline", OPTION_DURATION, AT(request_deadline), "TIME", "5s",
     "a caller has to send its whole request within"},
    {"claim-grace", OPTION_DURATION, AT(claim_grace), "TIME", "30s",
     "after a restart, waiting callers have to come back within"},
    {"connections-max", OPTION_COUNT, AT(connections_max), "N", "12288", "callers at a time"},
    {"connections-max-per-uid", OPTION_COUNT, AT(connections_max_per_uid), "N", "1024",
     "the same, of one user"},
    {"request-bytes-max", OPTION_SIZE, AT(request_bytes_max), "SIZE", "256M",
     "memory for what callers sent"},
    {"request-bytes-max-per-uid", OPTION_SIZE, AT(request_bytes_max_per_uid), "SIZE", "64M",
     "the same, of one user"},
    {"waiting-max", OPTION_COUNT, AT(waiting_max), "N", "10000",
     "commands that wait for a person at a time; 0: nobody is asked"},
    {"waiting-max-per-caller", OPTION_COUNT, AT(waiting_max_per_caller), "N", "64",
     "the same, of one user or container"},
    {"flight-max-per-caller", OPTION_COUNT, AT(flight_max_per_caller), "N", "256",
     "commands under way at a time, of one user or container"},
    {"asks-per-minute", OPTION_COUNT, AT(asks_per_minute), "N", "120",
     "how often one user or container may ask for a person; 0: no limit"},
    {"priority", OPTION_COUNT, AT(priority), "N", "10",
     "how far the warden goes before other programs on the processor, 0 to 20; needs root"},
    {"gate-fd", OPTION_TEXT, AT(gate_fd), "N", "",
     "an inherited socket to the one clawrden-gate that this warden serves; others are refused"},
    {"gate-shim", OPTION_PATH, AT(gate_shim), "FILE", "/clawrden/bin/clawrden-shim",
     "the shim in trees under a gate: it takes the place of what runs elsewhere"},
    {"record-bytes-per-minute", OPTION_SIZE, AT(record_bytes_per_minute), "SIZE", "128M",
     "records of a caller; beyond it is refused; 0: no limit"},
    {"engine", OPTION_TEXT, AT(engine), "SOCKET", "auto",
     "the Docker or Podman API that knows the containers; \"auto\": where it usually is, \"none\""},
    {"door", OPTION_LIST, AT(doors), "NAME=DIR[,...]", "",
     "a socket DIR/warden.sock for the container NAME alone; once for each"},
    {"prisoner", OPTION_TEXT, AT(prisoner), "NAME[,...]", "",
     "the socket is for this container alone"},
    {"mirror", OPTION_CHOICE, AT(mirror), "auto|native|docker", "auto",
     "who starts the commands of containers: the helper, or the engine by its API"},
    {"jails", OPTION_PATH, AT(jails), "DIR", "",
     "the directories of jails, which containers mount; empty: STATE/jails"},
    {"shim-binary", OPTION_PATH, AT(shim_binary), "FILE", "",
     "clawrden-shim, which is put into jails; empty: beside this program, or in "
     "../libexec/clawrden"},
    {"mirror-binary", OPTION_PATH, AT(mirror_binary), "FILE", "",
     "the helper, clawrden-mirror; empty: beside this program, or in ../libexec/clawrden"},
};

const char *config_name(size_t i)
{
    return i < ARRAY_LEN(options) ? options[i].name : NULL;
}

/* ---- one value ---- */

static int set_path(char **at, const char *value, struct err *err)
{
    _cleanup_free_ char *cwd = NULL, *whole = NULL;
    if (value[0] && value[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd)
            return err_errno(err, -errno, "cannot tell the current directory");
        whole = path_join(cwd, value);
    }
    free(*at);
    *at = mem_strdup(whole ? whole : value);
    return 0;
}

static int add_to_list(char **at, const char *value)
{
    char *whole = *at && (*at)[0] ? mem_printf("%s;%s", *at, value) : mem_strdup(value);
    free(*at);
    *at = whole;
    return 0;
}

static int set_choice(char **at, const char *choices, const char *value, struct err *err)
{
    size_t n = strlen(value);
    for (const char *s = choices; n > 0 && *s;) {
        size_t k = strcspn(s, "|");
        if (k == n && memcmp(s, value, n) == 0) {
            free(*at);
            *at = mem_strdup(value);
            return 0;
        }
        s += k + (s[k] == '|');
    }
    return err_set(err, -EINVAL, "must be one of %s", choices);
}

static int set_size(uint64_t *at, const char *value, struct err *err)
{
    static const char units[] = "KMG";
    _cleanup_free_ char *digits = mem_strdup(value);
    size_t n = strlen(digits);
    const char *unit = n > 1 ? strchr(units, digits[n - 1]) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t v;
    if (unit)
        digits[n - 1] = '\0';
    if (str_parse_u64(digits, UINT64_C(1) << (60 - shift), &v) < 0)
        return err_set(err, -EINVAL, "must be a size such as 65536, 64K, 100M or 1G");
    *at = v << shift;
    return 0;
}

static int set_mode(unsigned *at, const char *value, struct err *err)
{
    size_t n = strlen(value);
    if (n < 3 || n > 4 || strspn(value, "01234567") != n || (n == 4 && value[0] != '0'))
        return err_set(err, -EINVAL, "must be a mode such as 0660");
    *at = (unsigned)strtoul(value, NULL, 8);
    return 0;
}

static int set_count(uint64_t *at, const char *value, struct err *err)
{
    return str_parse_u64(value, 1000000, at) < 0
               ? err_set(err, -EINVAL, "must be a number up to 1000000")
               : 0;
}

static int set_value(struct config *c, const struct option *o, const char *value, struct err *err)
{
    void *at = (char *)c + o->offset;
    switch (o->kind) {
    case OPTION_TEXT:
        free(*(char **)at);
        *(char **)at = mem_strdup(value);
        return 0;
    case OPTION_LIST:
        return add_to_list(at, value);
    case OPTION_PATH:
        return set_path(at, value, err);
    case OPTION_CHOICE:
        return set_choice(at, o->arg, value, err);
    case OPTION_DURATION:
        return str_parse_duration(value, at, err);
    case OPTION_SIZE:
        return set_size(at, value, err);
    case OPTION_COUNT:
        return set_count(at, value, err);
    case OPTION_MODE:
        return set_mode(at, value, err);
    }
    return err_set(err, -EINVAL, "is of a kind that nobody knows");
}

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i]))
            return false;
    return a[n] == '\0';
}

static const struct option *find(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (same_name(options[i].name, name, n))
            return &options[i];
    return NULL;
}

static int unknown(const char *name, struct err *err)
{
    const char *names[ARRAY_LEN(options) + 1];
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        names[i] = options[i].name;
    names[ARRAY_LEN(options)] = NULL;
    _cleanup_buf_ struct buf shown = BUF_INIT(256);
    (void)str_escape(&shown, name, strnlen(name, 60));
    const char *near = str_nearest(name, names);
    return near ? err_set(err, -ENOENT, "unknown option '%s'; did you mean '%s'?", buf_str(&shown),
                          near)
                : err_set(err, -ENOENT, "unknown option '%s'", buf_str(&shown));
}

int config_set(struct config *c, const char *name, const char *value, struct err *err)
{
    const struct option *o = find(name, strlen(name));
    if (!o)
        return unknown(name, err);
    int r = set_value(c, o, value, err);
    return r < 0 ? err_prefix(err, r, "%s", o->name) : 0;
}

/* ---- defaults ---- */

/* Where things lie: for root as the file system standard says, for others as XDG says. */
static char *place(const char *kind)
{
    static const struct {
        const char *kind, *root, *variable, *home;
    } places[] = {
        {"@config", "/etc/clawrden", "XDG_CONFIG_HOME", ".config"},
        {"@state", "/var/lib/clawrden", "XDG_STATE_HOME", ".local/state"},
        {"@log", "/var/log/clawrden", "XDG_STATE_HOME", ".local/state"},
        {"@run", "/run/clawrden", "XDG_RUNTIME_DIR", ".local/state"},
    };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!str_eq(kind, places[i].kind))
            continue;
        if (geteuid() == 0)
            return mem_strdup(places[i].root);
        const char *dir = getenv(places[i].variable), *home = getenv("HOME");
        if (dir && dir[0] == '/')
            return mem_printf("%s/clawrden", dir);
        return mem_printf("%s/%s/clawrden", home && home[0] == '/' ? home : "/nonexistent",
                          places[i].home);
    }
    return mem_strdup(kind);
}

static char *initial(const struct option *o)
{
    if (o->initial[0] != '@')
        return mem_strdup(o->initial);
    size_t n = strcspn(o->initial, "/");
    _cleanup_free_ char *kind = mem_strndup(o->initial, n), *dir = place(kind);
    return mem_printf("%s%s", dir, o->initial + n);
}

static int set_defaults(struct config *c, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        _cleanup_free_ char *value = initial(&options[i]);
        int r = set_value(c, &options[i], value, err);
        if (r < 0)
            return err_prefix(err, r, "default of --%s", options[i].name);
    }
    return 0;
}

/* ---- environment ---- */

/* CLAWRDEN_SOCKET_MODE for socket-mode. */
static const char *env_value(const char *option, char *const *env)
{
    static const char prefix[] = "CLAWRDEN_";
    for (; env && *env; env++) {
        const char *s = *env, *name = option;
        if (strncmp(s, prefix, sizeof(prefix) - 1) != 0)
            continue;
        for (s += sizeof(prefix) - 1; *name && *s; name++, s++)
            if (*s != (*name == '-' ? '_' : *name >= 'a' ? *name - 'a' + 'A' : *name))
                break;
        if (*name == '\0' && *s == '=')
            return s + 1;
    }
    return NULL;
}

static int apply_env(struct config *c, char *const *env, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const char *value = env_value(options[i].name, env);
        /* CLAWRDEN_API is also the client's, which may name a unix socket: not for us. */
        if (!value || (options[i].offset == AT(api) && str_starts(value, "unix:")))
            continue;
        int r = set_value(c, &options[i], value, err);
        if (r < 0)
            return err_prefix(err, r, "environment, for --%s", options[i].name);
    }
    return 0;
}

/* ---- flags ---- */

struct flags {
    int argc;
    char *const *argv;
    int i;
};

/* "--name value" and "--name=value". 1: one was read, 0: none is left. */
static int next_flag(struct flags *f, const struct option **ret, const char **ret_value,
                     struct err *err)
{
    if (f->i >= f->argc)
        return 0;
    const char *a = f->argv[f->i++];
    if (!str_starts(a, "--") || a[2] == '\0')
        return err_set(err, -EINVAL, "'%s' is not an option; see --help", a);
    size_t n = strcspn(a + 2, "=");
    *ret = find(a + 2, n);
    if (!*ret) {
        _cleanup_free_ char *name = mem_strndup(a + 2, n);
        return unknown(name, err);
    }
    if (a[2 + n] == '=')
        *ret_value = a + 3 + n;
    else if (f->i < f->argc)
        *ret_value = f->argv[f->i++];
    else
        return err_set(err, -EINVAL, "%s needs a value: %s", a, (*ret)->arg);
    return 1;
}

static int apply_flags(struct config *c, int argc, char *const *argv, bool only_config,
                       struct err *err)
{
    struct flags f = {.argc = argc, .argv = argv, .i = 1};
    const struct option *o = NULL;
    const char *value = NULL;
    int r;
    while ((r = next_flag(&f, &o, &value, err)) > 0) {
        if (only_config && o->offset != AT(config))
            continue;
        if ((r = set_value(c, o, value, err)) < 0)
            return err_prefix(err, r, "--%s", o->name);
    }
    return r;
}

/* ---- file ---- */

static int apply_file(struct config *c, bool named, struct err *err)
{
    if (!named && access(c->config, F_OK) < 0)
        return 0;
    _cleanup_buf_ struct buf text = BUF_INIT(CONFIG_FILE_MAX);
    int r = trust_path(c->config, err);
    if (r == 0)
        r = fd_read_file(c->config, CONFIG_FILE_MAX, &text, err);
    return r < 0 ? err_prefix(err, r, "config")
                 : config_file_apply(buf_str(&text), text.len, c->config, c, err);
}

/* ---- all of it ---- */

static void print_help(struct buf *out)
{
    (void)buf_append_str(
        out, "Usage: clawrden-warden [OPTION]...\n"
             "\n"
             "Judges every command that agents try, by a policy and by people.\n"
             "Each option is also a key of clawrden.yaml and a variable CLAWRDEN_NAME;\n"
             "flags win over variables, variables over the file.\n"
             "\n");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const struct option *o = &options[i];
        _cleanup_free_ char *value = initial(o);
        (void)buf_printf(out, "  --%s %s\n        %s", o->name, o->arg, o->help);
        if (value[0])
            (void)buf_printf(out, " [%s]", value);
        (void)buf_append_char(out, '\n');
    }
    (void)buf_append_str(out,
                         "  --help\n        print this\n  --version\n        print the version\n");
}

static bool said_all(int argc, char *const *argv, struct buf *out)
{
    for (int i = 1; i < argc; i++) {
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
            print_help(out);
            return true;
        }
        if (str_eq(argv[i], "--version")) {
            (void)buf_append_str(out, "clawrden-warden " CLAWRDEN_VERSION "\n");
            return true;
        }
    }
    return false;
}

/* What stands in relation to other values. */
static int check(const struct config *c, struct err *err)
{
    if (c->kill_grace == 0 || c->request_deadline == 0)
        return err_set(err, -EINVAL, "kill-grace and request-deadline must be more than 0s");
    if (c->connections_max == 0 || c->connections_max_per_uid == 0 ||
        c->waiting_max_per_caller == 0 || c->flight_max_per_caller == 0)
        return err_set(err, -EINVAL, "a maximum of 0 would let nobody in");
    if (!c->api_cert[0] != !c->api_key[0])
        return err_set(err, -EINVAL, "api-cert and api-key belong together");
    if (c->oidc_issuer[0] && (!c->oidc_client_id[0] || !c->oidc_roles[0]))
        return err_set(err, -EINVAL, "oidc-issuer needs oidc-client-id and oidc-role too");
    if (c->session_idle == 0 || c->session_max == 0)
        return err_set(err, -EINVAL, "session-idle and session-max must be more than 0s");
    if (c->priority > 20)
        return err_set(err, -EINVAL, "priority must be 0 to 20");
    if (c->request_bytes_max_per_uid < (16u << 20) || c->request_bytes_max < (16u << 20))
        return err_set(err, -EINVAL,
                       "request-bytes-max and -per-uid must be at least 16M, "
                       "which one large request needs");
    return 0;
}

int config_load(int argc, char *const *argv, char *const *env, struct config *c,
                enum config_result *ret, struct buf *out, struct err *err)
{
    *c = (struct config){.policy = NULL};
    *ret = CONFIG_SAID_ALL;
    if (said_all(argc, argv, out))
        return 0;
    *ret = CONFIG_RUN;
    int r = set_defaults(c, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *usual = mem_strdup(c->config);
    const char *named = env_value("config", env);
    if ((named && (r = config_set(c, "config", named, err)) < 0) ||
        (r = apply_flags(c, argc, argv, true, err)) < 0)
        return r;
    _cleanup_free_ char *file = mem_strdup(c->config);
    if ((r = apply_file(c, !str_eq(usual, c->config), err)) < 0 ||
        (r = apply_env(c, env, err)) < 0 || (r = apply_flags(c, argc, argv, false, err)) < 0)
        return r;
    free(c->config);
    c->config = TAKE_PTR(file); /* a "config" inside of the file means nothing */
    return check(c, err);
}

void config_done(struct config *c)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].kind == OPTION_TEXT || options[i].kind == OPTION_PATH ||
            options[i].kind == OPTION_CHOICE || options[i].kind == OPTION_LIST)
            free(*(char **)((char *)c + options[i].offset));
    *c = (struct config){.policy = NULL};
}
