/* SPDX-License-Identifier: MIT */
/* What stands inside of a request that the gate let through: the Authorization header, the path and
 * its parameter, percent-encoding. Only the right token is a login. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/auth.h"
#include "http/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKEN "clw_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void login(const char *header)
{
    struct auth_header h;
    char cookie[AUTH_TOKEN_SIZE];
    auth_header_read(header, &h);
    must(h.scheme != AUTH_SCHEME_NONE);
    bool right = strncasecmp(header, "Bearer ", 7) == 0 &&
                 str_eq(header + 7 + strspn(header + 7, " "), TOKEN);
    must(!right || (h.scheme == AUTH_SCHEME_BEARER && str_eq(h.token, TOKEN)));
    must(h.scheme != AUTH_SCHEME_BEARER || auth_token_valid(h.token, strlen(h.token)));
    must(h.scheme != AUTH_SCHEME_BASIC || (h.user[0] && strlen(h.password) <= AUTH_PASSWORD_MAX));
    auth_header_done(&h);
    must(!auth_cookie(header, "s", cookie) || auth_token_valid(cookie, AUTH_TOKEN_SIZE - 1));
}

static void path(const char *s)
{
    static const struct route routes[] = {{"GET", "/api/queue", 1, NULL},
                                          {"GET", "/api/queue/{}", 1, NULL},
                                          {"POST", "/api/queue/{}/approve", 2, NULL},
                                          {"GET", "/metrics", 0, NULL}};
    struct router_match m;
    router_match(routes, ARRAY_LEN(routes), "GET", s, &m);
    must(!m.route || m.allow[0] || str_eq(m.route->method, "GET"));
    must(strlen(m.param) <= ROUTER_PARAM_MAX);
    if (m.route && str_eq(m.route->path, "/metrics"))
        must(str_eq(s, "/metrics"));
}

static void decode(const char *s, size_t n)
{
    char out[64];
    long len = router_decode(s, n, 1, out, sizeof(out));
    must(len >= -1 && len < (long)sizeof(out));
    must(len < 0 || strlen(out) == (size_t)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *s = mem_strndup((const char *)data, size);
    login(s);
    path(s);
    decode((const char *)data, size);
    return 0;
}
