/* SPDX-License-Identifier: MIT */
/* The thread that answers questions, with a connection of its own: WAL lets it read while the
 * writer commits. */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/db.h"
#include "store/life.h"
#include "store/sqlite-own.h"

#define PATIENCE_NS (100 * CLOCK_NS_PER_MS)

struct reader {
    struct sqlite3 *db;
    unsigned generation; /* of the file that db is open on */
};

static void drop(struct reader *r)
{
    db_close(r->db);
    r->db = NULL;
}

static int ask(struct sqlite *s, struct reader *r, unsigned generation, struct question *q)
{
    if (r->db && r->generation != generation)
        drop(r);
    if (!r->db) {
        int e = db_open_reader(s->c.path, &r->db, &q->words);
        if (e < 0)
            return e;
        r->generation = generation;
    }
    return q->q->story ? life_read(r->db, q->q, &q->page, &q->words)
                       : pages_read(r->db, q->q, &q->page, &q->words);
}

/* With the lock held: who asks wants to see what has happened. Not for long: the writer may be
 * rebuilding, or the database locked. */
static void await_writer(struct sqlite *s, uint64_t after)
{
    uint64_t end = clock_monotonic() + PATIENCE_NS;
    struct timespec ts = {.tv_sec = (time_t)(end / CLOCK_NS_PER_SEC),
                          .tv_nsec = (long)(end % CLOCK_NS_PER_SEC)};
    while (s->done < after && !s->stopping)
        if (pthread_cond_timedwait(&s->read, &s->lock, &ts) == ETIMEDOUT)
            return;
}

static void answer_one(struct sqlite *s, struct reader *r)
{
    struct question *q = list_item(s->asked.next, struct question, link);
    list_remove(&q->link);
    s->asking = q;
    await_writer(s, q->after);
    unsigned generation = s->generation;
    (void)pthread_mutex_unlock(&s->lock);
    q->result = ask(s, r, generation, q);
    if (q->result < 0 && q->result != -ETIME) {
        log_warn(NULL, "index: %s", q->words.text);
        drop(r);
    }
    (void)pthread_mutex_lock(&s->lock);
    s->asking = NULL;
    list_append(&s->answered, &q->link);
    if (q->result == -EBADMSG && generation == s->generation) {
        s->suspect = true;
        (void)pthread_cond_signal(&s->write);
    }
    (void)uv_async_send(&s->async);
}

void *sqlite_reader(void *arg)
{
    struct sqlite *s = arg;
    struct reader r = {0};
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (list_empty(&s->asked))
            (void)pthread_cond_wait(&s->read, &s->lock);
        else
            answer_one(s, &r);
    }
    (void)pthread_mutex_unlock(&s->lock);
    drop(&r);
    return NULL;
}
