/* SPDX-License-Identifier: MIT */
/* The executor `local` with the real helper: what a command gets, and how it ends. */
#include "exec-case.h"

#include <sys/resource.h>

/* ---- running ---- */

static void an_exit_code_reaches_the_shim(void **state)
{
    struct shim *s = run_sh("exit 42");
    assert_int_equal(shim_exit(s), 42);
    assert_true(s->seen.started);
    assert_int_equal(s->seen.end.kind, END_EXIT);
    assert_int_equal(s->seen.end.value, 42);
    assert_false(s->seen.end.caller_gone);
    shim_free(s);
}

static void a_death_by_signal_reaches_the_shim(void **state)
{
    struct shim *s = run_sh("kill -TERM $$");
    assert_int_equal(shim_exit(s), 1000 + SIGTERM);
    assert_int_equal(s->seen.end.kind, END_SIGNAL);
    shim_free(s);
}

static void streams_directory_ids_and_environment_are_the_callers(void **state)
{
    struct shim *s = run_sh("pwd; id -u; id -G; umask; env | sort; ls -l /proc/self/fd | wc -l");
    char *out = shim_output(s);
    char *want =
        mem_printf("%s\n%u\n%u\n0022\n", f->dir, root() ? UID : getuid(), root() ? UID : getgid());
    assert_int_equal(shim_exit(s), 0);
    if (root())
        assert_memory_equal(out, want, strlen(want));
    assert_non_null(strstr(out, "A=b\n"));
    /* 0, 1, 2, what ls opens, and its "total" line */
    assert_non_null(strstr(out, "\n5\n"));
    free(want);
    shim_free(s);
}

static void input_arrives_unchanged(void **state)
{
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("cat"));
    int in[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    close(s->in);
    s->in = in[0];
    shim_start(s);
    shim_hand_over(s);
    close_fd(&s->in);
    assert_int_equal(write(in[1], "a\0b\377\n", 5), 5);
    close(in[1]);
    assert_memory_equal(shim_output(s), "a\0b\377\n", 5);
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void argv0_and_odd_bytes_survive(void **state)
{
    struct shim *s = run(ARGV("printf", "%s|", "\377\376", "", "a b\n"));
    assert_string_equal(shim_output(s), "\377\376||a b\n|");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void two_megabytes_of_arguments_arrive(void **state)
{
    enum { N = 15 };
    static char big[N][130000];
    const char *argv[N + 4] = {"sh", "-c", "echo $# ${#1}", "x"};
    for (int i = 0; i < N; i++) {
        memset(big[i], 'a', sizeof(big[i]) - 1);
        argv[i + 4 < N + 4 ? i + 4 : 0] = big[i];
    }
    const char *all[N + 5];
    memcpy(all, argv, sizeof(argv));
    all[N + 4] = NULL;
    struct shim *s = run(all);
    assert_string_equal(shim_output(s), "15 129999\n");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void a_closed_descriptor_stays_closed(void **state)
{
    struct shim *s =
        shim_new(DOOR_SHIM_V2, UID, f->dir,
                 ARGV("sh", "-c", "[ -e /proc/self/fd/0 ] && echo open || echo closed"));
    uint8_t payload[8192];
    uint32_t len;
    shim_start(s);
    assert_int_equal(shim_message(s, payload, &len), V2_GO);
    int fds[3] = {s->in, s->out_w, s->out_w};
    send_fds(s, V2_FDS_CLOSED0, fds, 3);
    close_fd(&s->out_w);
    assert_string_equal(shim_output(s), "closed\n");
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void signals_of_the_shim_reach_the_command(void **state)
{
    struct shim *s = run_sh(
        "exec 2>/dev/null; trap 'echo got; exit 3' USR1; echo ready; while :; do sleep 0.05; done");
    char c[7] = "";
    pump_until(read(s->out, c, 6) == 6);
    shim_send(s, V2_SIGNAL, SIGUSR1);
    assert_string_equal(shim_output(s), "got\n");
    assert_int_equal(shim_exit(s), 3);
    shim_free(s);
}

static void a_stop_is_told_and_cont_goes_on(void **state)
{
    uint8_t payload[8192];
    uint32_t len;
    struct shim *s =
        run_sh("echo ready; exec sleep 0.3"); /* dash waits for vfork, and would not stop */
    char c[7] = "";
    pump_until(read(s->out, c, 6) == 6);
    shim_send(s, V2_SIGNAL, SIGTSTP);
    assert_int_equal(shim_message(s, payload, &len), V2_STOPPED);
    assert_int_equal(bytes_get_u32(payload), SIGTSTP);
    shim_send(s, V2_SIGNAL, SIGCONT);
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

/* Nicer than the tests, whatever they run at, and hardly: a busy machine leaves little to others.
 */
static int a_nice_value(void)
{
    int n = getpriority(PRIO_PROCESS, 0) + 1;
    return n > 19 ? 19 : n;
}

static void set_limits(void)
{
    struct rlimit nofile = {77, 88}, core = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &nofile) < 0 || setrlimit(RLIMIT_CORE, &core) < 0 ||
        setpriority(PRIO_PROCESS, 0, a_nice_value()) < 0)
        _exit(7);
}

/* A handler finds its children alive, as with kill(1); what is left in the group goes after it. */
static void a_term_is_for_the_command_and_then_for_its_group(void **state)
{
    struct shim *s = run_sh(
        "trap 'kill -0 $c && echo alive; exit 3' TERM; sleep 1000 & c=$!; sleep 0.3; echo $c;"
        "while :; do wait; done");
    char text[32] = "";
    pump_until(read(s->out, text, sizeof(text) - 1) > 0);
    shim_send(s, V2_SIGNAL, SIGTERM);
    assert_string_equal(shim_output(s), "alive\n");
    assert_int_equal(shim_exit(s), 3);
    pump_until(gone(atoi(text)));
    shim_free(s);
}

static void ignore_some(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGUSR2, SIG_IGN);
}

static void what_the_caller_ignores_the_command_ignores(void **state)
{
    agent_setup = ignore_some;
    struct shim *s =
        run(ARGV("sh", "-c", "kill -TERM $$; kill -USR2 $$; echo alive; kill -USR1 $$"));
    assert_string_equal(shim_output(s), "alive\n");
    assert_int_equal(shim_exit(s), 1000 + SIGUSR1);
    shim_free(s);
}

static void limits_and_umask_of_the_caller_are_carried(void **state)
{
    agent_setup = set_limits;
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir,
                              ARGV("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c; umask; nice"));
    s->r->ask.umask = 077;
    shim_start(s);
    shim_hand_over(s);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "77\n88\n0\n0077\n%d\n", a_nice_value());
    assert_string_equal(shim_output(s), expected);
    assert_int_equal(shim_exit(s), 0);
    shim_free(s);
}

