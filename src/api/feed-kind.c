/* SPDX-License-Identifier: MIT */
#include "api/feed-kind.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/request.h"

static const char *const names[FEED_KINDS] = {"queued",  "answered", "withdrawn", "expired",
                                              "decided", "started",  "ended",     "policy",
                                              "killed",  "paused",   "resumed"};

static enum feed_kind decided(enum decision d)
{
    switch (d) {
    case DECISION_ASK_APPROVED:
    case DECISION_ASK_DENIED:
        return FEED_ANSWERED;
    case DECISION_ASK_EXPIRED:
        return FEED_EXPIRED;
    case DECISION_WITHDRAWN:
        return FEED_WITHDRAWN;
    case DECISION_NONE:
    case DECISION_DENY:
    case DECISION_ALLOW:
    case DECISION_LIMITED:
    case DECISION_ERROR:
    case DECISION_INTERRUPTED:
        return FEED_DECIDED;
    }
    return FEED_DECIDED;
}

static enum feed_kind ended(const struct request *r)
{
    if (r->decision == DECISION_ALLOW || r->decision == DECISION_ASK_APPROVED)
        return FEED_ENDED;
    /* A refusal was told when it was decided, but for one that could not be recorded. */
    return r->decided_at ? FEED_NOTHING : FEED_DECIDED;
}

static enum feed_kind ordered(const struct audit_halt *h)
{
    if (str_eq(h->event, "kill"))
        return FEED_KILLED;
    return str_eq(h->event, "pause") ? FEED_PAUSED : FEED_RESUMED;
}

enum feed_kind feed_kind_of(const struct event *e)
{
    switch (e->kind) {
    case EVENT_RECEIVED:
        return FEED_NOTHING;
    case EVENT_WAITING:
        return FEED_QUEUED;
    case EVENT_DECIDED:
        return decided(e->r->decision);
    case EVENT_STARTED:
        return FEED_STARTED;
    case EVENT_ENDED:
        return ended(e->r);
    case EVENT_POLICY:
        return FEED_POLICY;
    case EVENT_HALT:
        return ordered(e->halt);
    }
    return FEED_NOTHING;
}

const char *feed_kind_name(enum feed_kind kind)
{
    return names[kind];
}

unsigned feed_kinds_parse(const char *list)
{
    unsigned kinds = 0;
    while (*list) {
        size_t n = strcspn(list, ","), k = 0;
        while (k < FEED_KINDS && (strlen(names[k]) != n || strncmp(names[k], list, n) != 0))
            k++;
        if (k == FEED_KINDS)
            return 0;
        kinds |= 1u << k;
        list += n + (list[n] == ',');
    }
    return kinds;
}
