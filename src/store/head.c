/* SPDX-License-Identifier: MIT */
/* Writes and reads the head file. */
#include "store/head.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"

#define HEAD_BYTES_MAX 16384
#define CHECK ",\"check\":\""
#define CHECK_LEN (sizeof(CHECK) - 1 + RECORD_HASH_SIZE - 1 + 3) /* ,"check":"..."}\n */

int head_write(const char *path, struct record_hasher *h, const struct head *head,
               uint64_t realtime, struct err *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT(HEAD_BYTES_MAX);
    char time[32], check[RECORD_HASH_SIZE];
    struct json_writer w = JSON_WRITER(&out);
    json_object_begin(&w);
    json_field_int(&w, "v", 1);
    json_field_uint(&w, "seq", head->seq);
    json_field_string(&w, "hash", head->hash);
    json_field_string(&w, "file", head->file);
    json_field_string(&w, "time", clock_format(realtime, time));
    if (!out.failed) {
        record_hash(h, out.data, out.len, check);
        (void)buf_printf(&out, CHECK "%s\"}\n", check);
    }
    if (out.failed)
        return err_errno(err, out.failed, "cannot write '%s'", path);
    return fd_write_file(path, 0600, out.data, out.len, err);
}

/* The words are the same for all of it: what stands there was not written by us. */
static int parse(const struct buf *in, struct record_hasher *h, struct head *ret)
{
    char check[RECORD_HASH_SIZE];
    if (in->len <= CHECK_LEN)
        return -EBADMSG;
    const char *tail = in->data + in->len - CHECK_LEN;
    record_hash(h, in->data, in->len - CHECK_LEN, check);
    if (memcmp(tail, CHECK, sizeof(CHECK) - 1) != 0 ||
        memcmp(tail + sizeof(CHECK) - 1, check, RECORD_HASH_SIZE - 1) != 0)
        return -EBADMSG;

    _cleanup_(json_freep) struct json *root = NULL;
    if (json_parse(in->data, in->len, 16, &root, NULL) < 0 ||
        json_integer(json_get(root, "v"), 0) != 1)
        return -EBADMSG;
    int64_t seq = json_integer(json_get(root, "seq"), -1);
    const char *hash = json_string(json_get(root, "hash"), NULL);
    const char *file = json_string(json_get(root, "file"), NULL);
    if (seq < 0 || !hash || strlen(hash) != RECORD_HASH_SIZE - 1)
        return -EBADMSG;
    ret->seq = (uint64_t)seq;
    memcpy(ret->hash, hash, RECORD_HASH_SIZE);
    if (file && strlen(file) < sizeof(ret->file))
        memcpy(ret->file, file, strlen(file) + 1);
    return 0;
}

int head_read(const char *path, struct record_hasher *h, struct head *ret, struct err *err)
{
    _cleanup_buf_ struct buf in = BUF_INIT(HEAD_BYTES_MAX);
    *ret = (struct head){0};
    int r = fd_read_file(path, HEAD_BYTES_MAX, &in, err);
    if (r < 0)
        return r == -EMSGSIZE ? -EBADMSG : r;
    r = parse(&in, h, ret);
    if (r < 0)
        return err_set(err, r, "the head file '%s' is damaged, or was written by somebody else%s",
                       path, record_hasher_keyed(h) ? " or with another key" : "");
    return 0;
}
