/* SPDX-License-Identifier: MIT */
/* The walls, from the inside: a shell behind them tries what it must not be able to do, and writes
 * what came of it to descriptor 3. With CLAWRDEN_TEST_USER=1 root gives up its rights first. */
#include "sandbox/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "sandbox/landlock.h"
#include "sandbox/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char dir[64]; /* below /var/tmp: the plan covers it, as it covers /tmp */
    char *work, *secret, *fixed;
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct err err;
    *state = f;
    (void)snprintf(f->dir, sizeof(f->dir), "/var/tmp/clawrden-enter-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->work = path_join(f->dir, "work");
    f->secret = path_join(f->work, "secret");
    f->fixed = path_join(f->work, "fixed");
    return path_mkdirs(f->work, 0755, &err) ||
           fd_write_file(f->secret, 0644, "secret\n", 7, &err) ||
           fd_write_file(f->fixed, 0644, "fixed\n", 6, &err);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *command = mem_printf("rm -rf '%s'", f->dir);
    int r = system(command);
    free(f->work);
    free(f->secret);
    free(f->fixed);
    free(f);
    return r;
}

static void make_plan(const struct fixture *f, struct plan *p)
{
    struct err err;
    char *none[] = {NULL};
    const struct places of = {.home = "/nonexistent", .env = none, .uid = geteuid()};
    assert_int_equal(places_fill(p, &of, &err), 0);
    plan_add(p, PLAN_WRITABLE, f->work, 0);
    plan_add(p, PLAN_HIDDEN, f->secret, 0);
    plan_add(p, PLAN_FIXED, f->fixed, 0);
    plan_drop_covered(p);
}

/* What `script` wrote to descriptor 3, and its exit status. */
static char *inside(const struct fixture *f, const char *script, enum enter_wall weakest,
                    struct enter_way *ret_way, int *ret_status)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct entered x = ENTERED_INIT;
    struct err err = {0};
    int pipes[2];
    char *argv[] = {"/bin/sh", "-c", (char *)script, NULL};
    /* Inside, we cannot be traced by ourselves, as the leak checker would want to. */
    char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ASAN_OPTIONS=detect_leaks=0", NULL};
    make_plan(f, &p);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    struct enter e = {
        .plan = &p, .cwd = f->work, .argv = argv, .env = env, .fds = {pipes[1]}, .fds_count = 1};
    if (enter_start(&e, weakest, &x, &err) < 0)
        fail_msg("%s", err.text);
    close(pipes[1]);
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    assert_int_equal(fd_read_all(pipes[0], &out), 0);
    close(pipes[0]);
    assert_int_equal(waitpid(x.pid, ret_status, 0), x.pid);
    close(x.pidfd);
    *ret_way = x.way;
    return buf_steal(&out);
}

static void expect_inside(const struct fixture *f, const char *script, const char *expected)
{
    struct enter_way way;
    int status;
    _cleanup_free_ char *out = inside(f, script, ENTER_WALL_NAMESPACES, &way, &status);
    assert_string_equal(out, expected);
}

/* The shell's own redirections, so that what fails is the opening and nothing else. */
#define TRY_WRITE(path) "(: >" path ") 2>/dev/null && echo wrote >&3 || echo refused >&3\n"

