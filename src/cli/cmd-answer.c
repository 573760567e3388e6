/* SPDX-License-Identifier: MIT */
/* clawrden approve | deny: shows what is answered, then answers exactly that. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/reply.h"
#include "cli/request-text.h"
#include "cli/show.h"

static int answer_one(struct cli *c, const char *typed, enum reply_kind kind, const char *comment,
                      bool remember, bool whole)
{
    _cleanup_remote_ struct remote_answer request = REMOTE_ANSWER_INIT, answer = REMOTE_ANSWER_INIT;
    int r = request_text_fetch(c, typed, &request);
    if (r != CLI_OK)
        return r;
    if (whole) {
        request_text_print(request.root, stdout);
        (void)fflush(stdout);
    }
    r = reply_send(c, request.root, kind, comment, remember, &answer);
    if (r != CLI_OK)
        return r;
    _cleanup_free_ char *id = show_text(request.root, "id"), *command = show_command(request.root);
    if (answer.status / 100 != 2) {
        (void)remote_refused(&answer);
        (void)fprintf(stderr, "          %s: %s\n", id, command);
        return CLI_REFUSED;
    }
    if (c->json)
        show_json_line(answer.root);
    else
        printf("%s %s: %s\n", kind == REPLY_APPROVE ? "approved" : "denied", id, command);
    return CLI_OK;
}

/* Goes on after a refusal, so that one stale id does not hold up the others. */
static int answer_all(struct cli *c, const struct args *a, enum reply_kind kind)
{
    bool whole = a->count == 1 && !c->json && isatty(STDOUT_FILENO);
    int result = CLI_OK;
    for (size_t i = 0; i < a->count; i++) {
        int r = answer_one(c, a->words[i], kind, args_value(a, "comment"),
                           kind == REPLY_APPROVE && args_flag(a, "remember"), whole);
        if (r == CLI_UNREACHABLE || r == CLI_USAGE)
            return r;
        if (r != CLI_OK)
            result = r;
    }
    return result;
}

int cmd_approve(struct cli *c, const struct args *a)
{
    return answer_all(c, a, REPLY_APPROVE);
}

int cmd_deny(struct cli *c, const struct args *a)
{
    return answer_all(c, a, REPLY_DENY);
}
