/* SPDX-License-Identifier: MIT */
#include "mirror/crew.h"

#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mirror/cgroup.h"
#include "mirror/worker.h"

struct crew_member crew[CREW_MAX];
unsigned crew_top;

bool crew_hire(void)
{
    struct crew_member *m = NULL;
    for (unsigned i = 0; i < crew_top && !m; i++)
        if (crew[i].state == CREW_NONE)
            m = &crew[i];
    if (!m && crew_top < CREW_MAX)
        m = &crew[crew_top];
    int sv[2];
    if (!m || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        worker_run(sv[1]);
    close(sv[1]);
    if (pid < 0) {
        close(sv[0]);
        return false;
    }
    *m = (struct crew_member){.state = CREW_IDLE, .pid = pid, .sock = sv[0]};
    if (m == &crew[crew_top])
        crew_top++;
    return true;
}

static struct crew_member *idle(void)
{
    struct crew_member *m = NULL;
    for (unsigned i = 0; i < crew_top && (!m || m->seated); i++)
        if (crew[i].state == CREW_IDLE)
            m = &crew[i];
    return m;
}

struct crew_member *crew_get_seated(const char *container, unsigned *ret)
{
    struct crew_member *m = NULL;
    *ret = 0;
    for (unsigned i = 0; i < crew_top; i++) {
        if (!crew[i].seated || !cgroup_is_of(crew[i].cgroup, container))
            continue;
        (*ret)++;
        if (crew[i].state == CREW_IDLE)
            m = &crew[i];
    }
    return m;
}

struct crew_member *crew_get(void)
{
    struct crew_member *m = idle();
    if (!m && crew_hire())
        m = idle();
    return m;
}

struct crew_member *crew_find(uint64_t job, enum crew_state state)
{
    for (unsigned i = 0; i < crew_top; i++)
        if (crew[i].state == state && crew[i].job == job)
            return &crew[i];
    return NULL;
}

unsigned crew_count(enum crew_state state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < crew_top; i++)
        n += crew[i].state == state;
    return n;
}

void crew_dismiss(struct crew_member *m)
{
    m->state = CREW_DYING;
    m->deadline = 0;
    (void)shutdown(m->sock, SHUT_RDWR);
}

void crew_forget(struct crew_member *m)
{
    close(m->sock);
    *m = (struct crew_member){.state = CREW_NONE};
    while (crew_top && crew[crew_top - 1].state == CREW_NONE)
        crew_top--;
}
