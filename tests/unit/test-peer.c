/* SPDX-License-Identifier: MIT */
/* What /proc says, in the forms that a hostile name or an odd kernel could give it; and this very
 * process as a caller. */
#include "door/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NUMBERS "5 6 7 1025 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 991 12345 678\n"

static int parse(const char *text, struct peer_stat *st)
{
    return peer_stat_parse(text, strlen(text), st);
}

static void a_stat_line_is_read(void **state)
{
    struct peer_stat st;
    assert_int_equal(parse("42 (bash) S " NUMBERS, &st), 0);
    assert_string_equal(st.comm, "bash");
    assert_int_equal(st.state, 'S');
    assert_int_equal(st.ppid, 5);
    assert_int_equal(st.sid, 7);
    assert_int_equal(st.tty, 1025);
    assert_int_equal(st.start_time, 991);
}

static void a_name_cannot_move_the_fields(void **state)
{
    static const char *const names[] = {"a b", ") S 1 1 1", "((", "))", "", "a\nb", ") R 1 (x"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[256];
        struct peer_stat st;
        (void)snprintf(text, sizeof(text), "42 (%s) S %s", names[i], NUMBERS);
        assert_int_equal(parse(text, &st), 0);
        assert_string_equal(st.comm, names[i]);
        assert_int_equal(st.ppid, 5);
        assert_int_equal(st.start_time, 991);
    }
}

static void a_malformed_stat_line_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "42",
        "42 (bash",
        "42 bash) S " NUMBERS,
        "42 )bash( S " NUMBERS,
        "42 (bash)",
        "42 (bash) S",
        "42 (bash) S 5 6 7",
        "42 (bash) S 5 6 x 1025 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 991",
        "42 (bash) S -5 6 7 1025 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 991",
        "42 (bash) S 99999999999 6 7 1025 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 991",
        "42 (bash) S 99999999999999999999999 6 7 1 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 991",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct peer_stat st;
        assert_int_equal(parse(bad[i], &st), -EBADMSG);
    }
}

static void the_v2_cgroup_is_found_among_the_others(void **state)
{
    static const char text[] = "12:pids:/a\n1:name=systemd:/0::/evil\n0::/user.slice/x\n";
    char *path = peer_cgroup_parse(text, strlen(text));
    assert_string_equal(path, "/user.slice/x");
    free(path);
    assert_null(peer_cgroup_parse("1:cpu:/a\n", 9));
    assert_null(peer_cgroup_parse("", 0));
    path = peer_cgroup_parse("0::/", 4);
    assert_string_equal(path, "/");
    free(path);
}

#define STATUS_IDS "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"

static int status(const char *text, struct peer_status *st)
{
    return peer_status_parse(text, strlen(text), st);
}

static void ids_and_groups_are_read(void **state)
{
    struct peer_status st;
    assert_int_equal(status("Name:\tx\n" STATUS_IDS "FDSize:\t64\nGroups:\t4 24 1000 \n", &st), 0);
    assert_int_equal(st.uid[0], 1);
    assert_int_equal(st.uid[3], 4);
    assert_int_equal(st.gid[1], 6);
    assert_int_equal(st.groups_count, 3);
    assert_int_equal(st.groups[2], 1000);
    free(st.groups);
    assert_int_equal(status(STATUS_IDS "Groups:\t \n", &st), 0);
    assert_int_equal(st.groups_count, 0);
    free(st.groups);
}

static void malformed_ids_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        STATUS_IDS,
        "Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\t\n",
        "Uid:\t1\t2\t3\t-4\nGid:\t5\t6\t7\t8\nGroups:\t\n",
        "Uid:\t1\t2\t3\t4294967296\nGid:\t5\t6\t7\t8\nGroups:\t\n",
        STATUS_IDS "Groups:\t1 x\n",
        STATUS_IDS "Groups:\t4294967296\n",
        "Name:\tUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct peer_status st;
        assert_int_equal(status(bad[i], &st), -EBADMSG);
    }
}

static void another_sender_is_refused_with_words(void **state)
{
    struct peer_creds c = {.pid = 10, .uid = 1000, .gid = 1000, .pidfd = -1};
    struct err err;
    assert_int_equal(peer_sender_check(&c, &(struct ucred){10, 1000, 1000}, &err), 0);
    assert_int_equal(peer_sender_check(&c, &(struct ucred){11, 1000, 1000}, &err), -EPERM);
    assert_non_null(strstr(err.text, "process 10 connected but process 11 sends"));
    assert_int_equal(peer_sender_check(&c, &(struct ucred){10, 1001, 1000}, &err), -EPERM);
    assert_int_equal(peer_sender_check(&c, &(struct ucred){10, 1000, 1001}, &err), -EPERM);
    assert_int_equal(peer_sender_check(&c, &(struct ucred){0, 1000, 1000}, &err), -EPERM);
}

