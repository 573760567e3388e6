/* SPDX-License-Identifier: MIT */
/* A program that is stopped before its first instruction, between us and the warden. What cannot be
 * asked cannot run, and what cannot be made true kills it. */
#include "gate/verdict.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/finders.h"
#include "gate/procfs.h"
#include "gate/scope.h"
#include "gate/still.h"
#include "gate/talk.h"
#include "gate/tracer.h"
#include "gate/uapi.h"
#include "gate/upstream.h"
#include "mirror/phrase.h"

#define LOOK_AT_SIGNALS_MS 100

static uint64_t signals_due = UINT64_MAX;
static bool debuggers;

void verdict_debuggers(void)
{
    debuggers = true;
}

/* ---- what the warden hears ---- */

void verdict_end(const struct exec *e, enum gatewire_end_kind kind, int value, const char *text)
{
    size_t size;
    if (e->unreported)
        return;
    uint8_t *body = talk_body(&size);
    const struct gatewire_end m = {
        .job = e->job, .kind = kind, .value = (uint32_t)value & 255, .text = text};
    (void)talk_send_late(GATEWIRE_END, gatewire_end_encode(&m, body, size));
}

void verdict_withdraw(const struct exec *e, const char *why)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    const struct gatewire_withdraw m = {.job = e->job, .why = why};
    (void)talk_send(GATEWIRE_WITHDRAW, gatewire_withdraw_encode(&m, body, size), -1);
}

static void tell_started(const struct exec *e)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    struct pack_writer w = {.p = body, .size = size};
    pack_put_u64(&w, e->job);
    (void)talk_send_late(GATEWIRE_STARTED, w.len);
}

bool verdict_expected(const struct exec *e)
{
    return e->state == EXEC_ASKED || e->state == EXEC_LOOKING;
}

/* ---- letting go ---- */

void verdict_drop_finder(struct exec *e)
{
    if (e->finder >= 0)
        finders_drop(e->finder);
    e->finder = -1;
}

/* SIGKILL reaches what is stopped, and the kernel says when it is gone. */
void verdict_doom(struct exec *e)
{
    verdict_drop_finder(e);
    (void)kill(e->tgid, SIGKILL);
    execs_set(e, EXEC_DOOMED);
}

/* ---- the question ---- */

/* "DEV:INO NAME" of each program above, the nearest first. */
static void describe_parents(const struct exec *e, char *out, size_t size, struct pack_strings *ret)
{
    *ret = (struct pack_strings){.packed = out};
    const struct exec *a = execs_find_job(e->above);
    for (; a && ret->count < GATEWIRE_PARENTS_MAX; a = execs_find_job(a->above)) {
        struct phrase p = {.text = out + ret->size, .size = size - ret->size};
        p.text[0] = 0;
        phrase_add_number(&p, a->dev);
        phrase_add(&p, ":");
        phrase_add_number(&p, a->ino);
        phrase_add(&p, " ");
        phrase_add(&p, a->name);
        ret->size += strlen(p.text) + 1;
        ret->count++;
        if (size - ret->size < 128)
            return;
    }
}

static void remember_program(struct exec *e, const struct gatewire_facts *f)
{
    const char *slash = f->path ? strrchr(f->path, '/') : NULL;
    struct phrase p = PHRASE(e->name);
    e->name[0] = 0;
    phrase_add_safe(&p, slash ? slash + 1 : "?");
    e->dev = f->dev;
    e->ino = f->ino;
}

static void ask(struct exec *e, const struct gatewire_facts *facts)
{
    static char parents[GATEWIRE_PARENTS_MAX * 128];
    struct gatewire_request m = {.job = e->job,
                                 .execfn = e->called ? e->called : e->image.execfn,
                                 .argv = e->image.argv,
                                 .env = e->image.env,
                                 .facts = *facts};
    if (!m.env.packed)
        m.env.packed = "";
    remember_program(e, facts);
    describe_parents(e, parents, sizeof(parents), &m.parents);
    size_t size;
    uint8_t *body = talk_body(&size);
    size_t n = gatewire_request_encode(&m, body, size);
    if (e->pidfd < 0 || n == 0 || n > size || talk_send(GATEWIRE_REQUEST, n, e->pidfd) < 0) {
        verdict_doom(e); /* what cannot be asked cannot run */
        return;
    }
    execs_set(e, EXEC_ASKED);
}

