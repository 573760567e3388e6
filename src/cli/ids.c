/* SPDX-License-Identifier: MIT */
/* Requests by what a person types. What is not the only one is refused, never guessed. */
#include "cli/ids.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/uuid.h"
#include "cli/remote.h"
#include "cli/show.h"

#define HISTORY_LOOKED_AT "200" /* the newest requests, in which an answered one is looked for */

bool ids_is_whole(const char *typed)
{
    uint8_t id[16];
    return uuid_parse(typed, id) == 0;
}

static bool is_named_by(const char *id, const char *typed)
{
    size_t n = strlen(id), k = strlen(typed);
    if (k > n)
        return false;
    const char *last = strrchr(id, '-'); /* the part that tables show */
    return strncasecmp(id, typed, k) == 0 || strcasecmp(id + n - k, typed) == 0 ||
           (last && strncasecmp(last + 1, typed, k) == 0);
}

const struct json *ids_find(const struct json *list, const char *typed, int *ret_code,
                            struct err *err)
{
    const struct json *found = NULL;
    size_t hits = 0;
    _cleanup_buf_ struct buf shown = BUF_INIT(4096);
    (void)str_escape(&shown, typed, strlen(typed));
    if (strlen(typed) < IDS_TYPED_MIN) {
        *ret_code = err_set(err, -EINVAL, "'%s' is too short for an id: at least %d characters",
                            buf_str(&shown), IDS_TYPED_MIN);
        return NULL;
    }
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        const char *id = json_string(json_get(o, "id"), NULL);
        if (!id || !is_named_by(id, typed))
            continue;
        found = o;
        hits++;
    }
    *ret_code = 0;
    if (hits == 1)
        return found;
    if (hits == 0)
        *ret_code = err_set(err, -ENOENT, "no id begins or ends with '%s'", buf_str(&shown));
    else
        *ret_code = err_set(err, -ENOTUNIQ, "'%s' names %zu requests: type more of the id",
                            buf_str(&shown), hits);
    return NULL;
}

/* What a decision means for somebody who looks for its request. */
static const char *meaning_of(const char *decision)
{
    static const struct {
        const char *decision, *words;
    } meanings[] = {
        {"allow", "the policy allowed it"},
        {"deny", "the policy refused it"},
        {"ask-approved", "it was approved"},
        {"ask-denied", "it was denied"},
        {"ask-expired", "nobody answered in time"},
        {"withdrawn", "its caller gave up"},
        {"limited", "its caller had reached a limit"},
        {"interrupted", "the warden stopped"},
        {"error", "it could not be judged or recorded"},
    };
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (str_eq(meanings[i].decision, decision))
            return meanings[i].words;
    return decision;
}

int ids_missing(struct cli *c, const char *typed, const char *verb)
{
    _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf shown = BUF_INIT(4096);
    (void)str_escape(&shown, typed, strlen(typed));
    int r = remote_call(c, "GET", "/api/history?limit=" HISTORY_LOOKED_AT, NULL, &a);
    if (r != CLI_OK)
        return r;
    int code;
    const struct json *list = remote_list(&a, "history"); /* without a history: NULL */
    const struct json *o = list ? ids_find(list, typed, &code, NULL) : NULL;
    if (!o)
        return cli_fail(CLI_REFUSED, "no request '%s' is known to %s", buf_str(&shown), verb);
    _cleanup_free_ char *id = show_text(o, "id"), *decision = show_text(o, "decision"),
                        *approver = show_text(o, "approver"), *age = show_age(o, "time"),
                        *command = show_command(o);
    return cli_fail(CLI_REFUSED, "request %s does not %s any more: %s%s%s, %s ago\n          %s",
                    id, verb, meaning_of(decision), approver[0] ? " by " : "", approver, age,
                    command);
}
