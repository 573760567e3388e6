/* SPDX-License-Identifier: MIT */
#include "warden/jailside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "core/access.h"
#include "jail/labels.h"
#include "jail/roster.h"
#include "jail/shelf.h"

#define MOUNTS_BYTES (4u << 20)
#define COVERED_MAX 1024
#define COVERS_BYTES (1 << 20) /* that wait for a gate */

struct jailside {
    struct jailside_parts parts;
    struct roster *roster; /* owned */
    struct fitter fitter;
    struct list gates; /* of struct gate_fit */
};

/* A gate that waits until its container's tools are covered. */
struct gate_fit {
    struct list link;
    struct jailside *jailside;
    fitter_done *done; /* NULL: it has gone */
    void *arg;
    int below; /* owned: our end of what the helper tells */
};

static void gate_fit_free(struct gate_fit *g)
{
    list_remove(&g->link);
    if (g->below >= 0)
        close(g->below);
    free(g);
}

static int fit_gate(struct fitter *x, struct container *c, fitter_done *done, void *arg,
                    struct err *err);
static void forget_gate(struct fitter *x, void *arg);

int jailside_open(const struct jailside_parts *p, struct jailside **ret, struct err *err)
{
    const struct policy *policy = warden_policy(p->warden);
    _cleanup_free_ char *dir = p->dir[0] ? mem_strdup(p->dir) : path_join(p->state, "jails"),
                        *book = path_join(p->state, "jails.json");
    _cleanup_(jailside_freep) struct jailside *j = mem_new(struct jailside);
    *ret = NULL;
    j->parts = *p;
    j->fitter = (struct fitter){.fit = fit_gate, .forget = forget_gate};
    list_init(&j->gates);
    int r = roster_open(dir, book, p->shim, policy, &j->roster, err);
    if (r == -ENOENT && !p->shim && policy_jails_count(policy) == 0)
        return 0;
    if (r < 0)
        return err_prefix(err, r, "jails");
    *ret = TAKE_PTR(j);
    return 0;
}

struct jailside *jailside_free(struct jailside *j)
{
    if (!j)
        return NULL;
    list_foreach(it, &j->gates) gate_fit_free(list_item(it, struct gate_fit, link));
    roster_free(j->roster);
    free(j);
    return NULL;
}

static void fit_all(struct jailside *j);

void jailside_set_policy(struct jailside *j, const struct policy *p)
{
    struct err err;
    if (roster_set_policy(j->roster, p, &err) < 0)
        log_error(NULL, "jails: not all of the policy's could be made: %s", err.text);
    fit_all(j);
}

/* ---- the API ---- */

bool jailside_put(struct jailside *j, const char *name, struct json_writer *w)
{
    const struct roster_entry *e = name ? roster_find(j->roster, name) : NULL;
    if (e)
        roster_put(j->roster, e, w);
    if (name)
        return e != NULL;
    list_foreach(it, roster_list(j->roster))
        roster_put(j->roster, list_item(it, struct roster_entry, link), w);
    return true;
}

int jailside_order(struct jailside *j, const struct api_jail_order *o, struct err *err)
{
    static const struct {
        enum roster_what what;
        const char *name;
    } whats[] = {[API_JAIL_CREATE] = {ROSTER_CREATE, "created"},
                 [API_JAIL_CHANGE] = {ROSTER_CHANGE, "changed"},
                 [API_JAIL_DELETE] = {ROSTER_DELETE, "deleted"}};
    const struct roster_wish w = {.name = o->name,
                                  .commands = o->commands,
                                  .commands_count = o->commands_count,
                                  .containers = o->containers,
                                  .containers_count = o->containers_count,
                                  .hardened = o->hardened,
                                  .by = o->by,
                                  .realtime = j->parts.clock->realtime(j->parts.clock)};
    int r = roster_check(j->roster, whats[o->what].what, &w, err);
    if (r < 0)
        return r;
    const struct access_jail note = {.what = whats[o->what].name,
                                     .name = o->name,
                                     .origin = roster_origin_name(ROSTER_API),
                                     .mode = o->what == API_JAIL_DELETE ? NULL
                                             : o->hardened              ? "hardened"
                                                                        : "plain",
                                     .commands = o->commands,
                                     .commands_count = o->commands_count,
                                     .by = o->by,
                                     .address = o->address,
                                     .request_id = o->request_id};
    if (access_jail(j->parts.warden, &note, err) < 0)
        return -ENODATA;
    r = roster_apply(j->roster, whats[o->what].what, &w, err);
    fit_all(j);
    return r < 0 ? err_prefix(err, -EIO, "it is decided, but not all of it is on the disk") : 0;
}

/* ---- containers ---- */

