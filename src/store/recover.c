/* SPDX-License-Identifier: MIT */
/* Reads the active file once from its beginning. A rotated file is only asked for its last record:
 * each file's first record carries over what is open. */
#include "store/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/lines.h"
#include "store/logset.h"

/* ---- lock and open ---- */

static int take_lock(const char *path, struct recovery *ret, struct err *err)
{
    _cleanup_free_ char *name = mem_printf("%s.lock", path);
    _cleanup_close_ int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, -errno, "cannot open '%s'", name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(err, -EBUSY,
                           "another warden writes the audit log '%s' (it holds '%s'); stop it, or "
                           "give this one a log of its own",
                           path, name);
        return err_errno(err, -errno, "cannot lock '%s'", name);
    }
    ret->lock_fd = TAKE_FD(fd);
    return 0;
}

static int open_active(const char *path, mode_t mode, struct recovery *ret, struct stat *ret_st,
                       struct err *err)
{
    _cleanup_close_ int fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd < 0 && errno == ELOOP)
        return err_set(err, -ELOOP, "the audit log '%s' is a symbolic link: name the file itself",
                       path);
    if (fd < 0)
        return err_errno(err, -errno, "cannot open the audit log '%s'", path);
    if (fstat(fd, ret_st) < 0)
        return err_errno(err, -errno, "cannot stat '%s'", path);
    if (!S_ISREG(ret_st->st_mode))
        return err_set(err, -EINVAL, "the audit log '%s' is not a regular file", path);
    ret->size = ret_st->st_size;
    ret->fd = TAKE_FD(fd);
    return 0;
}

/* What a rotation that did not get to its end left behind: a second name for the active file, and a
 * new file that never became the active one. */
static int undo_half_rotation(const char *path, const struct stat *active, struct logset *set,
                              struct err *err)
{
    _cleanup_free_ char *next = mem_printf("%s.new", path);
    if (unlink(next) < 0 && errno != ENOENT)
        return err_errno(err, -errno, "cannot remove '%s'", next);
    for (size_t i = 0; i < set->count;) {
        struct stat st = {0};
        if (stat(set->files[i].path, &st) < 0 || st.st_ino != active->st_ino ||
            st.st_dev != active->st_dev) {
            i++;
            continue;
        }
        if (unlink(set->files[i].path) < 0)
            return err_errno(err, -errno, "cannot remove '%s'", set->files[i].path);
        free(set->files[i].path);
        memmove(&set->files[i], &set->files[i + 1], (--set->count - i) * sizeof(*set->files));
    }
    return 0;
}

/* ---- the chain ---- */

static void found(void *arg, const struct chain_problem *p)
{
    struct recovery *r = arg;
    if (p->kind == CHAIN_BREAK) { /* what stands before it was recorded when it was found */
        r->breaks = 0;
        r->break_text[0] = '\0';
        return;
    }
    if (r->breaks++ > 0)
        return;
    if (p->line)
        (void)snprintf(r->break_text, sizeof(r->break_text), "line %" PRIu64 ": %s", p->line,
                       p->text);
    else
        (void)snprintf(r->break_text, sizeof(r->break_text), "%s", p->text);
}

static void note_record(struct recovery *r, const struct record *rec)
{
    if (r->first_seq == 0) {
        char time[64];
        r->first_seq = rec->seq;
        if (!record_field_copy(rec->members, rec->members_len, "time", time, sizeof(time)) ||
            clock_parse(time, &r->born) < 0)
            r->born = 0;
    }
    r->clean = record_field_is(rec->members, rec->members_len, "event", "stop");
    inflight_note(r->open, rec->members, rec->members_len);
}

/* Leaves the offset behind the last whole line in r->size. */
static int follow(const char *path, struct chain *chain, struct recovery *r, struct err *err)
{
    _cleanup_lines_ struct lines lines;
    lines_init(&lines, r->fd, 0, RECORD_LINE_MAX);
    const char *line;
    size_t len;
    struct record rec;
    int n;
    chain_file(chain, path);
    while ((n = lines_next(&lines, &line, &len)) == 1)
        if (chain_line(chain, line, len, &rec))
            note_record(r, &rec);
    if (n < 0)
        return err_errno(err, n, "cannot read '%s'", path);
    r->torn = len;
    r->size = lines.offset;
    return 0;
}

