/* SPDX-License-Identifier: MIT */
/* The hand-over between shim, helper and command: hostile callers, and what changed after the
 * judgement. */
#include "exec-case.h"

#include <netinet/in.h>
#include <sys/mman.h>

/* ---- hostile hand-overs ---- */

/* A command that starts only if somebody was careless. */
static struct shim *before_fds(void)
{
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("sh", "-c", "echo ran"));
    shim_start(s);
    assert_int_equal(shim_message(s, payload, &len), V2_GO);
    return s;
}

static void must_fail(struct shim *s, uint32_t code)
{
    assert_int_equal(shim_exit(s), code);
    assert_false(s->seen.started);
    assert_int_equal(s->seen.end.kind, END_FAILED);
    assert_true(str_starts(s->seen.end.text, "clawrden: "));
    close_fd(&s->out_w);
    assert_string_equal(shim_output(s), "");
    shim_free(s);
}

static void a_wrong_number_of_descriptors_starts_nothing(void **state)
{
    const unsigned counts[] = {0, 1, 2, 4, 200};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct shim *s = before_fds();
        int fds[200];
        for (unsigned k = 0; k < 200; k++)
            fds[k] = s->in;
        send_fds(s, 0, fds, counts[i]);
        must_fail(s, 125);
    }
}

static void further_descriptors_are_as_many_as_their_numbers(void **state)
{
    static const struct {
        uint32_t flags, numbers[3];
        unsigned count, fds;
    } wrong[] = {
        {0, {5}, 1, 3},                 /* fewer descriptors than numbers */
        {0, {5}, 1, 5},                 /* more */
        {0, {2}, 1, 4},                 /* one of the three */
        {0, {0}, 1, 4},                 /* likewise */
        {0, {7, 7}, 2, 5},              /* twice the same */
        {0, {8, 7}, 2, 5},              /* not ascending */
        {0, {1024}, 1, 4},              /* too high */
        {0, {5, UINT32_MAX}, 2, 5},     /* far too high */
        {0, {65536 + 5}, 1, 4},         /* only its low bits are fine */
        {V2_FDS_PTY, {5}, 1, 5},        /* no pty among them */
        {V2_FDS_CLOSED0, {5, 6}, 2, 4}, /* closed ones have a slot, too */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct shim *s = before_fds();
        int fds[5] = {s->in, s->out_w, s->out_w, s->in, s->in};
        send_handover(s, wrong[i].flags, wrong[i].numbers, wrong[i].count, fds, wrong[i].fds, NULL);
        must_fail(s, 125);
    }
}

static void more_further_descriptors_than_may_be_start_nothing(void **state)
{
    uint32_t numbers[V2_FDS_MORE_MAX + 1];
    int fds[3 + V2_FDS_MORE_MAX + 1];
    struct shim *s = before_fds();
    for (unsigned i = 0; i < V2_FDS_MORE_MAX + 1; i++)
        numbers[i] = 3 + i;
    for (unsigned i = 0; i < 3 + V2_FDS_MORE_MAX + 1; i++)
        fds[i] = s->in;
    send_handover(s, 0, numbers, V2_FDS_MORE_MAX + 1, fds, 3 + V2_FDS_MORE_MAX + 1, NULL);
    must_fail(s, 125);
}

/* Every number that the helper uses itself is among them, and all the places where what is received
 * would land. */
static void further_descriptors_keep_their_numbers_and_nothing_else_is_open(void **state)
{
    uint32_t numbers[V2_FDS_MORE_MAX];
    int fds[3 + V2_FDS_MORE_MAX];
    char file[64];
    for (unsigned i = 0; i < V2_FDS_MORE_MAX; i++)
        numbers[i] = i < V2_FDS_MORE_MAX - 1 ? 3 + i : V2_FDS_NUMBER_MAX;
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir,
                              ARGV("bash", "-c",
                                   "pwd; cd /proc/self/fd; for n in *; do [ $n -gt 2 ] && [ -e "
                                   "$n ] && read x <&$n && echo $n $x; done; :"));
    shim_start(s);
    uint8_t payload[8192];
    uint32_t got;
    assert_int_equal(shim_message(s, payload, &got), V2_GO);
    fds[0] = s->in;
    fds[1] = fds[2] = s->out_w;
    for (unsigned i = 0; i < V2_FDS_MORE_MAX; i++) {
        int fd = memfd_create("numbered", MFD_CLOEXEC);
        int n = snprintf(file, sizeof(file), "for %u\n", numbers[i]);
        assert_int_equal(pwrite(fd, file, (size_t)n, 0), n);
        fds[3 + i] = fd;
    }
    send_handover(s, 0, numbers, V2_FDS_MORE_MAX, fds, 3 + V2_FDS_MORE_MAX, NULL);
    for (unsigned i = 0; i < V2_FDS_MORE_MAX; i++)
        close(fds[3 + i]);
    close_fd(&s->out_w);
    const char *text = shim_output(s);
    size_t len = strcspn(text, "\n");
    assert_int_equal(strncmp(text, f->dir, len), 0);
    unsigned seen = 0;
    for (const char *line = text + len + 1; *line; line = strchr(line, '\n') + 1, seen++) {
        unsigned number, marked;
        assert_int_equal(sscanf(line, "%u for %u\n", &number, &marked), 2);
        assert_int_equal(number, marked);
    }
    assert_int_equal(seen, V2_FDS_MORE_MAX);
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void descriptors_that_claim_to_be_a_pty_are_looked_at(void **state)
{
    struct shim *s = before_fds();
    int fds[4] = {s->in, s->out_w, s->out_w, s->out_w};
    send_fds(s, V2_FDS_PTY, fds, 4);
    must_fail(s, 125);
}