static void note(struct jailside *j, const struct container *c, const struct labels *l,
                 const char *what, const char *words)
{
    const struct access_jail n = {.what = what,
                                  .name = l->name,
                                  .origin = roster_origin_name(ROSTER_LABEL),
                                  .mode = l->hardened ? "hardened" : "plain",
                                  .commands = l->commands,
                                  .commands_count = l->count,
                                  .container_id = c->id,
                                  .container = c->name,
                                  .words = words};
    access_jail_note(j->parts.warden, &n);
}

static void refuse(struct jailside *j, const struct container *c, const struct labels *l,
                   const char *words)
{
    log_warn(NULL, "container %.12s asks for a jail by its labels and gets none: %s", c->id, words);
    note(j, c, l, "refused", words);
}

/* The tools of it that the shim lies over now: nothing of what a container says, but paths in it.
 */
static void record(struct jailside *j, const char *id, int result, const char *paths, size_t count,
                   const char *words, uint64_t window)
{
    const char *list[COVERED_MAX];
    size_t n = 0;
    for (; n < count && n < COVERED_MAX; n++, paths += strlen(paths) + 1)
        list[n] = paths;
    const struct container *c = census_find((struct census *)j->parts.census, id);
    const struct roster_entry *e = c ? roster_for(j->roster, c) : NULL;
    const struct access_jail note = {.what = result < 0 ? "refused" : "mounted",
                                     .name = e ? e->name : NULL,
                                     .origin = e ? roster_origin_name(e->origin) : NULL,
                                     .mode = "hardened",
                                     .commands = list,
                                     .commands_count = n,
                                     .container_id = id,
                                     .container = c ? c->name : NULL,
                                     .words = words[0] ? words : NULL,
                                     .window = window};
    access_jail_note(j->parts.warden, &note);
}

static void covered(void *arg, const char *id, int result, const char *paths, size_t count,
                    const char *words, uint64_t window)
{
    struct jailside *j = arg;
    record(j, id, result, paths, count, words, window);
    if (result < 0)
        log_error(NULL, "container %.12s: its tools are not covered: %s", id, words);
    else
        log_info(NULL, "container %.12s: %zu tools covered, %llu ms after its start%s%s", id, count,
                 (unsigned long long)(window / CLOCK_NS_PER_MS), words[0] ? "; not: " : "", words);
    if (result == 0)
        j->parts.covered(j->parts.arg, id);
}

/* Owns `below`. */
static int cover(struct jailside *j, struct container *c, const struct roster_entry *e, int below,
                 fitting_done *done, void *arg, struct err *err)
{
    _cleanup_free_ char *shim = mem_printf("%s/%s/%s", roster_dir(j->roster), e->name, SHELF_SHIM);
    return fitting_cover(j->parts.fitting, c, policy_search_path(warden_policy(j->parts.warden)),
                         (const char *const *)e->commands, e->commands_count, shim, below, done,
                         arg, err);
}

static bool is_hardened(const struct roster_entry *e, const struct container *c)
{
    return e && e->hardened && c->initfd >= 0 && !str_starts(c->id, "door:");
}

/* Again and again, which changes nothing where it was done already. */
static void fit(void *arg, struct container *c)
{
    struct jailside *j = arg;
    struct err err = {""};
    const struct roster_entry *e = roster_for(j->roster, c);
    if (!is_hardened(e, c))
        return;
    int r = j->parts.fitting ? cover(j, c, e, -1, covered, j, &err)
                             : err_set(&err, -ENOTSUP, "%s", j->parts.no_fitting);
    if (r < 0)
        covered(j, c->id, r, "", 0, err.text, 0);
}

static void fit_all(struct jailside *j)
{
    if (j->parts.census)
        census_each((struct census *)j->parts.census, fit, j);
}

/* A plain jail does nothing for a container that has its folder nowhere. What is mounted there is
 * in the kernel's words, by the path on the file system that it comes from. */
