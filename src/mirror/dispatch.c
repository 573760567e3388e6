/* SPDX-License-Identifier: MIT */
#include "mirror/dispatch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/cgroup.h"
#include "mirror/crew.h"
#include "mirror/hierarchy.h"
#include "mirror/inside.h"
#include "mirror/job.h"
#include "mirror/loan.h"
#include "mirror/packet.h"
#include "mirror/phrase.h"
#include "mirror/refusal.h"
#include "mirror/tree.h"

#define LOOKUP_MS 1000
#define LOOKUPS_MAX 64 /* at once, the dying included; the warden has half as many open */
#define JOBS_MAX 512   /* at once; see has_room() */
#define SEATS_FEW 8    /* of one container: each counts for its limit of processes */
#define SEATS_MAX 32   /* of one that may have SEATS_PIDS of them */
#define SEATS_PIDS 512
#define START_MS 45000   /* more than a worker waits for the shim's descriptors */
#define RELEASE_MS 20000 /* more than a worker waits for a client that does not read */

static int control;
static bool cgroups;
static char outside[256]; /* why containers cannot be entered, or "" */
static uint8_t buf[PACKET_SIZE_MAX];

/* ---- answers of our own ---- */

/* The warden is trusted to read: it never waits for us. */
static void answer(uint8_t type, uint64_t job, const void *body, size_t n)
{
    (void)packet_send(control, type, job, body, n, true);
}

static void refuse_lookup(uint64_t job, int err, const char *words)
{
    uint8_t out[512];
    struct helper_resolved m = {.error = (uint32_t)err, .words = words};
    answer(HELPER_RESOLVED, job, out, helper_resolved_encode(&m, out, sizeof(out)));
}

static void end_job(uint64_t job, const char *words)
{
    uint8_t out[512];
    struct helper_end m = {.kind = HELPER_END_FAILED, .value = 125, .text = words};
    answer(HELPER_ENDED, job, out, helper_end_encode(&m, out, sizeof(out)));
}

static void hello(const char *words)
{
    uint8_t out[2048];
    struct helper_hello m = {.version = HELPER_VERSION,
                             .features = (cgroups ? HELPER_HAS_CGROUP : 0) |
                                         (geteuid() == 0 ? HELPER_IS_ROOT : 0) |
                                         (outside[0] ? 0 : HELPER_ENTERS),
                             .cgroup = cgroup_base(),
                             .words = words,
                             .outside = outside};
    answer(HELPER_HELLO, 0, out, helper_hello_encode(&m, out, sizeof(out)));
}

/* Whoever closes a caller's connection for the last time may have to wait for what lies in it: a
 * process does it that nobody waits for. */
static void dispose(struct packet *p)
{
    pid_t pid = fork();
    if (pid == 0) {
        close(control);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        _exit(0);
    }
    if (pid < 0)
        p->fds_count = 0; /* better one descriptor lost than a helper that hangs */
    packet_done(p);
}

/* ---- orders of the warden ---- */

static void on_resolve(struct packet *p)
{
    struct crew_member *m = NULL;
    if (crew_count(CREW_LOOKUP) + crew_count(CREW_DYING) < LOOKUPS_MAX)
        m = crew_get();
    if (!m || p->fds_count < 1 || packet_forward(m->sock, p, false) < 0) {
        refuse_lookup(p->head.job, EAGAIN, "too many lookups at once");
    } else {
        m->state = CREW_LOOKUP;
        m->job = p->head.job;
        m->deadline = job_now() + LOOKUP_MS;
        m->forgotten = false;
    }
    packet_done(p);
}

static void settle_cgroup(struct crew_member *m)
{
    if (m->cgroup && m->frozen)
        (void)cgroup_freeze(m->cgroup->dir, false);
    if (m->cgroup)
        (void)cgroup_put(m->cgroup, m->spent);
    m->cgroup = NULL;
    m->frozen = m->seated = false;
}

/* Seats hold cgroups of containers, of which there are not so many. */
static void dismiss_seats(void)
{
    for (unsigned i = 0; i < crew_top; i++)
        if (loan_free(&crew[i])) {
            settle_cgroup(&crew[i]);
            crew_dismiss(&crew[i]);
        }
}

