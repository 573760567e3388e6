/* SPDX-License-Identifier: MIT */
/* The pages and what they are made of: the same for everybody, so no login is needed; all that is
 * said comes through the API. Nothing inline, nothing from elsewhere, no frames. */
#include "api/webfiles.h"

#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/mem.h"
#include "base/str.h"

#define WEBFILES_POLICY                                                                            \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "        \
    "'self'; manifest-src 'self'; "                                                                \
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

static const char *webfiles_type(const char *name)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".webmanifest", "application/manifest+json"},
        {".html", "text/html; charset=utf-8"},
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_ends(name, types[i].end))
            return types[i].type;
    return "application/octet-stream";
}

static const struct webfiles_file *webfiles_find(const char *name)
{
    for (const struct webfiles_file *f = webfiles_file; f->name; f++)
        if (str_eq(f->name, name))
            return f;
    return NULL;
}

/* Browsers ask each time and mostly get 304: after an upgrade no old module meets a new one. */
static void webfiles_send(struct exchange *x, const char *name)
{
    const struct webfiles_file *f = webfiles_find(name);
    if (!f) {
        call_error(x, 404, "not_found", NULL, "there is nothing at this path");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(f->len + 1);
    (void)buf_append(&b, f->text, f->len);
    exchange_add_header(x, "Content-Security-Policy", WEBFILES_POLICY);
    exchange_add_header(x, "Cache-Control", "no-cache");
    exchange_reply(x, 200, webfiles_type(name), &b);
}

void webfiles_login(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, "login.html");
}

void webfiles_dashboard(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, "index.html");
}

/* Pages have paths of their own. */
void webfiles_asset(void *arg, struct exchange *x, const char *param)
{
    webfiles_send(x, str_ends(param, ".html") ? "" : param);
}
