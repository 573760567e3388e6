/* SPDX-License-Identifier: MIT */
/* Only glue: what an answer means is decided in api/, who is calling in door/peer. */
#include "warden/apiside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

struct apiside {
    struct apiside_parts parts;
    struct api *api;
    char *url; /* owned */
};

static bool is_outside(void *arg, int fd)
{
    struct apiside *a = arg;
    struct err err;
    if (peer_is_outside(fd, &a->parts.fence, &err) == 0)
        return true;
    log_warn(NULL, "api: no login by peer credentials: %s", err.text);
    return false;
}

static int reload_policy(void *arg, const char *who, struct err *err)
{
    struct apiside *a = arg;
    return reload_now(a->parts.reload, who, err);
}

static int print_url(const struct apiside *a, struct err *err)
{
    _cleanup_free_ char *line = mem_printf("api %s\n", a->url);
    int r = fd_write_all(STDOUT_FILENO, line, strlen(line));
    return r < 0 ? err_errno(err, r, "cannot print the API's address") : 0;
}

static int start(struct apiside *a, const char *token, const char *socket_path, struct err *err)
{
    const struct config *c = a->parts.config;
    struct api_deps deps = {.warden = a->parts.warden,
                            .clock = a->parts.clock,
                            .arg = a,
                            .peer_is_outside = is_outside,
                            .reload_policy = reload_policy};
    struct api_config x;
    api_config_default(&x);
    x.socket_path = socket_path;
    x.address = str_eq(c->api, "none") ? NULL : c->api;
    x.token = token;
    int r = api_start(a->parts.loop, &deps, &x, &a->api, &a->url, err);
    return r < 0 || !a->url ? r : print_url(a, err);
}

int apiside_open(const struct apiside_parts *p, struct apiside **ret, struct err *err)
{
    _cleanup_free_ char *token_path = path_join(p->config->state, "token");
    _cleanup_free_ char *socket_path = path_join(p->config->state, "api.sock");
    char token[AUTH_TOKEN_SIZE];
    struct apiside *a = mem_new(struct apiside);
    a->parts = *p;
    int r = auth_token_load_or_make(token_path, token, err);
    if (r == 0)
        r = start(a, token, socket_path, err);
    explicit_bzero(token, sizeof(token));
    if (r < 0) {
        if (a->api)
            apiside_close(a);
        apiside_free(a);
        return err_prefix(err, r, "api");
    }
    *ret = a;
    return 0;
}

void apiside_close(struct apiside *a)
{
    api_stop(a->api, NULL, NULL);
    a->api = NULL;
}

struct apiside *apiside_free(struct apiside *a)
{
    if (!a)
        return NULL;
    free(a->url);
    free(a);
    return NULL;
}

const char *apiside_url(const struct apiside *a)
{
    return a->url;
}
