/* SPDX-License-Identifier: MIT */
/* Small allocations that cannot fail: without memory the process ends, and callers of a dead
 * warden are refused. Sizes that come from outside go through base/buf.h instead. */
#pragma once

#include <stddef.h>

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))
#define mem_new_array(type, n) ((type *)mem_zalloc_array((n), sizeof(type)))

void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc_array(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc_array(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
void *mem_dup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *mem_strdup(const char *s) __attribute__((malloc)); /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