static void a_kill_ends_the_whole_tree(void **state)
{
    struct shim *s = run_sh("(setsid sleep 1000 & setsid sh -c 'sleep 1000 & echo $!; wait' &) ; "
                            "sleep 1000");
    char text[32] = "";
    pump_until(read(s->out, text, sizeof(text) - 1) > 0);
    pid_t grandchild = atoi(text);
    assert_false(gone(grandchild));
    f->local->kill(f->local, s->r, SIGKILL);
    assert_int_equal(shim_exit(s), 1000 + SIGKILL);
    pump_until(gone(grandchild));
    shim_free(s);
}

static void a_hang_up_ends_the_whole_tree(void **state)
{
    struct shim *s = run_sh("setsid sh -c 'sleep 1000 & echo $!; wait' & sleep 1000");
    char text[32] = "";
    pump_until(read(s->out, text, sizeof(text) - 1) > 0);
    close_fd(&s->conn);
    pump_until(s->seen.ended);
    assert_true(s->seen.end.caller_gone);
    pump_until(gone(atoi(text)));
    shim_free(s);
}

static void a_daemon_outlives_a_command_that_ended(void **state)
{
    struct shim *s = run_sh("setsid sleep 1000 >/dev/null 2>&1 & echo $!");
    pid_t daemon = atoi(shim_output(s));
    assert_int_equal(shim_exit(s), 0);
    pump(50);
    assert_false(gone(daemon));
    assert_int_equal(kill(daemon, SIGKILL), 0);
    shim_free(s);
}

/* Root serves everybody; here is what an ordinary user says (local-as-a-user). */
static void an_ordinary_user_serves_no_other(void **state)
{
    if (root())
        return;
    struct err err = {0};
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("sh", "-c", "echo ran"));
    shim_resolve(s);
    s->r->peer.uid = UID + 1;
    s->seen.resolved = false;
    assert_int_equal(f->resolver->resolve(f->resolver, s->r, &err), 0);
    pump_until(s->seen.resolved);
    assert_int_equal(s->seen.error, -EPERM);
    assert_non_null(strstr(s->seen.words, "own user only"));
    s->seen.error = 0;
    shim_start(s);
    shim_hand_over(s);
    assert_int_equal(shim_exit(s), 125);
    assert_non_null(strstr(s->seen.end.text, "own user only"));
    assert_string_equal(shim_output(s), "");
    shim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        EXEC_TEST(an_exit_code_reaches_the_shim),
        EXEC_TEST(a_death_by_signal_reaches_the_shim),
        EXEC_TEST(streams_directory_ids_and_environment_are_the_callers),
        EXEC_TEST(input_arrives_unchanged),
        EXEC_TEST(argv0_and_odd_bytes_survive),
        EXEC_TEST(two_megabytes_of_arguments_arrive),
        EXEC_TEST(a_closed_descriptor_stays_closed),
        EXEC_TEST(signals_of_the_shim_reach_the_command),
        EXEC_TEST(a_stop_is_told_and_cont_goes_on),
        EXEC_TEST(a_term_is_for_the_command_and_then_for_its_group),
        EXEC_TEST(what_the_caller_ignores_the_command_ignores),
        EXEC_TEST(limits_and_umask_of_the_caller_are_carried),
        EXEC_TEST(a_kill_ends_the_whole_tree),
        EXEC_TEST(a_hang_up_ends_the_whole_tree),
        EXEC_TEST(a_daemon_outlives_a_command_that_ended),
        EXEC_TEST(an_ordinary_user_serves_no_other),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
