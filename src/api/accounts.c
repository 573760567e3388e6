/* SPDX-License-Identifier: MIT */
#include "api/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/role.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define ACCOUNTS_FILE_MAX (4u << 20)
#define ACCOUNTS_NODES_MAX 100000
#define ACCOUNTS_VERSION 1

/* One who waits for a write. */
struct wait {
    struct list link;
    void (*done)(void *arg, int result, const char *words);
    void *arg;
};

/* ---- names ---- */

bool accounts_name_valid(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > AUTH_NAME_MAX || !str_utf8_valid(s, n))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x80 &&
            !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-", s[i]))
            return false;
    _cleanup_buf_ struct buf seen = BUF_INIT(4096);
    (void)str_escape(&seen, s, n); /* marks and invisible characters would be changed */
    return str_eq(buf_str(&seen), s);
}

/* ---- tokens ---- */

int accounts_add_token(struct accounts *a, const char *secret, const char *name, enum api_role role,
                       struct account_token **ret)
{
    if (!auth_token_valid(secret, strlen(secret)) || strlen(name) > AUTH_NAME_MAX)
        return -EINVAL;
    if (a->tokens_count >= ACCOUNTS_TOKENS_MAX)
        return -ENOSPC;
    struct account_token *t = mem_new(struct account_token);
    if (auth_hash(secret, strlen(secret), t->hash) < 0 || auth_random_hex(t->id, 8, NULL) < 0) {
        free(t);
        return -EIO;
    }
    (void)snprintf(t->name, sizeof(t->name), "%s", name);
    t->role = role;
    list_append(&a->tokens, &t->link);
    a->tokens_count++;
    *ret = t;
    return 0;
}

struct account_token *accounts_find_secret(struct accounts *a, const char *secret, size_t n,
                                           uint64_t realtime)
{
    unsigned char hash[AUTH_HASH_SIZE];
    struct account_token *found = NULL;
    if (auth_hash(secret, n, hash) < 0)
        return NULL;
    list_foreach(it, &a->tokens)
    {
        struct account_token *t = list_item(it, struct account_token, link);
        if (auth_same(hash, t->hash))
            found = t;
    }
    return found && (!found->expires || realtime < found->expires) ? found : NULL;
}

struct account_token *accounts_find_token(struct accounts *a, const char *id)
{
    list_foreach(it, &a->tokens)
    {
        struct account_token *t = list_item(it, struct account_token, link);
        if (str_eq(t->id, id))
            return t;
    }
    return NULL;
}

void accounts_remove_token(struct accounts *a, struct account_token *t)
{
    list_remove(&t->link);
    a->tokens_count--;
    free(t);
}

/* ---- users ---- */

struct account_user *accounts_find_user(struct accounts *a, const char *name)
{
    list_foreach(it, &a->users)
    {
        struct account_user *u = list_item(it, struct account_user, link);
        if (str_eq(u->name, name))
            return u;
    }
    return NULL;
}

int accounts_add_user(struct accounts *a, const char *name, enum api_role role,
                      const char *password, uint64_t realtime, struct account_user **ret)
{
    if (accounts_find_user(a, name))
        return -EEXIST;
    if (a->users_count >= ACCOUNTS_USERS_MAX)
        return -ENOSPC;
    struct account_user *u = mem_new(struct account_user);
    (void)snprintf(u->name, sizeof(u->name), "%s", name);
    (void)snprintf(u->password, sizeof(u->password), "%s", password);
    u->role = role;
    u->created = u->changed = realtime;
    list_append(&a->users, &u->link);
    a->users_count++;
    *ret = u;
    return 0;
}

void accounts_remove_user(struct accounts *a, struct account_user *u)
{
    list_remove(&u->link);
    a->users_count--;
    free(u);
}

/* ---- the file: writing ---- */

static void put_time(struct json_writer *w, const char *key, uint64_t t)
{
    char text[32];
    json_field_string(w, key, t ? clock_format(t, text) : NULL);
}

static void put_token(struct json_writer *w, const struct account_token *t)
{
    char hex[2 * AUTH_HASH_SIZE + 1];
    str_hex(t->hash, sizeof(t->hash), hex);
    json_object_begin(w);
    json_field_string(w, "id", t->id);
    json_field_string(w, "sha256", hex);
    json_field_string(w, "name", t->name);
    json_field_string(w, "role", role_name(t->role));
    json_field_string(w, "by", t->by);
    put_time(w, "created_at", t->created);
    put_time(w, "expires_at", t->expires);
    json_object_end(w);
    (void)buf_append_char(w->out, '\n');
}

