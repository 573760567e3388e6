/* SPDX-License-Identifier: MIT */
#include "warden/sdnotify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"

#define NS_PER_US (CLOCK_NS_PER_MS / 1000)

/* A path, or a name in the abstract namespace behind '@'. systemd also knows vsock addresses, for
 * virtual machines: nobody of ours. */
static int parse_address(const char *s, struct sockaddr_un *ret, socklen_t *ret_len)
{
    size_t n = strlen(s);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((s[0] != '/' && s[0] != '@') || n < 2 || n >= sizeof(ret->sun_path))
        return -EINVAL;
    memcpy(ret->sun_path, s, n);
    if (s[0] == '@')
        ret->sun_path[0] = '\0';
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (s[0] == '/'));
    return 0;
}

static uint64_t read_watchdog(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t v = 0, whose = 0;
    if (!us || str_parse_u64(us, UINT64_MAX / NS_PER_US, &v) < 0)
        return 0;
    if (pid && (str_parse_u64(pid, INT32_MAX, &whose) < 0 || whose != (uint64_t)getpid()))
        return 0; /* inherited from somebody else's service */
    return v * NS_PER_US;
}

void sdnotify_init(struct sdnotify *n)
{
    const char *address = getenv("NOTIFY_SOCKET");
    *n = (struct sdnotify){.fd = -1};
    if (address && parse_address(address, &n->to, &n->to_len) < 0)
        log_warn(NULL,
                 "NOTIFY_SOCKET is no address of a unix socket: the service manager is not told");
    else if (address) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        n->watchdog = n->fd < 0 ? 0 : read_watchdog();
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

void sdnotify_done(struct sdnotify *n)
{
    if (n->fd >= 0)
        close(TAKE_FD(n->fd));
}

static void tell(const struct sdnotify *n, const char *text)
{
    if (n->fd >= 0)
        (void)sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->to,
                     n->to_len);
}

void sdnotify_ready(const struct sdnotify *n, const char *status)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
    tell(n, text);
}

void sdnotify_reloading(const struct sdnotify *n)
{
    char text[96]; /* systemd 253 wants the time, so that it knows the answer from an older one */
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   clock_monotonic() / NS_PER_US);
    tell(n, text);
}

void sdnotify_stopping(const struct sdnotify *n)
{
    tell(n, "STOPPING=1");
}

void sdnotify_alive(const struct sdnotify *n)
{
    tell(n, "WATCHDOG=1");
}
