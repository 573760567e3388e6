/* SPDX-License-Identifier: MIT */
/* Threads of our own and not libuv's pool, in which nothing else may wait behind a flood of logins.
 * They are started when they are needed first. */
#include "http/passwords.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "base/mem.h"

/* RFC 9106, section 4, the second choice, with one lane: there is one thread for it. */
#define PASSWORDS_PASSES 3
#define PASSWORDS_KIB (64u << 10)
#define PASSWORDS_LANES 1
#define PASSWORDS_SALT 16
#define PASSWORDS_HASH 32

/* Of no password: what an unknown name is compared with, so that it takes as long as a known one.
 */
#define PASSWORDS_NOBODY                                                                           \
    "$argon2id$v=19$m=65536,t=3,p=1$bm9ib2R5IGhhcyB0aGlzIQ$"                                       \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct job {
    struct list link;
    char *password; /* owned, wiped */
    char encoded[PASSWORDS_ENCODED_SIZE];
    bool check;
    int result;
    passwords_done *done;
    void *arg;
};

struct passwords {
    uv_async_t async;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list waiting, ended;
    size_t waiting_count;
    unsigned busy; /* jobs with a thread */
    pthread_t threads[PASSWORDS_AT_ONCE];
    unsigned threads_count;
    bool ending;
    bool closing; /* the handle is */
    void (*gone)(void *arg);
    void *gone_arg;
};

/* ---- in a thread ---- */

static int passwords_make(struct job *j)
{
    unsigned char salt[PASSWORDS_SALT];
    if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
        return -EIO;
    int r = argon2id_hash_encoded(PASSWORDS_PASSES, PASSWORDS_KIB, PASSWORDS_LANES, j->password,
                                  strlen(j->password), salt, sizeof(salt), PASSWORDS_HASH,
                                  j->encoded, sizeof(j->encoded));
    return r == ARGON2_OK ? 0 : r == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM : -EIO;
}

static int passwords_compare(const struct job *j)
{
    int r = argon2id_verify(j->encoded, j->password, strlen(j->password));
    return r == ARGON2_OK                        ? 0
           : r == ARGON2_MEMORY_ALLOCATION_ERROR ? -ENOMEM
                                                 : -EACCES; /* also what cannot be read */
}

static void *passwords_thread(void *arg)
{
    struct passwords *p = arg;
    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        while (list_empty(&p->waiting) && !p->ending)
            (void)pthread_cond_wait(&p->more, &p->lock);
        if (list_empty(&p->waiting))
            break;
        struct job *j = list_item(p->waiting.next, struct job, link);
        list_remove(&j->link);
        p->waiting_count--;
        p->busy++;
        (void)pthread_mutex_unlock(&p->lock);
        j->result = j->check ? passwords_compare(j) : passwords_make(j);
        (void)pthread_mutex_lock(&p->lock);
        p->busy--;
        list_append(&p->ended, &j->link);
        (void)uv_async_send(&p->async);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- on the loop ---- */

static void job_end(struct job *j, int result)
{
    j->done(j->arg, result, j->check ? NULL : j->encoded);
    OPENSSL_cleanse(j->password, strlen(j->password));
    free(j->password);
    free(j);
}

static void passwords_closed(uv_handle_t *h)
{
    struct passwords *p = container_of(h, struct passwords, async);
    void (*gone)(void *) = p->gone;
    void *arg = p->gone_arg;
    for (unsigned i = 0; i < p->threads_count; i++)
        (void)pthread_join(p->threads[i], NULL); /* they have nothing more to do */
    (void)pthread_cond_destroy(&p->more);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
    gone(arg);
}

static void passwords_settle(struct passwords *p)
{
    (void)pthread_mutex_lock(&p->lock);
    bool over = p->ending && p->busy == 0 && list_empty(&p->ended) && !p->closing;
    p->closing |= over;
    (void)pthread_mutex_unlock(&p->lock);
    if (over)
        uv_close((uv_handle_t *)&p->async, passwords_closed);
}

static void passwords_ready(uv_async_t *a)
{
    struct passwords *p = container_of(a, struct passwords, async);
    for (;;) {
        (void)pthread_mutex_lock(&p->lock);
        struct job *j = list_empty(&p->ended) ? NULL : list_item(p->ended.next, struct job, link);
        if (j)
            list_remove(&j->link);
        (void)pthread_mutex_unlock(&p->lock);
        if (!j)
            break;
        job_end(j, j->result);
    }
    passwords_settle(p);
}

int passwords_new(uv_loop_t *loop, struct passwords **ret, struct err *err)
{
    struct passwords *p = mem_new(struct passwords);
    int r = uv_async_init(loop, &p->async, passwords_ready);
    if (r < 0) {
        free(p);
        return err_set(err, r, "cannot look at passwords: %s", uv_strerror(r));
    }
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->more, NULL);
    list_init(&p->waiting);
    list_init(&p->ended);
    *ret = p;
    return 0;
}

void passwords_close(struct passwords *p, void (*gone)(void *arg), void *arg)
{
    struct list dropped = LIST_INIT(dropped);
    p->gone = gone;
    p->gone_arg = arg;
    (void)pthread_mutex_lock(&p->lock);
    p->ending = true;
    list_foreach(it, &p->waiting)
    {
        list_remove(it);
        list_append(&dropped, it);
    }
    p->waiting_count = 0;
    (void)pthread_cond_broadcast(&p->more);
    (void)pthread_mutex_unlock(&p->lock);
    list_foreach(it, &dropped)
    {
        list_remove(it);
        job_end(list_item(it, struct job, link), -ECANCELED);
    }
    passwords_settle(p);
}

static int passwords_put(struct passwords *p, const char *encoded, const char *password, bool check,
                         passwords_done *done, void *arg)
{
    (void)pthread_mutex_lock(&p->lock);
    bool full = p->waiting_count >= PASSWORDS_WAITING_MAX || p->ending;
    if (!full && p->threads_count < PASSWORDS_AT_ONCE &&
        pthread_create(&p->threads[p->threads_count], NULL, passwords_thread, p) == 0)
        p->threads_count++;
    full |= p->threads_count == 0;
    if (!full) {
        struct job *j = mem_new(struct job);
        j->password = mem_strdup(password);
        (void)snprintf(j->encoded, sizeof(j->encoded), "%s", encoded ? encoded : "");
        j->check = check;
        j->done = done;
        j->arg = arg;
        list_append(&p->waiting, &j->link);
        p->waiting_count++;
        (void)pthread_cond_signal(&p->more);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return full ? -EBUSY : 0;
}

int passwords_check(struct passwords *p, const char *encoded, const char *password,
                    passwords_done *done, void *arg)
{
    return passwords_put(p, encoded ? encoded : PASSWORDS_NOBODY, password, true, done, arg);
}

int passwords_hash(struct passwords *p, const char *password, passwords_done *done, void *arg)
{
    return passwords_put(p, NULL, password, false, done, arg);
}
