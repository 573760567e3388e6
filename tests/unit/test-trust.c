/* SPDX-License-Identifier: MIT */
/* Who could change a file under us. */
#include "warden/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char *dir, *file;
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->dir = mem_strdup("/tmp/clawrden-trust-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->file = mem_printf("%s/policy.yaml", f->dir);
    int fd = open(f->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    close(fd);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)chmod(f->dir, 0700);
    char *command = mem_printf("rm -rf '%s'", f->dir);
    int r = system(command);
    free(command);
    free(f->dir);
    free(f->file);
    free(f);
    return r;
}

static void our_own_file_is_trusted(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(trust_path(f->file, &err), 0);
    assert_int_equal(chmod(f->file, 0644), 0);
    assert_int_equal(trust_path(f->file, &err), 0);
}

static void a_file_that_others_write_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(chmod(f->file, 0602), 0);
    assert_int_equal(trust_path(f->file, &err), -EPERM);
    assert_non_null(strstr(err.text, f->file));
    assert_non_null(strstr(err.text, "mode 0602"));
}

static void a_directory_that_others_write_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(chmod(f->dir, 0777), 0);
    assert_int_equal(trust_path(f->file, &err), -EPERM);
    assert_int_equal(chmod(f->dir, 01777), 0);
    assert_int_equal(trust_path(f->file, &err), 0);
}

static void a_link_is_judged_by_where_it_leads(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char *open_dir = mem_printf("%s/open", f->dir), *real = mem_printf("%s/open/p", f->dir);
    char *link = mem_printf("%s/link", f->dir);
    assert_int_equal(mkdir(open_dir, 0700), 0);
    assert_int_equal(chmod(open_dir, 0777), 0);
    int fd = open(real, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlink(real, link), 0);
    assert_int_equal(trust_path(link, &err), -EPERM);
    assert_int_equal(chmod(open_dir, 0755), 0);
    assert_int_equal(trust_path(link, &err), 0);
    free(open_dir);
    free(real);
    free(link);
}

static void what_is_not_there_is_said(void **state)
{
    struct fixture *f = *state;
    struct err err;
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(trust_path(f->file, &err), -ENOENT);
    assert_int_equal(trust_path("relative", &err), -EINVAL);
}

static void somebody_else_s_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    if (geteuid() != 0) { /* only root can give it away: a file of root's would be trusted */
        struct stat st;
        assert_int_equal(stat("/etc/passwd", &st), 0);
        assert_int_equal(st.st_uid, 0);
        assert_int_equal(trust_path("/etc/passwd", &err), 0);
        return;
    }
    assert_int_equal(chown(f->file, 61234, 0), 0);
    assert_int_equal(trust_path(f->file, &err), -EPERM);
    assert_non_null(strstr(err.text, "61234"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(our_own_file_is_trusted),
        TEST(a_file_that_others_write_is_refused),
        TEST(a_directory_that_others_write_is_refused),
        TEST(a_link_is_judged_by_where_it_leads),
        TEST(what_is_not_there_is_said),
        TEST(somebody_else_s_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
