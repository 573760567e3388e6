/* SPDX-License-Identifier: MIT */
#include "policy/pattern.h"

#include <errno.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"

#define PATTERN_DEPTH_LIMIT 1000
#define PATTERN_HEAP_LIMIT 1024 /* KiB */

struct pattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

struct pattern *pattern_new(const char *text, bool bytes, struct err *err)
{
    size_t n = strlen(text);
    if (n > PATTERN_TEXT_MAX) {
        (void)err_set(err, -EINVAL, "the pattern is longer than %d bytes", PATTERN_TEXT_MAX);
        return NULL;
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    uint32_t flags = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                     (bytes ? PCRE2_MATCH_INVALID_UTF : 0);
    _cleanup_(pattern_freep) struct pattern *p = mem_new(struct pattern);
    p->code = pcre2_compile((PCRE2_SPTR)text, n, flags, &code, &at, NULL);
    if (!p->code) {
        PCRE2_UCHAR words[256];
        if (pcre2_get_error_message(code, words, sizeof(words)) < 0)
            words[0] = '\0';
        (void)err_set(err, -EINVAL, "not a regular expression, at its byte %zu: %s", (size_t)at + 1,
                      (const char *)words);
        return NULL;
    }
    p->context = pcre2_match_context_create(NULL);
    if (!p->context)
        abort();
    pcre2_set_match_limit(p->context, PATTERN_MATCH_LIMIT);
    pcre2_set_depth_limit(p->context, PATTERN_DEPTH_LIMIT);
    pcre2_set_heap_limit(p->context, PATTERN_HEAP_LIMIT);
    return TAKE_PTR(p);
}

struct pattern *pattern_free(struct pattern *p)
{
    if (!p)
        return NULL;
    pcre2_match_context_free(p->context);
    pcre2_code_free(p->code);
    free(p);
    return NULL;
}

int pattern_find(const struct pattern *p, const char *s, size_t n, size_t from, size_t *ret_start,
                 size_t *ret_end)
{
    if (n > PATTERN_SUBJECT_MAX)
        return -E2BIG;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data)
        abort();
    int r = pcre2_match(p->code, (PCRE2_SPTR)s, n, from, 0, data, p->context);
    if (r >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
        *ret_start = at[0];
        *ret_end = at[1];
    }
    pcre2_match_data_free(data);
    if (r >= 0)
        return 1;
    if (r == PCRE2_ERROR_NOMATCH)
        return 0;
    if (r <= PCRE2_ERROR_UTF8_ERR1 && r >= PCRE2_ERROR_UTF8_ERR21)
        return -EILSEQ;
    return -E2BIG;
}