/* The last whole line of `path`; *ret_line is empty when there is none. */
static int last_line(const char *path, struct buf *ret_line, struct err *err)
{
    struct stat st = {0};
    off_t at;
    uint64_t count;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, -errno, "cannot open '%s'", path);
    int r = lines_back(fd, st.st_size, 1, &at, &count);
    if (r < 0)
        return err_errno(err, r, "cannot read '%s'", path);
    _cleanup_lines_ struct lines lines;
    lines_init(&lines, fd, at, RECORD_LINE_MAX);
    const char *line;
    size_t len;
    r = lines_next(&lines, &line, &len);
    if (r < 0)
        return err_errno(err, r, "cannot read '%s'", path);
    return r == 1 && line ? buf_append(ret_line, line, len) : 0;
}

/* An active file without a record cannot carry over what was open in the file before it. */
static int note_rotated(const char *path, struct inflight *open_ids, struct err *err)
{
    _cleanup_lines_ struct lines lines;
    const char *line;
    size_t len;
    struct record rec;
    int n = lines_open(&lines, path, RECORD_LINE_MAX, err);
    if (n < 0)
        return n;
    while ((n = lines_next(&lines, &line, &len)) == 1)
        if (line && record_split(line, len, &rec) == 0)
            inflight_note(open_ids, rec.members, rec.members_len);
    return n < 0 ? err_errno(err, n, "cannot read '%s'", path) : 0;
}

/* The newest rotated file, as the record before the active file's first one. */
static int follow_rotated(const struct logset *set, struct chain *chain, struct recovery *rec,
                          struct err *err)
{
    if (set->count == 0)
        return 0;
    const char *path = set->files[set->count - 1].path;
    if (rec->size == 0) {
        int e = note_rotated(path, rec->open, err);
        if (e < 0)
            return e;
    }
    _cleanup_buf_ struct buf line = BUF_INIT(RECORD_LINE_MAX);
    int r = last_line(path, &line, err);
    if (r < 0)
        return r;
    chain_before(chain, line.len ? line.data : "", line.len);
    return 0;
}

/* ---- the head file ---- */

/* True when there is a head file of this log to hold the log against. */
static bool read_head(const char *path, const char *head_path, struct record_hasher *h,
                      struct head *head, struct recovery *r, struct err *words)
{
    if (!head_path) {
        r->head = "off";
        return false;
    }
    int e = head_read(head_path, h, head, words);
    if (e == -ENOENT) {
        r->head = "missing";
    } else if (e < 0) {
        r->head = "damaged";
    } else if (!str_eq(head->file, path)) {
        r->head = "of another log";
    } else {
        return true;
    }
    return false;
}

/* Sequence numbers are never used twice, and after a cut the gap stays visible for ever. */
static void go_on_from(struct recovery *r, const struct chain_result *c, const struct head *head)
{
    r->seq = c->last_seq;
    memcpy(r->hash, c->last_hash, RECORD_HASH_SIZE);
    if (head && head->seq > r->seq) {
        r->seq = head->seq;
        if (c->records == 0)
            memcpy(r->hash, head->hash, RECORD_HASH_SIZE);
    }
    if (head)
        r->head = c->head_checked || head->seq == 0 ? "agrees" : "disagrees";
    r->fresh = r->first_seq == 0;
    r->clean |= r->fresh && r->seq == 0;
}

static void add_break(struct recovery *r, const char *words)
{
    if (r->breaks++ == 0)
        (void)snprintf(r->break_text, sizeof(r->break_text), "%.600s", words);
}

/* ---- the torn tail ---- */

