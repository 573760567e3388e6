/* SPDX-License-Identifier: MIT */
/* Directories are watched, not the file: editors and config maps put another file in its place.
 * Both the directory of the name and, behind symlinks, that of the file are looked at. What counts
 * is the text: an event without a change does nothing. */
#include "warden/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "warden/trust.h"

#define SETTLE_MS 100
#define RETRY_MS 1000

struct place {
    uv_fs_event_t watch;
    char *dir, *base; /* owned; NULL: not watched */
};

struct reload {
    uv_loop_t *loop;
    struct warden *warden;
    char *path;             /* owned */
    struct place places[2]; /* of the name, of the file behind it */
    uv_timer_t settle;
    char *refused; /* owned; words of the last refusal, said once */
    void (*listener)(void *arg, const struct policy *p);
    void *listener_arg;
};

int reload_read(const char *path, struct policy **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    int r = trust_path(path, err);
    if (r < 0)
        return err_prefix(err, r, "policy");
    r = fd_read_file(path, POLICY_TEXT_MAX, &text, err);
    if (r < 0)
        return err_prefix(err, r, "policy");
    return policy_parse(buf_str(&text), text.len, path, ret, err);
}

static void on_change(uv_fs_event_t *h, const char *name, int events, int status);

static void watch(struct reload *x, struct place *p, const char *path)
{
    _cleanup_free_ char *dir = path ? path_dirname(path) : NULL;
    (void)uv_fs_event_stop(&p->watch);
    free(p->dir);
    free(p->base);
    p->dir = p->base = NULL;
    if (!dir)
        return;
    p->watch.data = x;
    if (uv_fs_event_start(&p->watch, on_change, dir, 0) < 0)
        return;
    p->dir = TAKE_PTR(dir);
    p->base = mem_strdup(str_basename(path));
}

/* Anew after each change: the directories may be others now. */
static void watch_all(struct reload *x)
{
    _cleanup_free_ char *real = realpath(x->path, NULL);
    watch(x, &x->places[0], x->path);
    watch(x, &x->places[1], real && !str_eq(real, x->path) ? real : NULL);
}

static void refused(struct reload *x, const char *who, bool asked, const char *words)
{
    if (!asked && str_eq(x->refused, words))
        return;
    free(x->refused);
    x->refused = mem_strdup(words);
    log_error(NULL, "policy not reloaded (%s), the one before stays in force: %s", who, words);
    warden_policy_failed(x->warden, who, words);
}

static int load(struct reload *x, const char *who, bool asked, struct err *err)
{
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    int r = reload_read(x->path, &p, err);
    if (r < 0) {
        refused(x, who, asked, err->text);
        return r;
    }
    bool same = str_eq(policy_digest(p), policy_digest(warden_policy(x->warden)));
    if (same && !x->refused && !asked)
        return 0;
    free(x->refused);
    x->refused = NULL;
    warden_set_policy(x->warden, p, who);
    log_info(NULL, "policy %.12s in force (%s), %zu rules", policy_digest(p), who,
             policy_rules_count(p));
    if (x->listener)
        x->listener(x->listener_arg, p);
    return 0;
}

int reload_now(struct reload *x, const char *who, struct err *err)
{
    int r = load(x, who, true, err);
    watch_all(x);
    return r;
}

static void on_settled(uv_timer_t *t)
{
    struct reload *x = t->data;
    struct err err;
    (void)load(x, "file changed", false, &err); /* said by refused() */
    watch_all(x);
    if (!x->places[0].dir) /* the directory is gone: look for it until it is back */
        (void)uv_timer_start(&x->settle, on_settled, RETRY_MS, 0);
}

/* Config maps swap a link "..data" beside the file. The watched directory itself is reported under
 * its own name. */
static bool concerns(const struct place *p, const char *name)
{
    return !name || !p->dir || str_eq(name, p->base) || str_starts(name, "..") ||
           str_eq(name, str_basename(p->dir));
}

static void on_change(uv_fs_event_t *h, const char *name, int events, int status)
{
    struct reload *x = h->data;
    struct place *p = container_of(h, struct place, watch);
    (void)events;
    if (status < 0 || concerns(p, name))
        (void)uv_timer_start(&x->settle, on_settled, SETTLE_MS, 0);
}

struct reload *reload_new(uv_loop_t *loop, struct warden *w, const char *path)
{
    struct reload *x = mem_new(struct reload);
    x->loop = loop;
    x->warden = w;
    x->path = mem_strdup(path);
    (void)uv_timer_init(loop, &x->settle);
    x->settle.data = x;
    for (size_t i = 0; i < ARRAY_LEN(x->places); i++)
        (void)uv_fs_event_init(loop, &x->places[i].watch);
    watch_all(x);
    /* What changed between the first reading and now. */
    (void)uv_timer_start(&x->settle, on_settled, SETTLE_MS, 0);
    return x;
}

void reload_listen(struct reload *x, void (*fn)(void *arg, const struct policy *p), void *arg)
{
    x->listener = fn;
    x->listener_arg = arg;
}

void reload_close(struct reload *x)
{
    for (size_t i = 0; i < ARRAY_LEN(x->places); i++)
        uv_close((uv_handle_t *)&x->places[i].watch, NULL);
    uv_close((uv_handle_t *)&x->settle, NULL);
}

struct reload *reload_free(struct reload *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(x->places); i++) {
        free(x->places[i].dir);
        free(x->places[i].base);
    }
    free(x->path);
    free(x->refused);
    free(x);
    return NULL;
}
