/* SPDX-License-Identifier: MIT */
/* A gate's connection: senders, descriptors, and messages in pieces. */
#include "door/gate-link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct disposer *disposer;
    struct gate_link link;
    int gate; /* the other end */
};

static int setup(void **state)
{
    static struct fixture f;
    int pair[2], one = 1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)), 0);
    f = (struct fixture){.disposer = disposer_new(), .gate = pair[1]};
    gate_link_init(&f.link, pair[0], f.disposer);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    gate_link_done(&f->link);
    disposer_free(f->disposer);
    if (f->gate >= 0)
        close(f->gate);
    return 0;
}

static void send_fds(int sock, const void *p, size_t n, const int *fds, size_t count)
{
    char space[CMSG_SPACE(128 * sizeof(int))] = {0};
    struct iovec iov = {.iov_base = (void *)p, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > 0) {
        m.msg_control = space;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    assert_int_equal(sendmsg(sock, &m, 0), n);
}

static void message(uint8_t out[GATEWIRE_HEAD_SIZE + 4], uint8_t type)
{
    gatewire_head_encode(type, 4, out);
    memcpy(out + GATEWIRE_HEAD_SIZE, "body", 4);
}

static void a_message_in_pieces_is_whole_at_its_end(void **state)
{
    struct fixture *f = *state;
    uint8_t m[GATEWIRE_HEAD_SIZE + 4];
    struct gatewire_head h;
    const uint8_t *body;
    struct err err;
    message(m, 9);
    assert_int_equal(gate_link_read(&f->link, &err), 0);
    for (size_t i = 0; i < sizeof(m); i++) {
        assert_int_equal(gate_link_peek(&f->link, &h, &body), 0);
        send_fds(f->gate, m + i, 1, NULL, 0);
        assert_int_equal(gate_link_read(&f->link, &err), 1);
    }
    assert_int_equal(gate_link_peek(&f->link, &h, &body), 1);
    assert_int_equal(h.type, 9);
    assert_memory_equal(body, "body", 4);
    gate_link_pop(&f->link, &h);
    assert_int_equal(gate_link_peek(&f->link, &h, &body), 0);
    assert_int_equal(f->link.who.pid, getpid());
}

static void descriptors_come_in_the_order_of_their_messages(void **state)
{
    struct fixture *f = *state;
    uint8_t m[GATEWIRE_HEAD_SIZE + 4];
    int a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct err err;
    struct stat sa, got;
    message(m, 2);
    send_fds(f->gate, m, sizeof(m), &a, 1);
    send_fds(f->gate, m, sizeof(m), &b, 1);
    assert_int_equal(gate_link_read(&f->link, &err), 1);
    assert_int_equal(gate_link_read(&f->link, &err), 1);
    int first = gate_link_take_fd(&f->link), second = gate_link_take_fd(&f->link);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(gate_link_take_fd(&f->link), -1);
    assert_int_equal(fstat(a, &sa) + fstat(first, &got), 0);
    assert_int_equal(sa.st_rdev, got.st_rdev);
    assert_int_equal(fcntl(first, F_GETFD), FD_CLOEXEC);
    close(first), close(second), close(a), close(b);
}

static void more_descriptors_than_requests_end_it(void **state)
{
    struct fixture *f = *state;
    int many[GATE_LINK_FDS_MAX + 1];
    struct err err;
    for (size_t i = 0; i < GATE_LINK_FDS_MAX + 1; i++)
        many[i] = f->gate;
    send_fds(f->gate, "x", 1, many, GATE_LINK_FDS_MAX + 1);
    assert_int_equal(gate_link_read(&f->link, &err), -EPERM);
}

static void another_sender_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    send_fds(f->gate, "x", 1, NULL, 0);
    assert_int_equal(gate_link_read(&f->link, &err), 1);
    pid_t pid = fork();
    if (pid == 0)
        _exit(write(f->gate, "y", 1) != 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(gate_link_read(&f->link, &err), -EPERM);
    assert_non_null(strstr(err.text, "sends"));
}

static void a_sender_that_the_kernel_does_not_name_is_refused(void **state)
{
    struct fixture *f = *state;
    int zero = 0;
    struct err err;
    assert_int_equal(setsockopt(f->link.fd, SOL_SOCKET, SO_PASSCRED, &zero, sizeof(zero)), 0);
    send_fds(f->gate, "x", 1, NULL, 0);
    assert_int_equal(gate_link_read(&f->link, &err), -EPERM);
    assert_non_null(strstr(err.text, "SO_PASSCRED"));
}

static void a_hang_up_is_said(void **state)
{
    struct fixture *f = *state;
    struct err err;
    close(f->gate);
    f->gate = -1;
    assert_int_equal(gate_link_read(&f->link, &err), -EPIPE);
}

static void a_gate_that_does_not_read_is_lost_in_the_end(void **state)
{
    struct fixture *f = *state;
    static const uint8_t body[1u << 20];
    int r = 0;
    for (int i = 0; i < 64 && r == 0; i++)
        r = gate_link_put(&f->link, GATEWIRE_DENY, body, sizeof(body));
    assert_int_equal(r, -EMSGSIZE);
    assert_true(gate_link_flush(&f->link) < 0 || f->link.out.len > 0);
}

static void a_head_that_lies_is_refused(void **state)
{
    struct fixture *f = *state;
    struct gatewire_head h;
    const uint8_t *body;
    struct err err;
    send_fds(f->gate, "\1\0\0\0\377\377\377\377", 8, NULL, 0);
    assert_int_equal(gate_link_read(&f->link, &err), 1);
    assert_int_equal(gate_link_peek(&f->link, &h, &body), -EBADMSG);
}

/* One message in front and one behind, so that it could go with the wrong one. */
static void a_descriptor_goes_with_its_own_message(void **state)
{
    struct fixture *f = *state;
    char bytes[64], space[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    int pair[2], got = -1;
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(gate_link_put(&f->link, GATEWIRE_WAITING, "abc", 3), 0);
    assert_int_equal(gate_link_put_fd(&f->link, GATEWIRE_COVERS, pair[0]), 0);
    assert_int_equal(gate_link_put(&f->link, GATEWIRE_WAITING, "d", 1), 0);
    int second = fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
    assert_int_equal(gate_link_put_fd(&f->link, GATEWIRE_COVERS, second), -EBUSY);
    assert_int_equal(gate_link_flush(&f->link), 0);
    for (size_t len = 0; len < 3 * GATEWIRE_HEAD_SIZE + 4;) {
        m.msg_control = space;
        m.msg_controllen = sizeof(space);
        ssize_t n = recvmsg(f->gate, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        assert_true(n > 0);
        const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c) {
            /* The kernel ends what it gives at once behind the bytes that came with it. */
            size_t at = GATEWIRE_HEAD_SIZE + 3;
            assert_true(len <= at && at < len + (size_t)n);
            assert_int_equal((uint8_t)bytes[at - len], GATEWIRE_COVERS);
            memcpy(&got, CMSG_DATA(c), sizeof(got));
        }
        len += (size_t)n;
    }
    assert_true(got >= 0);
    close(got);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_in_pieces_is_whole_at_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_come_in_the_order_of_their_messages, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(more_descriptors_than_requests_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(another_sender_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sender_that_the_kernel_does_not_name_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_hang_up_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_that_does_not_read_is_lost_in_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_head_that_lies_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_goes_with_its_own_message, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
