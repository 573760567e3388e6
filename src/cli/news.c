/* SPDX-License-Identifier: MIT */
/* A thread for each warden: libcurl's easy interface blocks. What an event says is not looked at:
 * the queue is asked for it, which is whole and bound to a digest. */
#include "cli/news.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/remote.h"
#include "http/client.h"

#define NEWS_WARDENS_MAX 16
#define NEWS_PAUSE_S 2
#define NEWS_PATH "/api/events?events=queued,answered,withdrawn,expired,decided"

static struct remote_target targets[NEWS_WARDENS_MAX]; /* for ever: the threads have them */
static size_t count;
static atomic_size_t heard; /* feeds that are open */
static int news_pipe[2] = {-1, -1};

static bool news_came(void *arg, const char *p, size_t n)
{
    bool *open = arg;
    if (!*open) {
        *open = true;
        atomic_fetch_add(&heard, 1);
    }
    if (n > 0 && p[0] != ':' && write(news_pipe[1], "x", 1) < 0 && errno != EAGAIN)
        return false; /* full is as good: there is news */
    return true;
}

static void *news_listen(void *arg)
{
    const struct remote_target *t = arg;
    for (;;) {
        bool open = false;
        struct client_target target = {.address = t->address,
                                       .token = t->token,
                                       .ca = t->ca,
                                       .take = news_came,
                                       .take_arg = &open};
        struct client_response response = CLIENT_RESPONSE_INIT;
        struct err err = {0};
        int r = client_request(&target, "GET", NEWS_PATH, NULL, 0, &response, &err);
        client_response_done(&response);
        if (r < 0 || open) /* it ended: what came meanwhile is missed */
            (void)!write(news_pipe[1], "x", 1);
        if (open)
            atomic_fetch_sub(&heard, 1);
        struct timespec pause = {.tv_sec = NEWS_PAUSE_S};
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

int news_open(const struct cli *c)
{
    sigset_t all, before;
    if (pipe2(news_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    count = remote_targets(c, targets, NEWS_WARDENS_MAX);
    (void)sigfillset(&all); /* signals are the main thread's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < count; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, news_listen, &targets[i]) == 0)
            (void)pthread_detach(t);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return news_pipe[0];
}

void news_taken(int fd)
{
    char some[256];
    while (read(fd, some, sizeof(some)) > 0)
        ;
}

bool news_all_heard(void)
{
    return count > 0 && atomic_load(&heard) == count;
}
