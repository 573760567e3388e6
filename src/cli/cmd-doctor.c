/* SPDX-License-Identifier: MIT */
/* clawrden doctor: what this host has, what each mode would enforce with it, what to change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/attack.h"
#include "cli/cmd.h"
#include "cli/doctor-shims.h"
#include "sandbox/landlock.h"
#include "sandbox/offer.h"

#define JSON_MAX (1u << 20)
#define ADVICE_MAX 16

/* What a person can do about it. */
struct advice {
    const char *lines[ADVICE_MAX];
    size_t count;
};

static void advise(struct advice *a, bool when, const char *line)
{
    if (when && a->count < ADVICE_MAX)
        a->lines[a->count++] = line;
}

static void find_advice(const struct offer *o, const struct doctor_shims *s, struct advice *a)
{
    bool spaces = o->way.wall == ENTER_WALL_NAMESPACES, missed = false;
    for (size_t i = 0; i < DOCTOR_SHELLS; i++)
        missed = missed || s->shells[i].missed > 0;
    advise(a, o->yama >= 2,
           "kernel.yama.ptrace_scope is 2 or 3: set it to 1 or 0, or the gate cannot trace");
    advise(a, !o->listener && !strstr(o->no_listener.text, "under a gate"),
           "the gate needs Linux 5.14 with seccomp user notification, and a container profile that "
           "allows seccomp(2)");
    advise(a, !spaces,
           "no user namespaces: look at user.max_user_namespaces, kernel.unprivileged_userns_clone "
           "and "
           "kernel.apparmor_restrict_unprivileged_userns; a container needs a seccomp profile that "
           "allows unshare(2) and mount(2)");
    advise(a, o->landlock == 0, "no Landlock: boot with lsm=landlock,... (Linux 5.13 or newer)");
    advise(a, o->landlock > 0 && o->landlock < LANDLOCK_ABI_SCOPES,
           "abstract unix sockets stay reachable before Linux 6.12; --net none closes them");
    advise(a, o->cgroups != OFFER_CGROUPS_NONE && !o->cgroups_ours && !spaces,
           "no cgroup of our own: ending a tree is best effort; start under systemd-run --user "
           "--scope");
    advise(a, s->broken > 0, "links in the folder of shims lead to no shim: make them anew");
    advise(a, missed,
           "some shells find the real tools first: put the shims in front in /etc/profile.d "
           "too, or govern by the gate, which does not use PATH");
}

static const char *run_words(const struct offer *o)
{
    if (!offer_has_gate(o))
        return "does not work here";
    switch (o->way.wall) {
    case ENTER_WALL_NAMESPACES:
        return o->way.pids
                   ? "every program judged; writes walled in; sockets, keys and state hidden; "
                     "the tree ends as a whole"
                   : "every program judged; writes walled in; sockets, keys and state hidden";
    case ENTER_WALL_LANDLOCK:
        return "every program judged; writes walled in; nothing hidden, approvals not protected "
               "from "
               "the agent";
    case ENTER_WALL_NONE:
        break;
    }
    return "refused: what waits for a person could be overwritten";
}

struct mode {
    const char *name, *words;
    bool works;
};

#define MODES 5

static void find_modes(const struct offer *o, struct mode m[MODES])
{
    bool gate = offer_has_gate(o);
    m[0] = (struct mode){"clawrden run", run_words(o), gate && o->way.wall != ENTER_WALL_NONE};
    m[1] = (struct mode){
        "gate as a container's entry point",
        gate ? "every program of the container judged, where it runs" : "does not work here", gate};
    m[2] = (struct mode){
        "shims, native mirror",
        o->root && o->cgroups == OFFER_CGROUPS_V1
            ? "needs cgroup version 2 for containers; names on this host are judged"
        : o->root ? "governed names judged; login shells, absolute paths and copies go by"
                  : "needs a warden that is root",
        o->root};
    bool tracked = o->cgroups == OFFER_CGROUPS_HYBRID || o->cgroups == OFFER_CGROUPS_V2;
    m[3] = (struct mode){
        "shims, commands by the engine",
        !o->root     ? "needs a warden that is root"
        : !o->engine ? "no engine's socket answers this user"
        : tracked    ? "--mirror=auto takes native, --mirror=docker this: for containers that "
                       "the helper may not enter"
                     : "--mirror=auto takes this: without cgroup v2 the helper enters no "
                       "container, and kills are best effort",
        o->root && o->engine};
    m[4] = (struct mode){"ghost containers",
                         o->engine ? "an engine answers" : "no engine's socket answers this user",
                         o->engine};
}

/* ---- for programs ---- */

