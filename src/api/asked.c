/* SPDX-License-Identifier: MIT */
#include "api/asked.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define ASKED_LIMIT_DEFAULT 50

enum asked_kind { ASKED_TEXT, ASKED_NUMBER, ASKED_TIME, ASKED_LIMIT, ASKED_FORMAT };

static const struct {
    const char *key;
    enum asked_kind kind;
    size_t offset; /* in the query */
    uint64_t max;  /* of a number */
} asked_parameters[] = {
#define AT(field) offsetof(struct api_history_query, field)
    {"cursor", ASKED_TEXT, AT(cursor), 0},
    {"before", ASKED_TEXT, AT(cursor), 0},
    {"id", ASKED_TEXT, AT(id), 0},
    {"command", ASKED_TEXT, AT(command), 0},
    {"decision", ASKED_TEXT, AT(decision), 0},
    {"container", ASKED_TEXT, AT(container), 0},
    {"rule", ASKED_TEXT, AT(rule), 0},
    {"approver", ASKED_TEXT, AT(approver), 0},
    {"arg", ASKED_TEXT, AT(arg), 0},
    {"text", ASKED_TEXT, AT(text), 0},
    {"uid", ASKED_NUMBER, AT(uid), UINT32_MAX},
    {"exit_code", ASKED_NUMBER, AT(exit_code), 255},
    {"signal", ASKED_NUMBER, AT(signal), 64},
    {"since", ASKED_TIME, AT(since), 0},
    {"until", ASKED_TIME, AT(until), 0},
    {"limit", ASKED_LIMIT, AT(limit), API_HISTORY_MAX},
    {"format", ASKED_FORMAT, AT(format), 0},
#undef AT
};

static bool asked_text(struct asked *a, const char *key, const char **field, const char *value)
{
    size_t i = 0;
    while (i < ASKED_TEXTS && a->texts[i])
        i++;
    if (*field || i == ASKED_TEXTS) {
        (void)err_set(&a->err, -EINVAL, "'%s' is given twice", key);
        return false;
    }
    *field = a->texts[i] = mem_strdup(value);
    return true;
}

static bool asked_number(struct asked *a, const char *key, const char *value, uint64_t max,
                         uint64_t *ret)
{
    if (str_parse_u64(value, max, ret) == 0)
        return true;
    (void)err_set(&a->err, -EINVAL, "'%s' must be a number up to %llu", key,
                  (unsigned long long)max);
    return false;
}

static bool asked_time(struct asked *a, const char *key, const char *value, uint64_t *ret)
{
    if (clock_parse(value, ret) == 0)
        return true;
    (void)err_set(&a->err, -EINVAL, "'%s' must be a time like 2026-01-31T08:15:00Z", key);
    return false;
}

static bool asked_format(struct asked *a, const char *value, enum api_history_format *ret)
{
    static const char *const names[] = {"json", "jsonl", "csv"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(value, names[i])) {
            *ret = (enum api_history_format)i;
            return true;
        }
    (void)err_set(&a->err, -EINVAL, "'format' is json, jsonl or csv");
    return false;
}

static bool asked_put(struct asked *a, size_t i, const char *value)
{
    const char *key = asked_parameters[i].key;
    void *field = (char *)&a->q + asked_parameters[i].offset;
    uint64_t n = 0;
    bool ok = true;
    switch (asked_parameters[i].kind) {
    case ASKED_TEXT:
        return asked_text(a, key, field, value);
    case ASKED_NUMBER:
        ok = asked_number(a, key, value, asked_parameters[i].max, &n);
        *(int64_t *)field = (int64_t)n;
        return ok;
    case ASKED_TIME:
        return asked_time(a, key, value, field);
    case ASKED_LIMIT:
        ok = asked_number(a, key, value, asked_parameters[i].max, &n) && n > 0;
        *(size_t *)field = (size_t)n;
        return ok;
    case ASKED_FORMAT:
        return asked_format(a, value, field);
    }
    return false;
}

/* Parts of an export follow each other by themselves; a page has one form. */
static bool asked_fits(const struct asked *a, size_t i)
{
    bool of_page = asked_parameters[i].kind == ASKED_LIMIT ||
                   asked_parameters[i].offset == offsetof(struct api_history_query, cursor);
    return a->all ? !of_page : asked_parameters[i].kind != ASKED_FORMAT;
}

static bool asked_parameter(void *arg, const char *key, const char *value)
{
    struct asked *a = arg;
    for (size_t i = 0; i < ARRAY_LEN(asked_parameters); i++)
        if (str_eq(key, asked_parameters[i].key) && asked_fits(a, i))
            return asked_put(a, i, value);
    _cleanup_buf_ struct buf b = BUF_INIT(512);
    (void)str_escape(&b, key, strlen(key));
    (void)err_set(&a->err, -EINVAL, "unknown parameter '%s'", buf_str(&b));
    return false;
}

static bool asked_known_decision(const char *s)
{
    for (int d = DECISION_NONE + 1; d <= DECISION_INTERRUPTED; d++)
        if (str_eq(s, decision_name((enum decision)d)))
            return true;
    return false;
}

bool asked_read(struct exchange *x, bool all, struct asked *ret)
{
    *ret = (struct asked){.q = {.limit = ASKED_LIMIT_DEFAULT,
                                .uid = -1,
                                .exit_code = -1,
                                .signal = -1,
                                .until = UINT64_MAX,
                                .part = all},
                          .all = all};
    bool ok = exchange_each_query(x, asked_parameter, ret);
    if (ok && ret->q.decision && !asked_known_decision(ret->q.decision)) {
        (void)err_set(&ret->err, -EINVAL, "no decision has this name; see docs/api.md");
        ok = false;
    }
    if (!ok)
        call_error(x, 400, "bad_query", NULL, "%s",
                   ret->err.text[0] ? ret->err.text : "a parameter cannot be read");
    return ok;
}

void asked_done(struct asked *a)
{
    for (size_t i = 0; i < ASKED_TEXTS; i++)
        free(a->texts[i]);
}
