/* SPDX-License-Identifier: MIT */
/* What a browser gets before it is logged in. Nothing inline, nothing from elsewhere, no frames. */
#include "api/webfiles.h"

#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/str.h"

#define WEBFILES_POLICY                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; "                                                                                     \
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static const char *webfiles_type(const char *name)
{
    if (str_ends(name, ".js"))
        return "text/javascript; charset=utf-8";
    return str_ends(name, ".css") ? "text/css; charset=utf-8" : "text/html; charset=utf-8";
}

static void webfiles_send(struct exchange *x, const char *name)
{
    for (const struct webfiles_file *f = webfiles_file; f->name; f++) {
        if (!str_eq(f->name, name))
            continue;
        _cleanup_buf_ struct buf b = BUF_INIT(f->len + 1);
        (void)buf_append(&b, f->text, f->len);
        exchange_add_header(x, "Content-Security-Policy", WEBFILES_POLICY);
        exchange_reply(x, 200, webfiles_type(name), &b);
        return;
    }
    call_error(x, 404, "not_found", NULL, "there is nothing at this path");
}

void webfiles_login(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, "login.html");
}

void webfiles_login_css(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, "login.css");
}

void webfiles_login_js(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, "login.js");
}
