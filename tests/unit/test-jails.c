/* SPDX-License-Identifier: MIT */
/* Who has which jail; what lies on the disk is tests/system/test_jails.py's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/path.h"
#include "jail/book.h"
#include "jail/labels.h"
#include "jail/roster.h"

struct fixture {
    char dir[64];
    char *shelf, *book, *shim; /* owned */
};

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/clawrden-jails-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->shelf = path_join(f->dir, "jails");
    f->book = path_join(f->dir, "jails.json");
    f->shim = path_join(f->dir, "shim");
    FILE *shim = fopen(f->shim, "we");
    assert_non_null(shim);
    (void)fputs("\177ELF CLAWRDEN-SHIM-v2", shim);
    (void)fclose(shim);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *command = mem_printf("rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a directory of our own
    free(f->shelf);
    free(f->book);
    free(f->shim);
    free(f);
    return 0;
}

static struct policy *parse(const char *text)
{
    struct policy *p;
    struct err err = {""};
    if (policy_parse(text, strlen(text), "p.yaml", &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static struct roster *open_roster(const struct fixture *f, const char *policy)
{
    _cleanup_(policy_unrefp) struct policy *p = parse(policy);
    struct roster *r;
    struct err err = {""};
    if (roster_open(f->shelf, f->book, f->shim, p, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static struct container *container(const char *id, const char *name, const char *const *labels)
{
    struct container *c = container_new(id, name);
    for (; labels && labels[0]; labels += 2)
        container_add_label(c, labels[0], labels[1]);
    return c;
}

static bool is_there(const struct fixture *f, const char *jail, const char *name)
{
    struct stat st;
    _cleanup_free_ char *path = mem_printf("%s/%s/%s", f->shelf, jail, name);
    return lstat(path, &st) == 0;
}

static const char *const npm[] = {"npm"};
#define WISH(n) ((struct roster_wish){.name = (n), .commands = npm, .commands_count = 1})

static void a_containers_jail_comes_with_it_and_goes_with_it(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    bool changed;
    struct roster *r = open_roster(f, "jails: {taken: [git]}\n");
    assert_int_equal(roster_adopt(r, "aa", &WISH("taken"), &changed, &err), -EEXIST);
    assert_int_equal(roster_adopt(r, "aa", &WISH("../x"), &changed, &err), -EINVAL);
    assert_int_equal(roster_adopt(r, "aa", &WISH("one"), &changed, &err), 0);
    assert_true(changed && is_there(f, "one", "npm"));
    assert_int_equal(roster_adopt(r, "aa", &WISH("one"), &changed, &err), 0);
    assert_false(changed);
    assert_int_equal(roster_adopt(r, "bb", &WISH("one"), &changed, &err), -EEXIST);
    /* The directory is mounted under the name that it had. */
    assert_int_equal(roster_adopt(r, "aa", &WISH("renamed"), &changed, &err), 0);
    assert_true(is_there(f, "one", "npm") && !is_there(f, "renamed", "npm"));
    assert_int_equal(roster_check(r, ROSTER_DELETE, &WISH("one"), &err), -EPERM);
    roster_free(r);
    r = open_roster(f, "jails: {taken: [git]}\n");
    assert_string_equal(roster_find(r, "one")->container, "aa");
    assert_int_equal(roster_abandon(r, "bb", &err), 0);
    assert_int_equal(roster_abandon(r, "aa", &err), 1);
    assert_true(!roster_find(r, "one") && !is_there(f, "one", "clawrden-shim"));
    roster_free(r);
}

static void the_labels_of_a_container_come_before_those_that_name_it(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    bool changed;
    const char *const gold[] = {"tier", "gold", NULL}, *const iron[] = {"tier", "iron", NULL};
    struct roster *r =
        open_roster(f, "jails:\n  both: {commands: [a], containers: ['b*'], labels: {tier: g*}}\n"
                       "  named: {commands: [a], containers: ['b*']}\n"
                       "  nobody: [a]\n");
    struct container *x = container("aa", "box", gold), *y = container("bb", "box", iron),
                     *z = container("cc", "other", gold);
    assert_string_equal(roster_for(r, x)->name, "both");
    assert_string_equal(roster_for(r, y)->name, "named");
    assert_null(roster_for(r, z));
    assert_int_equal(roster_adopt(r, "aa", &WISH("own"), &changed, &err), 0);
    assert_string_equal(roster_for(r, x)->name, "own");
    assert_string_equal(roster_for(r, y)->name, "named");
    container_unref(x);
    container_unref(y);
    container_unref(z);
    roster_free(r);
}

static void there_is_a_most_of_jails(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    struct roster *r = open_roster(f, "{}");
    const struct roster_wish none = {.name = "x"};
    for (int i = 0; i < ROSTER_MAX; i++) {
        char name[16];
        struct roster_wish w = none;
        w.name = name;
        (void)snprintf(name, sizeof(name), "j%d", i);
        /* By the book alone: a thousand directories take a while. */
        struct roster_entry *e = book_entry_new(ROSTER_API, &w);
        list_append((struct list *)roster_list(r), &e->link);
    }
    assert_int_equal(book_write(f->book, roster_list(r), &err), 0);
    struct list again = LIST_INIT(again);
    size_t count = 0;
    assert_int_equal(book_read(f->book, &again, &count, &err), 0);
    assert_int_equal(count, ROSTER_MAX);
    struct roster_entry *e = book_entry_new(ROSTER_API, &none);
    list_append(&again, &e->link);
    assert_int_equal(book_write(f->book, &again, &err), 0);
    struct list third = LIST_INIT(third);
    assert_int_equal(book_read(f->book, &third, &count, &err), -EBADMSG);
    list_foreach(it, &again) book_entry_free(list_item(it, struct roster_entry, link));
    list_foreach(it, roster_list(r))
    {
        list_remove(it);
        book_entry_free(list_item(it, struct roster_entry, link));
    }
    roster_free(r);
}

static void labels_are_followed_or_refused_with_words(void **state)
{
    (void)state;
    static const struct {
        const char *labels[9];
        int result;
        const char *words; /* or the names, when it is followed */
    } cases[] = {
        {{NULL}, 0, ""},
        {{"clawrden.cmds", "npm"}, 0, ""},
        {{"clawrden.enabled", "false", "clawrden.cmds", "npm"}, 0, ""},
        {{"clawrden.enabled", "true", "clawrden.cmds", "npm,git"}, 1, "npm git"},
        {{"clawrden.enabled", "true", "clawrden.cmds", " npm ,\tgit "}, 1, "npm git"},
        {{"clawrden.enabled", "yes", "clawrden.cmds", "npm"}, -EINVAL, "is true or false"},
        {{"clawrden.enabled", "true"}, -EINVAL, "clawrden.cmds is missing"},
        {{"clawrden.enabled", "true", "clawrden.cmds", ""}, -EINVAL, "name 1: a name has 1 to"},
        {{"clawrden.enabled", "true", "clawrden.cmds", "npm,,git"}, -EINVAL, "name 2: "},
        {{"clawrden.enabled", "true", "clawrden.cmds", "npm,"}, -EINVAL, "name 2: "},
        {{"clawrden.enabled", "true", "clawrden.cmds", "../npm"}, -EINVAL, "name 1: "},
        {{"clawrden.enabled", "true", "clawrden.cmds", "npm git"}, -EINVAL, "name 1: "},
        {{"clawrden.enabled", "true", "clawrden.cmds", "a", "clawrden.mode", "hard"},
         -EINVAL,
         "is plain or hardened"},
        {{"clawrden.enabled", "true", "clawrden.cmds", "a", "clawrden.jail", "../b"},
         -EINVAL,
         "clawrden.jail: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct labels l;
        struct err err = {""};
        struct container *c = container("aa", "box", cases[i].labels);
        int r = labels_read(c, &l, &err);
        assert_int_equal(r, cases[i].result);
        _cleanup_buf_ struct buf b = BUF_INIT(4096);
        for (size_t k = 0; r == 1 && k < l.count; k++)
            (void)buf_printf(&b, "%s%s", k ? " " : "", l.commands[k]);
        if (r == 1)
            assert_string_equal(buf_str(&b), cases[i].words);
        else if (!strstr(err.text, cases[i].words))
            fail_msg("case %zu: %s", i, err.text);
        container_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_containers_jail_comes_with_it_and_goes_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_labels_of_a_container_come_before_those_that_name_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_a_most_of_jails, setup, teardown),
        cmocka_unit_test(labels_are_followed_or_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
