/* SPDX-License-Identifier: MIT */
/* Iterative, one point of return: the cost is bounded by pattern times text, and by the budget. */
#include "policy/glob.h"

#include <string.h>

/* Where the set that begins at `p` ("[...") ends; NULL when it is open. */
static const char *set_end(const char *p)
{
    p++;
    if (*p == '!' || *p == '^')
        p++;
    if (*p == ']')
        p++;
    while (*p && *p != ']') {
        if (*p == '\\' && p[1])
            p++;
        p++;
    }
    return *p ? p : NULL;
}

static bool set_has(const char *p, const char *end, unsigned char c)
{
    bool found = false;
    p++;
    bool negated = *p == '!' || *p == '^';
    if (negated)
        p++;
    for (bool first = true; p < end || first; first = false) {
        if (p >= end)
            break;
        if (*p == '\\' && p + 1 < end)
            p++;
        unsigned char low = (unsigned char)*p++, high = low;
        if (p + 1 < end && *p == '-') {
            p++;
            if (*p == '\\' && p + 1 < end)
                p++;
            high = (unsigned char)*p++;
        }
        if (c >= low && c <= high)
            found = true;
    }
    return found != negated;
}

/* Compares one element of the pattern (not '*') with one byte; moves the pattern on. */
static bool match_one(const char **pattern, unsigned char c)
{
    const char *p = *pattern;
    if (*p == '?') {
        *pattern = p + 1;
        return true;
    }
    const char *end = *p == '[' ? set_end(p) : NULL;
    if (end) {
        *pattern = end + 1;
        return set_has(p, end, c);
    }
    if (*p == '\\' && p[1])
        p++;
    *pattern = p + 1;
    return (unsigned char)*p == c;
}

static bool spend(uint64_t *budget)
{
    if (!budget)
        return true;
    if (*budget == 0)
        return false;
    (*budget)--;
    return true;
}

bool glob_match_n(const char *pattern, const char *text, size_t n, uint64_t *budget)
{
    const char *end = text + n, *star = NULL, *again = NULL;
    while (text < end) {
        if (!spend(budget))
            return false;
        if (*pattern == '*') {
            star = ++pattern;
            again = text;
            if (!*pattern)
                return true;
            continue;
        }
        const char *next = pattern;
        if (*pattern && match_one(&next, (unsigned char)*text)) {
            pattern = next;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

bool glob_match(const char *pattern, const char *text, uint64_t *budget)
{
    return glob_match_n(pattern, text, strlen(text), budget);
}

bool glob_match_path(const char *pattern, const char *path, uint64_t *budget)
{
    if (glob_match(pattern, path, budget))
        return true;
    size_t n = strlen(pattern);
    while (n > 0 && pattern[n - 1] == '*')
        n--;
    if (n < 2 || !pattern[n] || pattern[n - 1] != '/')
        return false;
    char dir[4096];
    if (n > sizeof(dir))
        return false;
    memcpy(dir, pattern, n - 1);
    dir[n - 1] = '\0';
    return glob_match(dir, path, budget);
}

/* Most patterns of a list differ in their first byte already. */
static bool may_match(const char *pattern, const char *text)
{
    char c = *pattern;
    return c == text[0] || c == '*' || c == '?' || c == '[' || c == '\\';
}

bool glob_match_any(const char *const *patterns, size_t count, const char *text, uint64_t *budget)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < count; i++)
        if (may_match(patterns[i], text) && glob_match_n(patterns[i], text, n, budget))
            return true;
    return false;
}

bool glob_is_literal(const char *pattern)
{
    return !strpbrk(pattern, "*?[\\");
}

bool glob_valid(const char *pattern)
{
    for (const char *p = pattern; *p; p++) {
        if (*p == '\\') {
            if (!*++p)
                return false;
        } else if (*p == '[' && !(p = set_end(p))) {
            return false;
        }
    }
    return true;
}
