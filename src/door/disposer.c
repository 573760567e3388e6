/* SPDX-License-Identifier: MIT */
/* A thread more is started when all are busy, up to the maximum; then the queue grows, and the door
 * stops accepting while it is full. */
#include "door/disposer.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/priority.h"

struct disposer {
    pthread_mutex_t lock;
    pthread_cond_t more;
    int *fds; /* owned; the queue is fds[0..count) */
    size_t count, size;
    unsigned threads, idle;
    unsigned refs; /* threads and the owner */
    bool ending;
};

struct disposer *disposer_new(void)
{
    struct disposer *d = mem_new(struct disposer);
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->more, NULL);
    d->refs = 1;
    return d;
}

/* With the lock held; releases it. */
static void unref(struct disposer *d)
{
    bool last = --d->refs == 0;
    (void)pthread_mutex_unlock(&d->lock);
    if (!last)
        return;
    (void)pthread_mutex_destroy(&d->lock);
    (void)pthread_cond_destroy(&d->more);
    free(d->fds);
    free(d);
}

static void *dispose(void *arg)
{
    struct disposer *d = arg;
    priority_ordinary();
    (void)pthread_mutex_lock(&d->lock);
    for (;;) {
        while (d->count == 0 && !d->ending) {
            d->idle++;
            (void)pthread_cond_wait(&d->more, &d->lock);
            d->idle--;
        }
        if (d->count == 0)
            break;
        int fd = d->fds[--d->count];
        (void)pthread_mutex_unlock(&d->lock);
        close(fd); /* may take for ever */
        (void)pthread_mutex_lock(&d->lock);
    }
    unref(d);
    return NULL;
}

/* With the lock held. Without a new thread the old ones do the work. */
static void start_thread(struct disposer *d)
{
    pthread_attr_t attr;
    pthread_t t;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, 64 << 10);
    if (pthread_create(&t, &attr, dispose, d) == 0) {
        d->threads++;
        d->refs++;
    }
    (void)pthread_attr_destroy(&attr);
}

void disposer_put(struct disposer *d, int fd)
{
    (void)pthread_mutex_lock(&d->lock);
    if (d->count == d->size) {
        d->size = d->size ? d->size * 2 : 64;
        d->fds = mem_realloc_array(d->fds, d->size, sizeof(int));
    }
    d->fds[d->count++] = fd;
    /* An idle thread may have been woken for another one already, and be about to block. */
    if (d->count > d->idle && d->threads < DISPOSER_THREADS_MAX)
        start_thread(d);
    (void)pthread_cond_signal(&d->more);
    (void)pthread_mutex_unlock(&d->lock);
}

bool disposer_full(struct disposer *d)
{
    return disposer_pending(d) >= DISPOSER_QUEUE_MAX;
}

size_t disposer_pending(struct disposer *d)
{
    (void)pthread_mutex_lock(&d->lock);
    size_t n = d->count;
    (void)pthread_mutex_unlock(&d->lock);
    return n;
}

struct disposer *disposer_free(struct disposer *d)
{
    if (!d)
        return NULL;
    (void)pthread_mutex_lock(&d->lock);
    d->ending = true;
    (void)pthread_cond_broadcast(&d->more);
    unref(d);
    return NULL;
}