static int copy_bytes(int from, off_t at, int to, uint64_t n)
{
    char chunk[65536];
    while (n > 0) {
        ssize_t k = pread(from, chunk, n < sizeof(chunk) ? (size_t)n : sizeof(chunk), at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k < 0 ? -errno : -EIO;
        int r = fd_write_all(to, chunk, (size_t)k);
        if (r < 0)
            return r;
        at += k;
        n -= (uint64_t)k;
    }
    return fsync(to) < 0 ? -errno : 0;
}

/* A clock that stands still or was set back gives a name that is taken: it gets a number. */
static int create_aside(const char *path, uint64_t realtime, char **ret_name)
{
    char stamp[32];
    (void)clock_format(realtime, stamp);
    for (unsigned i = 0;; i++) {
        free(*ret_name);
        *ret_name = i == 0 ? mem_printf("%s.torn-%s", path, stamp)
                           : mem_printf("%s.torn-%s-%u", path, stamp, i);
        int fd = open(*ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST || i == 1000)
            return -errno;
    }
}

static int put_tail_aside(const char *path, uint64_t realtime, struct recovery *r, struct err *err)
{
    if (r->torn == 0)
        return 0;
    _cleanup_close_ int fd = create_aside(path, realtime, &r->torn_path);
    int e = fd < 0 ? fd : copy_bytes(r->fd, r->size, fd, r->torn);
    if (e < 0) {
        if (fd >= 0)
            (void)unlink(r->torn_path);
        return err_errno(err, e, "cannot keep the torn end of '%s' in '%s'", path, r->torn_path);
    }
    if (ftruncate(r->fd, r->size) < 0)
        return err_errno(err, -errno, "cannot take the torn end off '%s'", path);
    return 0;
}

/* ---- the key ---- */

/* Not one record fits: this is not a log with a fault in it, it was written with another key, or
 * all of it was written anew. To go on with it would seal whatever stands there. */
static int check_key(const char *path, struct record_hasher *h, uint64_t intact_before,
                     const struct chain_result *c, struct err *err)
{
    bool any = c->records > 0 ? c->intact > intact_before : intact_before > 0;
    if (any || c->last_seq == 0)
        return 0;
    return err_set(err, -EKEYREJECTED,
                   "not one record of the audit log '%s' fits %s: it was written %s, or all of it "
                   "was replaced; start with the right --audit-key, or move the log, its rotated "
                   "files and the head file aside to begin another log",
                   path, record_hasher_keyed(h) ? "this key" : "without a key",
                   record_hasher_keyed(h) ? "with another one or with none" : "with one");
}

/* ---- all of it ---- */

static int examine(const char *path, const char *head_path, struct record_hasher *h,
                   const struct logset *set, struct recovery *r, struct err *err)
{
    struct head head;
    struct err words = {0};
    bool have = read_head(path, head_path, h, &head, r, &words);
    _cleanup_(chain_freep) struct chain *chain = chain_new(h, have ? &head : NULL, found, r);
    r->open = inflight_new();
    int e = follow_rotated(set, chain, r, err);
    uint64_t intact_before = chain_result(chain)->intact;
    if (e == 0)
        e = follow(path, chain, r, err);
    if (e == 0)
        e = check_key(path, h, intact_before, chain_result(chain), err);
    if (e < 0)
        return e;
    chain_end(chain, false);
    go_on_from(r, chain_result(chain), have ? &head : NULL);
    if (str_eq(r->head, "damaged"))
        add_break(r, words.text);
    if (r->fresh && r->seq > 0)
        add_break(r, "the file has no record, though there were records before");
    return 0;
}

int recover_log(const char *path, const char *head_path, struct record_hasher *h, mode_t mode,
                uint64_t realtime, struct recovery *ret, struct err *err)
{
    struct stat st = {0};
    _cleanup_logset_ struct logset set = {0};
    *ret = (struct recovery){.fd = -1, .lock_fd = -1};
    int r = take_lock(path, ret, err);
    if (r == 0)
        r = open_active(path, mode, ret, &st, err);
    if (r == 0)
        r = logset_list(path, &set, err);
    if (r == 0)
        r = undo_half_rotation(path, &st, &set, err);
    if (r == 0)
        r = examine(path, head_path, h, &set, ret, err);
    if (r == 0)
        r = put_tail_aside(path, realtime, ret, err);
    if (r < 0)
        recover_done(ret);
    return r;
}

void recover_done(struct recovery *r)
{
    if (r->fd >= 0)
        (void)close(r->fd);
    if (r->lock_fd >= 0)
        (void)close(r->lock_fd);
    inflight_free(r->open);
    free(r->torn_path);
    *r = (struct recovery){.fd = -1, .lock_fd = -1};
}
