/* SPDX-License-Identifier: MIT */
/* jails.json as bytes: whatever is taken of it has names that lead nowhere, and is a list that can
 * be freed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jail/book.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void check_name(const char *s)
{
    must(s[0] && s[0] != '.' && s[0] != '-' && !strchr(s, '/') && strlen(s) <= 128);
    for (; *s; s++)
        must(*s > ' ' && *s < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct list entries = LIST_INIT(entries);
    size_t count = 0, found = 0;
    struct err err = {{0}};
    _cleanup_free_ char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    must(book_parse(text, size, &entries, &count, &err) <= 0 && count <= ROSTER_MAX);
    list_foreach(it, &entries)
    {
        struct roster_entry *e = list_item(it, struct roster_entry, link);
        check_name(e->name);
        for (size_t i = 0; i < e->commands_count; i++)
            check_name(e->commands[i]);
        found++;
        list_remove(&e->link);
        book_entry_free(e);
    }
    must(found == count);
    return 0;
}