static void put_shims(struct json_writer *w, const struct doctor_shims *s)
{
    json_key(w, "shims");
    if (!s->dir) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    json_field_string(w, "folder", s->dir);
    json_field_uint(w, "names", s->count);
    json_field_uint(w, "broken_links", s->broken);
    json_key(w, "shells");
    json_array_begin(w);
    for (size_t i = 0; i < DOCTOR_SHELLS; i++) {
        if (!s->shells[i].there)
            continue;
        json_object_begin(w);
        json_field_string(w, "kind", s->shells[i].kind);
        json_field_uint(w, "missed", s->shells[i].missed);
        json_field_string(w, "example", s->shells[i].missed ? s->shells[i].example : NULL);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void put_host(struct json_writer *w, const struct offer *o)
{
    json_key(w, "host");
    json_object_begin(w);
    json_field_string(w, "kernel", o->kernel);
    json_field_bool(w, "root", o->root);
    json_field_bool(w, "seccomp_listener", o->listener);
    json_field_bool(w, "seccomp_wait_killable", o->wait_killable);
    json_field_bool(w, "ptrace", o->tracing);
    json_key(w, "yama");
    if (o->yama < 0)
        json_put_null(w);
    else
        json_put_int(w, o->yama);
    json_field_string(w, "walls", enter_wall_name(o->way.wall));
    json_field_bool(w, "user_namespace", o->way.user);
    json_field_bool(w, "pid_namespace", o->way.pids);
    json_field_bool(w, "network_namespace", o->network);
    json_field_int(w, "landlock_abi", o->landlock);
    json_field_string(w, "cgroups", offer_cgroups_name(o->cgroups));
    json_field_bool(w, "cgroups_writable", o->cgroups_ours);
    json_field_bool(w, "pidfd", o->pidfd);
    json_field_bool(w, "peer_pidfd", o->peer_pidfd);
    json_field_bool(w, "engine", o->engine);
    json_field_string(w, "why_not_stronger", o->weaker.text[0] ? o->weaker.text : NULL);
    json_object_end(w);
}

static void print_json(const struct offer *o, const struct doctor_shims *s, const struct mode *m,
                       const struct advice *a, bool well)
{
    _cleanup_buf_ struct buf b = BUF_INIT(JSON_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_bool(&w, "strongest", well);
    put_host(&w, o);
    json_key(&w, "modes");
    json_array_begin(&w);
    for (size_t i = 0; i < MODES; i++) {
        json_object_begin(&w);
        json_field_string(&w, "name", m[i].name);
        json_field_bool(&w, "works", m[i].works);
        json_field_string(&w, "enforces", m[i].words);
        json_object_end(&w);
    }
    json_array_end(&w);
    put_shims(&w, s);
    json_key(&w, "advice");
    json_array_begin(&w);
    for (size_t i = 0; i < a->count; i++)
        json_put_string(&w, a->lines[i]);
    json_array_end(&w);
    json_object_end(&w);
    printf("%s\n", buf_str(&b));
}

/* ---- for people ---- */

static void row(const char *name, bool well, const char *words)
{
    printf("  %-5s %-22s %s\n", well ? "ok" : "-", name, words);
}

static void print_host(const struct offer *o)
{
    char yama[64], landlock[64];
    (void)snprintf(yama, sizeof(yama), o->yama < 0 ? "no Yama" : "ptrace_scope %d", o->yama);
    (void)snprintf(landlock, sizeof(landlock), o->landlock ? "ABI %d" : "none", o->landlock);
    printf("this host (%s)\n", o->kernel);
    row("seccomp listener", o->listener,
        o->listener ? o->wait_killable ? "works, killable" : "works" : o->no_listener.text);
    row("ptrace", o->tracing, o->tracing ? yama : o->no_tracing.text);
    row("namespaces", o->way.wall == ENTER_WALL_NAMESPACES,
        o->way.wall != ENTER_WALL_NAMESPACES ? o->weaker.text
        : o->way.pids ? o->way.user ? "user, mount, pid" : "mount, pid (root)"
                      : "user, mount; no /proc for a pid namespace");
    row("network namespace", o->network, o->network ? "--net none works" : "--net none is refused");
    row("Landlock", o->landlock >= LANDLOCK_ABI_SCOPES, landlock);
    row("cgroups", o->cgroups_ours, offer_cgroups_name(o->cgroups));
    row("pidfd", o->pidfd, o->peer_pidfd ? "of socket peers too" : "not of socket peers");
    row("container engine", o->engine, o->engine ? "answers" : "no socket answers");
}

static void print_shims(const struct doctor_shims *s)
{
    if (!s->dir) {
        printf("\nshims: none on PATH\n");
        return;
    }
    printf("\nshims: %zu in %s\n", s->count, s->dir);
    if (s->broken)
        printf("  -     %zu links lead to no shim: %s\n", s->broken, s->broken_example);
    for (size_t i = 0; i < DOCTOR_SHELLS; i++)
        if (s->shells[i].there)
            row(s->shells[i].kind, s->shells[i].missed == 0,
                s->shells[i].missed ? s->shells[i].example : "finds them first");
}

static void print_text(const struct offer *o, const struct doctor_shims *s, const struct mode *m,
                       const struct advice *a)
{
    print_host(o);
    printf("\nwhat each mode enforces here\n");
    for (size_t i = 0; i < MODES; i++)
        printf("  %-5s %s: %s\n", m[i].works ? "ok" : "-", m[i].name, m[i].words);
    print_shims(s);
    if (a->count)
        printf("\nto change\n");
    for (size_t i = 0; i < a->count; i++)
        printf("  * %s\n", a->lines[i]);
}

int cmd_doctor(struct cli *c, const struct args *a)
{
    if (args_flag(a, "attack"))
        return attack(c->json, args_value(a, "walls"));
    if (args_value(a, "walls"))
        return cli_fail(CLI_USAGE, "--walls goes with --attack");
    struct offer o;
    struct doctor_shims s;
    struct mode modes[MODES];
    struct advice advice = {.count = 0};
    struct err err = {0};
    if (doctor_shims_find(args_value(a, "shims"), &s, &err) < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    offer_find(&o);
    find_modes(&o, modes);
    find_advice(&o, &s, &advice);
    bool well =
        offer_has_gate(&o) && o.way.wall == ENTER_WALL_NAMESPACES && o.way.pids && s.broken == 0;
    for (size_t i = 0; i < DOCTOR_SHELLS; i++)
        well = well && s.shells[i].missed == 0;
    if (c->json)
        print_json(&o, &s, modes, &advice, well);
    else
        print_text(&o, &s, modes, &advice);
    doctor_shims_done(&s);
    return well ? CLI_OK : CLI_REFUSED;
}
