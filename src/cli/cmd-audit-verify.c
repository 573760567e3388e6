/* SPDX-License-Identifier: MIT */
/* clawrden audit verify: is the log whole and unchanged? Exits with 0: yes; 1: no; 2: it could not
 * be read. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/audit-show.h"
#include "cli/cmd.h"
#include "store/head.h"
#include "store/logset.h"
#include "store/verify.h"

#define SHOWN_MAX 1000 /* problems */
#define WORDS_MAX 16384

struct report {
    bool json;
    uint64_t shown;
    struct buf list; /* of objects, for --json */
    struct json_writer w;
};

static void found_text(const struct chain_problem *p)
{
    _cleanup_buf_ struct buf words = BUF_INIT(WORDS_MAX), file = BUF_INIT(WORDS_MAX);
    (void)str_escape(&words, p->text, strlen(p->text));
    if (p->file)
        (void)str_escape(&file, p->file, strlen(p->file));
    if (p->line)
        printf("%s:%" PRIu64 ": %s: %s\n", buf_str(&file), p->line, chain_kind_name(p->kind),
               buf_str(&words));
    else
        printf("%s: %s: %s\n", buf_str(&file), chain_kind_name(p->kind), buf_str(&words));
}

static void put_number(struct json_writer *w, const char *key, uint64_t n)
{
    if (n)
        json_field_uint(w, key, n);
    else
        json_field_string(w, key, NULL);
}

static void found(void *arg, const struct chain_problem *p)
{
    struct report *r = arg;
    if (r->shown++ >= SHOWN_MAX)
        return;
    if (!r->json) {
        found_text(p);
        return;
    }
    json_object_begin(&r->w);
    json_field_string(&r->w, "kind", chain_kind_name(p->kind));
    json_field_string(&r->w, "file", p->file);
    put_number(&r->w, "line", p->line);
    put_number(&r->w, "seq", p->seq);
    json_field_string(&r->w, "text", p->text);
    json_object_end(&r->w);
}

/* ---- the head file ---- */

/* The usual head file when it is there and about this log; owned. */
static char *usual_head(const char *log, const char *key)
{
    _cleanup_free_ char *state = cli_state_dir(), *path = path_join(state, "audit.head");
    _cleanup_free_ char *real = realpath(log, NULL);
    _cleanup_(record_hasher_freep) struct record_hasher *h = NULL;
    struct head head;
    if (logset_is_rotated(log, NULL) || record_hasher_load(key, &h, NULL) < 0)
        return NULL;
    int r = head_read(path, h, &head, NULL);
    if (r == -EBADMSG)
        return TAKE_PTR(path); /* damaged: that is a finding */
    bool ours = r == 0 && (str_eq(head.file, log) || str_eq(head.file, real));
    return ours ? TAKE_PTR(path) : NULL;
}

/* ---- results ---- */

static void print_json(const struct chain_result *r, const struct verify_options *o,
                       struct report *rep)
{
    _cleanup_buf_ struct buf out = BUF_INIT(rep->list.limit + WORDS_MAX);
    struct json_writer w = JSON_WRITER(&out);
    json_object_begin(&w);
    json_field_bool(&w, "ok", r->problems == 0);
    json_field_string(&w, "file", o->path);
    json_field_uint(&w, "files", r->files);
    json_field_uint(&w, "records", r->records);
    json_field_uint(&w, "first_seq", r->first_seq);
    json_field_uint(&w, "last_seq", r->last_seq);
    json_field_string(&w, "last_hash", r->last_hash);
    json_field_bool(&w, "keyed", o->key != NULL);
    json_field_string(&w, "head", o->head);
    json_field_bool(&w, "head_agrees", r->head_checked);
    put_number(&w, "pruned_before", r->pruned_before);
    json_field_uint(&w, "repairs", r->repairs);
    json_field_uint(&w, "unclean_starts", r->unclean);
    json_field_uint(&w, "problems", r->problems);
    json_key(&w, "found");
    json_array_begin(&w);
    if (rep->list.len)
        json_put_raw(&w, rep->list.data, rep->list.len);
    json_array_end(&w);
    json_object_end(&w);
    printf("%s\n", buf_str(&out));
}

static void print_notes(const struct chain_result *r, const struct verify_options *o)
{
    if (r->pruned_before)
        printf("note: records before %" PRIu64 " were pruned, as the log says\n", r->pruned_before);
    if (r->repairs)
        printf("note: %" PRIu64 " torn ends were repaired by a later start\n", r->repairs);
    if (r->unclean)
        printf("note: %" PRIu64 " starts without a stop before them (crash, kill, power)\n",
               r->unclean);
    if (!o->head)
        printf("note: no head file: whether records were cut off the end cannot be told\n");
    if (!o->key)
        printf("note: no key: who can write the log and the head file could have made all of it\n");
}

static void print_text(const struct chain_result *r, const struct verify_options *o)
{
    _cleanup_buf_ struct buf name = BUF_INIT(WORDS_MAX);
    (void)str_escape(&name, o->path, strlen(o->path));
    if (r->problems > SHOWN_MAX)
        printf("... and %" PRIu64 " more\n", r->problems - SHOWN_MAX);
    if (r->problems == 0)
        printf("%s: sound: %" PRIu64 " records (%" PRIu64 " to %" PRIu64 ") in %" PRIu64
               " file%s%s\n",
               buf_str(&name), r->records, r->first_seq, r->last_seq, r->files,
               r->files == 1 ? "" : "s", r->head_checked ? ", the head file agrees" : "");
    else
        printf("%s: NOT sound: %" PRIu64 " problem%s in %" PRIu64 " records\n", buf_str(&name),
               r->problems, r->problems == 1 ? "" : "s", r->records);
    print_notes(r, o);
}

int cmd_audit_verify(struct cli *c, const struct args *a)
{
    _cleanup_free_ char *path = audit_show_path(a);
    const char *key = args_value(a, "key"), *head = args_value(a, "head");
    if (!key)
        key = getenv("CLAWRDEN_AUDIT_KEY");
    if (key && !key[0])
        key = NULL;
    _cleanup_free_ char *usual = head ? NULL : usual_head(path, key);
    struct verify_options o = {
        .path = path, .head = head ? head : usual, .key = key, .single = args_flag(a, "single")};
    struct report rep = {.json = c->json, .list = BUF_INIT(16u << 20)};
    rep.w = (struct json_writer)JSON_WRITER(&rep.list);
    struct chain_result result;
    struct err err = {0};
    int r = verify_log(&o, found, &rep, &result, &err);
    if (r == 0 && c->json)
        print_json(&result, &o, &rep);
    else if (r == 0)
        print_text(&result, &o);
    buf_done(&rep.list);
    if (r < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    return result.problems ? CLI_REFUSED : CLI_OK;
}
