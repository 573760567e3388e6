/* SPDX-License-Identifier: MIT */
/* Aligned tables for people. Widths are counted as a terminal counts them (wide characters are
 * two columns); what does not fit is wrapped, never cut. */
#include "cli/table.h"

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/str.h"

#define GAP 2        /* blanks between columns */
#define LAST_MIN 24  /* columns; with less room the last cell goes on lines of its own */
#define OWN_INDENT 4 /* of these lines */
#define WIDTH_MIN 20 /* a terminal that says less is not believed */

struct table {
    const char *const *titles;
    size_t columns;
    char **cells; /* owned, row by row */
    size_t count, size;
};

struct table *table_new(const char *const *titles)
{
    struct table *t = mem_new(struct table);
    t->titles = titles;
    while (titles[t->columns])
        t->columns++;
    return t;
}

struct table *table_free(struct table *t)
{
    if (!t)
        return NULL;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
    return NULL;
}

void table_add(struct table *t, const char *cell)
{
    if (t->count == t->size) {
        t->size = t->size ? 2 * t->size : 64;
        t->cells = mem_realloc_array(t->cells, t->size, sizeof(*t->cells));
    }
    t->cells[t->count++] = mem_strdup(cell);
}

void table_add_row(struct table *t, const char *const *cells)
{
    for (size_t i = 0; i < t->columns; i++)
        table_add(t, cells[i]);
}

/* ---- widths ---- */

/* wcwidth(3) asks the locale; the bytes here are UTF-8 whatever the person's locale is. */
static locale_t utf8_locale(void)
{
    static locale_t l;
    if (!l)
        l = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return l;
}

/* Columns of the character at `s`, and its bytes. */
static size_t char_width(const char *s, size_t n, size_t *ret_bytes)
{
    uint32_t c = (unsigned char)*s;
    size_t k = str_utf8_next(s, n, &c);
    *ret_bytes = k ? k : 1;
    if (c < 0x80 || !utf8_locale())
        return 1;
    locale_t before = uselocale(utf8_locale());
    int w = wcwidth((wchar_t)c);
    (void)uselocale(before);
    return w < 0 ? 1 : (size_t)w;
}

size_t table_width(const char *s)
{
    size_t w = 0, n = strlen(s);
    for (size_t i = 0, k; i < n; i += k)
        w += char_width(s + i, n - i, &k);
    return w;
}

size_t table_break(const char *s, size_t width)
{
    size_t w = 0, n = strlen(s), i = 0, blank = 0;
    for (size_t k; i < n; i += k) {
        size_t cw = char_width(s + i, n - i, &k);
        if (w + cw > width && i > 0)
            return blank ? blank : i;
        w += cw;
        if (s[i] == ' ')
            blank = i + 1;
    }
    return i;
}

size_t table_terminal_width(void)
{
    struct winsize ws = {0};
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col < WIDTH_MIN)
        return 80;
    return ws.ws_col;
}

/* ---- printing ---- */

static void print_cell(FILE *out, const char *s, size_t width)
{
    (void)fprintf(out, "%s%*s", s, (int)(width - table_width(s) + GAP), "");
}

/* `s` in lines of at most `width` columns, the second and later ones indented. */
static void print_wrapped(FILE *out, const char *s, size_t indent, size_t width)
{
    for (;;) {
        size_t n = width ? table_break(s, width) : strlen(s);
        (void)fprintf(out, "%.*s\n", (int)n, s);
        s += n;
        if (!*s)
            return;
        (void)fprintf(out, "%*s", (int)indent, "");
    }
}

static void print_row(FILE *out, const char *const *cells, const size_t *widths, size_t columns,
                      size_t left, size_t width)
{
    for (size_t i = 0; i + 1 < columns; i++)
        print_cell(out, cells[i], widths[i]);
    const char *last = cells[columns - 1];
    if (width == 0 || left + table_width(last) <= width || left + LAST_MIN <= width) {
        print_wrapped(out, last, left, width ? width - left : 0);
        return;
    }
    (void)fprintf(out, "\n%*s", OWN_INDENT, "");
    print_wrapped(out, last, OWN_INDENT, width - OWN_INDENT);
}

void table_print(const struct table *t, FILE *out, size_t width)
{
    size_t *widths = mem_new_array(size_t, t->columns), left = 0;
    for (size_t i = 0; i < t->columns; i++)
        widths[i] = table_width(t->titles[i]);
    for (size_t i = 0, column = 0; i < t->count; i++) {
        size_t w = table_width(t->cells[i]);
        if (w > widths[column])
            widths[column] = w;
        column = column + 1 == t->columns ? 0 : column + 1;
    }
    for (size_t i = 0; i + 1 < t->columns; i++)
        left += widths[i] + GAP;
    print_row(out, t->titles, widths, t->columns, left, width);
    for (size_t i = 0; i + t->columns <= t->count; i += t->columns)
        print_row(out, (const char *const *)t->cells + i, widths, t->columns, left, width);
    free(widths);
}
