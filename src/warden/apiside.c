/* SPDX-License-Identifier: MIT */
/* Only glue: what an answer means is decided in api/, who is calling in door/peer. */
#include "warden/apiside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "door/gate-door.h"
#include "door/peer.h"

struct apiside {
    struct apiside_parts parts;
    struct api *api;
    char *url; /* owned */
};

/* A page of history under way. */
struct question {
    api_history_done *done;
    void *arg;
    bool part; /* of an export */
};

/* The cgroup's name as /proc/PID/cgroup has it, of its directory; NULL when there is none. */
static const char *cgroup_name(const char *dir)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
        if (str_starts(dir, mounts[i]) && dir[strlen(mounts[i])] == '/')
            return dir + strlen(mounts[i]);
    return NULL;
}

static bool below_a_gate(void *arg, pid_t pid)
{
    const struct apiside *a = arg;
    return gate_door_governs(a->parts.gates, pid);
}

static bool is_outside(void *arg, int fd)
{
    struct apiside *a = arg;
    struct err err;
    const struct peer_fence fence = {.helper = mirror_pid(a->parts.mirror),
                                     .cgroup = cgroup_name(mirror_cgroup(a->parts.mirror)),
                                     .governed = below_a_gate,
                                     .arg = a};
    if (peer_is_outside(fd, &fence, &err) == 0)
        return true;
    log_warn(NULL, "api: no login by peer credentials: %s", err.text);
    return false;
}

static int reload_policy(void *arg, const char *who, struct err *err)
{
    struct apiside *a = arg;
    return reload_now(a->parts.reload, who, err);
}

/* The index answers with a whole array, the API wants what is inside. */
static void history_came(void *arg, int result, const char *json, size_t len, const char *next)
{
    struct question *q = arg;
    if (result < 0) /* an API that has closed meanwhile drops it */
        q->done(q->arg, result, NULL, 0, NULL, json);
    else if (q->part)
        q->done(q->arg, 0, json, len, next, NULL);
    else if (len < 2)
        q->done(q->arg, -EIO, NULL, 0, NULL, "the index gave no list");
    else
        q->done(q->arg, 0, json + 1, len - 2, next, NULL);
    free(q);
}

static enum rows_format history_format(enum api_history_format f)
{
    switch (f) {
    case API_HISTORY_JSON:
        return ROWS_JSON;
    case API_HISTORY_LINES:
        return ROWS_LINES;
    case API_HISTORY_CSV:
        return ROWS_CSV;
    }
    return ROWS_JSON;
}

static struct history_query history_query(const struct api_history_query *query)
{
    return (struct history_query){.limit = (unsigned)query->limit,
                                  .before = query->cursor,
                                  .id = query->id,
                                  .command = query->command,
                                  .decision = query->decision,
                                  .rule = query->rule,
                                  .approver = query->approver,
                                  .container = query->container,
                                  .arg = query->arg,
                                  .has_uid = query->uid >= 0,
                                  .has_exit = query->exit_code >= 0,
                                  .has_signal = query->signal >= 0,
                                  .uid = (uint32_t)query->uid,
                                  .exit_code = (int)query->exit_code,
                                  .signal = (int)query->signal,
                                  .since = query->since,
                                  .until = query->until == UINT64_MAX ? 0 : query->until,
                                  .q = query->text,
                                  .format = history_format(query->format),
                                  .story = query->story,
                                  .part = query->part};
}

static int check_history(void *arg, const struct api_history_query *query, struct err *err)
{
    const struct history_query h = history_query(query);
    return pages_check(&h, err);
}

static void rebuild_history(void *arg)
{
    struct apiside *a = arg;
    log_warn(NULL, "index: it is made anew from the log, as asked for");
    sqlite_rebuild(a->parts.index);
}

