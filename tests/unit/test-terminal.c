/* SPDX-License-Identifier: MIT */
/* Commands on a pseudo terminal of the shim. */
#include "exec-case.h"

#include <pty.h>

/* ---- terminals ---- */

struct terminal {
    int master, slave;
};

static struct shim *run_beside(const char *script, struct terminal *t, uint32_t flags)
{
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("sh", "-c", script));
    uint8_t payload[8192];
    uint32_t len;
    assert_int_equal(openpty(&t->master, &t->slave, NULL, NULL, NULL), 0);
    assert_int_equal(fd_set_nonblock(t->master), 0);
    if (root()) /* as the caller's own would be */
        assert_int_equal(fchown(t->slave, UID, (gid_t)-1), 0);
    shim_start(s);
    assert_int_equal(shim_message(s, payload, &len), V2_GO);
    int fds[4] = {t->slave, t->slave, t->slave, t->slave};
    send_fds(s, V2_FDS_PTY | V2_FDS_PTY0 | V2_FDS_PTY1 | V2_FDS_PTY2 | flags, fds, 4);
    close_fd(&t->slave);
    close_fd(&s->out_w);
    return s;
}

static struct shim *run_on_pty(const char *script, struct terminal *t)
{
    return run_beside(script, t, V2_FDS_FOREGROUND);
}

static void expect(struct terminal *t, const char *want)
{
    static char text[65536];
    size_t n = 0;
    uint64_t end = now_ms() + WAIT_MS;
    text[0] = 0;
    while (!strstr(text, want) && now_ms() < end) {
        ssize_t r = read(t->master, text + n, sizeof(text) - 1 - n);
        if (r > 0)
            n += (size_t)r;
        text[n] = 0;
        pump(0);
    }
    if (!strstr(text, want))
        fail_msg("'%s' did not come, but '%s'", want, text);
}

static void a_command_on_a_pty_has_a_terminal(void **state)
{
    struct terminal t;
    struct shim *s = run_on_pty("test -t 0 && echo yes >/dev/tty; tty; read x; echo got $x", &t);
    expect(&t, "yes\r\n/dev/pts/");
    assert_int_equal(write(t.master, "abc\n", 4), 4);
    expect(&t, "got abc");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
    close(t.master);
}

static void control_c_reaches_a_command_on_a_pty(void **state)
{
    struct terminal t;
    struct shim *s = run_on_pty("echo ready; exec sleep 1000", &t);
    expect(&t, "ready");
    assert_int_equal(write(t.master, "\003", 1), 1);
    assert_int_equal(shim_exit(s), 1000 + SIGINT);
    shim_free(s);
    close(t.master);
}

/* It meets the leader of the session, which is the helper, as it would before the command is in
 * front. */
static void a_key_that_comes_before_the_command_is_in_front_reaches_it(void **state)
{
    static const struct {
        char key;
        int signo;
    } keys[] = {{3, SIGINT}, {28, SIGQUIT}};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct terminal t;
        struct shim *s = run_beside("ulimit -c 0; echo ready; exec sleep 1000", &t, 0);
        expect(&t, "ready");
        assert_int_equal(write(t.master, &keys[i].key, 1), 1);
        assert_int_equal(shim_exit(s), 1000 + keys[i].signo);
        shim_free(s);
        close(t.master);
    }
}

static void a_stop_that_comes_before_the_command_is_in_front_reaches_it(void **state)
{
    struct terminal t;
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s = run_beside("echo ready; exec sleep 1000", &t, 0);
    expect(&t, "ready");
    assert_int_equal(write(t.master, "\032", 1), 1);
    assert_int_equal(shim_message(s, payload, &len), V2_STOPPED);
    assert_int_equal(bytes_get_u32(payload), SIGTSTP);
    close_fd(&s->conn);
    pump_until(s->seen.ended);
    shim_free(s);
    close(t.master);
}

static void a_hang_up_of_the_pty_reaches_the_command(void **state)
{
    struct terminal t;
    struct shim *s = run_on_pty("trap 'exit 9' HUP; echo ready; while :; do sleep 0.1; done", &t);
    expect(&t, "ready");
    close(t.master);
    assert_int_equal(shim_exit(s), 9);
    shim_free(s);
}

static void control_z_stops_and_the_foreground_goes_on(void **state)
{
    struct terminal t;
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s = run_on_pty("echo ready; read x; echo got $x", &t);
    expect(&t, "ready");
    assert_int_equal(write(t.master, "\032", 1), 1);
    assert_int_equal(shim_message(s, payload, &len), V2_STOPPED);
    assert_int_equal(bytes_get_u32(payload), SIGTSTP);
    shim_send(s, V2_FOREGROUND, 0);
    shim_send(s, V2_FOREGROUND, 1);
    pump(100);
    assert_int_equal(write(t.master, "on\n", 3), 3);
    expect(&t, "got on");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
    close(t.master);
}

static void a_command_in_the_background_of_its_pty_stops_when_it_reads(void **state)
{
    struct terminal t;
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s = run_on_pty("echo ready; sleep 0.3; read x; echo got $x", &t);
    expect(&t, "ready");
    shim_send(s, V2_FOREGROUND, 0);
    assert_int_equal(shim_message(s, payload, &len), V2_STOPPED);
    assert_int_equal(bytes_get_u32(payload), SIGTTIN);
    shim_send(s, V2_FOREGROUND, 1);
    assert_int_equal(write(t.master, "on\n", 3), 3);
    expect(&t, "got on");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
    close(t.master);
}

static void a_shim_that_goes_takes_its_pty_command_with_it(void **state)
{
    struct terminal t;
    struct shim *s = run_on_pty("trap '' HUP; echo ready; sleep 1000", &t);
    expect(&t, "ready");
    close_fd(&s->conn);
    pump_until(s->seen.ended);
    assert_true(s->seen.end.caller_gone);
    shim_free(s);
    close(t.master);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(a_command_on_a_pty_has_a_terminal),
        EXEC_TEST(control_c_reaches_a_command_on_a_pty),
        EXEC_TEST(a_key_that_comes_before_the_command_is_in_front_reaches_it),
        EXEC_TEST(a_stop_that_comes_before_the_command_is_in_front_reaches_it),
        EXEC_TEST(a_hang_up_of_the_pty_reaches_the_command),
        EXEC_TEST(control_z_stops_and_the_foreground_goes_on),
        EXEC_TEST(a_command_in_the_background_of_its_pty_stops_when_it_reads),
        EXEC_TEST(a_shim_that_goes_takes_its_pty_command_with_it),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
