/* SPDX-License-Identifier: MIT */
/* One thread, one mutex. After a failed fdatasync the kernel calls the pages clean and the next
 * fdatasync succeeds without having written them: so the bytes since the last success are read back
 * and written over themselves before it is tried again. */
#include "store/syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#define SYNC_DELAY (500 * CLOCK_NS_PER_MS) /* leaves half of the second to fdatasync itself */
#define HEAD_DELAY (500 * CLOCK_NS_PER_MS)
#define RETRY_DELAY CLOCK_NS_PER_SEC
#define REWRITE_CHUNK 65536

struct old_file { /* rotated away and not yet synced, or a file to delete */
    struct old_file *next;
    int fd;     /* owned; -1 when it is to be deleted */
    off_t safe; /* bytes known to be durable */
    char *path; /* owned; of the file to delete */
};

struct syncer {
    struct syncer_config c;
    struct record_hasher *h; /* the thread's own */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_int error;

    /* under the lock */
    bool stopping;
    bool dir_dirty;          /* names changed: the directory needs an fsync */
    struct old_file *old;    /* oldest first */
    struct old_file *doomed; /* deleted once the record that says so is safe */
    int fd;                  /* borrowed */
    off_t safe;              /* of fd */
    off_t size;              /* of fd */
    struct head want;        /* the last record written */
    uint64_t dirty_at;       /* monotonic, of the first record not yet safe; 0: none */
    uint64_t durable, failed, failures;

    /* the thread's own */
    uint64_t head_at; /* when it was last written */
    uint64_t head_seq;
    bool rewrite; /* the last sync failed: see above */
};

/* ---- for the loop thread ---- */

void syncer_want(struct syncer *s, uint64_t seq, const char *hash, off_t size)
{
    (void)pthread_mutex_lock(&s->lock);
    s->want.seq = seq;
    memcpy(s->want.hash, hash, RECORD_HASH_SIZE);
    s->size = size;
    bool first = s->dirty_at == 0;
    if (first)
        s->dirty_at = clock_monotonic();
    (void)pthread_mutex_unlock(&s->lock);
    if (first)
        (void)pthread_cond_signal(&s->wake);
}

static void add_file(struct old_file **list, int fd, off_t safe, const char *path)
{
    struct old_file *f = mem_new(struct old_file);
    *f = (struct old_file){.fd = fd, .safe = safe, .path = mem_strdup(path)};
    while (*list)
        list = &(*list)->next;
    *list = f;
}

static struct old_file *free_files(struct old_file *f)
{
    for (struct old_file *next; f; f = next) {
        next = f->next;
        if (f->fd >= 0)
            (void)close(f->fd);
        free(f->path);
        free(f);
    }
    return NULL;
}

void syncer_switch(struct syncer *s, int fd)
{
    (void)pthread_mutex_lock(&s->lock);
    add_file(&s->old, s->fd, s->safe, NULL);
    s->fd = fd;
    s->safe = s->size = 0;
    s->dir_dirty = true;
    if (s->dirty_at == 0)
        s->dirty_at = clock_monotonic();
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_cond_signal(&s->wake);
}

void syncer_unlink(struct syncer *s, const char *path)
{
    (void)pthread_mutex_lock(&s->lock);
    add_file(&s->doomed, -1, 0, path);
    if (s->dirty_at == 0)
        s->dirty_at = clock_monotonic();
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_cond_signal(&s->wake);
}

struct syncer_state syncer_state(struct syncer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct syncer_state st = {.durable = s->durable,
                              .error = atomic_load(&s->error),
                              .failed = s->failed,
                              .failures = s->failures};
    (void)pthread_mutex_unlock(&s->lock);
    return st;
}

int syncer_error(const struct syncer *s)
{
    return atomic_load(&s->error);
}

/* ---- the thread ---- */

/* Dirties the bytes from `from` on once more. O_APPEND would send pwrite() to the end, so the file
 * is opened a second time, by descriptor: its name may be another's by now. */
static int rewrite(int fd, off_t from)
{
    char name[64], chunk[REWRITE_CHUNK];
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    _cleanup_close_ int w = open(name, O_RDWR | O_CLOEXEC);
    if (w < 0)
        return -errno;
    for (;;) {
        ssize_t n = pread(w, chunk, sizeof(chunk), from);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if (pwrite(w, chunk, (size_t)n, from) != n)
            return errno ? -errno : -EIO;
        from += n;
    }
}

static int sync_file(struct syncer *s, int fd, off_t safe)
{
    if (s->rewrite) {
        int r = rewrite(fd, safe);
        if (r < 0)
            return r;
    }
    int (*sync)(int) = s->c.fdatasync ? s->c.fdatasync : fdatasync;
    return sync(fd) < 0 ? -errno : 0;
}

static int sync_dir(const char *path)
{
    _cleanup_free_ char *dir = path_dirname(path);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0; /* EINVAL: names need no sync there */
}

struct target {
    int fd;
    off_t safe, size;
    struct head head;
    bool dir;
    /* Owned. Only what was rotated away before the target was taken: `fd` may be rotated away, and
     * would be closed, while we are at it. */
    struct old_file *old;
    struct old_file *doomed;
};

/* Files that are no longer written to, oldest first; what is done is taken off the list. */
static int sync_old(struct syncer *s, struct old_file **list)
{
    while (*list) {
        struct old_file *f = *list;
        int r = sync_file(s, f->fd, f->safe);
        if (r < 0)
            return r;
        *list = f->next;
        f->next = NULL;
        (void)free_files(f);
    }
    return 0;
}

static void delete_files(const struct old_file *f)
{
    for (; f; f = f->next)
        if (unlink(f->path) < 0 && errno != ENOENT)
            log_warn(NULL, "audit: cannot delete '%s': %s", f->path, strerror(errno));
}

