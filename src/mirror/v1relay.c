/* SPDX-License-Identifier: MIT */
#include "mirror/v1relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mirror/sender.h"
#include "wire/v1.h"

#define LINGER_MS 10000 /* for a client that does not read its last frames */

/* One job a process at a time, so the state is static: the chunk is too big for the stack. */
static struct {
    int pipes[2];  /* read ends of stdout and stderr; -1: at its end */
    int turn;      /* which of them is read first */
    bool open;     /* the client is there */
    bool released; /* the end is on record: the last frames may be said */
    bool said;     /* text and exit frame are queued */
    uint64_t deadline;
    size_t len, sent; /* of out */
    uint8_t out[2 * V1_FRAME_HEAD_SIZE + V1_FRAME_CHUNK + 1];
} relay = {.pipes = {-1, -1}};

static void close_pipes(void)
{
    for (int i = 0; i < 2; i++) {
        if (relay.pipes[i] >= 0)
            close(relay.pipes[i]);
        relay.pipes[i] = -1;
    }
}

void v1relay_start(struct job *j)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
        job_fail(j, 125, "no pipes could be made for it", errno);
    } else {
        (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
        (void)fcntl(err[0], F_SETFL, O_NONBLOCK);
        j->plan.fds[0] = STDIN_FILENO; /* /dev/null since the helper's start */
        j->plan.fds[1] = out[1];
        j->plan.fds[2] = err[1];
        (void)job_launch(j);
    }
    if (out[1] >= 0)
        close(out[1]);
    if (err[1] >= 0)
        close(err[1]);
    relay.pipes[0] = out[0];
    relay.pipes[1] = err[0];
}

static void queue_frame(enum v1_frame type, const void *payload, size_t n)
{
    v1_frame_encode(type, (uint32_t)n, relay.out + relay.len);
    memcpy(relay.out + relay.len + V1_FRAME_HEAD_SIZE, payload, n);
    relay.len += V1_FRAME_HEAD_SIZE + n;
}

/* Fills the empty queue from a pipe. false: nothing there now. */
static bool pull(void)
{
    for (int i = 0; i < 2; i++, relay.turn = !relay.turn) {
        int which = relay.turn;
        if (relay.pipes[which] < 0)
            continue;
        ssize_t n = read(relay.pipes[which], relay.out + V1_FRAME_HEAD_SIZE, V1_FRAME_CHUNK);
        if (n > 0) {
            v1_frame_encode(which ? V1_STDERR : V1_STDOUT, (uint32_t)n, relay.out);
            relay.len = V1_FRAME_HEAD_SIZE + (size_t)n;
            relay.turn = !relay.turn;
            return true;
        }
        if (n == 0 || errno != EAGAIN) {
            close(relay.pipes[which]);
            relay.pipes[which] = -1;
        }
    }
    return false;
}

static void lose_client(struct job *j)
{
    relay.open = false;
    relay.len = relay.sent = 0;
    close_pipes();
    if (!j->ended)
        job_hang_up(j);
}

static void push(struct job *j)
{
    while (relay.sent < relay.len) {
        ssize_t n = send(j->conn, relay.out + relay.sent, relay.len - relay.sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            lose_client(j);
            return;
        }
        relay.sent += (size_t)n;
        relay.deadline = job_now() + LINGER_MS;
    }
    relay.len = relay.sent = 0;
}

/* The client may say one thing: cancel. Everything else is nonsense. */
static void hear(struct job *j)
{
    uint8_t type;
    uint32_t len;
    ssize_t n =
        sender_peek(j->conn, &j->start.peer, j->in + j->in_len, V1_FRAME_HEAD_SIZE - j->in_len);
    if (n == -EAGAIN)
        return;
    if (n <= 0 || recv(j->conn, j->in + j->in_len, (size_t)n, MSG_DONTWAIT) != n) {
        lose_client(j);
        return;
    }
    j->in_len += (unsigned)n;
    if (j->in_len < V1_FRAME_HEAD_SIZE)
        return;
    j->in_len = 0;
    if (v1_frame_decode(j->in, &type, &len) < 0 || type != V1_CANCEL || len != 0)
        lose_client(j);
    else if (!j->ended)
        job_hang_up(j);
}

static void last_frames(struct job *j)
{
    size_t n = strlen(j->end.text);
    uint8_t code = (uint8_t)(j->end.kind == HELPER_END_SIGNAL ? 128 + j->end.value : j->end.value);
    if (n)
        queue_frame(V1_STDERR, j->end.text, n);
    queue_frame(V1_EXIT, &code, 1);
    relay.said = true;
}

/* Everything that can be done without waiting. */
static void advance(struct job *j)
{
    if (!j->pid && !j->ended)
        job_report_ended(j);
    while (relay.open && !relay.said) {
        push(j);
        if (relay.len || !relay.open)
            return;
        if (pull())
            continue;
        if (!relay.released) /* pid is 0 then: what the pipes held is out */
            return;
        close_pipes();
        last_frames(j);
    }
    if (relay.open)
        push(j);
}

static bool finished(void)
{
    return relay.released && (!relay.open || (relay.said && !relay.len));
}

static void turn(struct job *j)
{
    bool wants = relay.open && relay.len == 0 && !relay.said;
    struct pollfd p[6] = {
        {.fd = j->boss, .events = relay.released ? 0 : POLLIN},
        {.fd = j->w->signals, .events = POLLIN},
        {.fd = relay.open ? j->conn : -1, .events = (short)(POLLIN | (relay.len ? POLLOUT : 0))},
        {.fd = wants ? relay.pipes[0] : -1, .events = POLLIN},
        {.fd = wants ? relay.pipes[1] : -1, .events = POLLIN},
        {.fd = relay.open && !j->ended ? j->pidfd : -1, .events = POLLIN},
    };
    int n = poll(p, 6, relay.released ? 1000 : -1);
    if (relay.released && job_now() > relay.deadline)
        lose_client(j);
    if (n <= 0)
        return;
    if (p[1].revents)
        job_reap(j);
    if (p[0].revents && !relay.released) {
        relay.released = job_command(j);
        relay.deadline = job_now() + LINGER_MS;
    } else if (p[0].revents) {
        worker_leave();
    }
    if (p[2].revents & (POLLIN | POLLHUP | POLLERR))
        hear(j);
    if (p[5].revents && relay.open)
        lose_client(j); /* gone, while others hold its connection open */
}

void v1relay_run(struct job *j)
{
    bool started = j->pid != 0;
    if (!started && j->end.kind != HELPER_END_FAILED)
        job_fail(j, 125, "could not be started", 0);
    relay.turn = 0;
    relay.open = !j->caller_gone;
    relay.released = relay.said = false;
    relay.out[0] = V1_ACK_ALLOWED;
    relay.len = 1;
    relay.sent = 0;
    if (started)
        job_report_started(j);
    advance(j);
    while (!finished()) {
        turn(j);
        advance(j);
    }
    close_pipes();
}
