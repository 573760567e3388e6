/* SPDX-License-Identifier: MIT */
#include "cli/listing.h"

#include <stdio.h>

#include "cli/remote.h"
#include "cli/show.h"

int listing_show(struct cli *c, const struct listing *l)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    int r = remote_get_list(c, l->path, l->member, &answer, &list);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_lines(list);
        return CLI_OK;
    }
    if (l->empty && json_count(list) == 0) {
        printf("%s\n", l->empty);
        return CLI_OK;
    }
    _cleanup_(table_freep) struct table *t = table_new(l->titles);
    for (size_t i = 0; i < json_count(list); i++)
        l->add(t, json_at(list, i));
    table_print(t, stdout, table_terminal_width());
    return CLI_OK;
}
