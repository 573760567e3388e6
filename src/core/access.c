/* SPDX-License-Identifier: MIT */
#include "core/access.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/course.h"

#define ACCESS_TEXT_MAX 256 /* bytes of a stranger's words that are kept */
#define ACCESS_MINUTE (60 * CLOCK_NS_PER_SEC)

static void put_text(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    if (s && s[0])
        json_put_bytes(w, s, strnlen(s, ACCESS_TEXT_MAX));
    else
        json_put_null(w);
}

static void put_head(struct json_writer *w, uint64_t realtime, const char *event)
{
    char text[32];
    json_field_string(w, "time", clock_format(realtime, text));
    json_field_string(w, "event", event);
}

void access_login_members(const struct access_login *l, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, "login");
    put_text(&w, "who", l->who);
    put_text(&w, "role", l->role);
    put_text(&w, "method", l->method);
    put_text(&w, "address", l->address);
    put_text(&w, "request_id", l->request_id);
}

void access_refusal_members(const struct access_refusal *r, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, "login-refused");
    put_text(&w, "why", r->why);
    put_text(&w, "who", r->who);
    put_text(&w, "address", r->address);
    put_text(&w, "method", r->method);
    put_text(&w, "path", r->path);
    put_text(&w, "request_id", r->request_id);
}

void access_change_members(const struct access_change *c, uint64_t realtime, struct buf *out)
{
    char text[32];
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, "access");
    put_text(&w, "what", c->what);
    put_text(&w, "subject", c->subject);
    put_text(&w, "subject_id", c->subject_id);
    put_text(&w, "role", c->role);
    put_text(&w, "expires", c->expires ? clock_format(c->expires, text) : NULL);
    put_text(&w, "by", c->by);
    put_text(&w, "address", c->address);
    put_text(&w, "request_id", c->request_id);
}

void access_jail_members(const struct access_jail *j, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, "jail");
    put_text(&w, "what", j->what);
    put_text(&w, "name", j->name);
    put_text(&w, "origin", j->origin);
    put_text(&w, "mode", j->mode);
    json_key(&w, "commands");
    json_array_begin(&w);
    for (size_t i = 0; i < j->commands_count; i++)
        json_put_string(&w, j->commands[i]);
    json_array_end(&w);
    put_text(&w, "container_id", j->container_id);
    put_text(&w, "container", j->container);
    json_key(&w, "words");
    if (j->words)
        json_put_bytes(&w, j->words, strlen(j->words));
    else
        json_put_null(&w);
    json_key(&w, "window_us");
    if (j->window)
        json_put_uint(&w, j->window / 1000);
    else
        json_put_null(&w);
    put_text(&w, "by", j->by);
    put_text(&w, "address", j->address);
    put_text(&w, "request_id", j->request_id);
}

void access_login(struct warden *w, const struct access_login *l)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    access_login_members(l, course_realtime(w), &members);
    course_note(w, &members);
    course_watch_journal(w);
}

/* Whose share of the log the record of a refusal takes; strangers have one together when there are
 * many of them. */
static const char *refusal_key(struct warden *w, const char *address, char key[LIMITS_KEY_SIZE])
{
    uint64_t now = course_monotonic(w);
    if (w->refusals == 0 || now - w->refusals_since >= ACCESS_MINUTE) {
        w->refusals_since = now;
        w->refusals = 0;
    }
    if (w->refusals >= ACCESS_REFUSALS_PER_MINUTE)
        return "api";
    (void)snprintf(key, LIMITS_KEY_SIZE, "api:%s", address ? address : "");
    return key;
}

void access_refused(struct warden *w, const struct access_refusal *r)
{
    char space[LIMITS_KEY_SIZE];
    const char *key = refusal_key(w, r->address, space);
    if (!limits_record(w->limits, key, course_monotonic(w))) {
        if (w->limited.place == 0)
            course_set_deadline(w, &w->limited, course_after(course_monotonic(w), ACCESS_MINUTE));
        return;
    }
    w->refusals++;
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    access_refusal_members(r, course_realtime(w), &members);
    course_note(w, &members);
    course_watch_journal(w);
}

static void recorded(void *arg, int result)
{
    if (result < 0)
        course_watch_journal(arg);
}

static int record(struct warden *w, struct buf *members, struct err *err)
{
    int r = journal_append(w->journal, members, recorded, w, err);
    if (r < 0)
        course_watch_journal(w);
    return r < 0 ? err_prefix(err, r, "the change could not be recorded, so it was not made") : 0;
}

int access_change(struct warden *w, const struct access_change *c, struct err *err)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    access_change_members(c, course_realtime(w), &members);
    return record(w, &members, err);
}

int access_jail(struct warden *w, const struct access_jail *j, struct err *err)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    access_jail_members(j, course_realtime(w), &members);
    return record(w, &members, err);
}

void access_jail_note(struct warden *w, const struct access_jail *j)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    access_jail_members(j, course_realtime(w), &members);
    course_note(w, &members);
    course_watch_journal(w);
}
