/* SPDX-License-Identifier: MIT */
/* The loop thread's side of the index: hands work over, calls back with answers. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/ingest.h"
#include "store/queue-rows.h"
#include "store/sqlite-own.h"

#define JOBS_MAX 4096
#define BYTES_MAX (32u << 20)
#define QUESTIONS_MAX 64

/* ---- jobs ---- */

void sqlite_job_free(struct job *j)
{
    list_remove(&j->link);
    free(j->row.summary);
    free(j);
}

/* With the lock held. */
static void wake_writer(struct sqlite *s)
{
    s->gathering = false;
    (void)pthread_cond_signal(&s->write);
}

static bool add_job(struct sqlite *s, struct job *j)
{
    bool room;
    (void)pthread_mutex_lock(&s->lock);
    room = s->jobs_count < s->c.jobs_max && s->jobs_bytes + j->bytes <= s->c.bytes_max;
    if (room) {
        list_append(&s->jobs, &j->link);
        s->jobs_count++;
        s->jobs_bytes += j->bytes;
        s->came++;
    } else if (j->kind == JOB_LINE) {
        s->behind = true;
    } else {
        s->stats.dropped++;
    }
    if (!s->gathering || !room || j->kind != JOB_LINE || s->jobs_count >= SQLITE_GATHER_LINES)
        wake_writer(s);
    (void)pthread_mutex_unlock(&s->lock);
    return room;
}

static struct job *new_job(enum job_kind kind, const char *line, size_t len)
{
    struct job *j = mem_zalloc(sizeof(*j) + len);
    j->kind = kind;
    j->len = len;
    j->bytes = sizeof(*j) + len;
    list_init(&j->link);
    if (len)
        memcpy(j->line, line, len);
    return j;
}

void sqlite_line(void *arg, uint64_t seq, const char *line, size_t len)
{
    struct sqlite *s = arg;
    struct job *j = new_job(JOB_LINE, line, len);
    if (!add_job(s, j))
        sqlite_job_free(j); /* the writer reads it from the log */
}

static void queue_put(struct index *x, const struct queue_row *row)
{
    struct sqlite *s = container_of(x, struct sqlite, port);
    struct job *j = new_job(JOB_PUT, NULL, 0);
    j->row = *row;
    j->row.summary = mem_strdup(row->summary ? row->summary : "");
    j->bytes += strlen(j->row.summary);
    if (add_job(s, j))
        return;
    log_warn(NULL, "index: no room to note what waits; after a restart it will be judged anew");
    if (x->kept)
        x->kept(x->kept_arg, row->id);
    sqlite_job_free(j);
}

static void tell_kept(struct sqlite *s)
{
    struct list mine;
    list_init(&mine);
    (void)pthread_mutex_lock(&s->lock);
    list_foreach(it, &s->kept)
    {
        list_remove(it);
        list_append(&mine, it);
    }
    (void)pthread_mutex_unlock(&s->lock);
    list_foreach(it, &mine)
    {
        struct kept_row *k = list_item(it, struct kept_row, link);
        list_remove(it);
        if (s->port.kept)
            s->port.kept(s->port.kept_arg, k->id);
        free(k);
    }
}

void sqlite_rebuild(struct sqlite *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->rebuild = true;
    wake_writer(s);
    (void)pthread_mutex_unlock(&s->lock);
}

struct index *sqlite_index(struct sqlite *s)
{
    return &s->port;
}

void sqlite_take_rows(struct sqlite *s, struct queue_row **ret, size_t *ret_count)
{
    *ret = TAKE_PTR(s->rows);
    *ret_count = s->rows_count;
    s->rows_count = 0;
}