static void the_exit_status_comes_through(void **state)
{
    struct enter_way way;
    int status;
    _cleanup_free_ char *out = inside(*state, "exit 42", ENTER_WALL_LANDLOCK, &way, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void only_the_workspace_is_writable(void **state)
{
    expect_inside(*state,
                  TRY_WRITE("new") TRY_WRITE("../new") TRY_WRITE("/etc/clawrden-test")
                      TRY_WRITE("/usr/bin/clawrden-test") TRY_WRITE("/dev/clawrden-test"),
                  "wrote\nwrote\nrefused\nrefused\nrefused\n");
    _cleanup_free_ char *made = path_join(((struct fixture *)*state)->work, "new");
    assert_int_equal(access(made, F_OK), 0); /* and it is the real one */
    _cleanup_free_ char *beside = path_join(((struct fixture *)*state)->dir, "new");
    assert_int_equal(access(beside, F_OK), -1); /* that one was in a /var/tmp of its own */
}

static void temporary_files_are_its_own(void **state)
{
    expect_inside(*state, TRY_WRITE("/tmp/x") "ls /tmp >&3\n", "wrote\nx\n");
    assert_int_equal(access("/tmp/x-of-the-host", F_OK), -1);
}

static void what_is_hidden_is_empty_and_what_is_fixed_stays(void **state)
{
    expect_inside(
        *state,
        "cat secret >&3; cat fixed >&3\n" TRY_WRITE(
            "fixed") "rm -f fixed 2>/dev/null; mv fixed other 2>/dev/null; cat fixed >&3\n"
                     "rm -f secret 2>/dev/null; cat secret >&3",
        "fixed\nrefused\nfixed\n");
}

/* Run inside the walls: what a namespace made there may do, which has every capability in it. */
static void say(const char *what, int r)
{
    (void)dprintf(3, "%s %s\n", what, r < 0 ? strerrorname_np(errno) : "done");
}

static int nested(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) < 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        say("proc", mount("proc", "/proc", "proc", 0, NULL));
        say("proc-ro",
            mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
        say("remount-proc", mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL));
        say("remount-root", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
        say("umount", umount2("/tmp", MNT_DETACH));
        say("umount-fixed", umount2("fixed", MNT_DETACH));
        say("bind", mount("/", "/tmp", NULL, MS_BIND, NULL));
        say("bind-all", mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
        say("write", open("/tmp/etc/clawrden-test", O_CREAT | O_WRONLY, 0600));
        say("mem", open("/proc/self/mem", O_RDWR));
        _exit(0);
    }
    return waitpid(child, NULL, 0) == child ? 0 : 1;
}

static void proc_is_read_only_also_in_a_namespace_made_later(void **state)
{
    char self[PATH_MAX] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    _cleanup_free_ char *script =
        mem_printf(TRY_WRITE("/proc/self/comm") "'%s' nested; echo $? >&3", self);
    expect_inside(*state, script,
                  "refused\nproc EPERM\nproc-ro done\nremount-proc EPERM\nremount-root EPERM\n"
                  "umount EINVAL\numount-fixed EINVAL\nbind EINVAL\nbind-all done\nwrite EROFS\n"
                  "mem EROFS\n0\n");
}

static void nothing_can_be_mounted_or_taken_off(void **state)
{
    expect_inside(
        *state,
        "mount -o remount,rw / 2>/dev/null && echo remounted >&3\n"
        "umount /tmp 2>/dev/null && echo taken >&3\n"
        "umount -l fixed 2>/dev/null && echo taken >&3\n"
        "mount --bind /tmp /usr 2>/dev/null && echo bound >&3\n"
        "mknod /tmp/disk b 8 0 2>/dev/null && cat /tmp/disk >/dev/null 2>&1 && echo disk >&3\n"
        "grep -E '^(NoNewPrivs|CapBnd|CapEff):' /proc/self/status | tr -d '\\t' >&3",
        geteuid() == 0 ? "CapEff:00000000000000ff\nCapBnd:00000000000000ff\nNoNewPrivs:1\n"
                       : "CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\n");
}

static void it_sees_and_signals_nobody_else(void **state)
{
    _cleanup_free_ char *script = mem_printf(
        "kill -0 %d 2>/dev/null && echo seen >&3\nls -d /proc/[0-9]* | wc -l >&3", getpid());
    struct enter_way way;
    int status;
    _cleanup_free_ char *out = inside(*state, script, ENTER_WALL_NAMESPACES, &way, &status);
    assert_true(way.pids);
    assert_true(atoi(out) >= 1 && atoi(out) <= 3); /* sh, ls, wc; "seen" would be 0 */
}

static void descriptors_of_the_caller_are_closed(void **state)
{
    int leak = open("/", O_PATH | O_DIRECTORY); /* not close-on-exec, as a careless caller's */
    assert_true(leak >= 0);
    expect_inside(*state, "ls /proc/self/fd >&3", "0\n1\n2\n3\n4\n"); /* 4 is ls's own */
    close(leak);
}

static void it_dies_with_us(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *mark = path_join(f->work, "alive");
    pid_t between = fork();
    if (between == 0) {
        _cleanup_plan_ struct plan p = PLAN_INIT;
        struct entered x = ENTERED_INIT;
        struct err err;
        char *argv[] = {"/bin/sh", "-c", "echo >alive; sleep 600 & sleep 600", NULL};
        char *env[] = {"PATH=/usr/bin:/bin", NULL};
        make_plan(f, &p);
        struct enter e = {.plan = &p, .cwd = f->work, .argv = argv, .env = env};
        if (enter_start(&e, ENTER_WALL_NAMESPACES, &x, &err) < 0)
            _exit(1);
        (void)kill(getpid(), SIGKILL); /* as an out-of-memory killer would */
    }
    int status;
    assert_int_equal(waitpid(between, &status, 0), between);
    assert_true(WIFSIGNALED(status));
    /* A process that is left would hold its directory: none names it within a second. */
    _cleanup_free_ char *look = mem_printf(
        "for i in $(seq 100); do ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -q '%s' || exit 0; "
        "sleep 0.1; done; exit 1",
        f->work);
    assert_int_equal(system(look), 0);
}

static void landlock_alone_keeps_writes_in(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct err err;
    int status;
    make_plan(f, &p);
    pid_t child = fork();
    if (child == 0) {
        if (chdir(f->work) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            landlock_writes(&p, &err) < 0)
            _exit(1);
        _exit(system("( : >new ) && ! ( : >/etc/clawrden-test ) 2>/dev/null && "
                     "! ( : >/proc/self/comm ) 2>/dev/null && : >/dev/null") == 0
                  ? 0
                  : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_wall_that_is_asked_for_is_there_or_it_does_not_start(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct entered x = ENTERED_INIT;
    struct err err;
    plan_add(&p, PLAN_WRITABLE, "/nonexistent/directory", 0); /* no way can carry this out */
    struct enter e = {.plan = &p, .cwd = f->work};
    assert_int_equal(enter_start(&e, ENTER_WALL_NAMESPACES, &x, &err), -EPERM);
    assert_non_null(strstr(err.text, "/nonexistent/directory"));
    assert_int_equal(x.pid, 0);
}

/* Of another session, whose agent can write on the way: the plan was made before. */
static void a_symlink_put_on_the_way_is_not_followed(void **state)
{
    const struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct entered x = ENTERED_INIT;
    struct err err = {0};
    char *argv[] = {"/bin/true", NULL}, *env[] = {NULL};
    _cleanup_free_ char *way = path_join(f->work, "way"), *in = path_join(way, "in");
    _cleanup_free_ char *aim = path_join(f->dir, "aim"), *loot = path_join(aim, "in");
    assert_int_equal(path_mkdirs(loot, 0755, &err), 0);
    assert_int_equal(symlink(aim, way), 0);
    make_plan(f, &p);
    plan_add(&p, PLAN_WRITABLE, in, 0);
    const struct enter e = {.plan = &p, .cwd = f->work, .argv = argv, .env = env};
    assert_int_equal(enter_start(&e, ENTER_WALL_NAMESPACES, &x, &err), -EPERM);
    assert_non_null(strstr(err.text, in));
    assert_non_null(strstr(err.text, strerror(ELOOP)));
}

static void words_and_levels_agree(void **state)
{
    enum enter_wall wall;
    for (int i = ENTER_WALL_NONE; i <= ENTER_WALL_NAMESPACES; i++) {
        assert_int_equal(enter_wall_parse(enter_wall_name((enum enter_wall)i), &wall), 0);
        assert_int_equal(wall, i);
    }
    assert_int_equal(enter_wall_parse("full", &wall), -EINVAL);
}

static int become_user(void)
{
    if (!getenv("CLAWRDEN_TEST_USER") || geteuid() != 0)
        return 0;
    /* A process that has changed its user counts as private until it starts another program. */
    return setgroups(0, NULL) || setgid(61234) || setuid(61234) ||
           prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

int main(int argc, char **argv)
{
    if (argc == 2 && str_eq(argv[1], "nested"))
        return nested();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_exit_status_comes_through, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_workspace_is_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(temporary_files_are_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_hidden_is_empty_and_what_is_fixed_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(proc_is_read_only_also_in_a_namespace_made_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_mounted_or_taken_off, setup, teardown),
        cmocka_unit_test_setup_teardown(it_sees_and_signals_nobody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptors_of_the_caller_are_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(it_dies_with_us, setup, teardown),
        cmocka_unit_test_setup_teardown(landlock_alone_keeps_writes_in, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wall_that_is_asked_for_is_there_or_it_does_not_start,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_symlink_put_on_the_way_is_not_followed, setup, teardown),
        cmocka_unit_test(words_and_levels_agree),
    };
    if (become_user() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
