/* SPDX-License-Identifier: MIT */
/* Small allocations that cannot fail. When memory is gone the process says so and ends with
 * _exit(2): no handler runs, nothing that needs memory is tried. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static _Noreturn void mem_gone(void)
{
    static const char words[] = "out of memory\n";
    ssize_t n = write(STDERR_FILENO, words, sizeof(words) - 1);
    (void)n; /* nobody left to tell */
    _exit(EX_OSERR);
}

void *mem_zalloc(size_t size)
{
    return mem_zalloc_array(1, size);
}

void *mem_zalloc_array(size_t n, size_t size)
{
    if (n == 0 || size == 0)
        n = size = 1; /* calloc may give NULL for nothing, and NULL means failure here */
    void *p = calloc(n, size);
    if (!p)
        mem_gone();
    return p;
}

void *mem_realloc_array(void *p, size_t n, size_t size)
{
    if (n == 0 || size == 0)
        n = size = 1;
    void *q = reallocarray(p, n, size);
    if (!q)
        mem_gone();
    return q;
}

void *mem_dup(const void *p, size_t n)
{
    void *q = malloc(n ? n : 1);
    if (!q)
        mem_gone();
    if (n)
        memcpy(q, p, n);
    return q;
}

char *mem_strdup(const char *s)
{
    return s ? mem_dup(s, strlen(s) + 1) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
    char *q = strndup(s, n);
    if (!q)
        mem_gone();
    return q;
}

char *mem_printf(const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_gone();
    return s;
}
