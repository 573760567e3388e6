/* SPDX-License-Identifier: MIT */
/* The helper's life: it dies, it is started again, it goes with the warden; nothing runs on
 * unwatched. */
#include "exec-case.h"

static pid_t printed_pid(struct shim *s)
{
    char text[32] = "";
    pump_until(read(s->out, text, sizeof(text) - 1) > 0);
    return atoi(text);
}

static struct shim *run_tree(pid_t *ret_grandchild)
{
    struct shim *s = run_sh("setsid sh -c 'sleep 1000 & echo $!; wait' & sleep 1000");
    *ret_grandchild = printed_pid(s);
    pump_until(s->seen.started);
    return s;
}

static void a_dead_helper_takes_its_commands_along_and_comes_back(void **state)
{
    pid_t grandchild, first = mirror_pid(f->mirror);
    struct shim *s = run_tree(&grandchild);
    pid_t command = s->seen.pid;
    assert_int_equal(kill(first, SIGKILL), 0);
    pump_until(s->seen.ended);
    assert_int_equal(s->seen.end.kind, END_FAILED);
    assert_int_equal(s->seen.end.value, 125);
    assert_true(str_starts(s->seen.end.text, "clawrden: "));
    f->local->release(f->local, s->r);
    pump_until(gone(command) && gone(grandchild));
    char c;
    pump_until(recv(s->conn, &c, 1, MSG_DONTWAIT) == 0); /* the shim sees a hang-up */
    pump_until(mirror_ready(f->mirror));
    assert_true(mirror_pid(f->mirror) != first);
    struct shim *again = run_sh("exit 4");
    assert_int_equal(shim_exit(again), 4);
    shim_free(again);
    shim_free(s);
}

static void a_dead_worker_ends_its_own_command_only(void **state)
{
    pid_t grandchild;
    struct shim *s = run_tree(&grandchild);
    struct shim *other = run_sh("sleep 0.5; exit 8");
    pump_until(other->seen.started);
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", s->seen.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    pid_t worker = 0;
    assert_int_equal(sscanf(strrchr(text, ')'), ") %*c %d", &worker), 1);
    assert_int_equal(kill(worker, SIGKILL), 0);
    pump_until(s->seen.ended);
    assert_int_equal(s->seen.end.kind, END_FAILED);
    pump_until(gone(s->seen.pid));
    if (mirror_cgroup(f->mirror)[0])
        pump_until(gone(grandchild));
    else /* it left the group of the command: out of reach, which the helper's words say */
        assert_int_equal(kill(grandchild, SIGKILL), 0);
    assert_int_equal(shim_exit(other), 8);
    shim_free(other);
    shim_free(s);
}

static void a_lookup_of_a_dead_helper_is_answered(void **state)
{
    struct err err = {0};
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("ls"));
    assert_int_equal(kill(mirror_pid(f->mirror), SIGSTOP), 0);
    assert_int_equal(f->resolver->resolve(f->resolver, s->r, &err), 0);
    pump(50);
    assert_false(s->seen.resolved);
    assert_int_equal(kill(mirror_pid(f->mirror), SIGKILL), 0);
    pump_until(s->seen.resolved);
    assert_true(s->seen.error < 0);
    pump_until(mirror_ready(f->mirror));
    shim_resolve(s);
    assert_int_equal(s->seen.error, 0);
    shim_free(s);
}

static void without_a_helper_callers_are_told_so(void **state)
{
    struct err err = {0};
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("ls"));
    shim_resolve(s);
    assert_int_equal(kill(mirror_pid(f->mirror), SIGKILL), 0);
    pump_until(mirror_pid(f->mirror) == 0);
    assert_true(f->local->start(f->local, s->r, s->theirs, "", 0, 0, &err) < 0);
    s->theirs = -1;
    assert_true(strlen(err.text) > 0);
    assert_int_equal(shim_message(s, payload, &len), V2_REFUSED);
    assert_int_equal(bytes_get_u32(payload), 125);
    assert_memory_equal(payload + 4, "clawrden: ", 10);
    assert_true(f->resolver->resolve(f->resolver, s->r, &err) < 0);
    shim_free(s);
}

/* What lies in such a connection must not make the warden wait. */
static void a_farewell_does_not_wait_for_hostile_descriptors(void **state)
{
    struct err err = {0};
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("ls"));
    shim_resolve(s);
    send_fds(s, 0, &s->in, 1);
    assert_int_equal(kill(mirror_pid(f->mirror), SIGKILL), 0);
    pump_until(mirror_pid(f->mirror) == 0);
    uint64_t begin = now_ms();
    assert_true(f->local->start(f->local, s->r, s->theirs, "", 0, 0, &err) < 0);
    s->theirs = -1;
    assert_true(now_ms() - begin < 500);
    shim_free(s);
}