static void unknown_flags_and_types_start_nothing(void **state)
{
    uint8_t junk[V2_HEAD_SIZE + 4] = {V2_SIGNAL, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 15};
    struct shim *s = before_fds();
    int fds[3] = {s->in, s->out_w, s->out_w};
    send_fds(s, V2_FDS_FLAGS_ALL + 1, fds, 3);
    must_fail(s, 125);
    s = before_fds();
    shim_say(s, junk, sizeof(junk), NULL, 0);
    must_fail(s, 125);
    s = before_fds();
    shim_say(s, junk, 3, NULL, 0);
    must_fail(s, 125);
}

static void a_caller_that_hangs_up_before_its_descriptors_starts_nothing(void **state)
{
    struct shim *s = before_fds();
    close_fd(&s->conn);
    pump_until(s->seen.ended);
    assert_false(s->seen.started);
    assert_true(s->seen.end.caller_gone);
    shim_free(s);
}

static void a_kill_before_the_descriptors_starts_nothing(void **state)
{
    struct shim *s = before_fds();
    f->local->kill(f->local, s->r, SIGTERM);
    must_fail(s, 125);
}

static void nonsense_while_it_runs_ends_the_command(void **state)
{
    const uint8_t junk[3][12] = {
        {V2_SIGNAL, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, SIGKILL}, /* not one that shims forward */
        {V2_FDS, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0},
        {V2_SIGNAL, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, SIGTERM},
    };
    for (int i = 0; i < 3; i++) {
        struct shim *s = run_sh("sleep 1000");
        pump_until(s->seen.started);
        shim_say(s, junk[i], 12, NULL, 0);
        pump_until(s->seen.ended);
        assert_int_equal(s->seen.end.kind, END_SIGNAL);
        assert_true(s->seen.end.caller_gone);
        shim_free(s);
    }
}

/* A TCP socket whose last close waits `seconds` for data that nobody takes. */
static int lingering_socket(int *ret_listener, int *ret_peer, int seconds)
{
    static char data[1 << 20];
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    struct linger l = {1, seconds};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int small = 4096;
    (void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
    *ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    *ret_listener = listener;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
    for (int i = 0; i < 20; i++) {
        while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
            ;
        usleep(5000); /* some of it goes on to the other side */
    }
    return fd;
}

/* The trap must be one, or the test below tests nothing: whoever closes it last, waits. */
static void assert_close_blocks(void)
{
    int listener, peer, go[2], fd = lingering_socket(&listener, &peer, 8);
    char c;
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        (void)!read(go[0], &c, 1);
        close(fd);
        _exit(0);
    }
    close(fd);
    close(go[1]);
    close(go[0]);
    usleep(300000);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(peer);
    close(listener);
}

/* Others run while somebody's last close is waited for; a refused hand-over is reported at once. */
static void a_lingering_socket_blocks_nobody(void **state)
{
    assert_close_blocks();
    static const uint32_t numbers[1] = {3};
    /* 0: as stdout; 1: one too many; 2: as a further one, whose number is one of the helper's. */
    for (int how = 0; how < 3; how++) {
        bool surplus = how == 1;
        int listener, peer;
        uint8_t payload[8192];
        uint32_t len;
        struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("true"));
        shim_start(s);
        assert_int_equal(shim_message(s, payload, &len), V2_GO);
        int fd = lingering_socket(&listener, &peer, 8);
        int fds[4] = {s->in, how == 2 ? s->out_w : fd, s->out_w, fd};
        uint64_t begin = now_ms();
        /* The helper's side is the last then. */
        send_handover(s, 0, numbers, how == 2, fds, how == 0 ? 3 : 4, &fd);
        release(s); /* with the surplus one the worker that closes the connection waits now */
        assert_int_equal(s->seen.end.kind, surplus ? END_FAILED : END_EXIT);
        for (int i = 0; i < 4; i++) {
            struct shim *other = run_sh("exit 6");
            assert_int_equal(shim_exit(other), 6);
            shim_free(other);
        }
        assert_true(now_ms() - begin < 7000);
        close(peer);
        close(listener);
        shim_free(s);
    }
}