static void we_describe_ourselves(void **state)
{
    int pair[2];
    struct peer_creds c;
    struct peer p;
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(peer_connected(pair[0], &c, &err), 0);
    assert_int_equal(c.pid, getpid());
    assert_int_equal(peer_describe(&c, pair[0], &p, &err), 0);
    assert_int_equal(c.pidfd, -1);
    assert_true(p.pidfd >= 0);
    assert_int_equal(p.pid, getpid());
    assert_int_equal(p.ppid, getppid());
    assert_int_equal(p.sid, getsid(0));
    assert_int_equal(p.uid, geteuid());
    assert_int_equal(p.groups_count, getgroups(0, NULL));
    assert_true(p.start_time > 0);
    assert_true(p.parent[0] != '\0' && !strchr(p.parent, '\n'));
    /* From memory the second time, where the kernel tells the cgroup's id. */
    struct peer again;
    assert_int_equal(peer_connected(pair[0], &c, &err), 0);
    assert_int_equal(peer_describe(&c, pair[0], &again, &err), 0);
    assert_true(!p.cgroup == !again.cgroup && (!p.cgroup || strcmp(p.cgroup, again.cgroup) == 0));
    close(p.pidfd);
    close(again.pidfd);
    free(p.groups);
    free(p.cgroup);
    free(again.groups);
    free(again.cgroup);
    close(pair[0]);
    close(pair[1]);
}

/* A child connects (a socketpair counts as that), and is gone when it is asked about. */
static void a_caller_that_is_gone_is_refused(void **state)
{
    int pair[2], pipefd[2];
    struct peer_creds c;
    struct peer p;
    struct err err;
    assert_int_equal(pipe(pipefd), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t child = fork();
    if (child == 0) {
        char b;
        _exit(read(pipefd[0], &b, 1) == 1 ? 0 : 1);
    }
    assert_int_equal(peer_connected(pair[0], &c, &err), 0);
    c.pid = child; /* as if the child had connected; its pidfd has to be its own */
    close(c.pidfd);
    c.pidfd = (int)syscall(434 /* pidfd_open */, child, 0);
    assert_true(c.pidfd >= 0);
    assert_int_equal(write(pipefd[1], "x", 1), 1);
    siginfo_t si;
    assert_int_equal(waitid(P_PID, (id_t)child, &si, WEXITED | WNOWAIT), 0);
    assert_int_equal(peer_describe(&c, pair[0], &p, &err), -ESRCH); /* a zombie */
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(peer_describe(&c, pair[0], &p, &err), -ESRCH); /* nothing */
    peer_creds_done(&c);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(pipefd[i]);
    }
}

static void a_person_of_this_host_is_outside(void **state)
{
    int pair[2];
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct peer_fence fence = {.helper = 0};
    assert_int_equal(peer_is_outside(pair[0], &fence, &err), 0);
    fence.cgroup = "/nobody-is-here/commands";
    assert_int_equal(peer_is_outside(pair[0], &fence, &err), 0);
    close(pair[0]);
    close(pair[1]);
}

static void who_descends_from_the_helper_is_inside(void **state)
{
    int pair[2];
    struct err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct peer_fence fence = {.helper = getpid()};
    assert_int_equal(peer_is_outside(pair[0], &fence, &err), -EPERM);
    fence.helper = getppid();
    assert_int_equal(peer_is_outside(pair[0], &fence, &err), -EPERM);
    assert_non_null(strstr(err.text, "governed command"));
    close(pair[0]);
    close(pair[1]);
}

static void who_sits_in_the_commands_cgroup_is_inside(void **state)
{
    int pair[2];
    struct err err;
    struct peer_creds c;
    struct peer p;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(peer_connected(pair[0], &c, &err), 0);
    assert_int_equal(peer_describe(&c, pair[0], &p, &err), 0);
    if (p.cgroup && strcmp(p.cgroup, "/") != 0) {
        struct peer_fence fence = {.cgroup = p.cgroup};
        assert_int_equal(peer_is_outside(pair[0], &fence, &err), -EPERM);
    }
    struct peer_fence none = {.cgroup = ""}; /* a root that holds everything */
    assert_int_equal(peer_is_outside(pair[0], &none, &err), -EPERM);
    close(p.pidfd);
    free(p.groups);
    free(p.cgroup);
    close(pair[0]);
    close(pair[1]);
}

