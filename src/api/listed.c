/* SPDX-License-Identifier: MIT */
#include "api/listed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum listed_text { LISTED_CURSOR, LISTED_COMMAND, LISTED_RULE, LISTED_CONTAINER, LISTED_DOOR };
static const char *const listed_texts[] = {"cursor", "command", "rule", "container", "door"};

/* ---- the question ---- */

static bool listed_refuse(struct listed *l, const char *key, const char *words)
{
    _cleanup_buf_ struct buf b = BUF_INIT(512);
    (void)str_escape(&b, key, strlen(key));
    (void)err_set(&l->err, -EINVAL, "'%s' %s", buf_str(&b), words);
    return false;
}

static bool listed_number(struct listed *l, const char *key, const char *value)
{
    bool is_limit = str_eq(key, "limit");
    uint64_t n;
    if (is_limit ? l->limit > 0 : l->has_uid)
        return listed_refuse(l, key, "is given twice");
    if (str_parse_u64(value, is_limit ? LISTED_LIMIT_MAX : UINT32_MAX, &n) < 0 ||
        (is_limit && n == 0))
        return listed_refuse(l, key,
                             is_limit ? "must be a number from 1 to 1000"
                                      : "must be a number up to 4294967295");
    if (is_limit) {
        l->limit = (size_t)n;
    } else {
        l->has_uid = true;
        l->uid = (uint32_t)n;
    }
    return true;
}

static bool listed_is_id(const char *s)
{
    return strlen(s) == UUID_TEXT_SIZE - 1 && strspn(s, "0123456789abcdef-") == strlen(s);
}

static bool listed_is_door(const char *s)
{
    for (int d = DOOR_SHIM_V1; d <= DOOR_API; d++)
        if (str_eq(s, door_kind_name((enum door_kind)d)))
            return true;
    return false;
}

static bool listed_parameter(void *arg, const char *key, const char *value)
{
    struct listed *l = arg;
    if (str_eq(key, "limit") || str_eq(key, "uid"))
        return listed_number(l, key, value);
    for (size_t i = 0; i < ARRAY_LEN(listed_texts); i++) {
        if (!str_eq(key, listed_texts[i]))
            continue;
        if (l->texts[i])
            return listed_refuse(l, key, "is given twice");
        if (i == LISTED_CURSOR && !listed_is_id(value))
            return listed_refuse(l, key, "must be the id of a request");
        if (i == LISTED_DOOR && !listed_is_door(value))
            return listed_refuse(l, key, "is shim, shim-v1, gate or api");
        l->texts[i] = mem_strdup(value);
        return true;
    }
    return listed_refuse(l, key, "is no parameter of this call");
}

/* ---- the answer ---- */

/* Who gets a masked name must not learn by a filter what is behind the mask. */
static bool listed_command_fits(const struct listed *l, const struct request *r)
{
    const char *name = r->ask.name;
    _cleanup_buf_ struct buf masked = BUF_INIT(64u << 10);
    if (!str_eq(name, l->texts[LISTED_COMMAND]))
        return false;
    return l->call->role >= API_ROLE_APPROVER || !r->policy ||
           !policy_redact(r->policy, name, strlen(name), &masked);
}

static bool listed_fits(const struct listed *l, const struct request *r)
{
    bool runs = r->state == REQUEST_STARTING || r->state == REQUEST_RUNNING;
    const char *rule = r->judged.rule_name, *container = r->peer.container;
    if (l->running ? !runs : r->state != REQUEST_WAITING)
        return false;
    if (l->has_uid && r->peer.uid != l->uid)
        return false;
    if (l->texts[LISTED_RULE] && !str_eq(rule ? rule : "", l->texts[LISTED_RULE]))
        return false;
    if (l->texts[LISTED_CONTAINER] &&
        !str_eq(container ? container : "", l->texts[LISTED_CONTAINER]))
        return false;
    if (l->texts[LISTED_DOOR] && !str_eq(door_kind_name(r->ask.door), l->texts[LISTED_DOOR]))
        return false;
    return !l->texts[LISTED_COMMAND] || listed_command_fits(l, r);
}

static void listed_add(void *arg, const struct request *r)
{
    struct listed *l = arg;
    if (!listed_fits(l, r))
        return;
    if (l->count == l->size) {
        l->size = l->size ? l->size * 2 : 64;
        l->found = mem_realloc_array(l->found, l->size, sizeof(void *));
    }
    l->found[l->count++] = r;
}

static int listed_compare(const void *a, const void *b)
{
    const struct request *const *x = a, *const *y = b;
    return memcmp((*x)->id, (*y)->id, sizeof((*x)->id));
}

/* What waited before a restart comes back in the order of its callers: a page needs one that
 * stays. */
static void listed_sort(struct listed *l)
{
    for (size_t i = 1; i < l->count; i++)
        if (listed_compare(&l->found[i - 1], &l->found[i]) > 0) {
            qsort(l->found, l->count, sizeof(void *), listed_compare);
            return;
        }
}

static void listed_cut(struct listed *l)
{
    const char *cursor = l->texts[LISTED_CURSOR];
    char total[24];
    while (cursor && l->first < l->count && strcmp(l->found[l->first]->id_text, cursor) <= 0)
        l->first++;
    l->end = l->limit && l->count - l->first > l->limit ? l->first + l->limit : l->count;
    (void)snprintf(total, sizeof(total), "%zu", l->count);
    exchange_add_header(l->call->x, "X-Total-Count", total);
    if (l->end < l->count)
        exchange_add_header(l->call->x, "X-Next-Cursor", l->found[l->end - 1]->id_text);
}

bool listed_read(struct call *c, bool running, struct listed *ret)
{
    *ret = (struct listed){.call = c, .running = running};
    if (!exchange_each_query(c->x, listed_parameter, ret)) {
        call_error(c->x, 400, "bad_query", NULL, "%s",
                   ret->err.text[0] ? ret->err.text : "a parameter cannot be read");
        return false;
    }
    warden_each(c->api->deps.warden, listed_add, ret);
    listed_sort(ret);
    listed_cut(ret);
    return true;
}

void listed_done(struct listed *l)
{
    for (size_t i = 0; i < ARRAY_LEN(l->texts); i++)
        free(l->texts[i]);
    free(l->found);
}
