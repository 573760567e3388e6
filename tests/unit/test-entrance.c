/* SPDX-License-Identifier: MIT */
/* --mirror. */
#include "warden/entrance.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OUT "fs.suid_dumpable is 1"

static void what_is_wished_for_is_taken_or_refused(void **state)
{
    static const struct {
        const char *wish, *outside;
        bool engine, root;
        int result;
        enum entrance entrance;
        const char *words;
    } cases[] = {
        {"auto", "", true, true, 0, ENTRANCE_NATIVE, "the helper may enter"},
        {"auto", "", false, true, 0, ENTRANCE_NATIVE, "the helper may enter"},
        {"auto", OUT, true, true, 0, ENTRANCE_DOCKER, OUT},
        {"auto", OUT, false, true, 0, ENTRANCE_NONE, OUT},
        {"auto", "the warden is not root", true, false, 0, ENTRANCE_NONE, "not root"},
        {"native", "", true, true, 0, ENTRANCE_NATIVE, "the helper may enter"},
        {"native", OUT, true, true, -EINVAL, ENTRANCE_NONE, "--mirror=native: " OUT},
        {"docker", "", true, true, 0, ENTRANCE_DOCKER, "--mirror=docker"},
        {"docker", OUT, true, true, 0, ENTRANCE_DOCKER, "--mirror=docker"},
        {"docker", "", false, true, -EINVAL, ENTRANCE_NONE, "needs an engine"},
        {"docker", "", true, false, -EINVAL, ENTRANCE_NONE, "needs root"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum entrance e;
        struct err err = {0};
        assert_int_equal(entrance_choose(cases[i].wish, cases[i].outside, cases[i].engine,
                                         cases[i].root, &e, &err),
                         cases[i].result);
        assert_int_equal(e, cases[i].entrance);
        assert_non_null(strstr(err.text, cases[i].words));
    }
    assert_string_equal(entrance_name(ENTRANCE_DOCKER), "docker");
    assert_string_equal(entrance_name(ENTRANCE_NONE), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wished_for_is_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
