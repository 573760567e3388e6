/* SPDX-License-Identifier: MIT */
/* Runs the tables of tests/policy: NAME.cases against NAME.yaml beside it, or against the file that
 * its line "@policy FILE" names. A row is: expect, rule (- for any), uid, cwd, command. */
#include "policy-case.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "policy/eval.h"

#ifndef POLICY_CASES_DIR
#error "POLICY_CASES_DIR names tests/policy"
#endif

/* Those of docs/policy.md are tried by a test that takes them out of the page. */
static const char *cases_dir(void)
{
    const char *other = getenv("POLICY_CASES_OF");
    return other ? other : POLICY_CASES_DIR;
}

struct table {
    const char *file;
    struct policy *policy;
    unsigned line, rows, wrong;
};

static struct policy *load(const char *path)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct policy *p = NULL;
    struct err err = {{0}};
    int r = fd_read_file(path, POLICY_TEXT_MAX, &text, &err);
    if (r == 0)
        r = policy_parse(buf_str(&text), text.len, path, &p, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    return p;
}

static char *column(char **rest)
{
    char *s = *rest + strspn(*rest, " \t");
    size_t n = strcspn(s, " \t");
    *rest = s + n + (s[n] != '\0');
    s[n] = '\0';
    return s;
}

static void wrong(struct table *t, const char *command, const struct policy_decision *d,
                  const char *expect, const char *rule)
{
    t->wrong++;
    (void)fprintf(stderr, "%s:%u: %s\n    expected %s by %s, got %s by %s\n", t->file, t->line,
                  command, expect, rule, verdict_name(d->verdict), d->rule_name);
}

static void row(struct table *t, char *line)
{
    static struct policy_case c;
    char *rest = line;
    const char *expect = column(&rest), *rule = column(&rest), *uid_text = column(&rest),
               *cwd = column(&rest), *command = rest + strspn(rest, " \t");
    uint64_t uid;
    struct policy_decision d, linear;
    if (str_parse_u64(uid_text, UINT32_MAX, &uid) < 0 ||
        !policy_case_begin(&c, t->policy, command, str_eq(cwd, "-") ? NULL : cwd, (uint32_t)uid))
        fail_msg("%s:%u: not a row", t->file, t->line);
    policy_judge(t->policy, &c.q, &d);
    eval_judge_linear(t->policy, &c.q, &linear);
    assert_ptr_equal(d.rule, linear.rule);
    assert_int_equal(d.verdict, linear.verdict);
    t->rows++;
    if (!str_eq(verdict_name(d.verdict), expect) ||
        (!str_eq(rule, "-") && !str_eq(rule, d.rule_name)))
        wrong(t, command, &d, expect, rule);
    policy_case_end(&c);
}

static void run_line(struct table *t, char *line)
{
    t->line++;
    line[strcspn(line, "\n")] = '\0';
    if (!*line || *line == '#')
        return;
    if (str_starts(line, "@policy ")) {
        char *path = path_join(cases_dir(), line + strlen("@policy "));
        t->policy = policy_unref(t->policy);
        t->policy = load(path);
        free(path);
        return;
    }
    if (!t->policy)
        fail_msg("%s: no policy", t->file);
    row(t, line);
}

static void run_file(const char *name)
{
    char *path = path_join(cases_dir(), name);
    char *beside = mem_printf("%.*s.yaml", (int)(strlen(path) - strlen(".cases")), path);
    struct table t = {.file = name, .policy = access(beside, R_OK) == 0 ? load(beside) : NULL};
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) >= 0)
        run_line(&t, line);
    free(line);
    (void)fclose(f);
    (void)policy_unref(t.policy);
    free(beside);
    free(path);
    assert_int_equal(t.wrong, 0);
    assert_true(t.rows > 0);
}

static void every_row_of_every_table_gets_its_verdict(void **state)
{
    (void)state;
    DIR *d = opendir(cases_dir());
    assert_non_null(d);
    unsigned files = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (!str_ends(e->d_name, ".cases"))
            continue;
        run_file(e->d_name);
        files++;
    }
    (void)closedir(d);
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_every_table_gets_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