/* ---- a process that somebody else spoke for ---- */

static void a_pidfd_names_its_process(void **state)
{
    struct peer p;
    struct err err;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_int_equal(peer_pinned(fd, &p, &err), 0);
    assert_int_equal(p.pid, pid);
    assert_int_equal(p.ppid, getpid());
    assert_int_equal(p.uid, geteuid());
    assert_int_equal(p.gid, getegid());
    assert_int_equal(p.pidfd, fd);
    assert_int_equal(peer_parent_descends(&p, getpid()), 1);
    assert_string_equal(p.parent, program_invocation_short_name);
    assert_int_equal(peer_parent_descends(&p, getppid()), 1);
    assert_string_equal(p.parent, program_invocation_short_name);
    assert_int_equal(peer_parent_descends(&p, pid), 0);
    assert_int_equal(peer_descends(pid, getpid()), 1);
    assert_int_equal(peer_descends(pid, pid), 1);
    assert_int_equal(peer_descends(getpid(), pid), 0);
    free(p.cgroup);
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    assert_int_equal(peer_pinned(fd, &p, &err), -ESRCH); /* a zombie */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(peer_pinned(fd, &p, &err) < 0);
    assert_true(peer_descends(pid, getpid()) < 0);
    close(fd);
}

static void *start_child(void *pipe_end)
{
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    (void)!write(*(int *)pipe_end, &child, sizeof(child));
    (void)pause();
    return NULL;
}

/* As a program of Go that is just ending: its first thread is gone, another still has children. */
static void a_parent_without_its_first_thread_is_a_parent(void **state)
{
    int ends[2];
    pid_t child = -1;
    struct peer_stat st;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t parent = fork();
    if (parent == 0) {
        pthread_t t;
        (void)pthread_create(&t, NULL, start_child, &ends[1]);
        (void)syscall(SYS_exit, 0);
    }
    assert_int_equal(read(ends[0], &child, sizeof(child)), sizeof(child));
    while (peer_stat_read(parent, &st) == 0)
        (void)usleep(1000);
    assert_int_equal(peer_descends(child, getpid()), 1);
    assert_int_equal(peer_descends(child, parent), 1);
    assert_int_equal(peer_descends(parent, child), -ESRCH);
    kill(child, SIGKILL);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    close(ends[0]);
    close(ends[1]);
}

static void what_is_no_pidfd_names_nobody(void **state)
{
    struct peer p;
    struct err err;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(peer_pinned(fd, &p, &err), -EBADF);
    assert_int_equal(peer_pinned(-1, &p, &err), -EBADF);
    close(fd);
}

static bool yes(void *arg, pid_t pid)
{
    return pid == *(pid_t *)arg;
}

static void who_stands_below_a_gate_is_inside(void **state)
{
    int pair[2];
    struct err err;
    pid_t us = getpid();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const struct peer_fence fence = {.governed = yes, .arg = &us};
    assert_int_equal(peer_is_outside(pair[0], &fence, &err), -EPERM);
    assert_non_null(strstr(err.text, "below a gate"));
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stat_line_is_read),
        cmocka_unit_test(a_name_cannot_move_the_fields),
        cmocka_unit_test(a_malformed_stat_line_is_refused),
        cmocka_unit_test(the_v2_cgroup_is_found_among_the_others),
        cmocka_unit_test(ids_and_groups_are_read),
        cmocka_unit_test(malformed_ids_are_refused),
        cmocka_unit_test(another_sender_is_refused_with_words),
        cmocka_unit_test(we_describe_ourselves),
        cmocka_unit_test(a_caller_that_is_gone_is_refused),
        cmocka_unit_test(a_person_of_this_host_is_outside),
        cmocka_unit_test(who_descends_from_the_helper_is_inside),
        cmocka_unit_test(who_sits_in_the_commands_cgroup_is_inside),
        cmocka_unit_test(a_pidfd_names_its_process),
        cmocka_unit_test(a_parent_without_its_first_thread_is_a_parent),
        cmocka_unit_test(what_is_no_pidfd_names_nobody),
        cmocka_unit_test(who_stands_below_a_gate_is_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
