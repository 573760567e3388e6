/* SPDX-License-Identifier: MIT */
/* Linear searches over what is on its way (few), a hash over process numbers for what runs (many).
 */
#include "gate/execs.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gate/scope.h"

#define BUCKETS 4096
#define NONE UINT32_MAX

struct execs_account execs_account;

static struct exec table[EXECS_MAX];
static uint32_t next_free[EXECS_MAX], free_head, used; /* `used`: never handed out behind it */
static uint32_t active[EXECS_MAX], active_at[EXECS_MAX], active_count; /* not free */
static uint32_t running_next[EXECS_MAX], running[BUCKETS];             /* by tgid: index + 1 */
static unsigned counts[EXEC_RUNNING + 1];
static uint64_t last_job;

static uint32_t index_of(const struct exec *e)
{
    return (uint32_t)(e - table);
}

static void link_running(struct exec *e)
{
    uint32_t *head = &running[(uint32_t)e->tgid % BUCKETS];
    running_next[index_of(e)] = *head;
    *head = index_of(e) + 1;
}

static void unlink_running(const struct exec *e)
{
    uint32_t *at = &running[(uint32_t)e->tgid % BUCKETS];
    while (*at && *at != index_of(e) + 1)
        at = &running_next[*at - 1];
    if (*at)
        *at = running_next[index_of(e)];
}

struct exec *execs_new(enum exec_state s)
{
    uint32_t i;
    if (free_head)
        i = free_head - 1, free_head = next_free[i];
    else if (used < EXECS_MAX)
        i = used++;
    else
        return NULL;
    struct exec *e = &table[i];
    *e = (struct exec){
        .state = s, .job = ++last_job, .image = {.mem = -1}, .pidfd = -1, .finder = -1};
    counts[s]++;
    active_at[i] = active_count;
    active[active_count++] = i;
    return e;
}

void execs_set(struct exec *e, enum exec_state s)
{
    if (e->state == EXEC_RUNNING)
        unlink_running(e);
    counts[e->state]--;
    counts[s]++;
    e->state = s;
    if (s == EXEC_RUNNING)
        link_running(e);
}

/* Who was below it is below what it was below. */
static void hand_down(const struct exec *e)
{
    for (uint32_t i = 0; i < active_count; i++)
        if (table[active[i]].above == e->job)
            table[active[i]].above = e->above;
}

void execs_free(struct exec *e)
{
    uint32_t i = index_of(e), at = active_at[i];
    hand_down(e);
    execs_set(e, EXEC_FREE);
    image_done(&e->image);
    if (e->operands)
        munmap(e->operands, e->operands_size);
    if (e->pidfd >= 0)
        close(e->pidfd);
    if (e->scoped)
        scope_leave(e->job);
    active[at] = active[--active_count];
    active_at[active[at]] = at;
    counts[EXEC_FREE]--;
    *e = (struct exec){.state = EXEC_FREE, .pidfd = -1, .image = {.mem = -1}};
    next_free[i] = free_head;
    free_head = i + 1;
}

struct exec *execs_next(const struct exec *after)
{
    uint32_t at = after ? active_at[index_of(after)] + 1 : 0;
    return at < active_count ? &table[active[at]] : NULL;
}

struct exec *execs_find_job(uint64_t job)
{
    for (uint32_t i = active_count; job && i > 0; i--) /* the new ones are asked for most */
        if (table[active[i - 1]].job == job)
            return &table[active[i - 1]];
    return NULL;
}

struct exec *execs_find_thread(pid_t tid)
{
    for (uint32_t i = active_count; i > 0; i--) {
        struct exec *e = &table[active[i - 1]];
        if (e->tid == tid && e->state != EXEC_QUEUED && e->state != EXEC_RUNNING)
            return e;
    }
    return NULL;
}

static struct exec *find(pid_t tgid, enum exec_state s)
{
    for (uint32_t i = active_count; counts[s] && i > 0; i--) {
        struct exec *e = &table[active[i - 1]];
        if (e->tgid == tgid && e->state == s)
            return e;
    }
    return NULL;
}

struct exec *execs_find_going(pid_t tgid)
{
    return find(tgid, EXEC_GOING);
}

struct exec *execs_find_passing(pid_t tgid)
{
    return find(tgid, EXEC_PASSING);
}

struct exec *execs_find_queued(pid_t tgid)
{
    return find(tgid, EXEC_QUEUED);
}

struct exec *execs_find_running(pid_t tgid)
{
    for (uint32_t i = running[(uint32_t)tgid % BUCKETS]; i; i = running_next[i - 1])
        if (table[i - 1].tgid == tgid)
            return &table[i - 1];
    return NULL;
}

bool execs_full(void)
{
    return active_count - counts[EXEC_RUNNING] >= EXECS_GOING_MAX || active_count >= EXECS_MAX - 1;
}

bool execs_is_below(const struct exec *e, uint64_t job)
{
    for (int i = 0; e && i < 64; i++) {
        if (e->job == job)
            return true;
        e = execs_find_job(e->above);
    }
    return false;
}

bool execs_balanced(void)
{
    uint64_t under_way = 0;
    for (uint32_t i = 0; counts[EXEC_GOING] && i < active_count; i++)
        under_way += table[active[i]].state == EXEC_GOING && table[active[i]].continued;
    const struct execs_account *a = &execs_account;
    return a->continued == a->stopped + a->failed + a->died + under_way;
}
