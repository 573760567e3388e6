/* SPDX-License-Identifier: MIT */
/* The words that the agent reads. Every part has a bound of its own, so that no long reason pushes
 * the request id out. */
#include "core/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/limits.h"

#define LONG 2000
#define SHORT 300

void notice_put(struct buf *out, const char *s, size_t max)
{
    size_t len = strlen(s), put = 0;
    for (size_t i = 0, n; i < len; i += n) {
        _cleanup_buf_ struct buf one = BUF_INIT(32);
        uint32_t code_point;
        n = str_utf8_next(s + i, len - i, &code_point);
        n = n ? n : 1;
        (void)str_escape(&one, s + i, n);
        if (put + one.len > max) {
            (void)buf_append_str(out, "...");
            return;
        }
        (void)buf_append(out, buf_str(&one), one.len);
        put += one.len;
    }
}

static void put_line(struct buf *out, const char *before, const char *s, size_t max)
{
    (void)buf_append_str(out, before);
    notice_put(out, s, max);
    (void)buf_append_char(out, '\n');
}

static void put_id(const struct request *r, struct buf *out)
{
    (void)buf_printf(out, "clawrden: request %s\n", r->id_text);
}

/* "RULE (FILE:LINE): REASON" */
static void put_rule(const struct request *r, struct buf *out)
{
    notice_put(out, r->judged.rule_name ? r->judged.rule_name : "no rule", SHORT);
    const char *file = r->policy ? policy_name(r->policy) : NULL;
    if (file && r->judged.line) {
        (void)buf_append_str(out, " (");
        notice_put(out, file, SHORT);
        (void)buf_printf(out, ":%u)", r->judged.line);
    }
    if (r->judged.reason && r->judged.reason[0]) {
        (void)buf_append_str(out, ": ");
        notice_put(out, r->judged.reason, LONG);
    }
    (void)buf_append_char(out, '\n');
}

static void put_instead(const struct request *r, struct buf *out)
{
    if (r->judged.instead && r->judged.instead[0])
        put_line(out, "clawrden: instead: ", r->judged.instead, LONG);
}

static void put_asked_because(const struct request *r, struct buf *out)
{
    (void)buf_append_str(out, "clawrden: a person was asked because of ");
    put_rule(r, out);
    put_instead(r, out);
}

static void put_denied(const struct request *r, struct buf *out)
{
    (void)buf_append_str(out, "clawrden: refused: denied by ");
    notice_put(out, r->answer.approver, SHORT);
    if (r->answer.comment[0]) {
        (void)buf_append_str(out, ": ");
        notice_put(out, r->answer.comment, LONG);
    }
    (void)buf_append_char(out, '\n');
    if (r->judged.rule_name)
        put_asked_because(r, out);
}

static void put_expired(const struct request *r, struct buf *out)
{
    char within[48];
    (void)buf_printf(
        out,
        "clawrden: nobody answered within %s, so the command was not run; nobody said no "
        "either\n",
        str_format_duration(r->judged.approval_timeout, within));
    put_asked_because(r, out);
}

static void put_cause(const struct request *r, struct buf *out)
{
    switch (r->decision) {
    case DECISION_DENY:
        (void)buf_append_str(out, "clawrden: refused by ");
        put_rule(r, out);
        put_instead(r, out);
        return;
    case DECISION_ASK_DENIED:
        put_denied(r, out);
        return;
    case DECISION_ASK_EXPIRED:
        put_expired(r, out);
        return;
    case DECISION_LIMITED:
        put_line(out, "clawrden: refused: ", r->why, LONG);
        if (str_eq(r->why, LIMITS_NOBODY)) {
            (void)buf_append_str(out, "clawrden: asked for by ");
            put_rule(r, out);
            put_instead(r, out);
        } else
            (void)buf_append_str(out, "clawrden: this is a cap, not a rule: try again later\n");
        return;
    case DECISION_WITHDRAWN:
        put_line(out, "clawrden: withdrawn: ", r->why, LONG);
        return;
    case DECISION_NONE:
    case DECISION_ALLOW:
    case DECISION_ASK_APPROVED:
    case DECISION_ERROR:
    case DECISION_INTERRUPTED:
        break;
    }
    put_line(out, "clawrden: not run: ", r->why[0] ? r->why : "no cause is known", LONG);
}

void notice_refused(const struct request *r, struct buf *out)
{
    put_cause(r, out);
    put_id(r, out);
}

void notice_unrecorded(const struct request *r, const char *cause, struct buf *out)
{
    put_line(out, "clawrden: not run: cannot record it in the audit log: ", cause, LONG);
    (void)buf_append_str(out, "clawrden: what cannot be recorded does not run: try again later\n");
    put_id(r, out);
}

void notice_not_found(const struct request *r, struct buf *out)
{
    (void)buf_append_str(out, "clawrden: ");
    notice_put(out, r->ask.name, SHORT);
    (void)buf_append_str(out, ": command not found on the trusted path (");
    const char *const *path = r->policy ? policy_search_path(r->policy) : NULL;
    for (size_t i = 0; path && path[i] && out->len < LONG; i++) {
        if (i)
            (void)buf_append_char(out, ':');
        notice_put(out, path[i], SHORT);
    }
    (void)buf_append_str(out, ")\n");
    put_id(r, out);
}

void notice_not_started(const struct request *r, const char *why, struct buf *out)
{
    put_line(out, "clawrden: not started: ", why, LONG);
    put_id(r, out);
}

/* Puts a line behind what the executor said, if it fits. */
static void add_to_end(struct request *r, const struct buf *line)
{
    size_t have = strnlen(r->end.text, sizeof(r->end.text) - 1);
    if (have + line->len + 1 > sizeof(r->end.text))
        return;
    memcpy(r->end.text + have, buf_str(line), line->len);
    r->end.text[have + line->len] = '\0';
}

void notice_timed_out(struct request *r)
{
    _cleanup_buf_ struct buf line = BUF_INIT(NOTICE_MAX);
    char limit[48];
    (void)buf_printf(&line, "clawrden: the command ran out of its time (%s, ",
                     str_format_duration(r->judged.timeout, limit));
    notice_put(&line, r->judged.rule_name ? r->judged.rule_name : "default", 100);
    (void)buf_append_str(&line, ") and was ended\n");
    add_to_end(r, &line);
}

void notice_killed(struct request *r, const char *why)
{
    _cleanup_buf_ struct buf line = BUF_INIT(NOTICE_MAX);
    put_line(&line, "clawrden: ", why, 300);
    add_to_end(r, &line);
}
