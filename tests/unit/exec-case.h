/* SPDX-License-Identifier: MIT */
/* What the tests of exec/ share: the real helper, a fake core, fake callers and their shims. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/warden.h"
#include "exec/local.h"
#include "exec/mirror.h"
#include "exec/resolve.h"
#include "wire/bytes.h"
#include "wire/v1.h"
#include "wire/v2.h"

#define WAIT_MS 10000
#define UID 1234 /* of the callers, when the tests run as root */
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EXEC_TEST(fn) cmocka_unit_test_setup_teardown(fn, exec_setup, exec_teardown)

struct seen {
    bool resolved, started, ended;
    int error;
    char words[512];
    pid_t pid;
    struct end end;
};

struct fixture {
    uv_loop_t loop;
    struct mirror *mirror;
    struct resolver *resolver;
    struct executor *local;
    char dir[64]; /* a directory of the agent's, uid 1234 */
};

struct shim {
    pid_t agent; /* stands in for the shim's process */
    int orders;  /* to it, what it shall say */
    struct request *r;
    struct seen seen;
    int conn; /* the shim's end */
    int theirs;
    int out; /* read end of the command's output */
    int out_w;
    int in;
};

extern struct fixture *f;
#define SEARCH_PATH_SIZE 8
extern const char *search_path[SEARCH_PATH_SIZE]; /* the policy's; [6] is free */
extern size_t operands[8], operands_count;        /* which arguments are paths */
extern void (*agent_setup)(void);                 /* run in the next caller, as root */

#define pump_until(cond)                                                                           \
    do {                                                                                           \
        bool met_ = false;                                                                         \
        for (uint64_t end_ = now_ms() + WAIT_MS; !met_ && now_ms() < end_;) {                      \
            pump(0);                                                                               \
            met_ = (cond);                                                                         \
        }                                                                                          \
        assert_true(met_);                                                                         \
    } while (0)

uint64_t now_ms(void);
void pump(int ms);
int exec_setup(void **state);
int exec_teardown(void **state);
bool root(void);
struct shim *shim_new(enum door_kind door, uid_t uid, const char *cwd, const char *const *argv);
void close_fd(int *fd);
void shim_free(struct shim *s);
void shim_resolve(struct shim *s);
void shim_start(struct shim *s);
ssize_t shim_read(struct shim *s, void *p, size_t n);
uint8_t shim_message(struct shim *s, uint8_t payload[8192], uint32_t *ret_len);
/* The agent sends that on its connection. */
void shim_say(struct shim *s, const void *p, size_t n, const int *fds, size_t count);
void send_fds(struct shim *s, uint32_t flags, const int *fds, unsigned n);
/* With numbers for further ones, as they are, and `n` descriptors, whether or not that is right.
 * `last`, if not NULL, is closed before the helper can have them. */
void send_handover(struct shim *s, uint32_t flags, const uint32_t *numbers, unsigned count,
                   const int *fds, unsigned n, int *last);
void shim_hand_over(struct shim *s);
void shim_send(struct shim *s, enum v2_type type, uint32_t value);
void release(struct shim *s);
uint32_t shim_exit(struct shim *s);
char *shim_output(struct shim *s);
struct shim *run(const char *const *argv);
struct shim *run_sh(const char *script);
bool gone(pid_t pid);
void write_file(const char *path, const char *text, mode_t mode);