static int history(void *arg, const struct api_history_query *query, api_history_done *done,
                   void *done_arg, struct err *err)
{
    struct apiside *a = arg;
    const struct history_query h = history_query(query);
    struct question *q = mem_new(struct question);
    *q = (struct question){done, done_arg, query->part};
    int r = sqlite_history(a->parts.index, &h, history_came, q, err);
    if (r < 0)
        free(q);
    return r;
}

static bool helper_ready(void *arg, struct err *ret_why)
{
    struct apiside *a = arg;
    if (mirror_ready(a->parts.mirror))
        return true;
    (void)err_set(ret_why, -ENOTCONN, "the helper that runs commands is not there");
    return false;
}

static const struct api_check checks[] = {{"helper", helper_ready}};

static void put_status(void *arg, struct json_writer *w)
{
    struct apiside *a = arg;
    struct sqlite_stats s = sqlite_stats(a->parts.index);
    const struct config *c = a->parts.config;
    json_field_string(w, "socket", c->socket);
    json_field_string(w, "api", a->url);
    json_field_string(w, "session", c->gate_fd[0] ? str_basename(c->state) : NULL);
    json_field_string(w, "policy_file", c->policy);
    json_field_string(w, "audit_file", c->audit);
    json_field_string(w, "audit_sync", c->audit_sync);
    json_field_bool(w, "audit_sealed", c->audit_key[0] != '\0');
    json_field_bool(w, "index_working", s.working);
    json_field_bool(w, "index_behind", s.behind);
    json_field_bool(w, "runs_other_users", mirror_is_root(a->parts.mirror));
    json_field_bool(w, "commands_in_cgroups", mirror_cgroup(a->parts.mirror)[0] != '\0');
    json_field_string(w, "mirror", a->parts.entrance);
    json_field_string(w, "mirror_words", a->parts.entrance_words);
    json_field_string(w, "helper", mirror_words(a->parts.mirror));
}

/* The first start ends with a link that logs in, once: nobody has to look for the token. */
static void numbers(void *arg, struct api_numbers *ret)
{
    struct apiside *a = arg;
    struct jsonl_stats log = jsonl_stats(a->parts.audit);
    struct sqlite_stats index = sqlite_stats(a->parts.index);
    *ret = (struct api_numbers){.audit_records = log.seq,
                                .audit_unsynced = log.seq > log.durable ? log.seq - log.durable : 0,
                                .audit_bytes = log.bytes,
                                .audit_file_bytes = log.size,
                                .audit_sync_failures = log.failures,
                                .index_behind =
                                    log.seq > index.last_seq ? log.seq - index.last_seq : 0,
                                .index_errors = index.errors};
}

static bool put_jails(void *arg, const char *name, struct json_writer *w)
{
    const struct apiside *a = arg;
    return jailside_put(a->parts.jails, name, w);
}

static int order_jail(void *arg, const struct api_jail_order *o, struct err *err)
{
    const struct apiside *a = arg;
    return jailside_order(a->parts.jails, o, err);
}

static int print_url(const struct apiside *a, bool first, struct err *err)
{
    _cleanup_free_ char *link = first ? api_make_link(a->api, "admin") : NULL,
                        *line = mem_printf("api %s\n%s%s%s", a->url, link ? "login " : "",
                                           link ? link : "", link ? "\n" : "");
    int r = fd_write_all(STDOUT_FILENO, line, strlen(line));
    return r < 0 ? err_errno(err, r, "cannot print the API's address") : 0;
}

/* The first line of the file; "" without one. */
static int read_secret(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    if (!path[0])
        return 0;
    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO))
        return err_set(err, -EACCES,
                       "oidc-client-secret-file: everybody may use '%s'; chmod 600 it", path);
    int r = fd_read_file(path, out->limit, out, err);
    if (r < 0)
        return err_prefix(err, r, "oidc-client-secret-file");
    size_t n = strcspn(buf_str(out), "\r\n");
    if (n < out->len)
        out->data[n] = '\0';
    return n ? 0 : err_set(err, -EINVAL, "oidc-client-secret-file: '%s' is empty", path);
}

