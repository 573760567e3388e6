/* SPDX-License-Identifier: MIT */
/* The environment of a command: built from nothing. What names code, configuration or a program
 * passes only when the policy spells the variable out; a glob is not enough. */
#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"
#include "policy/parse.h"

/* Passed by default. */
static const char *const env_default[] = {
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "PWD",
    "TMPDIR",
    "CI",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "LS_COLORS",
    "GREP_COLORS",
    "CARGO_TERM_COLOR",
    "SOURCE_DATE_EPOCH",
};

/* What agents and scripts set to be left alone: no pager, no editor, no question, no buffering.
 * These pass with one of the values only ("#": a number, "*": any), which are between bars; what
 * else the same variables can say names a program or a file. */
static const struct {
    const char *name, *values;
} env_quiet[] = {
    {"PAGER", "||cat|"},
    {"GIT_PAGER", "||cat|"},
    {"MANPAGER", "||cat|"},
    {"GH_PAGER", "||cat|"},
    {"SYSTEMD_PAGER", "||cat|"},
    {"EDITOR", "|true|false|:|cat|vi|vim|nano|"},
    {"VISUAL", "|true|false|:|cat|vi|vim|nano|"},
    {"GIT_EDITOR", "|true|false|:|cat|vi|vim|nano|"},
    {"GIT_SEQUENCE_EDITOR", "|true|false|:|cat|vi|vim|nano|"},
    {"GIT_ASKPASS", "||true|false|echo|"},
    {"SSH_ASKPASS", "||true|false|echo|"},
    {"SSH_ASKPASS_REQUIRE", "|never|"},
    {"GIT_TERMINAL_PROMPT", "|0|1|false|true|"},
    {"GIT_CONFIG_GLOBAL", "|/dev/null|"},
    {"GIT_CONFIG_SYSTEM", "|/dev/null|"},
    {"LD_TRACE_LOADED_OBJECTS", "|1|"}, /* ldd: without it the program would run */
    {"GIT_OPTIONAL_LOCKS", "|0|1|false|true|"},
    {"GIT_MERGE_AUTOEDIT", "|no|yes|0|1|"},
    {"GIT_AUTHOR_NAME", "*"},
    {"GIT_AUTHOR_EMAIL", "*"},
    {"GIT_AUTHOR_DATE", "*"},
    {"GIT_COMMITTER_NAME", "*"},
    {"GIT_COMMITTER_EMAIL", "*"},
    {"GIT_COMMITTER_DATE", "*"},
    {"LESS", "|-R|R|-FRX|FRX|-FRSX|FRSX|-FX|-F -X|-FXR|-RFX|"},
    {"LESSCHARSET", "|utf-8|UTF-8|latin1|ascii|"},
    {"LESSHISTFILE", "|-|"},
    {"LESSSECURE", "|1|"},
    {"PYTHONUNBUFFERED", "|1|true|True|x|"},
    {"PYTHONDONTWRITEBYTECODE", "|1|true|True|x|"},
    {"PYTHONUTF8", "|0|1|"},
    {"PYTHONIOENCODING", "|utf-8|utf8|UTF-8|UTF8|"},
    {"PYTHONHASHSEED", "|#|random|"},
    {"NODE_ENV", "|development|production|test|"},
    {"NODE_NO_WARNINGS", "|0|1|"},
    {"NODE_DISABLE_COLORS", "|0|1|"},
    {"PIP_NO_INPUT", "|0|1|"},
    {"PIP_DISABLE_PIP_VERSION_CHECK", "|0|1|"},
    {"DEBIAN_FRONTEND", "|noninteractive|"},
};