/* Below the cgroup of the container's init, or ours when `container` is NULL. */
static struct cgroup *choose_cgroup(const char *container)
{
    struct cgroup *c = cgroups ? cgroup_get(container) : NULL;
    if (c || !cgroups)
        return c;
    dismiss_seats();
    return cgroup_get(container);
}

/* Behind the descriptors that came with the message; an attached body stays the last. */
static void add_cgroup(struct packet *p, struct crew_member *m, unsigned at, const char *container)
{
    if (!m->cgroup)
        m->cgroup = choose_cgroup(container);
    if (!m->cgroup)
        return;
    memmove(p->fds + at + 1, p->fds + at, sizeof(int) * (HELPER_FDS_MAX - at - 1));
    p->fds[at] = m->cgroup->dir;
    p->fds_count++;
    p->head.flags |= HELPER_CGROUP;
}

/* The cgroup's directory stays ours. */
static void remove_cgroup(struct packet *p, unsigned at)
{
    if (!(p->head.flags & HELPER_CGROUP))
        return;
    memmove(p->fds + at, p->fds + at + 1, sizeof(int) * (HELPER_FDS_MAX - at - 1));
    p->fds[HELPER_FDS_MAX - 1] = -1;
    p->fds_count--;
    p->head.flags &= (uint8_t)~HELPER_CGROUP;
}

/* A user may hold at most as much as is free: whoever fills it leaves room for the next, also with
 * commands that cannot die. */
static bool has_room(uint32_t uid)
{
    unsigned all = 0, own = 0;
    for (unsigned i = 0; i < crew_top; i++)
        if (crew[i].state == CREW_JOB || loan_runs(&crew[i], 0)) {
            all++;
            own += (crew[i].state == CREW_JOB ? crew[i].uid : crew[i].share->uid) == uid;
        }
    return own < JOBS_MAX - all;
}

/* Whoever runs many commands at once is not to pay for the start of all but a few. */
static bool may_have_one_more(unsigned seats, pid_t init)
{
    return loan_room() &&
           (seats < SEATS_FEW || (seats < SEATS_MAX && hierarchy_pids_allow(init, SEATS_PIDS)));
}

static void refuse_start(struct packet *p, bool v1, const char *text)
{
    refusal_say(p->fds[0], v1, text);
    end_job(p->head.job, text);
    dispose(p);
}

static void on_start(struct packet *p)
{
    struct helper_start s;
    unsigned attached = !!(p->head.flags & HELPER_ATTACHED);
    if (packet_map(p) < 0 || helper_start_decode(p->body, p->head.len, &s) < 0 ||
        p->fds_count != 2u + (s.init != 0) + attached) {
        end_job(p->head.job, "clawrden: the helper did not understand the warden\n");
        dispose(p);
        return;
    }
    bool v1 = s.flags & HELPER_PEER_V1, room = has_room(s.peer.uid);
    char path[HIERARCHY_PATH_MAX];
    bool inside = s.init && cgroups && hierarchy_v2_path((pid_t)s.init, path) == 0;
    bool may_seat = inside && !(s.flags & HELPER_BY_ENGINE);
    struct crew_member *m = room ? crew_get() : NULL;
    if (!m) {
        refuse_start(p, v1,
                     room
                         ? "clawrden: no process can be made for this command: run it again later\n"
                         : "clawrden: too many commands of this user run at once: run it again "
                           "when some have ended\n");
        return;
    }
    unsigned own = p->fds_count - attached;
    add_cgroup(p, m, own, inside ? path : NULL);
    m->init = (pid_t)s.init;
    m->seated = m->cgroup && may_seat && may_have_one_more(crew_count_seated(path), (pid_t)s.init);
    if (m->seated)
        p->head.flags |= HELPER_SEAT;
    if (s.init && !m->cgroup && !(s.flags & HELPER_BY_ENGINE)) {
        refuse_start(p, v1, "clawrden: no cgroup could be made for it in its container\n");
        return;
    }
    m->uid = s.peer.uid;
    m->state = CREW_JOB;
    m->job = p->head.job;
    m->deadline = job_now() + START_MS;
    m->ended = m->spent = m->frozen = false;
    m->command = 0;
    int r = packet_forward(m->sock, p, false);
    remove_cgroup(p, own);
    if (r < 0) {
        /* It died while it was idle; its end is reported when its socket tells. */
        dispose(p);
        return;
    }
    packet_done(p);
}

