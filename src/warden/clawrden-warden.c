/* SPDX-License-Identifier: MIT */
/* The daemon's main: options in, a warden that runs, an exit status out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "warden/config.h"
#include "warden/daemon.h"
#include "warden/footing.h"

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

static int complain(int result, const struct err *err)
{
    log_error(NULL, "clawrden-warden: %s", err->text);
    return result == -EINVAL || result == -ENOENT ? EXIT_CONFIG : EXIT_FAILURE;
}

static void setup_log(const struct config *c)
{
    enum log_level level = LOG_LEVEL_INFO;
    (void)log_level_parse(c->log_level, &level); /* one of its choices */
    log_setup(level, str_eq(c->log_format, "json"));
}

static int serve(const struct config *c, unsigned long fds_max)
{
    _cleanup_(daemon_freep) struct daemon *d = NULL;
    struct err err;
    int r = daemon_open(c, fds_max, &d, &err);
    if (r < 0)
        return complain(r, &err);
    daemon_run(d);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct config c;
    struct err err;
    enum config_result result;
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    unsigned long fds_max = footing_prepare();
    int r = config_load(argc, argv, environ, &c, &result, &out, &err);
    if (r < 0) {
        config_done(&c);
        return complain(-EINVAL, &err);
    }
    if (result == CONFIG_SAID_ALL)
        return fd_write_all(STDOUT_FILENO, buf_str(&out), out.len) < 0 ? EXIT_FAILURE
                                                                       : EXIT_SUCCESS;
    setup_log(&c);
    r = serve(&c, fds_max);
    config_done(&c);
    return r;
}
