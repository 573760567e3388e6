/* SPDX-License-Identifier: MIT */
#include "mirror/crew.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mirror/cgroup.h"
#include "mirror/worker.h"

struct crew_member crew[CREW_MAX];
unsigned crew_top;

static struct crew_share *shares; /* one for each of `crew` */

static struct crew_share *share_of(const struct crew_member *m)
{
    if (!shares) {
        void *p = mmap(NULL, sizeof(*shares) * CREW_MAX, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        shares = p;
    }
    return &shares[m - crew];
}

bool crew_hire(void)
{
    struct crew_member *m = NULL;
    for (unsigned i = 0; i < crew_top && !m; i++)
        if (crew[i].state == CREW_NONE)
            m = &crew[i];
    if (!m && crew_top < CREW_MAX)
        m = &crew[crew_top];
    struct crew_share *share = m ? share_of(m) : NULL;
    int sv[2];
    if (!share || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return false;
    *share = (struct crew_share){.phase = CREW_FREE};
    pid_t pid = fork();
    if (pid == 0)
        worker_run(sv[1], share);
    close(sv[1]);
    if (pid < 0) {
        close(sv[0]);
        return false;
    }
    *m = (struct crew_member){.state = CREW_IDLE, .pid = pid, .sock = sv[0], .share = share};
    if (m == &crew[crew_top])
        crew_top++;
    return true;
}

static struct crew_member *idle(void)
{
    for (unsigned i = 0; i < crew_top; i++)
        if (crew[i].state == CREW_IDLE)
            return &crew[i];
    return NULL;
}

unsigned crew_count_seated(const char *container)
{
    unsigned n = 0;
    for (unsigned i = 0; i < crew_top; i++)
        n += crew[i].seated && cgroup_is_of(crew[i].cgroup, container);
    return n;
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
