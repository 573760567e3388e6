/* SPDX-License-Identifier: MIT */
#include "cli/contexts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define FILE_MAX (1u << 20)

char *contexts_dir(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return path_join(xdg, "clawrden");
    return mem_printf("%s/.config/clawrden", home && home[0] == '/' ? home : "/nonexistent");
}

static void context_done(struct context *c)
{
    if (c->token)
        explicit_bzero(c->token, strlen(c->token));
    free(c->name);
    free(c->api);
    free(c->token);
    free(c->ca);
    *c = (struct context){.name = NULL};
}

void contexts_done(struct contexts *c)
{
    for (size_t i = 0; i < c->count; i++)
        context_done(&c->at[i]);
    free(c->current);
    *c = CONTEXTS_INIT;
}

struct context *contexts_find(struct contexts *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (str_eq(c->at[i].name, name))
            return &c->at[i];
    return NULL;
}

int contexts_put(struct contexts *c, const char *name, const char *api, const char *token,
                 const char *ca)
{
    struct context *one = contexts_find(c, name);
    if (!one && c->count == CONTEXTS_MAX)
        return -ENOSPC;
    if (one)
        context_done(one);
    else
        one = &c->at[c->count++];
    *one = (struct context){mem_strdup(name), mem_strdup(api), mem_strdup(token), mem_strdup(ca)};
    return 0;
}

void contexts_remove(struct contexts *c, struct context *one)
{
    if (str_eq(c->current, one->name)) {
        free(c->current);
        c->current = NULL;
    }
    context_done(one);
    *one = c->at[--c->count];
}

/* ---- the file ---- */

static const char *text(const struct json *o, const char *key)
{
    size_t n = 0;
    const char *s = json_is_object(o) ? json_string(json_get(o, key), &n) : NULL;
    return s && strlen(s) == n ? s : NULL;
}

static int read_all(struct contexts *c, const struct json *root)
{
    const struct json *list = json_is_object(root) ? json_get(root, "contexts") : NULL;
    if (!list || !json_is_array(list))
        return -EINVAL;
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        if (!text(o, "name") || !text(o, "api") ||
            contexts_put(c, text(o, "name"), text(o, "api"), text(o, "token"), text(o, "ca")) < 0)
            return -EINVAL;
    }
    c->current = mem_strdup(text(root, "current"));
    return 0;
}

int contexts_load(struct contexts *ret, struct err *err)
{
    _cleanup_free_ char *dir = contexts_dir(), *path = path_join(dir, "contexts.json");
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_MAX);
    _cleanup_(json_freep) struct json *root = NULL;
    struct stat st;
    *ret = CONTEXTS_INIT;
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES
                   ? 0
                   : err_errno(err, -errno, "%s", path);
    if (st.st_mode & 077)
        return err_set(err, -EPERM, "%s holds tokens and may be read by others: chmod 600 it",
                       path);
    int r = fd_read_file(path, FILE_MAX, &b, err);
    if (r == 0 &&
        (json_parse(buf_str(&b), b.len, 10000, &root, NULL) < 0 || read_all(ret, root) < 0))
        r = err_set(err, -EINVAL, "%s is not understood", path);
    if (r < 0)
        contexts_done(ret);
    return r;
}

int contexts_save(const struct contexts *c, struct err *err)
{
    _cleanup_free_ char *dir = contexts_dir(), *path = path_join(dir, "contexts.json"),
                        *above = path_dirname(dir);
    _cleanup_buf_ struct buf b = BUF_INIT(FILE_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "current", c->current);
    json_key(&w, "contexts");
    json_array_begin(&w);
    for (size_t i = 0; i < c->count; i++) {
        json_object_begin(&w);
        json_field_string(&w, "name", c->at[i].name);
        json_field_string(&w, "api", c->at[i].api);
        json_field_string(&w, "token", c->at[i].token);
        json_field_string(&w, "ca", c->at[i].ca);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    (void)buf_append_char(&b, '\n');
    (void)mkdir(above, 0700); /* fd_write_file() says so when it is not there */
    (void)mkdir(dir, 0700);
    int r = b.failed ? err_set(err, b.failed, "too many contexts")
                     : fd_write_file(path, 0600, buf_str(&b), b.len, err);
    if (b.data)
        explicit_bzero(b.data, b.len);
    return r;
}
