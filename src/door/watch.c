/* SPDX-License-Identifier: MIT */
/* Compared with what was true when the request was received: its parent, its session, and whether
 * that session's leader lived. A parent or leader that was gone before means nothing. */
#include "door/watch.h"

#include <stdio.h>
#include <sys/stat.h>

#include "door/session.h"

void watch_begin(struct session *s)
{
    const struct peer *p = &s->r->peer;
    struct peer_stat leader;
    s->leader_start = 0;
    if (p->sid > 0 && p->sid != p->pid && p->sid != p->ppid && peer_stat_read(p->sid, &leader) == 0)
        s->leader_start = leader.start_time;
    s->looked_after = true;
    list_append(&s->room->waiting, &s->in_state);
    s->room->waiting_count++;
}

void watch_forget(struct session *s)
{
    s->looked_after = false;
    list_remove(&s->in_state);
    s->room->waiting_count--;
}

static bool same_pid_space(pid_t a, pid_t b)
{
    char path[2][64];
    struct stat st[2];
    (void)snprintf(path[0], sizeof(path[0]), "/proc/%d/ns/pid", (int)a);
    (void)snprintf(path[1], sizeof(path[1]), "/proc/%d/ns/pid", (int)b);
    return stat(path[0], &st[0]) == 0 && stat(path[1], &st[1]) == 0 &&
           st[0].st_dev == st[1].st_dev && st[0].st_ino == st[1].st_ino;
}

/* Orphans of a container go to a process in there. What an engine starts has its parent outside,
 * which ends when it has done that: no sign of anything. */
static bool lost_parent(const struct peer *p, pid_t now)
{
    return now != p->ppid && !(p->in && !same_pid_space(p->pid, now));
}

/* What was read in this turn: many callers have one session leader, and some are one process. */
#define SEEN_MAX 64
struct seen {
    pid_t pid; /* 0: none */
    int error;
    struct peer_stat st;
};

static int look(struct seen *seen, pid_t pid, struct peer_stat *ret)
{
    struct seen *e = &seen[(uint32_t)pid % SEEN_MAX];
    if (e->pid != pid) {
        e->pid = pid;
        e->st = (struct peer_stat){.ppid = 0};
        e->error = peer_stat_read(pid, &e->st);
    }
    *ret = e->st;
    return e->error;
}

/* What has changed, or NULL. */
static const char *changed(const struct session *s, struct seen *seen)
{
    const struct peer *p = &s->r->peer;
    struct peer_stat now, leader;
    if (look(seen, p->pid, &now) < 0 || now.start_time != p->start_time)
        return "the process that asked is gone";
    if (lost_parent(p, now.ppid))
        return "the parent of the process that asked is gone";
    if (now.sid != p->sid)
        return "the process that asked moved to another session";
    if (s->leader_start &&
        (look(seen, p->sid, &leader) < 0 || leader.start_time != s->leader_start))
        return "the session that asked has ended";
    return NULL;
}

void watch_turn(struct room *m)
{
    struct seen seen[SEEN_MAX] = {{.pid = 0}};
    size_t n = m->waiting_count * WATCH_TURN_MS / WATCH_PERIOD_MS + 1;
    for (; n > 0 && !list_empty(&m->waiting); n--) {
        struct session *s = list_item(m->waiting.next, struct session, in_state);
        list_remove(&s->in_state);
        list_append(&m->waiting, &s->in_state);
        const char *why = changed(s, seen);
        if (why)
            session_withdraw(s, why);
    }
}
