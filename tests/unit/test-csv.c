/* SPDX-License-Identifier: MIT */
#include "base/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *p, size_t n, const char *cell)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    csv_cell(&b, true, p, n);
    assert_string_equal(buf_str(&b), cell);
}
#define CELL(text, cell) expect(text, sizeof(text) - 1, cell)

static void cells_are_quoted_and_separated(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    csv_cell(&b, true, "a", 1);
    csv_cell(&b, false, "b,c", 3);
    csv_cell(&b, false, "", 0);
    csv_end(&b);
    assert_string_equal(buf_str(&b), "\"a\",\"b,c\",\"\"\r\n");
    CELL("say \"no\"", "\"say \"\"no\"\"\"");
}

static void what_looks_like_a_formula_is_text(void **state)
{
    CELL("=1+1", "\"'=1+1\"");
    CELL("+1", "\"'+1\"");
    CELL("-1", "\"'-1\"");
    CELL("@SUM(A1)", "\"'@SUM(A1)\"");
    CELL("|calc", "\"'|calc\"");
    CELL("%x", "\"'%x\"");
    CELL("a=1", "\"a=1\"");
}

static void nothing_in_a_cell_acts(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(65536);
    static const char evil[] = "\t=1\r\n\"\x1b[2J\xff\0x";
    csv_cell(&b, true, evil, sizeof(evil) - 1);
    for (size_t i = 0; i < b.len; i++)
        assert_true((unsigned char)b.data[i] >= 0x20 && (unsigned char)b.data[i] < 0x7f);
    assert_memory_equal(b.data, "\"\\", 2); /* begins with an escape, not with a tab or a formula */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_quoted_and_separated),
        cmocka_unit_test(what_looks_like_a_formula_is_text),
        cmocka_unit_test(nothing_in_a_cell_acts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
