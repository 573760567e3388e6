/* SPDX-License-Identifier: MIT */
#include "cli/run-tally.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "store/lines.h"
#include "store/record.h"

#define RECORD_NODES_MAX (1u << 20)

off_t run_tally_mark(const char *audit)
{
    struct stat st;
    return stat(audit, &st) == 0 ? st.st_size : 0;
}

static void count(const struct json *o, struct run_tally *t)
{
    static const char *const refused[] = {"deny", "ask-denied", "ask-expired", "limited", "error"};
    const char *event = json_string(json_get(o, "event"), NULL);
    const char *decision = json_string(json_get(o, "decision"), NULL);
    const char *verdict = json_string(json_get(o, "verdict"), NULL);
    if (!event || !decision || !str_eq(event, "decision"))
        return;
    t->commands++;
    t->asked += verdict && str_eq(verdict, "ask");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        t->denied += str_eq(decision, refused[i]);
    t->waited_ms += (uint64_t)json_integer(json_get(o, "waited_ms"), 0);
}

int run_tally_count(const char *audit, off_t from, struct run_tally *ret, struct err *err)
{
    struct lines l;
    const char *line;
    size_t len;
    int r;
    *ret = (struct run_tally){0};
    _cleanup_close_ int fd = open(audit, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "'%s'", audit);
    if (run_tally_mark(audit) < from)
        from = 0; /* a new file was begun meanwhile */
    lines_init(&l, fd, from, RECORD_LINE_MAX);
    while ((r = lines_next(&l, &line, &len)) == 1) {
        _cleanup_(json_freep) struct json *root = NULL;
        if (line && json_parse(line, len, RECORD_NODES_MAX, &root, NULL) == 0 &&
            json_is_object(root))
            count(root, ret);
    }
    lines_done(&l);
    return r < 0 ? err_errno(err, r, "'%s'", audit) : 0;
}

void run_tally_words(const struct run_tally *t, struct buf *out)
{
    char waited[48];
    (void)buf_printf(out, "%" PRIu64 " command%s, %" PRIu64 " asked, %" PRIu64 " denied",
                     t->commands, t->commands == 1 ? "" : "s", t->asked, t->denied);
    /* What a person waits for is not counted in milliseconds. */
    uint64_t ms = t->waited_ms < 1000 ? t->waited_ms : t->waited_ms / 1000 * 1000;
    if (t->asked)
        (void)buf_printf(out, ", waited %s for a person",
                         str_format_duration(ms * CLOCK_NS_PER_MS, waited));
}