static void tell_found(struct exec *e, const struct gatewire_facts *facts)
{
    struct gatewire_found m = {.job = e->job, .facts = *facts};
    size_t size;
    uint8_t *body = talk_body(&size);
    size_t n = gatewire_found_encode(&m, body, size);
    execs_set(e, EXEC_ASKED);
    if (n == 0 || n > size || talk_send(GATEWIRE_FACTS, n, -1) < 0) {
        verdict_withdraw(e, "the gate could not say what it found");
        verdict_doom(e);
    }
}

/* Its image cannot be read: the warden records that, and it dies. */
void verdict_ask_unread(struct exec *e, int error)
{
    char words[160];
    struct phrase p = PHRASE(words);
    words[0] = 0;
    if (error == -ENOEXEC)
        phrase_add(&p, "it is a 32-bit program");
    else {
        phrase_add(&p, "its arguments cannot be read, as of a file that may be executed and not "
                       "read: ");
        phrase_add_errno(&p, -error);
    }
    image_done(&e->image);
    static char none[] = "?";
    e->image.argv = (struct pack_strings){.packed = none, .size = 2, .count = 1};
    e->image.execfn = "?";
    e->unread = true;
    const struct gatewire_facts facts = {.error = (uint32_t)(error == -ENOEXEC ? ENOEXEC : EACCES),
                                         .words = words};
    ask(e, &facts);
}

/* ---- the shim that a redirect has called ---- */

static bool is_expected_shim(const struct exec *e, const struct gatewire_facts *f)
{
    const struct exec *before = execs_find_running(e->tgid);
    return before && before->redirected && !f->error && f->trust == GATEWIRE_TRUSTED &&
           before->redirected == f->ino && before->redirected_dev == f->dev;
}

/* It is not a program of its own: what it stands for goes on. */
static void pass_shim(struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    before->redirected = 0;
    (void)ptrace(PTRACE_DETACH, e->tgid, NULL, NULL);
    execs_free(e);
}

static void not_the_shim(const struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    if (!before || !before->redirected)
        return;
    verdict_end(before, GATEWIRE_REPLACED, 0, "");
    execs_free(before);
}

void verdict_facts(struct exec *e, const struct gatewire_facts *f)
{
    if (e->state == EXEC_LOOKING) {
        tell_found(e, f);
    } else if (e->state == EXEC_FINDING && is_expected_shim(e, f)) {
        pass_shim(e);
    } else if (e->state == EXEC_FINDING) {
        not_the_shim(e);
        if (!verdict_alone(e))
            ask(e, f);
    }
}

/* ---- the answer ---- */

static void fail(struct exec *e, const char *why)
{
    verdict_end(e, GATEWIRE_FAILED, 0, why);
    verdict_doom(e);
}

static void release(struct exec *e)
{
    if (e->limited && scope_is_there()) {
        if (scope_enter(e->job, e->tgid) < 0) {
            fail(e, "it could not be put into a cgroup of its own, which its time limit needs");
            return;
        }
        e->scoped = true;
    }
    if (e->stops)
        (void)kill(e->tgid, SIGSTOP); /* it waits for the detaching */
    if (ptrace(PTRACE_DETACH, e->tgid, NULL, NULL) < 0) {
        fail(e, "its process could not be let go");
        return;
    }
    image_done(&e->image);
    execs_set(e, EXEC_RUNNING);
    e->held = false;
    tell_started(e);
    if (tracer_watch(e->pidfd, e->job) < 0) {
        /* Its end will only be seen if it is our own child; it is recorded now instead. */
        verdict_end(e, GATEWIRE_GONE, 0, "its end cannot be watched");
        execs_free(e);
    }
}

/* The variable is for this program alone, not for those that it starts. 0, or negative as
 * image_scrub(). Looked for first: the warden may have it taken out as one of ours. */