static void helpers_that_die_young_are_not_started_without_end(void **state)
{
    unsigned births = 0;
    pid_t last = 0;
    for (uint64_t end = now_ms() + 1500; now_ms() < end;) {
        pid_t pid = mirror_pid(f->mirror);
        if (pid && pid != last) {
            births++;
            last = pid;
            (void)kill(pid, SIGKILL);
        }
        pump(1);
    }
    assert_true(births >= 2 && births <= 7);
}

static void a_warden_that_goes_leaves_nothing_running(void **state)
{
    pid_t grandchild, helper = mirror_pid(f->mirror);
    struct shim *s = run_tree(&grandchild);
    pid_t command = s->seen.pid;
    f->local->release(f->local, s->r); /* as warden_free() does */
    exec_teardown(state);
    assert_true(gone(helper));
    for (int i = 0; i < 200 && !(gone(command) && gone(grandchild)); i++)
        usleep(10000);
    assert_true(gone(command));
    assert_true(gone(grandchild));
    exec_setup(state);
    shim_free(s);
}

static void cgroups_are_used_again_and_removed_at_the_end(void **state)
{
    char base[512];
    (void)snprintf(base, sizeof(base), "%s", mirror_cgroup(f->mirror));
    if (!base[0]) { /* then it says why, and only where we took them away, or not being root */
        assert_non_null(strstr(mirror_words(f->mirror), "have no cgroup of their own"));
        assert_true(getenv("CLAWRDEN_TEST_NO_CGROUPS") || getenv("CLAWRDEN_TEST_USER") ||
                    geteuid() != 0);
        return;
    }
    for (int i = 0; i < 6; i++) {
        struct shim *s = run_sh(i % 2 ? "exit 0" : "kill -KILL $$");
        (void)shim_exit(s);
        shim_free(s);
    }
    pid_t grandchild;
    struct shim *s = run_tree(&grandchild);
    f->local->kill(f->local, s->r, SIGKILL);
    assert_int_equal(shim_exit(s), 1000 + SIGKILL);
    shim_free(s);
    char *cmd = mem_printf("test $(find %s -mindepth 1 -type d | wc -l) -le 6", base);
    assert_int_equal(system(cmd), 0);
    free(cmd);
    exec_teardown(state);
    assert_int_equal(access(base, F_OK), -1);
    exec_setup(state);
}

static void thirty_two_at_once_all_end_well(void **state)
{
    struct shim *s[32];
    for (int i = 0; i < 32; i++) {
        s[i] = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("sh", "-c", "echo x; exit 3"));
        shim_start(s[i]);
    }
    for (int i = 0; i < 32; i++)
        shim_hand_over(s[i]);
    for (int i = 0; i < 32; i++) {
        assert_string_equal(shim_output(s[i]), "x\n");
        assert_int_equal(shim_exit(s[i]), 3);
        shim_free(s[i]);
    }
}

static void too_many_at_once_are_refused_with_words(void **state)
{
    enum { MANY = 260 };
    static struct shim *s[MANY];
    unsigned refused = 0;
    for (int i = 0; i < MANY; i++) {
        s[i] = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("sleep", "1000"));
        shim_start(s[i]);
        pump(0);
    }
    pump(500);
    for (int i = 0; i < MANY; i++) {
        if (s[i]->seen.ended) {
            refused++;
            assert_int_equal(s[i]->seen.end.kind, END_FAILED);
            assert_int_equal(s[i]->seen.end.value, 125);
        }
    }
    assert_int_equal(refused, MANY - 256);
    for (int i = 0; i < MANY; i++) {
        close_fd(&s[i]->conn);
        pump_until(s[i]->seen.ended);
        shim_free(s[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(a_dead_helper_takes_its_commands_along_and_comes_back),
        EXEC_TEST(a_dead_worker_ends_its_own_command_only),
        EXEC_TEST(a_lookup_of_a_dead_helper_is_answered),
        EXEC_TEST(without_a_helper_callers_are_told_so),
        EXEC_TEST(a_farewell_does_not_wait_for_hostile_descriptors),
        EXEC_TEST(helpers_that_die_young_are_not_started_without_end),
        EXEC_TEST(a_warden_that_goes_leaves_nothing_running),
        EXEC_TEST(cgroups_are_used_again_and_removed_at_the_end),
        EXEC_TEST(thirty_two_at_once_all_end_well),
        EXEC_TEST(too_many_at_once_are_refused_with_words),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
