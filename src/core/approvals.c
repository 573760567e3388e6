/* SPDX-License-Identifier: MIT */
/* Answers of people. The memory of ends is a ring: the oldest makes room. */
#include "core/approvals.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

struct ended {
    char id[UUID_TEXT_SIZE]; /* "" : free */
    enum decision decision;
    uint64_t at;
    char *who; /* owned; NULL: nobody */
};

struct approvals {
    struct ended *ring;
    size_t size, next;
    struct map *by_id;
};

struct approvals *approvals_new(size_t size)
{
    struct approvals *q = mem_new(struct approvals);
    q->size = size ? size : 1;
    q->ring = mem_new_array(struct ended, q->size);
    q->by_id = map_new();
    return q;
}

struct approvals *approvals_free(struct approvals *q)
{
    if (!q)
        return NULL;
    for (size_t i = 0; i < q->size; i++)
        free(q->ring[i].who);
    free(q->ring);
    map_free(q->by_id);
    free(q);
    return NULL;
}

static int terminated(const char *s, size_t size)
{
    return memchr(s, '\0', size) != NULL;
}

int approvals_check(const struct answer *a, struct err *err)
{
    if (!terminated(a->approver, sizeof(a->approver)) ||
        !terminated(a->channel, sizeof(a->channel)) || !terminated(a->comment, sizeof(a->comment)))
        return err_set(err, -EINVAL, "the answer's text has no end");
    if (a->verdict != VERDICT_ALLOW && a->verdict != VERDICT_DENY)
        return err_set(err, -EINVAL, "an answer is allow or deny");
    if (a->approver[0] == '\0')
        return err_set(err, -EINVAL, "an answer needs the name of who gives it");
    return 0;
}

int approvals_check_seen(const struct request *r, const char *seen, struct err *err)
{
    if (!seen || (r->digest[0] && strcmp(seen, r->digest) == 0))
        return 0;
    return err_set(err, -ESTALE, "what waits is not what was seen: look at it again");
}

void approvals_remember(struct approvals *q, const char *id, enum decision d, const char *who,
                        uint64_t realtime)
{
    struct ended *e = map_get(q->by_id, id);
    if (!e) {
        e = &q->ring[q->next];
        q->next = (q->next + 1) % q->size;
        if (e->id[0])
            map_remove(q->by_id, e->id);
        (void)strncpy(e->id, id, sizeof(e->id) - 1);
        map_put(q->by_id, e->id, e);
    }
    free(e->who);
    e->who = who && who[0] ? mem_strdup(who) : NULL;
    e->decision = d;
    e->at = realtime;
}

static const char *what_happened(enum decision d)
{
    switch (d) {
    case DECISION_NONE:
        break;
    case DECISION_DENY:
        return "was refused by policy";
    case DECISION_ALLOW:
        return "was allowed by policy";
    case DECISION_ASK_APPROVED:
        return "was approved";
    case DECISION_ASK_DENIED:
        return "was denied";
    case DECISION_ASK_EXPIRED:
        return "ended because nobody answered in time";
    case DECISION_WITHDRAWN:
        return "was withdrawn by its caller";
    case DECISION_LIMITED:
        return "was refused because of a cap";
    case DECISION_ERROR:
        return "could not be run";
    case DECISION_INTERRUPTED:
        return "was interrupted by a stop of the warden";
    }
    return "has ended";
}

/* "request ID was denied by ana, 1m ago" */
static int tell(const char *id, enum decision d, const char *who, uint64_t at, uint64_t now,
                struct err *err)
{
    _cleanup_buf_ struct buf by = BUF_INIT(1024);
    if (who && who[0]) {
        (void)buf_append_str(&by, " by ");
        (void)str_escape(&by, who, strlen(who));
    }
    char age[48];
    uint64_t seconds = at && now > at ? (now - at) / CLOCK_NS_PER_SEC : 0;
    return err_set(err, -EALREADY, "request %s %s%s, %s ago", id, what_happened(d), buf_str(&by),
                   str_format_duration(seconds * CLOCK_NS_PER_SEC, age));
}

int approvals_recall(const struct approvals *q, const char *id, uint64_t realtime, struct err *err)
{
    const struct ended *e = map_get(q->by_id, id);
    if (!e)
        return err_set(err, -ENOENT, "no such request waits");
    return tell(e->id, e->decision, e->who, e->at, realtime, err);
}

int approvals_late(const struct request *r, uint64_t realtime, struct err *err)
{
    enum decision d = r->decision;
    if (d == DECISION_NONE && r->answer.approver[0]) /* its record is not written yet */
        d = r->answer.verdict == VERDICT_ALLOW ? DECISION_ASK_APPROVED : DECISION_ASK_DENIED;
    return tell(r->id_text, d, r->answer.approver, r->decided_at, realtime, err);
}
