/* SPDX-License-Identifier: MIT */
/* accounts.json as bytes: it is refused, or what is written of it reads back to the same text, with
 * names that are fit for the log. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(accounts_freep) struct accounts *a = NULL, *again = NULL;
    _cleanup_buf_ struct buf first = BUF_INIT(16u << 20), second = BUF_INIT(16u << 20);
    struct err err = {{0}};
    must(accounts_new(NULL, NULL, &a, &err) == 0 && accounts_new(NULL, NULL, &again, &err) == 0);
    if (accounts_read(a, (const char *)data, size, &err) < 0)
        return 0;
    must(a->tokens_count <= ACCOUNTS_TOKENS_MAX && a->users_count <= ACCOUNTS_USERS_MAX);
    list_foreach(it, &a->tokens)
    {
        const struct account_token *t = list_item(it, struct account_token, link);
        must(accounts_name_valid(t->name) && t->role > API_ROLE_NONE && t->role <= API_ROLE_ADMIN);
    }
    list_foreach(it, &a->users)
    {
        const struct account_user *u = list_item(it, struct account_user, link);
        must(accounts_name_valid(u->name) && u->role > API_ROLE_NONE && u->role <= API_ROLE_ADMIN);
    }
    accounts_write(a, &first);
    must(accounts_read(again, buf_str(&first), first.len, &err) == 0);
    accounts_write(again, &second);
    must(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
    return 0;
}
