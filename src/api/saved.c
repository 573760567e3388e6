/* SPDX-License-Identifier: MIT */
#include "api/saved.h"

#include "api/accounts.h"
#include "base/log.h"
#include "base/mem.h"

bool saved_record(struct call *c, struct access_change change)
{
    struct err err = {""};
    change.by = c->who;
    change.address = exchange_peer(c->x)->address;
    change.request_id = exchange_id(c->x);
    if (access_change(c->api->deps.warden, &change, &err) == 0)
        return true;
    call_error(c->x, 503, "unavailable", NULL, "%s", err.text);
    return false;
}

struct saved {
    struct api *api;
    struct exchange *x; /* a reference */
    struct buf body;
};

static void saved_done(void *arg, int result, const char *words)
{
    struct saved *s = arg;
    if (result < 0) {
        log_error(NULL, "api: tokens and users could not be saved: %s", words);
        call_error(s->x, 500, "not_saved", NULL,
                   "the change holds only until the warden ends; it could not be saved: %s", words);
    } else {
        call_json(s->x, &s->body);
    }
    (void)exchange_unref(s->x);
    buf_done(&s->body);
    struct api *api = s->api;
    free(s);
    api_release(api);
}

void saved_reply(struct call *c, struct buf *body)
{
    struct saved *s = mem_new(struct saved);
    *s = (struct saved){.api = c->api, .x = exchange_ref(c->x), .body = *body};
    *body = BUF_INIT(body->limit);
    api_hold(c->api);
    accounts_save(c->api->accounts, saved_done, s);
}
