/* SPDX-License-Identifier: MIT */
#include "mirror/loan.h"

#include <sys/socket.h>
#include <unistd.h>

#include "mirror/packet.h"

#define LOANS_MAX 64 /* in all, as lent workers are no more to be had for others */

bool loan_room(void)
{
    return crew_count(CREW_LENT) < LOANS_MAX;
}

/* Of one that is not lent: nothing. */
static uint32_t phase_of(const struct crew_member *m)
{
    return m->state != CREW_LENT ? CREW_ENDS : __atomic_load_n(&m->share->phase, __ATOMIC_SEQ_CST);
}

bool loan_runs(const struct crew_member *m, uint64_t job)
{
    uint32_t phase = phase_of(m);
    return (phase == CREW_STARTS || phase == CREW_RUNS) && (!job || m->share->job == job);
}

bool loan_free(const struct crew_member *m)
{
    return phase_of(m) == CREW_FREE;
}

bool loan_make(struct crew_member *m, int control, pid_t init)
{
    char path[600] = "";
    uint8_t body[700];
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return false;
    cgroup_path(m->cgroup, path, sizeof(path));
    struct helper_started line = {.pid = (uint32_t)init, .cgroup = path};
    size_t n = helper_started_encode(&line, body, sizeof(body));
    int theirs[2] = {sv[0], m->cgroup->dir};
    /* The worker first: what the warden says may come at once. */
    int r = packet_send_with(m->sock, HELPER_LINE, body, n, theirs, 2);
    if (r == 0)
        r = packet_send_with(control, HELPER_LINE, body, n, &sv[1], 1);
    close(sv[0]);
    close(sv[1]);
    if (r < 0)
        return false;
    m->state = CREW_LENT;
    return true;
}
