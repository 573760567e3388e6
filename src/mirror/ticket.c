/* SPDX-License-Identifier: MIT */
#include "mirror/ticket.h"

#include <unistd.h>

#include "mirror/seat.h"

#define LIFE_MS 50 /* of which the warden needs a fraction, unless a person is asked */

static struct {
    bool valid;
    uint64_t written; /* ms */
    uint32_t pid, uid, gid;
    struct subject subject;
    struct inside inside; /* its root is owned */
    int cwd;              /* owned */
} ticket;

void ticket_drop(void)
{
    if (!ticket.valid)
        return;
    inside_close(&ticket.inside);
    close(ticket.cwd);
    ticket.valid = false;
}

void ticket_write(const struct worker *w, const struct ticket_facts *f)
{
    ticket_drop();
    ticket.subject = *f->subject;
    subject_read_limits((pid_t)f->peer->pid, &ticket.subject);
    subject_bound_root(&ticket.subject, f->peer->uid);
    if (*f->cwd < 0 || !seat_suits(&ticket.subject) || !seat_stands(w->home))
        return;
    ticket.pid = f->peer->pid;
    ticket.uid = f->peer->uid;
    ticket.gid = f->peer->gid;
    ticket.inside = *f->inside;
    ticket.cwd = *f->cwd;
    f->inside->root = *f->cwd = -1;
    ticket.written = job_now();
    ticket.valid = true;
}

bool ticket_take(struct job *j)
{
    const struct helper_peer *p = &j->start.peer;
    if (!ticket.valid || j->v1 || j->initfd < 0 || ticket.pid != p->pid || ticket.uid != p->uid ||
        ticket.gid != p->gid || ticket.inside.init != (pid_t)j->start.init ||
        job_now() > ticket.written + LIFE_MS) {
        ticket_drop();
        return false;
    }
    j->subject = ticket.subject;
    j->inside = ticket.inside;
    j->inside.initfd = j->initfd;
    j->plan.cwd = ticket.cwd;
    ticket.valid = false;
    return true;
}
