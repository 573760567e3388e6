/* SPDX-License-Identifier: MIT */
/* The thread that writes. Lines come in batches, one transaction each. When something fails, lines
 * are let go and read from the log later; only changes of the queue are kept and tried again. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/ingest.h"
#include "store/queue-rows.h"
#include "store/record.h"
#include "store/sqlite-own.h"
#include "store/walk.h"

#define RETRY_NS CLOCK_NS_PER_SEC
#define PRUNE_ROWS 1000 /* in one transaction: the lines that come do not wait for long */
#define PRUNE_PAUSE_NS (3600 * CLOCK_NS_PER_SEC)
#define STRETCH_LINES 1000 /* of the log, in one transaction */
#define STRETCH_BYTES (8u << 20)
#define WALK_STOPPED 1
#define WALK_OTHER_LOG 2

struct writer {
    struct sqlite *s;
    struct sqlite3 *db; /* NULL: could not be opened */
    struct ingest *g;
    struct list todo; /* jobs taken over, or kept from a failed transaction */
    bool behind, rebuild, suspect, stopping;
    uint64_t taken;    /* jobs in all, todo included */
    uint64_t retry_at; /* monotonic; 0: nothing failed */
    uint64_t prune_at; /* monotonic */
    /* of one walk through the log */
    size_t lines, bytes;
    uint64_t mark, top; /* what was indexed before it; highest seq met */
    struct err *err;
};

/* ---- jobs ---- */

static void drop_lines(struct writer *w)
{
    list_foreach(it, &w->todo)
    {
        struct job *j = list_item(it, struct job, link);
        if (j->kind == JOB_LINE)
            sqlite_job_free(j);
    }
}

/* With the lock held. */
static void take_jobs(struct writer *w)
{
    struct sqlite *s = w->s;
    list_append_all(&w->todo, &s->jobs);
    s->jobs_count = s->jobs_bytes = 0;
    w->taken = s->came;
    w->behind |= s->behind;
    w->rebuild |= s->rebuild;
    w->suspect |= s->suspect;
    s->behind = s->rebuild = s->suspect = false;
    w->stopping = s->stopping;
}

static int apply(struct writer *w, struct job *j, struct err *err)
{
    switch (j->kind) {
    case JOB_LINE: {
        struct record rec;
        if (w->behind)
            return 0; /* the log is read anyway */
        if (record_split(j->line, j->len, &rec) == 0 && ingest_last_seq(w->g) > 0 &&
            rec.seq > ingest_last_seq(w->g) + 1) {
            w->behind = true;
            return 0;
        }
        return ingest_line(w->g, j->line, j->len, err);
    }
    case JOB_PUT:
        return queue_rows_put(w->db, &j->row, err);
    }
    return 0;
}

static int commit(struct writer *w, struct err *err)
{
    int r = ingest_mark(w->g, err);
    return r < 0 ? r : db_exec(w->db, "COMMIT", err);
}

static void close_db(struct writer *w)
{
    w->g = ingest_free(w->g);
    db_close(w->db);
    w->db = NULL;
}

static void roll_back(struct writer *w)
{
    db_rollback(w->db);
    if (ingest_reload(w->g, NULL) < 0)
        close_db(w); /* it is opened again after a pause */
}

/* Rows of the queue are safe from a kill now, or could not be written and are tried again: whoever
 * waits to hear of it does not wait longer. */
