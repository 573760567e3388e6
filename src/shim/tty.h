/* SPDX-License-Identifier: MIT */
/* The terminal of a command: a pty that the shim makes, relayed to and from the user's terminal.
 * The user's terminal is put into raw mode only while it is ours (foreground) and the command's:
 * a member of a pipeline takes it when the command asks, so that `git log | less` has one reader.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>
#include <termios.h>

#define TTY_BUF_SIZE 16384

struct tty_buf {
    size_t start;
    size_t end;
    char data[TTY_BUF_SIZE];
};

struct tty {
    int fd; /* the user's terminal, by a description of our own where possible; -1: no terminal */
    int master; /* -1: no pty */
    int slave;  /* held until the end, so that a command may close its terminal and open it again */
    unsigned slots;         /* bit per std descriptor that is this terminal */
    bool control;           /* it is our controlling terminal, so there is job control */
    dev_t device;           /* when it is not */
    bool shared;            /* with the other members of a pipeline, which may not be governed */
    bool wants;             /* the command should have it whenever we are in the foreground */
    bool raw;               /* it has it */
    bool held_return;       /* of the output, see tty.c */
    unsigned session_tries; /* of looking for the command's session */
    struct termios user;    /* of the user's terminal before raw mode */
    struct tty_buf in;
    struct tty_buf out;
};

/* Makes the pty when we have a controlling terminal, or one of the std descriptors in `ttys` (a bit
 * each) is a terminal. False: neither, or no pty can be had; the descriptors are then lent as they
 * are. */
bool tty_open(struct tty *t, unsigned ttys);
/* Whether `fd` is that terminal. */
bool tty_is(const struct tty *t, int fd);

/* In the foreground of the user's terminal, or without job control. */
bool tty_foreground(const struct tty *t);
/* Raw mode on, input relayed. False: the terminal is not ours now. */
bool tty_take(struct tty *t);
/* Raw mode off. `as_left`: with what the command changed, else as it was. */
void tty_give(struct tty *t, bool as_left);
/* The pty gets the size of the user's terminal; the kernel tells the command. */
void tty_resize(struct tty *t);

/* Fills p[0] (user) and p[1] (pty); then does what poll reported. */
void tty_poll(struct tty *t, struct pollfd p[2]);
void tty_relay(struct tty *t, const struct pollfd p[2]);
/* How long poll may wait, in ms, -1 for ever. Asked between tty_poll() and poll. */
int tty_patience(const struct tty *t);
/* What the command wrote before now, out to the user; may wait for the terminal. */
void tty_drain(struct tty *t);
/* Ends the pty: the command's side sees a hang-up. */
void tty_close(struct tty *t);