/* The one whose command this is, unless it has ended. */
static struct crew_member *find_running(uint64_t job)
{
    struct crew_member *m = crew_find(job, CREW_JOB);
    if (m)
        return m->ended ? NULL : m;
    for (unsigned i = 0; i < crew_top; i++)
        if (loan_runs(&crew[i], job))
            return &crew[i];
    return NULL;
}

/* Before its cgroup is killed or stopped. A lent worker may end this command meanwhile and take the
 * next: it looks for the stain in between, so what is stained and still runs has no successor. */
static bool stain(struct crew_member *m, uint64_t job)
{
    __atomic_store_n(&m->share->tainted, true, __ATOMIC_SEQ_CST);
    return m->state == CREW_JOB || loan_runs(m, job);
}

static void on_kill(struct packet *p)
{
    uint32_t signo;
    struct crew_member *m = find_running(p->head.job);
    if (!m || helper_kill_decode(p->body, p->head.len, &signo) < 0)
        return;
    if (m->state == CREW_JOB)
        (void)packet_forward(m->sock, p, false);
    if (signo == SIGKILL && m->cgroup) {
        /* Also when the worker hangs. */
        m->spent = true;
        if (stain(m, p->head.job))
            cgroup_kill(m->cgroup->dir);
    }
}

/* What the engine has of its command, for the worker alone. */
static void on_engine(struct packet *p)
{
    const struct crew_member *m = crew_find(p->head.job, CREW_JOB);
    if (m && !m->ended)
        (void)packet_forward(m->sock, p, false);
}

/* Without an answer: the warden looks at the cgroup itself. */
static void on_freeze(struct packet *p)
{
    uint32_t on;
    struct crew_member *m = find_running(p->head.job);
    if (!m || !m->cgroup || helper_freeze_decode(p->body, p->head.len, &on) < 0)
        return;
    if (on && !stain(m, p->head.job))
        return;
    if (cgroup_freeze(m->cgroup->dir, on))
        m->frozen = on;
}

static void on_release(struct packet *p)
{
    struct crew_member *m = crew_find(p->head.job, CREW_JOB);
    if (!m || packet_forward(m->sock, p, false) < 0)
        return;
    m->deadline = job_now() + RELEASE_MS;
}

static void on_cancel(struct packet *p)
{
    struct crew_member *m = crew_find(p->head.job, CREW_LOOKUP);
    if (m)
        m->forgotten = true;
}

/* ---- news of the workers ---- */

static void on_started(struct crew_member *m, const struct packet *p)
{
    char path[600] = "";
    uint8_t out[700];
    struct helper_started s;
    m->deadline = 0;
    if (helper_started_decode(p->body, p->head.len, &s) < 0)
        return;
    m->command = (pid_t)s.pid;
    if (m->cgroup)
        cgroup_path(m->cgroup, path, sizeof(path));
    s.cgroup = path;
    answer(HELPER_STARTED, m->job, out, helper_started_encode(&s, out, sizeof(out)));
}

static void on_ended(struct crew_member *m, const struct packet *p)
{
    struct helper_end e;
    uint8_t out[HELPER_TEXT_MAX + 64];
    if (helper_end_decode(p->body, p->head.len, &e) < 0)
        return;
    m->deadline = 0;
    m->ended = true;
    m->spent = m->spent || (e.flags & HELPER_END_CGROUP_SPENT);
    e.flags &= ~HELPER_END_CGROUP_SPENT;
    answer(HELPER_ENDED, m->job, out, helper_end_encode(&e, out, sizeof(out)));
}

static void on_idle(struct crew_member *m, const struct packet *p)
{
    struct helper_end e;
    bool fine = helper_end_decode(p->body, p->head.len, &e) == 0;
    m->spent = m->spent || (fine && (e.flags & HELPER_END_CGROUP_SPENT));
    m->seated = fine && (e.flags & HELPER_END_SEAT) && !m->spent && !m->frozen;
    m->state = CREW_IDLE;
    m->deadline = 0;
    if (m->seated && loan_make(m, control, m->init))
        return;
    bool seated = m->seated; /* and nobody to use it */
    m->share->tainted = false;
    settle_cgroup(m);
    if (seated || crew_count(CREW_IDLE) > CREW_IDLE_MAX)
        crew_dismiss(m);
}

