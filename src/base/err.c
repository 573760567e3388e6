/* SPDX-License-Identifier: MIT */
/* The words of a failure: set, completed with the system's words, prefixed by each level up.
 * Never allocates and never fails: what does not fit is cut, and the cut is visible. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Marks a text that snprintf() had to cut. */
static void mark_cut(struct err *err, int wanted)
{
    if (wanted < 0)
        memcpy(err->text, "(no words)", sizeof("(no words)"));
    else if ((size_t)wanted >= sizeof(err->text))
        memcpy(err->text + sizeof(err->text) - sizeof("..."), "...", sizeof("..."));
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    mark_cut(err, vsnprintf(err->text, sizeof(err->text), fmt, ap));
    va_end(ap);
    return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    struct err words;
    va_list ap;
    va_start(ap, fmt);
    mark_cut(&words, vsnprintf(words.text, sizeof(words.text), fmt, ap));
    va_end(ap);
    char buf[128];
    return err_set(err, code, "%s: %s", words.text, strerror_r(-code, buf, sizeof(buf)));
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    struct err words;
    va_list ap;
    va_start(ap, fmt);
    mark_cut(&words, vsnprintf(words.text, sizeof(words.text), fmt, ap));
    va_end(ap);
    struct err cause = *err;
    return err_set(err, code, "%s: %s", words.text, cause.text);
}
