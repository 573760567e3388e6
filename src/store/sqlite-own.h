/* SPDX-License-Identifier: MIT */
/* Inside of the index, for sqlite*.c only: what the loop thread, the writer and the reader share.
 */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "store/sqlite.h"

struct sqlite3;

/* Lines come together for a moment, or until there are so many: a transaction for each would cost
 * more than everything else about a command. Who asks does not wait for that. */
#define SQLITE_GATHER_NS (100 * CLOCK_NS_PER_MS)
#define SQLITE_GATHER_LINES 1024
#define SQLITE_WRITER_NICE 19 /* commands come first: what it is late with stands in the log */

enum job_kind { JOB_LINE, JOB_PUT };

struct job {
    struct list link;
    enum job_kind kind;
    size_t bytes;
    size_t len;           /* JOB_LINE */
    struct queue_row row; /* JOB_PUT: summary owned */
    bool told;            /* JOB_PUT: kept() was called */
    char line[];          /* JOB_LINE */
};
void sqlite_job_free(struct job *j);

struct kept_row { /* kept() is to be called */
    struct list link;
    uint8_t id[16];
};

struct question {
    struct list link;
    struct history_query *q; /* owned */
    sqlite_history_fn *fn;   /* NULL: forgotten */
    void *arg;
    uint64_t after; /* counts jobs: what had come when it was asked */
    int result;
    struct pages_page page;
    struct err words;
};

struct sqlite {
    struct index port;
    struct sqlite_config c; /* its strings are owned */
    uv_async_t async;
    pthread_t writer, reader;
    struct sqlite3 *first_db; /* opened by sqlite_open(), then the writer's */
    struct queue_row *rows;   /* owned until taken */
    size_t rows_count;

    pthread_mutex_t lock;
    pthread_cond_t write, read;
    /* under the lock */
    bool stopping;
    struct list jobs; /* of struct job */
    size_t jobs_count, jobs_bytes;
    uint64_t came, done;         /* jobs in all: taken in; written or let go */
    bool gathering;              /* the writer waits for more lines: one is no reason to wake it */
    bool behind;                 /* lines were dropped: read the log */
    bool rebuild;                /* asked for */
    bool suspect;                /* the reader found damage */
    unsigned generation;         /* counts database files */
    struct list kept;            /* of struct kept_row */
    struct list asked, answered; /* of struct question */
    struct question *asking;     /* the reader has it */
    size_t questions;            /* not answered yet */
    struct sqlite_stats stats;
};

void *sqlite_writer(void *arg); /* the threads */
void *sqlite_reader(void *arg);