static void on_lost(struct crew_member *m)
{
    if (m->state == CREW_LOOKUP && !m->forgotten)
        refuse_lookup(m->job, EIO, "the lookup broke off");
    if ((m->state == CREW_JOB && !m->ended) || loan_runs(m, 0)) {
        m->spent = true;
        if (m->cgroup)
            cgroup_kill(m->cgroup->dir);
        else if (m->command)
            (void)kill(-m->command, SIGKILL); /* what left its group is out of reach now */
    }
    if (m->state == CREW_JOB && !m->ended)
        end_job(m->job, "clawrden: the process that ran this command died\n");
    settle_cgroup(m);
    crew_forget(m);
}

static void on_worker(struct crew_member *m)
{
    struct packet p;
    int r = packet_receive(m->sock, buf, sizeof(buf), false, &p);
    if (r == -EAGAIN)
        return;
    if (r <= 0) {
        on_lost(m);
        return;
    }
    if (m->state == CREW_LOOKUP && p.head.type == HELPER_IDLE) {
        m->state = CREW_IDLE; /* the warden has its answer */
        m->deadline = 0;
    } else if (m->state == CREW_JOB &&
               (p.head.type == HELPER_READY || p.head.type == HELPER_RESIZED)) {
        (void)packet_forward(control, &p, true);
    } else if (m->state == CREW_JOB && p.head.type == HELPER_STARTED) {
        on_started(m, &p);
    } else if (m->state == CREW_JOB && p.head.type == HELPER_ENDED) {
        on_ended(m, &p);
    } else if ((m->state == CREW_JOB || m->state == CREW_LENT) && p.head.type == HELPER_IDLE) {
        on_idle(m, &p);
    }
    packet_done(&p);
}

/* ---- all that the warden says ---- */

/* The warden has a worker's answer, and asks for more, before we have heard that the worker is
 * free: listen before another is made, or somebody refused. */
static void hear_who_is_free(void)
{
    if (crew_count(CREW_IDLE) > 0)
        return;
    for (unsigned i = 0; i < crew_top; i++)
        if (crew[i].state == CREW_LOOKUP)
            on_worker(&crew[i]);
}

/* false: the warden is gone */
static bool on_control(void)
{
    for (int i = 0; i < 64; i++) {
        struct packet p;
        hear_who_is_free();
        int r = packet_receive(control, buf, sizeof(buf), false, &p);
        if (r == -EAGAIN || r == -EINTR)
            return true;
        if (r <= 0)
            return false;
        if (p.head.type == HELPER_RESOLVE) {
            on_resolve(&p);
            continue;
        }
        if (p.head.type == HELPER_START) {
            on_start(&p);
            continue;
        }
        if (p.head.type == HELPER_KILL)
            on_kill(&p);
        else if (p.head.type == HELPER_STREAM || p.head.type == HELPER_ADOPT)
            on_engine(&p);
        else if (p.head.type == HELPER_FREEZE)
            on_freeze(&p);
        else if (p.head.type == HELPER_RELEASE)
            on_release(&p);
        else if (p.head.type == HELPER_CANCEL)
            on_cancel(&p);
        packet_done(&p);
    }
    return true;
}

/* ---- time ---- */

/* All of a job but its worker; also what left its cgroup, as a command of root can. */
static void kill_job(struct crew_member *m)
{
    m->spent = true;
    if (m->cgroup)
        cgroup_kill(m->cgroup->dir);
    (void)tree_signal(m->pid, SIGKILL);
}

static void overdue_loan(struct crew_member *m)
{
    if (m->share->phase == CREW_LOOKS)
        refuse_lookup(m->share->job, ETIMEDOUT, "the file system did not answer within 1 s");
    else if (loan_runs(m, 0))
        kill_job(m);
    m->state = CREW_DYING;
}