static bool has_it_mounted(const struct jailside *j, const struct container *c, const char *name)
{
    _cleanup_buf_ struct buf text = BUF_INIT(MOUNTS_BYTES);
    _cleanup_free_ char *path = mem_printf("/proc/%d/mountinfo", (int)c->init),
                        *root = mem_printf("/%s/%s ", str_basename(roster_dir(j->roster)), name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || fd_read_all(fd, &text) < 0 || strstr(buf_str(&text), root);
}

static void note_new(struct jailside *j, const struct container *c, const struct labels *l)
{
    const struct roster_entry *e = roster_for(j->roster, c);
    _cleanup_free_ char *words = NULL;
    if (!l->hardened && !has_it_mounted(j, c, e->name))
        words = mem_printf("its container has no mount of %s/%s, so it meets none of this: mount "
                           "it read-only in front of its PATH, or ask for clawrden.mode=hardened",
                           roster_dir(j->roster), e->name);
    if (words)
        log_warn(NULL, "container %.12s: its jail '%s' is made, but %s", c->id, e->name, words);
    note(j, c, l, "created", words);
}

static int adopt(struct jailside *j, const struct container *c, struct labels *l, struct err *err)
{
    bool changed;
    const struct roster_wish w = {.name = l->name,
                                  .commands = l->commands,
                                  .commands_count = l->count,
                                  .hardened = l->hardened,
                                  .realtime = j->parts.clock->realtime(j->parts.clock)};
    int r = roster_adopt(j->roster, c->id, &w, &changed, err);
    if (r == 0 && changed)
        note_new(j, c, l);
    return r;
}

/* What its labels ask for. 0, also when they ask for nothing. */
static int follow_labels(struct jailside *j, const struct container *c, struct labels *l,
                         struct err *err)
{
    int r = labels_read(c, l, err);
    return r > 0 ? adopt(j, c, l, err) : r;
}

void jailside_arrived(struct jailside *j, struct container *c)
{
    struct labels l = {.name = NULL};
    struct err err;
    if (follow_labels(j, c, &l, &err) < 0)
        refuse(j, c, &l, err.text);
    fit(j, c);
}

/* ---- gates ---- */

/* No agent runs yet, so nothing can have started past the covers. */
static void gate_covered(void *arg, const char *id, int result, const char *paths, size_t count,
                         const char *words, uint64_t window)
{
    struct gate_fit *g = arg;
    (void)window;
    record(g->jailside, id, result, paths, count, words[0] ? words : "its gate waited for it", 0);
    if (g->done && result < 0)
        g->done(g->arg, result, words);
    else if (g->done)
        g->done(g->arg, TAKE_FD(g->below), "");
    gate_fit_free(g);
}

static int fit_gate(struct fitter *x, struct container *c, fitter_done *done, void *arg,
                    struct err *err)
{
    struct jailside *j = container_of(x, struct jailside, fitter);
    struct labels l = {.name = NULL};
    int pair[2], r = follow_labels(j, c, &l, err);
    const struct roster_entry *e = roster_for(j->roster, c);
    if (r < 0)
        return err_prefix(err, r, "the jail that its container's labels ask for cannot be");
    if (!is_hardened(e, c))
        return 0;
    if (!j->parts.fitting)
        return err_set(err, -ENOTSUP, "%s", j->parts.no_fitting);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, -errno, "no socket for its covers");
    (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){COVERS_BYTES}, sizeof(int));
    struct gate_fit *g = mem_new(struct gate_fit);
    *g = (struct gate_fit){.jailside = j, .done = done, .arg = arg, .below = pair[0]};
    list_append(&j->gates, &g->link);
    r = cover(j, c, e, pair[1], gate_covered, g, err);
    if (r < 0)
        gate_fit_free(g);
    return r < 0 ? err_prefix(err, r, "its container's tools are not covered") : -EINPROGRESS;
}

static void forget_gate(struct fitter *x, void *arg)
{
    struct jailside *j = container_of(x, struct jailside, fitter);
    list_foreach(it, &j->gates)
    {
        struct gate_fit *g = list_item(it, struct gate_fit, link);
        if (g->arg == arg)
            g->done = NULL;
    }
}

struct fitter *jailside_fitter(struct jailside *j)
{
    return &j->fitter;
}

void jailside_removed(struct jailside *j, const char *id)
{
    struct err err;
    int r = roster_abandon(j->roster, id, &err);
    if (r < 0)
        log_error(NULL, "jails: that of the container %.12s could not be removed: %s", id,
                  err.text);
    if (r == 0)
        return;
    const struct access_jail n = {.what = "deleted",
                                  .origin = roster_origin_name(ROSTER_LABEL),
                                  .container_id = id,
                                  .words = "its container was removed"};
    access_jail_note(j->parts.warden, &n);
}

void jailside_each(const struct jailside *j, void (*fn)(void *arg, const char *id), void *arg)
{
    list_foreach(it, roster_list(j->roster))
    {
        const struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (e->origin == ROSTER_LABEL)
            fn(arg, e->container);
    }
}

/* ---- without jails ---- */

static const char *no_jails = "";

static int fit_nothing(struct fitter *x, struct container *c, fitter_done *done, void *arg,
                       struct err *err)
{
    struct labels l = {.name = NULL};
    (void)x, (void)done, (void)arg;
    if (labels_read(c, &l, err) == 0 || !l.hardened)
        return 0;
    return err_set(err, -ENOTSUP, "its container's tools are not covered: %s", no_jails);
}

static void forget_nothing(struct fitter *x, void *arg)
{
    (void)x, (void)arg;
}

struct fitter *jailside_none(const char *why)
{
    static struct fitter none = {.fit = fit_nothing, .forget = forget_nothing};
    no_jails = why;
    return &none;
}