struct sqlite_stats sqlite_stats(struct sqlite *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct sqlite_stats st = s->stats;
    st.behind |= s->behind;
    (void)pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- questions ---- */

int sqlite_history(struct sqlite *s, const struct history_query *q, sqlite_history_fn *fn,
                   void *arg, struct err *err)
{
    int r = pages_check(q, err);
    if (r < 0)
        return r;
    if (s->questions >= s->c.questions_max)
        return err_set(err, -EAGAIN, "too many searches are waiting; try again");
    struct question *n = mem_new(struct question);
    *n = (struct question){.q = pages_copy(q), .fn = fn, .arg = arg};
    if (s->questions++ == 0)
        uv_ref((uv_handle_t *)&s->async);
    (void)pthread_mutex_lock(&s->lock);
    n->after = s->came;
    list_append(&s->asked, &n->link);
    if (s->gathering)
        wake_writer(s);
    (void)pthread_cond_signal(&s->read);
    (void)pthread_mutex_unlock(&s->lock);
    return 0;
}

static void forget_in(struct list *l, const void *arg)
{
    list_foreach(it, l)
    {
        struct question *q = list_item(it, struct question, link);
        if (q->arg == arg)
            q->fn = NULL;
    }
}

void sqlite_forget(struct sqlite *s, void *arg)
{
    (void)pthread_mutex_lock(&s->lock);
    forget_in(&s->asked, arg);
    forget_in(&s->answered, arg);
    if (s->asking && s->asking->arg == arg)
        s->asking->fn = NULL;
    (void)pthread_mutex_unlock(&s->lock);
}

static struct question *next_in(struct sqlite *s, struct list *l)
{
    struct question *q = NULL;
    (void)pthread_mutex_lock(&s->lock);
    if (!list_empty(l)) {
        q = list_item(l->next, struct question, link);
        list_remove(&q->link);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return q;
}

static void answer(struct sqlite *s, struct question *q)
{
    s->questions--;
    if (q->fn && q->result == 0)
        q->fn(q->arg, 0, buf_str(&q->page.text), q->page.text.len,
              q->page.next[0] ? q->page.next : NULL);
    else if (q->fn)
        q->fn(q->arg, q->result, q->words.text, strlen(q->words.text), NULL);
    buf_done(&q->page.text);
    free(q->q);
    free(q);
}

static void news_came(uv_async_t *a)
{
    struct sqlite *s = a->data;
    struct question *q;
    tell_kept(s);
    while ((q = next_in(s, &s->answered)))
        answer(s, q);
    if (s->questions == 0)
        uv_unref((uv_handle_t *)&s->async);
}

/* ---- life ---- */

/* The log may be ahead of the index: what has its decision there waits no more. */
static int drop_decided(struct sqlite *s, struct err *err)
{
    _cleanup_(ingest_freep) struct ingest *g = NULL;
    int r = ingest_new(s->first_db, &g, err);
    if (r == 0)
        r = queue_rows_drop_decided(s->rows, &s->rows_count, s->c.log_path, ingest_last_seq(g),
                                    err);
    return r;
}

/* What waited is needed before the loop runs. The rest can wait for the writer. */
static void open_first(struct sqlite *s)
{
    struct err err = {0};
    int r = db_open(s->c.path, &s->first_db, &err);
    if ((r == -EBADMSG || r == -EPROTO)) {
        log_warn(NULL, "index: %s; it is moved aside and made anew from the log", err.text);
        s->stats.rebuilt++;
        r = db_aside(s->c.path, r == -EPROTO ? "newer" : "damaged", clock_realtime(), &err);
        if (r == 0)
            r = db_open(s->c.path, &s->first_db, &err);
    }
    if (r == 0)
        r = queue_rows_load(s->first_db, &s->rows, &s->rows_count, &err);
    if (r == 0 && s->rows_count > 0)
        r = drop_decided(s, &err);
    if (r < 0)
        log_warn(NULL, "index: %s; what waited before the restart is judged anew", err.text);
}

static void free_all(struct sqlite *s)
{
    list_foreach(it, &s->jobs) sqlite_job_free(list_item(it, struct job, link));
    list_foreach(it, &s->kept) free(list_item(it, struct kept_row, link));
    queue_rows_free(s->rows, s->rows_count);
    (void)pthread_cond_destroy(&s->write);
    (void)pthread_cond_destroy(&s->read);
    (void)pthread_mutex_destroy(&s->lock);
    free((char *)s->c.path);
    free((char *)s->c.log_path);
    free(s);
}

static void init(struct sqlite *s, const struct sqlite_config *c)
{
    s->c = *c;
    s->c.path = mem_strdup(c->path);
    s->c.log_path = mem_strdup(c->log_path);
    s->c.jobs_max = c->jobs_max ? c->jobs_max : JOBS_MAX;
    s->c.bytes_max = c->bytes_max ? c->bytes_max : BYTES_MAX;
    s->c.questions_max = c->questions_max ? c->questions_max : QUESTIONS_MAX;
    s->port = (struct index){.queue_put = queue_put};
    list_init(&s->kept);
    list_init(&s->jobs);
    list_init(&s->asked);
    list_init(&s->answered);
    s->stats.behind = true;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->write, &attr);
    (void)pthread_cond_init(&s->read, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static void stop(struct sqlite *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->write);
    (void)pthread_cond_signal(&s->read);
    (void)pthread_mutex_unlock(&s->lock);
}

static void closed(uv_handle_t *h)
{
    free_all(h->data);
}

int sqlite_open(const struct sqlite_config *c, struct uv_loop_s *loop, struct sqlite **ret,
                struct err *err)
{
    struct sqlite *s = mem_new(struct sqlite);
    init(s, c);
    int r = uv_async_init(loop, &s->async, news_came);
    if (r < 0) {
        free_all(s);
        return err_errno(err, r, "index");
    }
    s->async.data = s;
    uv_unref((uv_handle_t *)&s->async);
    open_first(s);
    r = -pthread_create(&s->writer, NULL, sqlite_writer, s);
    if (r < 0) {
        db_close(s->first_db);
    } else if ((r = -pthread_create(&s->reader, NULL, sqlite_reader, s)) < 0) {
        stop(s);
        (void)pthread_join(s->writer, NULL);
    }
    if (r < 0) {
        uv_close((uv_handle_t *)&s->async, closed);
        return err_errno(err, r, "index: cannot start a thread");
    }
    *ret = s;
    return 0;
}

void sqlite_close(struct sqlite *s)
{
    if (!s)
        return;
    stop(s);
    (void)pthread_join(s->writer, NULL);
    (void)pthread_join(s->reader, NULL);
    struct question *q;
    while ((q = next_in(s, &s->answered)))
        answer(s, q);
    while ((q = next_in(s, &s->asked))) {
        q->result = err_set(&q->words, -ECANCELED, "the warden is stopping");
        answer(s, q);
    }
    uv_close((uv_handle_t *)&s->async, closed);
}