static int take_stop(struct exec *e)
{
    static char name[] = "CLAWRDEN_STOP";
    const struct pack_strings names = {.packed = name, .size = sizeof(name), .count = 1};
    uint32_t found = 0;
    int r = debuggers ? image_scrub(e->tgid, &e->image, &names, &found) : 0;
    e->stops = found > 0;
    return r;
}

static void allow(struct exec *e, const struct gatewire_allow *m, bool redirect)
{
    uint32_t scrubbed;
    struct stat shim;
    if (e->unread)
        fail(e, "it was allowed, but could not be read");
    else if (e->held && image_same(&e->image) < 0)
        fail(e, "its arguments or environment changed while it waited: the approval was for "
                "something else");
    else if (redirect && debuggers)
        fail(e, "what goes through a shim is not started where debuggers are allowed: one could "
                "start the original instead");
    else if (take_stop(e) < 0 || image_scrub(e->tgid, &e->image, &m->scrub, &scrubbed) < 0)
        fail(e, "variables that must not stay could not be taken out of its environment");
    else if (redirect && (stat(m->shim, &shim) < 0 ||
                          image_redirect(e->tgid, &e->image, m->shim, m->command, m->skip) < 0))
        fail(e, "the shim could not be put in its place");
    else {
        e->redirected = redirect ? shim.st_ino : 0;
        e->redirected_dev = redirect ? shim.st_dev : 0;
        e->limited = (m->flags & GATEWIRE_ALLOW_LIMITED) != 0;
        release(e);
    }
}

/* Poisoned, it can only say its words and end. It still has the rest of the denied image: where
 * there may be a debugger, who could put back what was overwritten, it stays ours until then. -1:
 * gone. */
static int leave(struct exec *e)
{
    long r = ptrace(debuggers ? PTRACE_CONT : PTRACE_DETACH, e->tgid, NULL, NULL);
    if (debuggers && r == 0)
        execs_set(e, EXEC_LEAVING);
    return r < 0 ? -1 : 0;
}

static void deny(struct exec *e, const struct gatewire_deny *m)
{
    if (e->unread || image_poison(e->tgid, &e->image, m->text, (int)m->code) < 0) {
        verdict_doom(e);
        return;
    }
    /* ESRCH: it died, which wait will say */
    if (leave(e) < 0 || !debuggers)
        execs_free(e);
}

static void kill_below(uint64_t job, int signo)
{
    for (struct exec *e = execs_next(NULL); e; e = execs_next(e))
        if (e->state == EXEC_RUNNING && execs_is_below(e, job)) {
            (void)syscall(UAPI_SYS_PIDFD_SEND_SIGNAL, e->pidfd, signo, NULL, 0u);
            if (signo == SIGKILL)
                procfs_kill_below(e->tgid, signo);
            if (signo == SIGKILL && e->scoped)
                scope_kill(e->job);
        } else if (e->tgid > 0 && e->state != EXEC_RUNNING && execs_is_below(e, job)) {
            (void)kill(e->tgid, signo);
        }
}

/* ---- without a warden ---- */

static void refuse(struct exec *e, const char *text)
{
    const struct gatewire_deny m = {.code = 125, .text = text};
    verdict_drop_finder(e);
    deny(e, &m);
}

bool verdict_alone(struct exec *e)
{
    if (upstream_is_there())
        return false;
    refuse(e, "clawrden: not run: the warden cannot be reached; nothing starts until it is back, "
              "try again then\n");
    return true;
}

/* What waits is refused and what it let go goes on, but for what only it would end in time. */
void verdict_warden_lost(void)
{
    still_lost();
    struct exec *e = execs_next(NULL);
    while (e) {
        if (verdict_expected(e)) {
            refuse(e, "clawrden: not run: the warden went away before it had decided; try again\n");
            e = execs_next(NULL); /* the table has moved */
            continue;
        }
        if (e->state == EXEC_RUNNING) {
            e->unreported = true;
            if (e->limited)
                kill_below(e->job, SIGKILL);
        }
        e = execs_next(e);
    }
    signals_due = UINT64_MAX;
}

/* ---- the answer, of other kinds ---- */

