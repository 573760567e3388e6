/* SPDX-License-Identifier: MIT */
#include "mirror/phrase.h"

#include <string.h>

static void add(struct phrase *w, const char *s, size_t n)
{
    if (w->size == 0)
        return;
    if (n > w->size - 1 - w->len)
        n = w->size - 1 - w->len;
    memcpy(w->text + w->len, s, n);
    w->len += n;
    w->text[w->len] = 0;
}

void phrase_add(struct phrase *w, const char *s)
{
    add(w, s, strlen(s));
}

void phrase_add_safe(struct phrase *w, const char *s)
{
    for (size_t i = 0; i < 256 && s[i]; i++) {
        char c = s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?';
        add(w, &c, 1);
    }
}

void phrase_add_number(struct phrase *w, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    add(w, digits + i, sizeof(digits) - i);
}

void phrase_add_errno(struct phrase *w, int err)
{
    phrase_add(w, strerror(err < 0 ? -err : err));
}

uint64_t phrase_number(const char *s, const char **ret_end)
{
    uint64_t v = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        v = v * 10 + (uint64_t)(*s - '0');
    if (ret_end)
        *ret_end = s;
    return v;
}
