/* SPDX-License-Identifier: MIT */
/* What is fixed of a repository, and that a .git file cannot open another directory. */
#include "sandbox/gitdir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
};

static char *at(const struct fixture *f, const char *name)
{
    return mem_printf("%s/%s", f->dir, name);
}

static void make_dir(const struct fixture *f, const char *name)
{
    struct err err;
    _cleanup_free_ char *path = at(f, name);
    assert_int_equal(path_mkdirs(path, 0755, &err), 0);
}

static void make_file(const struct fixture *f, const char *name, const char *text)
{
    struct err err;
    _cleanup_free_ char *path = at(f, name);
    assert_int_equal(fd_write_file(path, 0644, text, strlen(text), &err), 0);
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/clawrden-gitdir-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *command = mem_printf("rm -rf '%s'", f->dir);
    int r = system(command);
    free(f);
    return r;
}

static bool has(const struct plan *p, const struct fixture *f, const char *name,
                enum plan_kind kind)
{
    _cleanup_free_ char *path = at(f, name);
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == kind && strcmp(p->steps[i].path, path) == 0)
            return true;
    return false;
}

static void hooks_and_config_are_fixed_and_missing_hooks_are_made(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    struct err err;
    make_dir(f, "w/.git");
    make_file(f, "w/.git/config", "");
    _cleanup_free_ char *w = at(f, "w");
    assert_int_equal(gitdir_protect(&p, w, &notes, &err), 0);
    assert_true(has(&p, f, "w/.git", PLAN_WRITABLE)); /* a mount: it cannot be moved away */
    assert_true(has(&p, f, "w/.git/hooks", PLAN_FIXED));
    assert_true(has(&p, f, "w/.git/config", PLAN_FIXED));
    assert_int_equal(notes.len, 0);
}

static void no_repository_needs_nothing(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    struct err err;
    assert_int_equal(gitdir_protect(&p, f->dir, &notes, &err), 0);
    assert_int_equal(p.count, 0);
}

static void a_worktree_opens_the_repository_that_names_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    struct err err;
    make_dir(f, "main/.git/objects");
    make_dir(f, "main/.git/worktrees/w");
    make_dir(f, "w");
    make_file(f, "main/.git/HEAD", "ref: refs/heads/main\n");
    make_file(f, "main/.git/config", "");
    _cleanup_free_ char *back = mem_printf("%s/w/.git\n", f->dir);
    _cleanup_free_ char *forth = mem_printf("gitdir: %s/main/.git/worktrees/w\n", f->dir);
    make_file(f, "main/.git/worktrees/w/gitdir", back);
    make_file(f, "w/.git", forth);
    _cleanup_free_ char *w = at(f, "w");
    assert_int_equal(gitdir_protect(&p, w, &notes, &err), 0);
    assert_true(has(&p, f, "w/.git", PLAN_FIXED));
    assert_true(has(&p, f, "main/.git", PLAN_WRITABLE));
    assert_true(has(&p, f, "main/.git/config", PLAN_FIXED));
    assert_true(has(&p, f, "main/.git/hooks", PLAN_FIXED));
}

static void a_git_file_opens_nothing_that_does_not_name_it(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    struct err err;
    make_dir(f, "precious/worktrees/w");
    make_dir(f, "w");
    _cleanup_free_ char *forth = mem_printf("gitdir: %s/precious/worktrees/w\n", f->dir);
    make_file(f, "w/.git", forth);
    _cleanup_free_ char *w = at(f, "w");
    assert_int_equal(gitdir_protect(&p, w, &notes, &err), 0);
    assert_int_equal(p.count, 1);
    assert_true(has(&p, f, "w/.git", PLAN_FIXED));
    assert_non_null(strstr(buf_str(&notes), "does not name it"));
}

static void symlinks_are_said_not_followed(void **state)
{
    struct fixture *f = *state;
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    struct err err;
    make_dir(f, "w/.git");
    _cleanup_free_ char *hooks = at(f, "w/.git/hooks");
    assert_int_equal(symlink("../hooks", hooks), 0);
    _cleanup_free_ char *w = at(f, "w");
    assert_int_equal(gitdir_protect(&p, w, &notes, &err), 0);
    assert_false(has(&p, f, "w/.git/hooks", PLAN_FIXED));
    assert_non_null(strstr(buf_str(&notes), "hooks is a symlink"));
}

static void a_commondir_left_behind_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_buf_ struct buf notes = BUF_INIT(4096);
    make_dir(f, "w/.git");
    _cleanup_free_ char *w = at(f, "w");
    gitdir_inspect(w, &notes);
    assert_int_equal(notes.len, 0);
    make_file(f, "w/.git/commondir", "/elsewhere\n");
    gitdir_inspect(w, &notes);
    assert_non_null(strstr(buf_str(&notes), "commondir is there"));
}

static void git_files_are_read_strictly(void **state)
{
    static const struct {
        const char *text, *path;
    } cases[] = {{"gitdir: /a/b\n", "/a/b"},
                 {"gitdir: ../x", "../x"},
                 {"gitdir: a\r\n", "a"},
                 {"gitdir:/a", NULL},
                 {"gitdir: ", NULL},
                 {"gitdir: \n", NULL},
                 {"gitdir: /a\n/b\n", NULL},
                 {"", NULL},
                 {"ref: x", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *path = gitdir_parse(cases[i].text, strlen(cases[i].text));
        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_null(path);
    }
    assert_null(gitdir_parse("gitdir: a\0b", 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hooks_and_config_are_fixed_and_missing_hooks_are_made,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(no_repository_needs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worktree_opens_the_repository_that_names_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_git_file_opens_nothing_that_does_not_name_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(symlinks_are_said_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_commondir_left_behind_is_found, setup, teardown),
        cmocka_unit_test(git_files_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