static void put_user(struct json_writer *w, const struct account_user *u)
{
    json_object_begin(w);
    json_field_string(w, "name", u->name);
    json_field_string(w, "role", role_name(u->role));
    json_field_string(w, "password", u->password);
    put_time(w, "created_at", u->created);
    put_time(w, "changed_at", u->changed);
    json_object_end(w);
    (void)buf_append_char(w->out, '\n');
}

void accounts_write(const struct accounts *a, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    json_field_int(&w, "version", ACCOUNTS_VERSION);
    json_key(&w, "tokens");
    json_array_begin(&w);
    list_foreach(it, &a->tokens)
    {
        const struct account_token *t = list_item(it, struct account_token, link);
        if (!t->fixed)
            put_token(&w, t);
    }
    json_array_end(&w);
    json_key(&w, "users");
    json_array_begin(&w);
    list_foreach(it, &a->users) put_user(&w, list_item(it, struct account_user, link));
    json_array_end(&w);
    json_object_end(&w);
    (void)buf_append_char(out, '\n');
}

struct save {
    uv_work_t work;
    struct accounts *accounts;
    struct buf text;
    int result;
    struct err err;
};

static void save_work(uv_work_t *work)
{
    struct save *s = work->data;
    s->result = s->accounts->path
                    ? fd_write_file(s->accounts->path, 0600, s->text.data, s->text.len, &s->err)
                    : 0;
}

static void save_start(struct accounts *a);

static void save_done(uv_work_t *work, int status)
{
    struct save *s = work->data;
    struct accounts *a = s->accounts;
    struct list asked = LIST_INIT(asked);
    int result = status < 0 ? status : s->result;
    list_foreach(it, &a->asked)
    {
        list_remove(it);
        list_append(&asked, it);
    }
    a->saving = false;
    if (!list_empty(&a->waits))
        save_start(a);
    list_foreach(it, &asked)
    {
        struct wait *w = list_item(it, struct wait, link);
        list_remove(it);
        w->done(w->arg, result, s->err.text); /* the last of them may free `a` */
        free(w);
    }
    buf_done(&s->text);
    free(s);
}

static void save_start(struct accounts *a)
{
    struct save *s = mem_new(struct save);
    s->accounts = a;
    s->work.data = s;
    buf_init(&s->text, ACCOUNTS_FILE_MAX);
    accounts_write(a, &s->text);
    a->saving = true;
    list_foreach(it, &a->waits)
    {
        list_remove(it);
        list_append(&a->asked, it);
    }
    (void)uv_queue_work(a->loop, &s->work, save_work,
                        save_done); /* fails without a callback only */
}

void accounts_save(struct accounts *a, void (*done)(void *arg, int result, const char *words),
                   void *arg)
{
    struct wait *w = mem_new(struct wait);
    *w = (struct wait){.done = done, .arg = arg};
    list_append(&a->waits, &w->link);
    if (!a->saving)
        save_start(a);
}

/* ---- the file: reading ---- */

static const char *member(const struct json *o, const char *key, size_t max)
{
    size_t n = 0;
    const char *s = json_is_object(o) ? json_string(json_get(o, key), &n) : NULL;
    return s && n <= max && strlen(s) == n ? s : NULL;
}

static bool member_time(const struct json *o, const char *key, bool may_be_null, uint64_t *ret)
{
    const char *s = member(o, key, 64);
    *ret = 0;
    return s ? clock_parse(s, ret) == 0 : may_be_null && json_is_null(json_get(o, key));
}

