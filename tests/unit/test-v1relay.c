/* SPDX-License-Identifier: MIT */
/* Commands of version 1 clients. */
#include "exec-case.h"

/* ---- version 1 ---- */

struct v1_end {
    size_t out, err;
    int code; /* -1: no exit frame */
    char last[512];
};

static struct v1_end v1_read(struct shim *s, bool follow)
{
    static char payload[V1_FRAME_CHUNK];
    struct v1_end e = {.code = -1};
    uint8_t head[V1_FRAME_HEAD_SIZE], type, ack = 9;
    uint32_t len;
    bool released = false;
    assert_int_equal(shim_read(s, &ack, 1), 1);
    assert_int_equal(ack, V1_ACK_ALLOWED);
    for (;;) {
        if (follow && s->seen.ended && !released) {
            f->local->release(f->local, s->r);
            released = true;
        }
        struct pollfd p = {.fd = s->conn, .events = POLLIN};
        if (poll(&p, 1, 1) == 0) {
            pump(0);
            continue;
        }
        if (shim_read(s, head, sizeof(head)) != (ssize_t)sizeof(head))
            return e;
        assert_int_equal(v1_frame_decode(head, &type, &len), 0);
        assert_true(len <= sizeof(payload));
        assert_int_equal(shim_read(s, payload, len), len);
        if (type == V1_STDOUT)
            e.out += len;
        if (type == V1_STDERR) {
            e.err += len;
            (void)snprintf(e.last, sizeof(e.last), "%.*s", (int)len, payload);
        }
        if (type == V1_EXIT) {
            assert_int_equal(len, 1);
            e.code = (uint8_t)payload[0];
        }
    }
}

static struct shim *run_v1(const char *script)
{
    struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("sh", "-c", script));
    shim_start(s);
    return s;
}

static void a_v1_client_gets_its_output_in_frames(void **state)
{
    struct shim *s = run_v1("head -c 3000000 /dev/zero; echo oops >&2; cat; exit 7");
    struct v1_end e = v1_read(s, true);
    assert_int_equal(e.out, 3000000);
    assert_string_equal(e.last, "oops\n");
    assert_int_equal(e.code, 7);
    shim_free(s);
    s = run_v1("kill -KILL $$");
    assert_int_equal(v1_read(s, true).code, 137);
    shim_free(s);
}

static void a_v1_client_is_told_why_a_command_did_not_start(void **state)
{
    char *path = mem_printf("%s/tool", f->dir);
    write_file(path, "#!/nowhere\n", 0755);
    struct shim *s = shim_new(DOOR_SHIM_V1, UID, f->dir, ARGV("./tool"));
    shim_start(s);
    struct v1_end e = v1_read(s, true);
    assert_int_equal(e.code, 127);
    assert_true(str_starts(e.last, "clawrden: "));
    shim_free(s);
    free(path);
}

static void a_v1_cancel_or_hang_up_ends_the_tree(void **state)
{
    const uint8_t cancel[5] = {V1_CANCEL, 0, 0, 0, 0};
    struct shim *s = run_v1("sleep 1000 & wait");
    pump_until(s->seen.started);
    shim_say(s, cancel, 5, NULL, 0);
    assert_int_equal(v1_read(s, true).code, 137);
    assert_true(s->seen.end.caller_gone);
    shim_free(s);
    s = run_v1("sleep 1000 & wait");
    pump_until(s->seen.started);
    close_fd(&s->conn);
    pump_until(s->seen.ended);
    assert_true(s->seen.end.caller_gone);
    shim_free(s);
}

static void a_v1_client_that_does_not_read_stops_its_command_only(void **state)
{
    struct shim *s = run_v1("cat /dev/zero");
    pump_until(s->seen.started);
    pump(100);
    struct shim *other = run_sh("exit 1");
    assert_int_equal(shim_exit(other), 1);
    shim_free(other);
    assert_false(s->seen.ended);
    f->local->kill(f->local, s->r, SIGKILL);
    pump_until(s->seen.ended);
    assert_int_equal(s->seen.end.value, SIGKILL);
    shim_free(s);
}

static void a_daemon_does_not_keep_a_v1_client(void **state)
{
    struct shim *s = run_v1("setsid sleep 1000 & echo $! >&2");
    struct v1_end e = v1_read(s, true);
    assert_int_equal(e.code, 0);
    assert_int_equal(kill(atoi(e.last), SIGKILL), 0);
    shim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(a_v1_client_gets_its_output_in_frames),
        EXEC_TEST(a_v1_client_is_told_why_a_command_did_not_start),
        EXEC_TEST(a_v1_cancel_or_hang_up_ends_the_tree),
        EXEC_TEST(a_v1_client_that_does_not_read_stops_its_command_only),
        EXEC_TEST(a_daemon_does_not_keep_a_v1_client),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