static int sync_all(struct syncer *s, struct target *t)
{
    int r = sync_old(s, &t->old);
    if (r == 0 && t->dir)
        r = sync_dir(s->c.path);
    return r < 0 ? r : sync_file(s, t->fd, t->safe);
}

static void take_target(struct syncer *s, struct target *t)
{
    *t = (struct target){.fd = s->fd,
                         .safe = s->safe,
                         .size = s->size,
                         .head = s->want,
                         .dir = s->dir_dirty,
                         .old = TAKE_PTR(s->old),
                         .doomed = TAKE_PTR(s->doomed)};
    s->dirty_at = 0;
    s->dir_dirty = false;
}

/* In front of what has come since. */
static void put_back(struct old_file **list, struct old_file **rest)
{
    struct old_file **end = rest;
    while (*end)
        end = &(*end)->next;
    *end = *list;
    *list = TAKE_PTR(*rest);
}

/* With the lock held. */
static void finish(struct syncer *s, struct target *t, int r)
{
    if (r == 0) {
        if (s->fd == t->fd)
            s->safe = t->size;
        s->durable = t->head.seq;
    } else {
        s->failed = t->head.seq;
        s->failures++;
        s->dir_dirty |= t->dir;
        put_back(&s->old, &t->old);
        put_back(&s->doomed, &t->doomed);
        if (s->dirty_at == 0)
            s->dirty_at = clock_monotonic();
    }
    atomic_store(&s->error, r);
}

static void write_head(struct syncer *s, const struct head *head)
{
    struct err err = {0};
    if (!s->c.head_path || head->seq == s->head_seq)
        return;
    s->head_at = clock_monotonic();
    if (head_write(s->c.head_path, s->h, head, clock_realtime(), &err) == 0)
        s->head_seq = head->seq;
    else
        log_error(NULL, "audit: %s; a log cut to before record %llu would not be noticed", err.text,
                  (unsigned long long)head->seq);
}

/* One round; called with the lock, returns with it. */
static void sync_round(struct syncer *s, struct head *safe_head)
{
    struct target t;
    take_target(s, &t);
    (void)pthread_mutex_unlock(&s->lock);
    int r = sync_all(s, &t);
    s->rewrite = r < 0;
    if (r == 0)
        delete_files(t.doomed);
    else
        log_error(NULL, "audit: cannot sync '%s': %s; records are refused until it succeeds",
                  s->c.path, strerror(-r));
    (void)pthread_mutex_lock(&s->lock);
    finish(s, &t, r);
    if (r == 0)
        *safe_head = t.head;
    (void)pthread_mutex_unlock(&s->lock);
    (void)free_files(t.doomed);
    s->c.wake(s->c.arg);
    (void)pthread_mutex_lock(&s->lock);
}

static void wait_until(struct syncer *s, uint64_t when)
{
    struct timespec ts = {.tv_sec = (time_t)(when / CLOCK_NS_PER_SEC),
                          .tv_nsec = (long)(when % CLOCK_NS_PER_SEC)};
    (void)pthread_cond_timedwait(&s->wake, &s->lock, &ts);
}

/* When the thread has to do something next, monotonic; 0: nothing to do. */
static uint64_t next_sync(const struct syncer *s)
{
    if (s->dirty_at == 0)
        return 0;
    if (s->stopping)
        return 1;
    if (s->rewrite)
        return s->dirty_at + RETRY_DELAY;
    return s->dirty_at + (s->c.at_once ? 0 : SYNC_DELAY);
}

static uint64_t next_head(const struct syncer *s, const struct head *safe)
{
    if (!s->c.head_path || safe->seq == s->head_seq)
        return 0;
    return s->stopping ? 1 : s->head_at + HEAD_DELAY;
}

static void *run(void *arg)
{
    struct syncer *s = arg;
    struct head safe = {0};
    bool last_try = false;
    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        uint64_t now = clock_monotonic(), sync = next_sync(s), head = next_head(s, &safe);
        if (sync && sync <= now && !last_try) {
            last_try = s->stopping && s->rewrite; /* one more try at the end, not for ever */
            sync_round(s, &safe);
        } else if (head && head <= now) {
            (void)pthread_mutex_unlock(&s->lock);
            write_head(s, &safe);
            (void)pthread_mutex_lock(&s->lock);
            if (s->stopping)
                break;
        } else if (s->stopping) {
            break;
        } else if (sync || head) {
            wait_until(s, !head || (sync && sync < head) ? sync : head);
        } else {
            (void)pthread_cond_wait(&s->wake, &s->lock);
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- life ---- */

struct syncer *syncer_new(const struct syncer_config *c, const struct record_hasher *h, int fd,
                          off_t size)
{
    struct syncer *s = mem_new(struct syncer);
    s->c = *c;
    s->c.path = mem_strdup(c->path);
    s->c.head_path = mem_strdup(c->head_path);
    s->h = record_hasher_dup(h);
    s->fd = fd;
    s->safe = s->size = size;
    if (strlen(c->path) < sizeof(s->want.file))
        memcpy(s->want.file, c->path, strlen(c->path) + 1);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        abort(); /* no thread, no record: nothing may run */
    return s;
}

int syncer_stop(struct syncer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_join(s->thread, NULL);
    return atomic_load(&s->error);
}

struct syncer *syncer_free(struct syncer *s)
{
    if (!s)
        return NULL;
    s->old = free_files(s->old);
    s->doomed = free_files(s->doomed);
    record_hasher_free(s->h);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_mutex_destroy(&s->lock);
    free((char *)s->c.path);
    free((char *)s->c.head_path);
    free(s);
    return NULL;
}
