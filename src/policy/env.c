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
    "HOME", "USER", "LOGNAME", "SHELL", "TERM",     "COLORTERM", "LANG",  "LANGUAGE",    "LC_*",
    "TZ",   "PWD",  "TMPDIR",  "CI",    "NO_COLOR", "COLUMNS",   "LINES", "FORCE_COLOR",
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
    /* Few are wanted at all: the long list of the dangerous is asked about those only. */
    bool wanted = glob_match_any(env_default, ARRAY_LEN(env_default), name, NULL) ||
                  listed(&file->pass, name, false) ||
                  (e->rule && listed(&e->rule->pass, name, false));
    return wanted && !dangerous(name) && value_harmless(name, value);
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