static void tell_kept(struct writer *w)
{
    struct sqlite *s = w->s;
    bool any = false;
    (void)pthread_mutex_lock(&s->lock);
    list_foreach(it, &w->todo)
    {
        struct job *j = list_item(it, struct job, link);
        if (j->kind != JOB_PUT || j->told)
            continue;
        struct kept_row *k = mem_new(struct kept_row);
        memcpy(k->id, j->row.id, sizeof(k->id));
        list_append(&s->kept, &k->link);
        j->told = any = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (any)
        (void)uv_async_send(&s->async);
}

/* All of todo in one transaction. */
static int write_jobs(struct writer *w, struct err *err)
{
    if (list_empty(&w->todo))
        return 0;
    int r = db_exec(w->db, "BEGIN IMMEDIATE", err);
    if (r < 0)
        return r;
    list_foreach(it, &w->todo)
    {
        if (r == 0)
            r = apply(w, list_item(it, struct job, link), err);
    }
    if (r == 0)
        r = commit(w, err);
    if (r < 0) {
        roll_back(w);
        return r;
    }
    tell_kept(w);
    list_foreach(it, &w->todo) sqlite_job_free(list_item(it, struct job, link));
    return 0;
}

/* ---- reading the log ---- */

static void show_progress(struct writer *w, bool working)
{
    (void)pthread_mutex_lock(&w->s->lock);
    w->s->stats.last_seq = w->g ? ingest_last_seq(w->g) : 0;
    w->s->stats.working = working;
    w->s->stats.behind = w->behind;
    (void)pthread_mutex_unlock(&w->s->lock);
}

/* Between two transactions of a long walk: what has come meanwhile. The lines among it are in the
 * log, ahead of where the walk is. */
static int end_stretch(struct writer *w)
{
    int r = commit(w, w->err);
    if (r < 0)
        return r;
    w->lines = w->bytes = 0;
    (void)pthread_mutex_lock(&w->s->lock);
    take_jobs(w);
    (void)pthread_mutex_unlock(&w->s->lock);
    drop_lines(w);
    show_progress(w, true);
    r = write_jobs(w, w->err);
    if (r == 0)
        r = db_exec(w->db, "BEGIN IMMEDIATE", w->err);
    return r < 0 ? r : (w->stopping ? WALK_STOPPED : 0);
}

static int walk_line(void *arg, const char *line, size_t len)
{
    struct writer *w = arg;
    struct record rec;
    if (!line || record_split(line, len, &rec) < 0)
        return 0;
    if (rec.seq > w->top)
        w->top = rec.seq;
    if (rec.seq == w->mark && strcmp(rec.hash, ingest_last_hash(w->g)) != 0)
        return WALK_OTHER_LOG;
    if (rec.seq <= w->mark)
        return 0;
    int r = ingest_line(w->g, line, len, w->err);
    if (r < 0)
        return r;
    w->bytes += len;
    return ++w->lines >= STRETCH_LINES || w->bytes >= STRETCH_BYTES ? end_stretch(w) : 0;
}

static int walk_all(struct writer *w)
{
    static const struct walk_ops ops = {.line = walk_line};
    uint64_t after = w->mark > 0 ? w->mark - 1 : 0; /* the marked record itself is looked at too */
    int r = db_exec(w->db, "BEGIN IMMEDIATE", w->err);
    if (r < 0)
        return r;
    r = walk_log(w->s->c.log_path, after, false, &ops, w, w->err);
    if (r == 0 && w->top < w->mark)
        r = WALK_OTHER_LOG;
    if (r == 0)
        r = commit(w, w->err);
    if (r != 0 && r != WALK_STOPPED)
        roll_back(w);
    return r;
}

static int replace_db(struct writer *w, const char *why, struct err *err);

static int catch_up(struct writer *w, struct err *err)
{
    w->lines = w->bytes = 0;
    w->top = 0;
    w->mark = ingest_last_seq(w->g);
    w->err = err;
    int r = walk_all(w);
    if (r == WALK_STOPPED)
        return db_exec(w->db, "COMMIT", err);
    if (r == WALK_OTHER_LOG) {
        log_warn(NULL, "index: made from another log than '%s', made anew", w->s->c.log_path);
        return replace_db(w, "stale", err);
    }
    if (r == 0)
        w->behind = false;
    return r;
}

/* ---- the database ---- */

static int use_db(struct writer *w, struct sqlite3 *db, struct err *err)
{
    w->db = db;
    int r = ingest_new(db, &w->g, err);
    if (r < 0)
        close_db(w);
    w->behind = true;
    return r;
}

/* The file goes aside, as evidence; a new one is filled from the log. What can still be read of the
 * queue goes over. */
static int replace_db(struct writer *w, const char *why, struct err *err)
{
    struct queue_row *rows = NULL;
    size_t n = 0;
    struct sqlite3 *db = NULL;
    if (w->db && queue_rows_load(w->db, &rows, &n, NULL) < 0)
        n = 0;
    close_db(w);
    int r = db_aside(w->s->c.path, why, clock_realtime(), err);
    if (r == 0)
        r = db_open(w->s->c.path, &db, err);
    if (r == 0)
        r = use_db(w, db, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = queue_rows_put(w->db, &rows[i], err);
    queue_rows_free(rows, n);
    (void)pthread_mutex_lock(&w->s->lock);
    w->s->generation++;
    w->s->stats.rebuilt++;
    (void)pthread_mutex_unlock(&w->s->lock);
    return r;
}

/* Damage and a schema of tomorrow are the reasons to begin anew; the rest passes. */
static const char *reason_to_replace(int r)
{
    if (r == -EBADMSG)
        return "damaged";
    return r == -EPROTO ? "newer" : NULL;
}

static int open_db(struct writer *w, struct err *err)
{
    struct sqlite3 *db = NULL;
    if (w->db)
        return 0;
    int r = db_open(w->s->c.path, &db, err);
    return r < 0 ? r : use_db(w, db, err);
}

static int rebuild(struct writer *w, struct err *err)
{
    int r = ingest_clear(w->g, err);
    if (r == 0) {
        w->rebuild = false;
        w->behind = true;
    }
    return r;
}

/* ---- retention ---- */

static bool prune_is_due(const struct writer *w)
{
    return w->s->c.keep > 0 && clock_monotonic() >= w->prune_at;
}

static int prune(struct writer *w, struct err *err)
{
    uint64_t now = clock_realtime();
    if (now <= w->s->c.keep)
        return 0; /* no clock yet */
    int r = db_exec(w->db, "BEGIN IMMEDIATE", err);
    int n = r == 0 ? ingest_prune(w->g, now - w->s->c.keep, PRUNE_ROWS, err) : r;
    r = n < 0 ? n : commit(w, err);
    if (r < 0) {
        roll_back(w);
        return r;
    }
    w->prune_at = clock_monotonic() + (n == PRUNE_ROWS ? 0 : PRUNE_PAUSE_NS);
    return 0;
}

/* ---- the thread ---- */

static int work(struct writer *w, struct err *err)
{
    int r = open_db(w, err);
    if (r == 0 && w->suspect) {
        w->suspect = false;
        r = err_set(err, -EBADMSG, "the reader found damage");
    }
    if (r == 0 && w->rebuild)
        r = rebuild(w, err);
    if (r == 0)
        r = write_jobs(w, err);
    if (r == 0 && w->behind && !w->stopping)
        r = catch_up(w, err);
    if (r == 0 && w->db && prune_is_due(w) && !w->stopping)
        r = prune(w, err);
    return r;
}

/* A database that stays broken does not cost memory without end: the oldest places go. */
static void bound_todo(struct writer *w)
{
    size_t n = 0;
    list_foreach(it, &w->todo) n++;
    for (; n > w->s->c.jobs_max; n--)
        sqlite_job_free(list_item(w->todo.next, struct job, link));
}

static void failed(struct writer *w, int r, const struct err *err)
{
    struct err again = {0};
    const char *why = reason_to_replace(r);
    log_warn(NULL, "index: %s; commands go on, history is not complete", err->text);
    drop_lines(w);
    tell_kept(w);
    bound_todo(w);
    w->behind = true;
    w->retry_at = clock_monotonic() + RETRY_NS;
    if (why && replace_db(w, why, &again) == 0) {
        log_warn(NULL, "index: the old database was moved aside, '%s' is made anew", w->s->c.path);
        w->retry_at = 0;
    } else if (why) {
        log_warn(NULL, "index: %s", again.text);
    }
    (void)pthread_mutex_lock(&w->s->lock);
    w->s->stats.errors++;
    (void)pthread_mutex_unlock(&w->s->lock);
}

static bool has_work(const struct writer *w)
{
    const struct sqlite *s = w->s;
    return !list_empty(&s->jobs) || s->behind || s->rebuild || s->suspect || w->behind ||
           w->rebuild || prune_is_due(w);
}

/* Only lines have come, and few. */
static bool may_gather(const struct writer *w)
{
    const struct sqlite *s = w->s;
    list_foreach(it, &s->jobs)
    {
        if (list_item(it, struct job, link)->kind != JOB_LINE)
            return false;
    }
    return s->jobs_count < SQLITE_GATHER_LINES && list_empty(&s->asked) && !s->asking &&
           !s->behind && !s->rebuild && !s->suspect && !w->behind && !w->rebuild;
}

static void wait_until(struct writer *w, uint64_t when)
{
    struct timespec ts = {.tv_sec = (time_t)(when / CLOCK_NS_PER_SEC),
                          .tv_nsec = (long)(when % CLOCK_NS_PER_SEC)};
    (void)pthread_cond_timedwait(&w->s->write, &w->s->lock, &ts);
}

static void gather(struct writer *w)
{
    uint64_t end = clock_monotonic() + SQLITE_GATHER_NS;
    w->s->gathering = true;
    while (w->s->gathering && !w->s->stopping && clock_monotonic() < end)
        wait_until(w, end);
    w->s->gathering = false;
}

/* With the lock held: until there is something to do and, after a failure, its pause is over. */
static void wait_for_work(struct writer *w)
{
    while (!w->s->stopping) {
        if (w->retry_at > clock_monotonic()) {
            wait_until(w, w->retry_at);
        } else if (has_work(w)) {
            if (may_gather(w))
                gather(w);
            return;
        } else if (w->s->c.keep > 0) {
            wait_until(w, w->prune_at);
        } else {
            (void)pthread_cond_wait(&w->s->write, &w->s->lock);
        }
    }
}

/* Whoever asked for what this turn wrote waits for it. */
static void turn_done(struct writer *w)
{
    (void)pthread_mutex_lock(&w->s->lock);
    w->s->done = w->taken;
    (void)pthread_cond_broadcast(&w->s->read);
    (void)pthread_mutex_unlock(&w->s->lock);
}

void *sqlite_writer(void *arg)
{
    struct writer w = {.s = arg, .behind = true};
    struct err err = {0};
    list_init(&w.todo);
    (void)setpriority(PRIO_PROCESS, 0, SQLITE_WRITER_NICE); /* 0: this thread alone, on Linux */
    if (w.s->first_db && use_db(&w, w.s->first_db, &err) < 0)
        log_warn(NULL, "index: %s", err.text);
    while (!w.stopping) {
        (void)pthread_mutex_lock(&w.s->lock);
        wait_for_work(&w);
        take_jobs(&w);
        (void)pthread_mutex_unlock(&w.s->lock);
        w.retry_at = 0;
        int r = work(&w, &err);
        if (r < 0)
            failed(&w, r, &err);
        show_progress(&w, r == 0);
        turn_done(&w);
    }
    list_foreach(it, &w.todo) sqlite_job_free(list_item(it, struct job, link));
    close_db(&w);
    return NULL;
}
