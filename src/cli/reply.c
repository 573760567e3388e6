/* SPDX-License-Identifier: MIT */
/* A person's answer to one waiting request. */
#include "cli/reply.h"

#include <string.h>

#include "http/client.h"

#define REPLY_BODY_MAX (64u << 10)

int reply_send(struct cli *c, const struct json *request, enum reply_kind kind, const char *comment,
               bool remember, struct remote_answer *ret)
{
    const char *id = json_string(json_get(request, "id"), NULL);
    const char *digest = json_string(json_get(request, "digest"), NULL);
    if (!id || !digest) /* without it the answer would not be bound to what was shown */
        return cli_fail(CLI_UNREACHABLE, "the warden's answer has no id or no digest");
    _cleanup_buf_ struct buf path = BUF_INIT(4096), body = BUF_INIT(REPLY_BODY_MAX);
    (void)buf_append_str(&path, "/api/queue/");
    (void)client_encode(&path, id, strlen(id));
    (void)buf_append_str(&path, kind == REPLY_APPROVE ? "/approve" : "/deny");
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    json_field_string(&w, "digest", digest);
    if (comment)
        json_field_string(&w, "comment", comment);
    if (remember)
        json_field_bool(&w, "remember", true);
    json_field_string(&w, "channel", "cli");
    json_object_end(&w);
    if (body.failed || path.failed)
        return cli_fail(CLI_USAGE, "the comment is too long");
    return remote_call(c, "POST", buf_str(&path), &body, ret);
}