static int start(struct apiside *a, const char *token, bool first, const char *socket_path,
                 struct err *err)
{
    _cleanup_free_ char *accounts_path = path_join(a->parts.config->state, "accounts.json");
    const struct config *c = a->parts.config;
    struct api_deps deps = {.warden = a->parts.warden,
                            .clock = a->parts.clock,
                            .arg = a,
                            .peer_is_outside = is_outside,
                            .reload_policy = reload_policy,
                            .history = history,
                            .check_history = check_history,
                            .rebuild_history = rebuild_history,
                            .jails = a->parts.jails ? put_jails : NULL,
                            .jail_order = order_jail,
                            .jails_why = a->parts.jails_why,
                            .status = put_status,
                            .numbers = numbers,
                            .checks = checks,
                            .checks_count = ARRAY_LEN(checks)};
    struct api_config x;
    api_config_default(&x);
    x.socket_path = socket_path;
    x.address = str_eq(c->api, "none") ? NULL : c->api;
    x.token = token;
    x.accounts_path = accounts_path;
    x.tls_cert = c->api_cert[0] ? c->api_cert : NULL;
    x.tls_key = c->api_key[0] ? c->api_key : NULL;
    x.anywhere = str_eq(c->api_insecure, "yes");
    x.origins = c->api_origins;
    x.proxies = c->trusted_proxies;
    x.session_idle = c->session_idle;
    x.session_max = c->session_max;
    _cleanup_buf_ struct buf secret = BUF_INIT(4096);
    struct api_oidc oidc = {.issuer = c->oidc_issuer,
                            .client_id = c->oidc_client_id,
                            .scope = c->oidc_scope,
                            .groups_claim = c->oidc_groups_claim,
                            .roles = c->oidc_roles,
                            .ca = c->oidc_ca[0] ? c->oidc_ca : NULL};
    int r = read_secret(c->oidc_client_secret_file, &secret, err);
    if (r < 0)
        return r;
    oidc.client_secret = secret.len ? buf_str(&secret) : NULL;
    x.oidc = c->oidc_issuer[0] ? &oidc : NULL;
    r = api_start(a->parts.loop, &deps, &x, &a->api, &a->url, err);
    if (c->gate_fd[0])
        first = false; /* `clawrden run` says how: no link stays in its log */
    return r < 0 || !a->url ? r : print_url(a, first, err);
}

int apiside_open(const struct apiside_parts *p, struct apiside **ret, struct err *err)
{
    bool made = false;
    _cleanup_free_ char *token_path = path_join(p->config->state, "token");
    _cleanup_free_ char *socket_path = path_join(p->config->state, "api.sock");
    char token[AUTH_TOKEN_SIZE];
    struct apiside *a = mem_new(struct apiside);
    a->parts = *p;
    int r = auth_token_load_or_make(token_path, token, &made, err);
    if (r == 0)
        r = start(a, token, made, socket_path, err);
    explicit_bzero(token, sizeof(token));
    if (r < 0) {
        if (a->api)
            apiside_close(a);
        apiside_free(a);
        return err_prefix(err, r, "%s",
                          r == -EADDRINUSE
                              ? "another program has the address of the API; choose one "
                                "with --api 127.0.0.1:PORT (0 picks one), or \"none\""
                              : "the API cannot be opened");
    }
    *ret = a;
    return 0;
}

void apiside_close(struct apiside *a)
{
    api_stop(a->api, NULL, NULL);
    a->api = NULL;
}

void apiside_reload(struct apiside *a)
{
    struct err err = {""};
    int r = api_reload_tls(a->api, &err);
    if (r == 0)
        log_info(NULL, "api: certificate read anew");
    else if (r != -ENOENT)
        log_error(NULL, "api: certificate not read anew, the one before stays: %s", err.text);
}

struct apiside *apiside_free(struct apiside *a)
{
    if (!a)
        return NULL;
    free(a->url);
    free(a);
    return NULL;
}

const char *apiside_url(const struct apiside *a)
{
    return a->url;
}
