/* SPDX-License-Identifier: MIT */
/* The log of a daemon. A line is built whole and written with one write(2), so that lines of
 * several processes on one stderr do not mix; a line that cannot be written is lost, not waited
 * for. May be called from any thread, not from a signal handler. */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define LOG_TEXT_MAX 4096  /* of a message before escaping */
#define LOG_LINE_MAX 65536 /* what such a message can become, and more */
#define LOG_WINDOW (10 * CLOCK_NS_PER_SEC)
#define UNWRITABLE "(a message that could not be written)"

struct log_site {
    uint64_t since; /* monotonic start of its window */
    unsigned lines; /* written in it */
    uint64_t dropped;
    enum log_level level; /* of the last one dropped */
};

static const char *const level_names[] = {
    [LOG_LEVEL_DEBUG] = "debug",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_ERROR] = "error",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    enum log_level min;
    bool json;
    struct map *sites;       /* call site -> struct log_site, as many as the source has; for good */
    uint64_t sites_dropping; /* how many of them have dropped lines not yet said */
} state = {.min = LOG_LEVEL_INFO};

void log_setup(enum log_level min, bool json)
{
    (void)pthread_mutex_lock(&lock);
    state.min = min;
    state.json = json;
    (void)pthread_mutex_unlock(&lock);
}

int log_level_parse(const char *s, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (strcasecmp(s, level_names[i]) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    return -EINVAL;
}

/* Like str_escape(), but a backslash stays: it may come from an earlier str_escape(). */
static void escape_again(struct buf *out, const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0, k; i < n; i += k) {
        k = str_utf8_next(s + i, n - i, NULL);
        if (k == 0)
            k = 1;
        if (s[i] == '\\')
            (void)buf_append_char(out, '\\');
        else
            (void)str_escape(out, s + i, k);
    }
}

static void emit_text(struct buf *line, enum log_level level, const char *id, const char *text)
{
    char when[32];
    (void)buf_printf(line, "%s %s: ", clock_format(clock_realtime(), when), level_names[level]);
    if (id) {
        (void)buf_append_char(line, '[');
        escape_again(line, id);
        (void)buf_append_str(line, "] ");
    }
    (void)buf_append_str(line, text);
}

static void emit_json(struct buf *line, enum log_level level, const char *id, const char *text)
{
    char when[32];
    struct json_writer w = JSON_WRITER(line);
    json_object_begin(&w);
    json_field_string(&w, "time", clock_format(clock_realtime(), when));
    json_field_string(&w, "level", level_names[level]);
    if (id)
        json_field_string(&w, "id", id);
    json_field_string(&w, "message", text);
    json_object_end(&w);
}

static void emit(enum log_level level, const char *id, const char *message)
{
    _cleanup_buf_ struct buf text = BUF_INIT(LOG_LINE_MAX);
    _cleanup_buf_ struct buf line = BUF_INIT(2 * LOG_LINE_MAX);
    escape_again(&text, message);
    if (state.json)
        emit_json(&line, level, id, buf_str(&text));
    else
        emit_text(&line, level, id, buf_str(&text));
    (void)buf_append_char(&line, '\n');
    ssize_t n = write(STDERR_FILENO, buf_str(&line), line.len);
    (void)n; /* there is nowhere to say so */
}

static void say_dropped(const char *name, struct log_site *s)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "%llu more lines like those from %s were suppressed",
                   (unsigned long long)s->dropped, name);
    s->dropped = 0;
    state.sites_dropping--;
    emit(s->level, NULL, text);
}

/* Says for each site whose window is over what was lost in it, also when that site is silent now.
 */
static void say_all_dropped(uint64_t now)
{
    const char *name;
    void *value;
    for (size_t i = 0; state.sites_dropping > 0 && map_next(state.sites, &i, &name, &value);) {
        struct log_site *s = value;
        if (s->dropped > 0 && now - s->since >= LOG_WINDOW)
            say_dropped(name, s);
    }
}

/* Whether this line of `site` may be written now; counts it either way. */
static bool admit(const char *site, enum log_level level, uint64_t now)
{
    if (!state.sites)
        state.sites = map_new();
    struct log_site *s = map_get(state.sites, site);
    if (!s) {
        s = mem_new(struct log_site);
        s->since = now;
        (void)map_put(state.sites, site, s);
    }
    if (now - s->since >= LOG_WINDOW) {
        s->since = now;
        s->lines = 0;
    }
    if (s->lines < LOG_BURST) {
        s->lines++;
        return true;
    }
    if (s->dropped++ == 0)
        state.sites_dropping++;
    s->level = level;
    return false;
}

void log_write(enum log_level level, const char *site, const char *id, const char *fmt, ...)
{
    int saved_errno = errno; /* the words may have %m, and the caller may go on to use it */
    (void)pthread_mutex_lock(&lock);
    if (level >= state.min) {
        uint64_t now = clock_monotonic();
        say_all_dropped(now);
        if (admit(site, level, now)) {
            char text[LOG_TEXT_MAX];
            va_list ap;
            va_start(ap, fmt);
            errno = saved_errno;
            int n = vsnprintf(text, sizeof(text), fmt, ap);
            va_end(ap);
            if (n < 0)
                memcpy(text, UNWRITABLE, sizeof(UNWRITABLE));
            else if ((size_t)n >= sizeof(text))
                memcpy(text + sizeof(text) - sizeof("..."), "...", sizeof("..."));
            emit(level, id, text);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    errno = saved_errno;
}
