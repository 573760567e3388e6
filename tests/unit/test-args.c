/* SPDX-License-Identifier: MIT */
/* The command line as data, over a table of its own. */
#include "cli/args.h"

#include <errno.h>
#include <limits.h>

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct cli_option list_options[] = {
    {"limit", 'n', "N", "how many"}, {"watch", 'w', NULL, "again and again"}, {0}};

const struct command commands[] = {
    {"list", "", "", NULL, list_options, 0, 1, false, NULL},
    {"approve", "", "", NULL, NULL, 1, UINT_MAX, false, NULL},
    {"policy check", "", "", NULL, NULL, 1, 1, false, NULL},
    {"policy explain", "", "", NULL, list_options, 1, UINT_MAX, true, NULL},
    {0},
};

#define ARGV(...) ((char *[]){(char[]){"clawrden"}, __VA_ARGS__, NULL})

static struct args_line line;
static struct err err;

static int parse(char **argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    args_line_done(&line);
    err = (struct err){0};
    return args_parse(argc, argv, &line, &err);
}

static void common_options_count_before_and_behind_the_command(void **state)
{
    assert_int_equal(parse(ARGV("--json", "--api", "unix:/a", "list")), 0);
    assert_true(line.cli.json);
    assert_string_equal(line.cli.api, "unix:/a");
    assert_int_equal(parse(ARGV("list", "--api=unix:/b", "x", "--json")), 0);
    assert_true(line.cli.json);
    assert_string_equal(line.cli.api, "unix:/b");
    assert_int_equal(line.args.count, 1);
    assert_string_equal(line.args.words[0], "x");
    assert_null(line.args.words[1]);
}

static void own_options_are_long_or_short_with_or_without_a_space(void **state)
{
    assert_int_equal(parse(ARGV("list", "--limit", "5", "-w")), 0);
    assert_string_equal(args_value(&line.args, "limit"), "5");
    assert_true(args_flag(&line.args, "watch"));
    assert_int_equal(parse(ARGV("list", "-n5")), 0);
    assert_string_equal(args_value(&line.args, "limit"), "5");
    assert_false(args_flag(&line.args, "watch"));
    assert_int_equal(parse(ARGV("list", "-n", "-1")), 0);
    assert_string_equal(args_value(&line.args, "limit"), "-1");
    assert_int_equal(parse(ARGV("list", "--limit=")), 0);
    assert_string_equal(args_value(&line.args, "limit"), "");
}

static void what_is_no_option_is_refused_with_the_nearest_one(void **state)
{
    assert_int_equal(parse(ARGV("list", "--limti", "5")), -EINVAL);
    assert_string_equal(err.text, "unknown option '--limti'; did you mean '--limit'?");
    assert_int_equal(parse(ARGV("approve", "--limit", "5")), -EINVAL);
    assert_string_equal(err.text, "unknown option '--limit'");
    assert_int_equal(parse(ARGV("list", "-x")), -EINVAL);
    assert_int_equal(parse(ARGV("list", "--watch=1")), -EINVAL);
    assert_string_equal(err.text, "--watch takes no value");
    assert_int_equal(parse(ARGV("list", "--limit")), -EINVAL);
    assert_string_equal(err.text, "--limit needs a value: --limit N");
    assert_int_equal(parse(ARGV("list", "--api")), -EINVAL);
    assert_int_equal(parse(ARGV("list", "--bad\033[2J")), -EINVAL);
    assert_string_equal(err.text, "unknown option '--bad\\e[2J'");
}

static void an_unknown_command_is_refused_with_the_nearest_one(void **state)
{
    assert_int_equal(parse(ARGV("aprove", "x")), -EINVAL);
    assert_string_equal(err.text, "unknown command 'aprove'; did you mean 'approve'?");
    assert_int_equal(parse(ARGV("policy", "chekc", "x")), -EINVAL);
    assert_string_equal(err.text, "unknown command 'policy chekc'; did you mean 'check'?");
    assert_int_equal(parse(ARGV("\033[2J")), -EINVAL);
    assert_string_equal(err.text, "unknown command '\\e[2J'");
    assert_int_equal(parse(ARGV("check")), -EINVAL);
}

static void a_group_needs_a_command_behind_it(void **state)
{
    assert_int_equal(parse(ARGV("policy")), 0);
    assert_null(line.command);
    assert_string_equal(line.group, "policy");
    assert_int_equal(parse(ARGV("policy", "--json", "check", "f")), 0);
    assert_string_equal(line.command->name, "policy check");
    assert_null(line.group);
}

static void the_number_of_words_is_held(void **state)
{
    assert_int_equal(parse(ARGV("approve")), -EINVAL);
    assert_int_equal(parse(ARGV("list", "a", "b")), -EINVAL);
    assert_string_equal(err.text, "list: unexpected argument 'b'");
    assert_int_equal(parse(ARGV("approve", "a", "b", "c")), 0);
    assert_int_equal(line.args.count, 3);
    assert_int_equal(parse(ARGV("approve", "--help")), 0); /* help needs no words */
    assert_int_equal(line.wish, ARGS_HELP);
}

static void behind_two_dashes_nothing_is_an_option(void **state)
{
    assert_int_equal(parse(ARGV("approve", "--", "--json", "-x")), 0);
    assert_false(line.cli.json);
    assert_int_equal(line.args.count, 2);
    assert_string_equal(line.args.words[0], "--json");
}

static void the_line_of_another_command_is_left_alone(void **state)
{
    assert_int_equal(parse(ARGV("policy", "explain", "-n", "3", "--", "rm", "-rf", "--", "/")), 0);
    assert_int_equal(line.args.count, 4);
    assert_string_equal(line.args.words[0], "rm");
    assert_string_equal(line.args.words[2], "--");
    assert_int_equal(parse(ARGV("policy", "explain", "rm", "--json", "-n")), 0);
    assert_int_equal(line.args.count, 3);
    assert_false(line.cli.json);
    assert_null(args_value(&line.args, "limit"));
}

static void wishes_for_help_and_version(void **state)
{
    assert_int_equal(parse(ARGV("--help")), 0);
    assert_int_equal(line.wish, ARGS_HELP);
    assert_int_equal(parse(ARGV("help", "list")), 0);
    assert_int_equal(line.wish, ARGS_HELP);
    assert_string_equal(line.command->name, "list");
    assert_int_equal(parse(ARGV("list", "-h")), 0);
    assert_int_equal(line.wish, ARGS_HELP);
    assert_int_equal(parse(ARGV("--version", "--help")), 0);
    assert_int_equal(line.wish, ARGS_HELP);
    assert_int_equal(parse(ARGV("list", "--version")), 0);
    assert_int_equal(line.wish, ARGS_VERSION);
}

static int forget(void **state)
{
    args_line_done(&line);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_options_count_before_and_behind_the_command),
        cmocka_unit_test(own_options_are_long_or_short_with_or_without_a_space),
        cmocka_unit_test(what_is_no_option_is_refused_with_the_nearest_one),
        cmocka_unit_test(an_unknown_command_is_refused_with_the_nearest_one),
        cmocka_unit_test(a_group_needs_a_command_behind_it),
        cmocka_unit_test(the_number_of_words_is_held),
        cmocka_unit_test(behind_two_dashes_nothing_is_an_option),
        cmocka_unit_test(the_line_of_another_command_is_left_alone),
        cmocka_unit_test(wishes_for_help_and_version),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
