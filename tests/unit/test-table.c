/* SPDX-License-Identifier: MIT */
/* Aligned tables: widths as a terminal counts them, nothing cut, no cell that looks like a row. */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const titles[] = {"ID", "AGE", "COMMAND", NULL};

/* The table of `cells` in `width` columns; owned. */
static char *print(const char *const *cells, size_t width)
{
    char *out = NULL;
    size_t n = 0;
    struct table *t = table_new(titles);
    for (; *cells; cells++)
        table_add(t, *cells);
    FILE *f = open_memstream(&out, &n);
    table_print(t, f, width);
    fclose(f);
    assert_null(table_free(t));
    return out;
}

static void widths_count_columns_not_bytes(void **state)
{
    assert_int_equal(table_width(""), 0);
    assert_int_equal(table_width("abc"), 3);
    assert_int_equal(table_width("\xc3\xa9"), 1);                 /* e acute */
    assert_int_equal(table_width("e\xcc\x81"), 1);                /* e and a combining acute */
    assert_int_equal(table_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two wide characters */
}

static void lines_break_behind_blanks_or_anywhere(void **state)
{
    assert_int_equal(table_break("git push origin", 10), 9);
    assert_int_equal(table_break("git push", 8), 8);
    assert_int_equal(table_break("abcdef", 4), 4);
    assert_int_equal(table_break("\xe6\x97\xa5\xe6\x9c\xac", 3), 3); /* no half of a wide one */
    assert_int_equal(table_break("\xe6\x97\xa5", 1), 3);             /* at least one */
    assert_int_equal(table_break("", 4), 0);
}

static void columns_are_aligned(void **state)
{
    char *s =
        print((const char *const[]){"a", "10s", "ls", "bcd", "\xe6\x97\xa5", "rm x", NULL}, 0);
    assert_string_equal(s, "ID   AGE  COMMAND\n"
                           "a    10s  ls\n"
                           "bcd  \xe6\x97\xa5   rm x\n");
    free(s);
}

static void the_last_column_wraps_behind_its_own_edge(void **state)
{
    char *s =
        print((const char *const[]){"a", "1s", "one two three four five six seven", NULL}, 36);
    assert_string_equal(s, "ID  AGE  COMMAND\n"
                           "a   1s   one two three four five \n"
                           "         six seven\n");
    free(s);
}

static void on_a_narrow_terminal_the_last_cell_has_lines_of_its_own(void **state)
{
    char *s =
        print((const char *const[]){"a", "1s", "one two three four five six seven", NULL}, 24);
    assert_string_equal(s, "ID  AGE  COMMAND\n"
                           "a   1s   \n"
                           "    one two three four \n"
                           "    five six seven\n");
    free(s);
}

static void nothing_is_cut_and_no_line_begins_like_a_row(void **state)
{
    char cell[5001];
    memset(cell, 'x', 5000);
    cell[5000] = '\0';
    for (size_t width = 20; width < 200; width += 7) {
        char *s = print((const char *const[]){"id", "1s", cell, NULL}, width), *p = s;
        size_t n = 0, rows = 0;
        for (; *p; p++) {
            n += *p == 'x';
            rows += (p == s || p[-1] == '\n') && *p != ' ';
        }
        assert_int_equal(n, 5000);
        assert_int_equal(rows, 2);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_count_columns_not_bytes),
        cmocka_unit_test(lines_break_behind_blanks_or_anywhere),
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(the_last_column_wraps_behind_its_own_edge),
        cmocka_unit_test(on_a_narrow_terminal_the_last_cell_has_lines_of_its_own),
        cmocka_unit_test(nothing_is_cut_and_no_line_begins_like_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