static int look(struct exec *e, const struct gatewire_look *m)
{
    if (e->operands) {
        munmap(e->operands, e->operands_size);
        e->operands = NULL;
    }
    e->operands_count = m->operands.count;
    e->operands_size = m->operands.size;
    if (m->operands.size > 0) {
        void *p = mmap(NULL, m->operands.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (p == MAP_FAILED)
            return -ENOMEM;
        e->operands = p;
        memcpy(p, m->operands.packed, m->operands.size);
    }
    execs_set(e, EXEC_LOOKING);
    if (e->unread) {
        const struct gatewire_facts f = {.error = EACCES, .words = "its image cannot be read"};
        tell_found(e, &f);
    } else {
        tracer_find(e);
    }
    return 0;
}

static int heed(const struct gatewire_head *h, const uint8_t *body, uint64_t job)
{
    struct exec *e = execs_find_job(job);
    struct gatewire_allow allowed;
    struct gatewire_deny denied;
    struct gatewire_look wanted;
    uint32_t signo;
    switch (h->type) {
    case GATEWIRE_ALLOW:
    case GATEWIRE_REDIRECT:
        if (gatewire_allow_decode(body, h->len, &allowed) < 0)
            return -EBADMSG;
        if (e && e->state == EXEC_ASKED)
            allow(e, &allowed, h->type == GATEWIRE_REDIRECT);
        return 0;
    case GATEWIRE_DENY:
        if (gatewire_deny_decode(body, h->len, &denied) < 0)
            return -EBADMSG;
        if (e && verdict_expected(e)) {
            verdict_drop_finder(e);
            deny(e, &denied);
        }
        return 0;
    case GATEWIRE_LOOK:
        if (gatewire_look_decode(body, h->len, &wanted) < 0)
            return -EBADMSG;
        return e && e->state == EXEC_ASKED ? look(e, &wanted) : 0;
    case GATEWIRE_WAITING:
        if (e && verdict_expected(e)) {
            e->held = true;
            signals_due = clock_ms() + LOOK_AT_SIGNALS_MS;
        }
        return 0;
    case GATEWIRE_KILL:
        if (gatewire_kill_decode(body, h->len, &job, &signo) < 0)
            return -EBADMSG;
        kill_below(job, (int)signo);
        return 0;
    case GATEWIRE_FREEZE:
        if (gatewire_freeze_decode(body, h->len, &job, &signo) < 0)
            return -EBADMSG;
        if (e && e->state == EXEC_RUNNING)
            still_set(e, signo);
        return 0;
    default:
        return -EBADMSG;
    }
}

int verdict_answer(const struct gatewire_head *h, const uint8_t *body, const char **ret_why)
{
    struct pack_reader r = {.p = body, .len = h->len};
    uint64_t job = pack_get_u64(&r); /* all of them begin with it */
    int error = job ? heed(h, body, job) : -EBADMSG;
    if (error < 0)
        *ret_why = "the warden said something that makes no sense";
    return error;
}

/* ---- time ---- */

/* A signal that would end it stays pending in the stop: whoever sent it is not to wait for us. */
static void look_at_signals(void)
{
    bool any = false;
    for (struct exec *e = execs_next(NULL); e; e = execs_next(e)) {
        if (!e->held || !verdict_expected(e))
            continue;
        if (!procfs_has_fatal_signal(e->tgid)) {
            any = true;
            continue;
        }
        verdict_withdraw(e, "it got a signal that ends it while it waited");
        verdict_drop_finder(e);
        /* Poisoned, so that a signal which does not end it after all starts nothing. */
        if (e->unread || image_poison(e->tgid, &e->image, "", 126) < 0 || leave(e) < 0) {
            verdict_doom(e);
            any = true;
        } else {
            if (!debuggers)
                execs_free(e);
            e = NULL; /* from the start: the table has moved */
            any = true;
            break;
        }
    }
    signals_due = any ? clock_ms() + LOOK_AT_SIGNALS_MS : UINT64_MAX;
}

void verdict_tick(uint64_t now)
{
    if (now >= signals_due)
        look_at_signals();
}

uint64_t verdict_next(void)
{
    return signals_due;
}
