/* SPDX-License-Identifier: MIT */
/* The options: which source wins, what each kind of value takes, and what is said about the rest.
 */
#include "warden/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* argv and env end with NULL. */
static int load(const char *const *argv, const char *const *env, struct config *c, struct err *err)
{
    int argc = 0;
    enum config_result result;
    struct buf out = BUF_INIT(65536);
    while (argv[argc])
        argc++;
    int r = config_load(argc, (char *const *)argv, (char *const *)env, c, &result, &out, err);
    assert_int_equal(result, CONFIG_RUN);
    assert_int_equal(out.len, 0);
    buf_done(&out);
    return r;
}

static char *empty; /* a file without options */

#define ARGS(...) ((const char *const[]){"clawrden-warden", "--config", empty, __VA_ARGS__, NULL})
#define ENV(...) ((const char *const[]){__VA_ARGS__, NULL})

static char *write_file(const char *text)
{
    char *path = mem_strdup("/tmp/clawrden-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
    close(fd);
    return path;
}

static void the_defaults_hold_without_a_word(void **state)
{
    struct config c;
    struct err err;
    char *file = write_file("# nothing\n");
    assert_int_equal(load((const char *const[]){"w", "--config", file, NULL}, ENV(NULL), &c, &err),
                     0);
    assert_int_equal(c.socket_mode, 0660);
    assert_int_equal(c.kill_grace, 5 * CLOCK_NS_PER_SEC);
    assert_string_equal(c.log_level, "info");
    assert_int_equal(c.audit_rotate_size, 100 << 20);
    assert_int_equal(c.policy[0], '/');
    config_done(&c);
    unlink(file);
    free(file);
}

static void a_flag_wins_over_a_variable_and_that_over_the_file(void **state)
{
    struct config c;
    struct err err;
    char *file = write_file("kill_grace: 1s\ndrain_timeout: 1s\nclaim-grace: 1s\n");
    const char *argv[] = {"w", "--config", file, "--kill-grace", "3s", NULL};
    assert_int_equal(
        load(argv, ENV("CLAWRDEN_KILL_GRACE=2s", "CLAWRDEN_DRAIN_TIMEOUT=2s"), &c, &err), 0);
    assert_int_equal(c.kill_grace, 3 * CLOCK_NS_PER_SEC);
    assert_int_equal(c.drain_timeout, 2 * CLOCK_NS_PER_SEC);
    assert_int_equal(c.claim_grace, 1 * CLOCK_NS_PER_SEC);
    assert_string_equal(c.config, file);
    config_done(&c);
    const char *variable = mem_printf("CLAWRDEN_CONFIG=%s", file);
    assert_int_equal(load((const char *const[]){"w", NULL}, ENV(variable), &c, &err), 0);
    assert_int_equal(c.kill_grace, 1 * CLOCK_NS_PER_SEC);
    config_done(&c);
    free((char *)variable);
    unlink(file);
    free(file);
}

static void values_of_each_kind_are_taken(void **state)
{
    struct config c = {.policy = NULL};
    struct err err;
    assert_int_equal(config_set(&c, "policy", "/a/b", &err), 0);
    assert_string_equal(c.policy, "/a/b");
    assert_int_equal(config_set(&c, "policy", "b", &err), 0);
    assert_int_equal(c.policy[0], '/');
    assert_true(str_ends(c.policy, "/b"));
    assert_int_equal(config_set(&c, "audit_rotate_size", "64K", &err), 0);
    assert_int_equal(c.audit_rotate_size, 65536);
    assert_int_equal(config_set(&c, "audit-rotate-size", "2G", &err), 0);
    assert_int_equal(c.audit_rotate_size, UINT64_C(2) << 30);
    assert_int_equal(config_set(&c, "socket-mode", "600", &err), 0);
    assert_int_equal(c.socket_mode, 0600);
    assert_int_equal(config_set(&c, "log-format", "json", &err), 0);
    assert_string_equal(c.log_format, "json");
    assert_int_equal(config_set(&c, "waiting-max", "7", &err), 0);
    assert_int_equal(c.waiting_max, 7);
    config_done(&c);
}

static void wrong_values_are_refused_and_change_nothing(void **state)
{
    static const char *const bad[][2] = {
        {"audit-rotate-size", ""},
        {"audit-rotate-size", "K"},
        {"audit-rotate-size", "1T"},
        {"audit-rotate-size", "-1"},
        {"audit-rotate-size", "99999999999999999999"},
        {"audit-rotate-size", "9999999999999G"},
        {"socket-mode", "660x"},
        {"socket-mode", "1777"},
        {"socket-mode", ""},
        {"socket-mode", "888"},
        {"log-level", "loud"},
        {"log-level", ""},
        {"log-level", "debug|info"},
        {"kill-grace", "5"},
        {"kill-grace", "-5s"},
        {"waiting-max", "many"},
        {"waiting-max", "1000001"},
        {"waiting-max", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c = {.policy = NULL}, before = c;
        struct err err = {.text = ""};
        assert_true(config_set(&c, bad[i][0], bad[i][1], &err) < 0);
        assert_true(str_starts(err.text, bad[i][0]));
        assert_memory_equal(&c, &before, sizeof(c));
    }
}

static void an_unknown_option_gets_a_suggestion(void **state)
{
    struct config c = {.policy = NULL};
    struct err err;
    assert_int_equal(config_set(&c, "polcy", "x", &err), -ENOENT);
    assert_string_equal(err.text, "unknown option 'polcy'; did you mean 'policy'?");
    assert_int_equal(config_set(&c, "\033[2J", "x", &err), -ENOENT);
    assert_null(strchr(err.text, '\033'));
    assert_true(load(ARGS("--sokcet", "/x"), ENV(NULL), &c, &err) < 0);
    assert_non_null(strstr(err.text, "did you mean 'socket'?"));
    config_done(&c);
}

static void malformed_flags_are_refused(void **state)
{
    static const char *const bad[] = {"policy", "-p", "--", "--=x", "--policy"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c;
        struct err err;
        assert_true(load(ARGS(bad[i]), ENV(NULL), &c, &err) < 0);
        assert_true(strstr(err.text, bad[i]) || strstr(err.text, "unknown option"));
        config_done(&c);
    }
}

static void limits_that_let_nobody_in_are_refused(void **state)
{
    static const char *const bad[] = {"--connections-max=0", "--waiting-max-per-caller=0",
                                      "--kill-grace=0s", "--request-deadline=0s",
                                      "--request-bytes-max=1M"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c;
        struct err err;
        assert_true(load(ARGS(bad[i]), ENV(NULL), &c, &err) < 0);
        assert_non_null(strstr(err.text, i == 4 ? "16M" : "0"));
        config_done(&c);
    }
}

static void a_file_that_others_write_is_refused(void **state)
{
    struct config c;
    struct err err;
    char *file = write_file("log-level: info\n");
    const char *argv[] = {"w", "--config", file, NULL};
    assert_int_equal(chmod(file, 0622), 0);
    assert_true(load(argv, ENV(NULL), &c, &err) < 0);
    assert_non_null(strstr(err.text, "others can write"));
    config_done(&c);
    unlink(file);
    free(file);
}

static void a_named_file_has_to_be_there(void **state)
{
    struct config c;
    struct err err;
    const char *argv[] = {"w", "--config=/nonexistent/clawrden.yaml", NULL};
    assert_true(load(argv, ENV(NULL), &c, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/clawrden.yaml"));
    config_done(&c);
}

/* The client's variable of that name may hold a unix socket. */
static void the_client_s_address_is_not_ours(void **state)
{
    struct config c;
    struct err err;
    char *file = write_file("");
    const char *argv[] = {"w", "--config", file, NULL};
    assert_int_equal(load(argv, ENV("CLAWRDEN_API=unix:/run/x.sock"), &c, &err), 0);
    assert_false(str_starts(c.api, "unix:"));
    config_done(&c);
    assert_int_equal(load(argv, ENV("CLAWRDEN_API=127.0.0.1:0"), &c, &err), 0);
    assert_string_equal(c.api, "127.0.0.1:0");
    config_done(&c);
    unlink(file);
    free(file);
}

static void help_names_every_option(void **state)
{
    struct config c;
    struct err err;
    enum config_result result;
    struct buf out = BUF_INIT(65536);
    const char *argv[] = {"w", "--policy", "x", "--help", NULL};
    assert_int_equal(config_load(4, (char *const *)argv, NULL, &c, &result, &out, &err), 0);
    assert_int_equal(result, CONFIG_SAID_ALL);
    for (size_t i = 0; config_name(i); i++) {
        char *flag = mem_printf("  --%s ", config_name(i));
        assert_non_null(strstr(buf_str(&out), flag));
        free(flag);
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_hold_without_a_word),
        cmocka_unit_test(a_flag_wins_over_a_variable_and_that_over_the_file),
        cmocka_unit_test(values_of_each_kind_are_taken),
        cmocka_unit_test(wrong_values_are_refused_and_change_nothing),
        cmocka_unit_test(an_unknown_option_gets_a_suggestion),
        cmocka_unit_test(malformed_flags_are_refused),
        cmocka_unit_test(limits_that_let_nobody_in_are_refused),
        cmocka_unit_test(a_file_that_others_write_is_refused),
        cmocka_unit_test(a_named_file_has_to_be_there),
        cmocka_unit_test(the_client_s_address_is_not_ours),
        cmocka_unit_test(help_names_every_option),
    };
    empty = write_file("");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(empty);
    free(empty);
    return failed;
}
