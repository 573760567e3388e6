/* SPDX-License-Identifier: MIT */
/* What runs, as the records tell it. */
#include "store/inflight.h"

#include "store-help.h"

static void note(struct inflight *f, const char *members)
{
    inflight_note(f, members, strlen(members));
}

static void assert_open(const struct inflight *f, const char *expected)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    inflight_write(f, &out);
    assert_string_equal(buf_str(&out), expected);
}

static void decisions_that_run_are_open_until_their_end(void **state)
{
    _cleanup_(inflight_freep) struct inflight *f = inflight_new();
    assert_open(f, "\"open\":[]");
    note(f, "\"id\":\"b\",\"event\":\"decision\",\"command\":\"git\",\"decision\":\"allow\"");
    note(f, "\"id\":\"a\",\"event\":\"decision\",\"decision\":\"ask-approved\"");
    note(f, "\"id\":\"c\",\"event\":\"decision\",\"command\":\"rm\",\"decision\":\"deny\"");
    note(f, "\"id\":\"d\",\"event\":\"policy\",\"decision\":\"allow\"");
    assert_open(f, "\"open\":[{\"id\":\"a\",\"command\":null},{\"id\":\"b\",\"command\":\"git\"}]");
    note(f, "\"id\":\"b\",\"event\":\"end\",\"exit_code\":0");
    note(f, "\"id\":\"x\",\"event\":\"end\",\"exit_code\":0");
    assert_open(f, "\"open\":[{\"id\":\"a\",\"command\":null}]");
    assert_int_equal(inflight_count(f), 1);
}

static void what_a_file_carries_over_is_open(void **state)
{
    _cleanup_(inflight_freep) struct inflight *f = inflight_new();
    note(f, "\"event\":\"rotate\",\"open\":[{\"id\":\"a\",\"command\":\"x\\\"y\"},{\"id\":\"b\","
            "\"command\":"
            "null},{\"command\":\"no id\"},7]");
    assert_open(f,
                "\"open\":[{\"id\":\"a\",\"command\":\"x\\\"y\"},{\"id\":\"b\",\"command\":null}]");
    note(f, "\"event\":\"chain-break\",\"open\":[{\"id\":\"c\",\"command\":\"z\"}]");
    note(f, "\"event\":\"rotate\",\"open\":nonsense");
    note(f, "\"event\":\"note\",\"open\":[{\"id\":\"d\",\"command\":\"z\"}]");
    assert_int_equal(inflight_count(f), 3);
}

static void carried_tagged_commands_keep_their_form(void **state)
{
    _cleanup_(inflight_freep) struct inflight *f = inflight_new();
    note(f, "\"id\":\"a\",\"event\":\"decision\",\"command\":{\"bytes\":\"/"
            "w==\"},\"decision\":\"allow\"");
    assert_open(f, "\"open\":[{\"id\":\"a\",\"command\":{\"bytes\":\"/w==\"}}]");
    _cleanup_(inflight_freep) struct inflight *g = inflight_new();
    note(g, "\"event\":\"rotate\",\"open\":[{\"id\":\"a\",\"command\":{\"bytes\":\"/w==\"}}]");
    assert_open(g, "\"open\":[{\"id\":\"a\",\"command\":{\"bytes\":\"/w==\"}}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_that_run_are_open_until_their_end),
        cmocka_unit_test(what_a_file_carries_over_is_open),
        cmocka_unit_test(carried_tagged_commands_keep_their_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