static void overdue(struct crew_member *m)
{
    m->deadline = 0;
    if (m->state == CREW_LENT) {
        overdue_loan(m);
    } else if (m->state == CREW_LOOKUP) {
        if (!m->forgotten)
            refuse_lookup(m->job, ETIMEDOUT, "the file system did not answer within 1 s");
        m->state = CREW_DYING;
    } else if (m->state == CREW_JOB && !m->ended) {
        kill_job(m);
    }
    (void)kill(m->pid, SIGKILL);
}

/* Of a lent worker: by what it does, as far as that has an end. */
static uint64_t loan_deadline(const struct crew_member *m)
{
    static const uint32_t ms[] = {[CREW_LOOKS] = LOOKUP_MS,
                                  [CREW_READY] = START_MS,
                                  [CREW_STARTS] = START_MS,
                                  [CREW_ENDS] = RELEASE_MS};
    uint32_t phase = m->share->phase;
    return phase <= CREW_ENDS && ms[phase] ? m->share->since + ms[phase] : 0;
}

static int check_deadlines(void)
{
    uint64_t now = job_now(), next = UINT64_MAX;
    for (unsigned i = 0; i < crew_top; i++) {
        if (crew[i].state == CREW_LENT) {
            crew[i].deadline = loan_deadline(&crew[i]);
            if (next > now + LOAN_LOOK_MS)
                next = now + LOAN_LOOK_MS;
        }
        if (!crew[i].deadline)
            continue;
        if (crew[i].deadline <= now)
            overdue(&crew[i]);
        else if (crew[i].deadline < next)
            next = crew[i].deadline;
    }
    return next == UINT64_MAX ? -1 : (int)(next - now);
}

/* ---- the end ---- */

static void shut_down(void)
{
    for (unsigned i = 0; i < crew_top; i++) {
        struct crew_member *m = &crew[i];
        if ((m->state == CREW_JOB && !m->ended) || loan_runs(m, 0))
            kill_job(m);
        if (m->state != CREW_NONE)
            (void)kill(m->pid, SIGKILL);
    }
    for (unsigned i = 0; i < crew_top; i++)
        settle_cgroup(&crew[i]);
    cgroup_cleanup();
}

static int make_signals(void)
{
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    return signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void reap(int signals)
{
    struct signalfd_siginfo si;
    int status;
    while (read(signals, &si, sizeof(si)) > 0)
        ;
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
}

static bool turn(int signals)
{
    static struct pollfd p[CREW_MAX + 2];
    static struct crew_member *who[CREW_MAX + 2];
    nfds_t n = 2;
    bool spare = crew_count(CREW_IDLE) < CREW_SPARE;
    p[0] = (struct pollfd){.fd = control, .events = POLLIN};
    p[1] = (struct pollfd){.fd = signals, .events = POLLIN};
    for (unsigned i = 0; i < crew_top; i++) {
        if (crew[i].state == CREW_NONE)
            continue;
        who[n] = &crew[i];
        p[n++] = (struct pollfd){.fd = crew[i].sock, .events = POLLIN};
    }
    int wait = check_deadlines();
    if (spare && (wait < 0 || wait > 5))
        wait = 5;
    int got = poll(p, n, wait);
    if (got == 0 && spare)
        (void)crew_hire(); /* making one takes long, so when there is nothing else to do */
    if (got <= 0)
        return true;
    if (p[1].revents)
        reap(signals);
    for (nfds_t i = 2; i < n; i++)
        if (p[i].revents)
            on_worker(who[i]);
    return !p[0].revents || on_control();
}

int dispatch_run(int control_fd)
{
    char missing[256] = "", words[512] = "";
    struct phrase w = PHRASE(words);
    control = control_fd;
    int signals = make_signals();
    if (signals < 0)
        return 1;
    hierarchy_setup();
    for (int i = 0; i < CREW_SPARE; i++)
        (void)crew_hire();
    cgroups = cgroup_setup(missing, sizeof(missing));
    if (!cgroups) {
        phrase_add(&w, missing);
        phrase_add(&w, ": commands have no cgroup of their own, and killing one with everything it "
                       "started is best effort");
    }
    if (!inside_missing(outside, sizeof(outside)) && !cgroups)
        memcpy(outside, missing, sizeof(missing));
    hello(words);
    while (turn(signals))
        ;
    shut_down();
    return 0;
}
