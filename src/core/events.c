/* SPDX-License-Identifier: MIT */
/* The feed. Listeners are called in the order of their subscription; one that leaves while an event
 * is being told is skipped at once and swept afterwards, one that joins hears the next event. */
#include "core/events.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct listener {
    events_fn *fn; /* NULL: has left */
    void *arg;
};

struct events {
    struct listener *listeners;
    size_t count;
    unsigned depth; /* of events being told: an event may cause another */
};

const char *event_kind_name(enum event_kind k)
{
    switch (k) {
    case EVENT_RECEIVED:
        return "received";
    case EVENT_WAITING:
        return "waiting";
    case EVENT_DECIDED:
        return "decided";
    case EVENT_STARTED:
        return "started";
    case EVENT_ENDED:
        return "ended";
    case EVENT_POLICY:
        return "policy";
    case EVENT_HALT:
        return "halt";
    }
    return "unknown";
}

struct events *events_new(void)
{
    return mem_new(struct events);
}

struct events *events_free(struct events *e)
{
    if (e)
        free(e->listeners);
    free(e);
    return NULL;
}

void events_subscribe(struct events *e, events_fn *fn, void *arg)
{
    e->listeners = mem_realloc_array(e->listeners, e->count + 1, sizeof(*e->listeners));
    e->listeners[e->count++] = (struct listener){fn, arg};
}

static void events_sweep(struct events *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->count; i++)
        if (e->listeners[i].fn)
            e->listeners[kept++] = e->listeners[i];
    e->count = kept;
}

void events_unsubscribe(struct events *e, events_fn *fn, void *arg)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->listeners[i].fn == fn && e->listeners[i].arg == arg) {
            e->listeners[i].fn = NULL;
            break;
        }
    if (e->depth == 0)
        events_sweep(e);
}

void events_emit(struct events *e, const struct event *ev)
{
    size_t count = e->count;
    e->depth++;
    for (size_t i = 0; i < count; i++)
        if (e->listeners[i].fn)
            e->listeners[i].fn(e->listeners[i].arg, ev);
    if (--e->depth == 0)
        events_sweep(e);
}