/* Loaders, interpreters, helpers, configuration: "the agent chooses what runs". */
static const char *const env_dangerous[] = {
    "LD_*",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "GETCONF_DIR",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_*",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "TZDIR",
    "TERMINFO*",
    "TERMCAP",
    "TERMPATH",
    "IFS",
    "ENV",
    "BASH_*",
    "BASHOPTS",
    "SHELLOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "GLOBIGNORE",
    "FPATH",
    "ZDOTDIR",
    "INPUTRC",
    "KSH*",
    "POSIXLY_CORRECT",
    "PATH",
    "PATHEXT",
    "MANPATH",
    "GIT_*",
    "NODE_*",
    "npm_*",
    "NPM_*",
    "YARN_*",
    "PNPM_*",
    "PYTHON*",
    "PIP_*",
    "PIPX_*",
    "UV_*",
    "VIRTUAL_ENV",
    "CONDA_*",
    "PERL*",
    "RUBY*",
    "GEM_*",
    "BUNDLE_*",
    "JAVA_*",
    "_JAVA_*",
    "JDK_*",
    "CLASSPATH",
    "MAVEN_*",
    "GRADLE_*",
    "PHP*",
    "LUA_*",
    "GO*",
    "CGO_*",
    "CARGO_*",
    "RUST*",
    "DOTNET_*",
    "CORECLR_*",
    "TCLLIBPATH",
    "R_*",
    "JULIA_*",
    "CC",
    "CXX",
    "CPP",
    "AS",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "MAKE*",
    "GNUMAKEFLAGS",
    "MFLAGS",
    "GCC_*",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "*_INCLUDE_PATH",
    "CMAKE_*",
    "PKG_CONFIG*",
    "EDITOR",
    "*_EDITOR",
    "VISUAL",
    "PAGER",
    "*_PAGER",
    "*PAGER",
    "BROWSER",
    "LESS*",
    "MORE",
    "LESSOPEN",
    "LESSCLOSE",
    "VIM*",
    "EXINIT",
    "EMACS*",
    "*_ASKPASS",
    "*_RSH",
    "*_SSH",
    "SSH_*",
    "CURL_*",
    "WGETRC",
    "TAR_*",
    "TAPE",
    "RSYNC_*",
    "GNUPGHOME",
    "DOCKER_*",
    "KUBECONFIG",
    "HELM_*",
    "AWS_*",
    "OPENSSL_*",
    "SSL_*",
    "XDG_CONFIG_*",
    "DBUS_*",
    "XDG_RUNTIME_DIR",
    "SYSTEMD_*",
    "LISTEN_*",
    "NOTIFY_SOCKET",
    "CLAWRDEN_*",
};