/* ---- what was judged is what runs ---- */

static void a_directory_that_changed_after_the_judgement_is_refused(void **state)
{
    char *a = mem_printf("%s/a", f->dir), *b = mem_printf("%s/b", f->dir);
    assert_int_equal(mkdir(a, 0755), 0);
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, a, ARGV("sh", "-c", "echo ran"));
    shim_resolve(s);
    assert_string_equal(s->r->facts.cwd, a);
    assert_int_equal(rename(a, b), 0); /* the same inode at another place */
    shim_start(s);
    shim_hand_over(s);
    must_fail(s, 125);
    s = shim_new(DOOR_SHIM_V1, UID, b, ARGV("sh", "-c", "echo ran"));
    shim_resolve(s);
    assert_int_equal(rename(b, a), 0);
    assert_int_equal(mkdir(b, 0755), 0); /* another inode at the same place */
    shim_start(s);
    release(s);
    assert_int_equal(s->seen.end.kind, END_FAILED);
    assert_non_null(strstr(s->seen.end.text, "not the one that was judged"));
    shim_free(s);
    free(a);
    free(b);
}

static void a_program_that_was_swapped_or_rewritten_is_refused(void **state)
{
    char *path = mem_printf("%s/tool", f->dir);
    for (int how = 0; how < 3; how++) {
        write_file(path, "#!/bin/sh\necho good\n", 0755);
        struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("./tool"));
        shim_resolve(s);
        assert_int_equal(s->r->facts.program.trust, PROGRAM_UNKNOWN);
        assert_non_null(s->r->facts.program.digest);
        if (how == 0)
            write_file(path, "#!/bin/sh\necho evil\n", 0755); /* the same inode */
        if (how == 1) {
            char *other = mem_printf("%s/other", f->dir);
            write_file(other, "#!/bin/sh\necho good\n", 0755);
            assert_int_equal(rename(other, path), 0);
            free(other);
        }
        shim_start(s);
        release(s);
        if (how == 2) {
            assert_int_equal(s->seen.end.kind, END_EXIT);
        } else {
            assert_int_equal(s->seen.end.kind, END_FAILED);
            assert_non_null(strstr(s->seen.end.text, "program is not the one"));
        }
        shim_free(s);
    }
    free(path);
}

static void a_tool_that_went_away_or_cannot_run_has_the_codes_of_a_shell(void **state)
{
    char *path = mem_printf("%s/tool", f->dir);
    write_file(path, "#!/bin/sh\n", 0755);
    struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("./tool"));
    shim_resolve(s);
    assert_int_equal(unlink(path), 0);
    shim_start(s);
    release(s);
    assert_int_equal(s->seen.end.kind, END_FAILED);
    assert_int_equal(s->seen.end.value, 127);
    shim_free(s);
    write_file(path, "#!/nowhere/sh\n", 0755);
    s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("./tool"));
    shim_start(s);
    release(s);
    assert_int_equal(s->seen.end.value, 127);
    shim_free(s);
    write_file(path, "\177ELF and nothing", 0755);
    s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("./tool"));
    shim_start(s);
    release(s);
    assert_int_equal(s->seen.end.value, 126);
    shim_free(s);
    free(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(a_wrong_number_of_descriptors_starts_nothing),
        EXEC_TEST(further_descriptors_are_as_many_as_their_numbers),
        EXEC_TEST(more_further_descriptors_than_may_be_start_nothing),
        EXEC_TEST(further_descriptors_keep_their_numbers_and_nothing_else_is_open),
        EXEC_TEST(descriptors_that_claim_to_be_a_pty_are_looked_at),
        EXEC_TEST(unknown_flags_and_types_start_nothing),
        EXEC_TEST(a_caller_that_hangs_up_before_its_descriptors_starts_nothing),
        EXEC_TEST(a_kill_before_the_descriptors_starts_nothing),
        EXEC_TEST(nonsense_while_it_runs_ends_the_command),
        EXEC_TEST(a_lingering_socket_blocks_nobody),
        EXEC_TEST(a_directory_that_changed_after_the_judgement_is_refused),
        EXEC_TEST(a_program_that_was_swapped_or_rewritten_is_refused),
        EXEC_TEST(a_tool_that_went_away_or_cannot_run_has_the_codes_of_a_shell),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