static bool read_token(struct accounts *a, const struct json *o)
{
    const char *id = member(o, "id", ACCOUNTS_ID_SIZE - 1), *hash = member(o, "sha256", 64),
               *name = member(o, "name", AUTH_NAME_MAX), *role = member(o, "role", 16),
               *by = member(o, "by", AUTH_NAME_MAX);
    struct account_token t = {.fixed = false};
    if (!id || strlen(id) != ACCOUNTS_ID_SIZE - 1 || !hash || !name || !accounts_name_valid(name) ||
        !role || !by || json_count(o) != 7 || str_unhex(hash, t.hash, sizeof(t.hash)) < 0 ||
        !role_parse(role, &t.role) || !member_time(o, "created_at", false, &t.created) ||
        !member_time(o, "expires_at", true, &t.expires) || accounts_find_token(a, id) ||
        a->tokens_count >= ACCOUNTS_TOKENS_MAX)
        return false;
    struct account_token *kept = mem_new(struct account_token);
    *kept = t;
    (void)snprintf(kept->id, sizeof(kept->id), "%s", id);
    (void)snprintf(kept->name, sizeof(kept->name), "%s", name);
    (void)snprintf(kept->by, sizeof(kept->by), "%s", by);
    list_append(&a->tokens, &kept->link);
    a->tokens_count++;
    return true;
}

static bool read_user(struct accounts *a, const struct json *o)
{
    const char *name = member(o, "name", AUTH_NAME_MAX), *role_text = member(o, "role", 16),
               *password = member(o, "password", ACCOUNTS_PASSWORD_SIZE - 1);
    enum api_role role;
    uint64_t created, changed;
    struct account_user *u;
    if (!name || !accounts_name_valid(name) || !role_text || !role_parse(role_text, &role) ||
        !password || !str_starts(password, "$argon2id$") || json_count(o) != 5 ||
        !member_time(o, "created_at", false, &created) ||
        !member_time(o, "changed_at", false, &changed))
        return false;
    if (accounts_add_user(a, name, role, password, created, &u) < 0)
        return false;
    u->changed = changed;
    return true;
}

static bool read_list(struct accounts *a, const struct json *list,
                      bool (*one)(struct accounts *a, const struct json *o))
{
    if (!list || !json_is_array(list))
        return false;
    for (size_t i = 0; i < json_count(list); i++)
        if (!one(a, json_at(list, i)))
            return false;
    return true;
}

int accounts_read(struct accounts *a, const char *text, size_t len, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    int r = json_parse(text, len, ACCOUNTS_NODES_MAX, &root, err);
    if (r < 0)
        return r;
    if (!json_is_object(root) || json_integer(json_get(root, "version"), 0) != ACCOUNTS_VERSION)
        return err_set(err, -EINVAL, "not of a version that this warden knows");
    if (json_count(root) != 3 || !read_list(a, json_get(root, "tokens"), read_token) ||
        !read_list(a, json_get(root, "users"), read_user))
        return err_set(err, -EINVAL, "a token or user in it is not understood");
    return 0;
}

static int check_file(const char *path, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, -EINVAL, "%s is no regular file", path);
    if (st->st_uid != geteuid() || (st->st_mode & 077))
        return err_set(err, -EPERM,
                       "%s may be read or written by others: chmod 600 it, and make it the "
                       "warden's own",
                       path);
    return 0;
}

static int read_file(struct accounts *a, struct err *err)
{
    _cleanup_close_ int fd = open(a->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return 0;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, -errno, "cannot open %s", a->path);
    _cleanup_buf_ struct buf text = BUF_INIT(ACCOUNTS_FILE_MAX);
    int r = check_file(a->path, &st, err);
    if (r == 0 && (r = fd_read_all(fd, &text)) < 0)
        r = err_errno(err, r, "cannot read %s", a->path);
    if (r < 0)
        return r;
    r = accounts_read(a, buf_str(&text), text.len, err);
    return r < 0 ? err_prefix(err, r, "%s", a->path) : 0;
}

int accounts_new(uv_loop_t *loop, const char *path, struct accounts **ret, struct err *err)
{
    _cleanup_(accounts_freep) struct accounts *a = mem_new(struct accounts);
    a->loop = loop;
    a->path = path ? mem_strdup(path) : NULL;
    list_init(&a->tokens);
    list_init(&a->users);
    list_init(&a->waits);
    list_init(&a->asked);
    int r = path ? read_file(a, err) : 0;
    if (r == 0)
        *ret = TAKE_PTR(a);
    return r;
}

struct accounts *accounts_free(struct accounts *a)
{
    if (!a)
        return NULL;
    list_foreach(it, &a->tokens)
        accounts_remove_token(a, list_item(it, struct account_token, link));
    list_foreach(it, &a->users) accounts_remove_user(a, list_item(it, struct account_user, link));
    free(a->path);
    free(a);
    return NULL;
}