bool env_is_name(const char *s, size_t n)
{
    if (n == 0 || (s[0] >= '0' && s[0] <= '9'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
              (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
            return false;
    return true;
}

static bool dangerous(const char *name)
{
    return glob_match_any(env_dangerous, ARRAY_LEN(env_dangerous), name, NULL);
}

/* A shell function, or a path where a plain word is expected (locale files, terminfo). */
static bool value_harmless(const char *name, const char *value)
{
    if (str_starts(value, "()"))
        return false;
    if (str_eq(name, "TZ"))
        return !strstr(value, "..") && value[0] != '/' && !str_starts(value, ":/");
    if (str_eq(name, "TERM") || str_starts(name, "LC_") || str_starts(name, "LANG"))
        return !strpbrk(value, "/%");
    return true;
}

static bool one_of(const char *values, const char *value)
{
    size_t n = strlen(value);
    if (str_eq(values, "*"))
        return !str_starts(value, "()");
    if (n > 0 && n <= 10 && value[strspn(value, "0123456789")] == 0 && strstr(values, "|#|"))
        return true;
    for (const char *p = values; (p = strchr(p, '|')) && p[1]; p++)
        if (strncmp(p + 1, value, n) == 0 && p[1 + n] == '|' && !strpbrk(value, "|#"))
            return true;
    return false;
}

static bool quiet(const char *name, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(env_quiet); i++)
        if (str_eq(env_quiet[i].name, name))
            return one_of(env_quiet[i].values, value);
    return false;
}

static bool listed(const struct model_strings *l, const char *name, bool literally)
{
    for (size_t i = 0; i < l->count; i++) {
        if (literally ? str_eq(l->at[i], name) : glob_match(l->at[i], name, NULL))
            return true;
    }
    return false;
}

static bool is_set(const struct model_env *e, const char *name)
{
    for (size_t i = 0; e && i < e->set_count; i++)
        if (str_eq(e->set[i].key, name))
            return true;
    return false;
}

struct environment {
    const struct policy *p;
    const struct model_env *rule; /* NULL: no rule decided */
    struct buf *env, *passed, *dropped;
    struct map *seen; /* names that passed: the first of a name counts */
    size_t count;
};

/* PATH is the policy's own affair, by whatever spelling. */
static bool passes(const struct environment *e, const char *name, const char *value)
{
    const struct model_env *file = &e->p->env;
    if (str_eq(name, "PATH") || is_set(file, name) || is_set(e->rule, name))
        return false;
    if (listed(&file->pass, name, true) || (e->rule && listed(&e->rule->pass, name, true)))
        return !str_starts(value, "()");
    if (quiet(name, value))
        return true;
    /* Few are wanted at all: the long list of the dangerous is asked about those only. */
    bool wanted = glob_match_any(env_default, ARRAY_LEN(env_default), name, NULL) ||
                  listed(&file->pass, name, false) ||
                  (e->rule && listed(&e->rule->pass, name, false));
    return wanted && !dangerous(name) && value_harmless(name, value);
}

/* In place every program that is started is judged by itself, so only what acts within a program
 * counts: libraries and code that it loads, its interpreter's switches, a pager's helpers, and for
 * git whatever names a repository, a configuration or a program. */
static const char *const env_inside[] = {
    "LD_*",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "GETCONF_DIR",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_*",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "ENV",
    "BASH_ENV",
    "BASH_FUNC_*",
    "BASH_LOADABLES_PATH",
    "BASH_XTRACEFD",
    "BASHOPTS",
    "SHELLOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "FPATH",
    "ZDOTDIR",
    "GIT_*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_*",
    "NODE_V8_COVERAGE",
    "PYTHON*",
    "PERL*",
    "RUBYOPT",
    "RUBYLIB",
    "GEM_HOME",
    "GEM_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "LUA_INIT*",
    "LUA_PATH*",
    "LUA_CPATH*",
    "TCLLIBPATH",
    "R_PROFILE*",
    "R_ENVIRON*",
    "R_LIBS*",
    "JULIA_LOAD_PATH",
    "JULIA_DEPOT_PATH",
    "DOTNET_STARTUP_HOOKS",
    "DOTNET_ADDITIONAL_DEPS",
    "CORECLR_*",
    "COR_*",
    "OPENSSL_*",
    "PAGER",
    "*_PAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "CLAWRDEN_*",
};

/* Of these, what only says how much is printed and where a name or a date comes from. */
static const char *const env_inside_harmless[] = {
    "PYTHONUNBUFFERED",    "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING",
    "PYTHONUTF8",          "PYTHONHASHSEED",          "GIT_AUTHOR_*",
    "GIT_COMMITTER_*",     "GIT_TERMINAL_PROMPT",     "GIT_OPTIONAL_LOCKS",
    "GIT_CONFIG_NOSYSTEM", "GIT_MERGE_AUTOEDIT",      "CLAWRDEN_SOCKET",
};

static bool below(const struct policy_request *q, const char *name)
{
    for (size_t i = 0; i < q->above_count; i++)
        if (str_eq(q->above[i], name))
            return true;
    return false;
}

/* git hands GIT_* to its hooks and helpers, and its own were taken away when it started. */
static bool passes_in_place(const struct environment *e, const struct policy_request *q,
                            const char *name, const char *value)
{
    const struct model_env *file = &e->p->env;
    if (is_set(file, name) || is_set(e->rule, name))
        return false;
    if (str_starts(value, "()"))
        return false;
    if (listed(&file->pass, name, true) || (e->rule && listed(&e->rule->pass, name, true)))
        return true;
    if (!glob_match_any(env_inside, ARRAY_LEN(env_inside), name, NULL))
        return true;
    if (glob_match_any(env_inside_harmless, ARRAY_LEN(env_inside_harmless), name, NULL) ||
        quiet(name, value))
        return true;
    return str_starts(name, "GIT_") && below(q, "git");
}

static int put(struct environment *e, const char *name, const char *value)
{
    (void)buf_append_str(e->env, name);
    (void)buf_append_char(e->env, '=');
    (void)buf_append(e->env, value, strlen(value) + 1);
    e->count++;
    return buf_append(e->passed, name, strlen(name) + 1);
}

static int put_all(struct environment *e, const struct model_env *set, const struct model_env *over)
{
    for (size_t i = 0; set && i < set->set_count; i++)
        if (!is_set(over, set->set[i].key))
            (void)put(e, set->set[i].key, set->set[i].value);
    return 0;
}

#define ENV_NAME_MAX 256

static int take(struct environment *e, const char *entry)
{
    static int there;
    size_t n = strcspn(entry, "=");
    char name[ENV_NAME_MAX];
    if (!entry[n] || n >= sizeof(name) || !env_is_name(entry, n))
        return buf_append(e->dropped, entry, n) < 0 ? -EMSGSIZE : buf_append_char(e->dropped, '\0');
    memcpy(name, entry, n);
    name[n] = '\0';
    if (!passes(e, name, entry + n + 1) || map_get(e->seen, name))
        return buf_append(e->dropped, name, n + 1);
    (void)map_put(e->seen, name, &there);
    return put(e, name, entry + n + 1);
}

int policy_environment(const struct policy *p, const struct policy_decision *d,
                       const struct policy_request *q, struct buf *env, size_t *ret_envc,
                       struct buf *passed, struct buf *dropped)
{
    _cleanup_(map_freep) struct map *seen = map_new();
    struct environment e = {.p = p,
                            .rule = d->rule ? &d->rule->env : NULL,
                            .env = env,
                            .passed = passed,
                            .dropped = dropped,
                            .seen = seen};
    (void)put(&e, "PATH", p->search_path);
    (void)put_all(&e, &p->env, e.rule);
    (void)put_all(&e, e.rule, NULL);
    for (size_t i = 0; i < q->envc; i++)
        if (take(&e, q->env[i]) < 0)
            break;
    *ret_envc = e.count;
    return env->failed || passed->failed || dropped->failed ? -EMSGSIZE : 0;
}

/* Names need not be names here: what a shell would not make may still be handed on. */
static int take_in_place(struct environment *e, const struct policy_request *q, const char *entry)
{
    size_t n = strcspn(entry, "=");
    char few[ENV_NAME_MAX];
    _cleanup_free_ char *many = n < sizeof(few) ? NULL : mem_strndup(entry, n);
    char *name = many ? many : few;
    if (!many) {
        memcpy(few, entry, n);
        few[n] = '\0';
    }
    bool good = entry[n] && n > 0;
    if (good && passes_in_place(e, q, name, entry + n + 1)) {
        (void)buf_append(e->env, entry, strlen(entry) + 1);
        e->count++;
        return buf_append(e->passed, name, n + 1);
    }
    return buf_append(e->dropped, name, n + 1);
}

int policy_environment_in_place(const struct policy *p, const struct policy_decision *d,
                                const struct policy_request *q, struct buf *env, size_t *ret_envc,
                                struct buf *passed, struct buf *dropped)
{
    struct environment e = {.p = p,
                            .rule = d->rule ? &d->rule->env : NULL,
                            .env = env,
                            .passed = passed,
                            .dropped = dropped};
    for (size_t i = 0; i < q->envc; i++)
        if (take_in_place(&e, q, q->env[i]) < 0)
            break;
    *ret_envc = e.count;
    return env->failed || passed->failed || dropped->failed ? -EMSGSIZE : 0;
}
