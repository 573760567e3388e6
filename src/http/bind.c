/* SPDX-License-Identifier: MIT */
#include "http/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define BIND_BACKLOG 128

/* ---- unix ---- */

/* Removes a socket that a dead program left. 0: the way is free. */
static int bind_clear(const char *path, const struct sockaddr_un *sun, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, -errno, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "%s is there and is no socket", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, -errno, "no socket");
    if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN)
        return err_set(err, -EADDRINUSE, "another program answers at %s", path);
    if (errno != ECONNREFUSED)
        return err_errno(err, -errno, "cannot tell who listens at %s", path);
    return unlink(path) < 0 ? err_errno(err, -errno, "cannot remove the old %s", path) : 0;
}

int bind_unix(const char *path, struct err *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof(sun.sun_path))
        return err_set(err, -ENAMETOOLONG, "%s is longer than a socket's path may be (%zu)", path,
                       sizeof(sun.sun_path) - 1);
    memcpy(sun.sun_path, path, n + 1);
    int r = bind_clear(path, &sun, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode of the socket's inode becomes the mode of the name: at no moment is it wider. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
        listen(fd, BIND_BACKLOG) < 0)
        return err_errno(err, -errno, "cannot listen at %s", path);
    return TAKE_FD(fd);
}

/* ---- TCP ---- */

int bind_is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int bind_resolve(const char *address, struct addrinfo **ret, struct err *err)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    uint64_t port;
    if (n == 0 || str_parse_u64(colon + 1, 65535, &port) < 0)
        return err_set(err, -EINVAL, "'%s' is no HOST:PORT", address);
    bool is_v6 = address[0] == '[' && address[n - 1] == ']';
    _cleanup_free_ char *host = is_v6 ? mem_strndup(address + 1, n - 2) : mem_strndup(address, n);
    const struct addrinfo hints = {.ai_family = is_v6 ? AF_INET6 : AF_INET,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    const char *numeric = str_eq(host, "localhost") ? "127.0.0.1" : host;
    int r = getaddrinfo(numeric, colon + 1, &hints, ret);
    if (r == 0 && *ret)
        return 0;
    return err_set(err, -EINVAL, "'%s' is no address: %s; give it as numbers", address,
                   gai_strerror(r));
}

static char *bind_url(int fd, bool tls)
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    char host[64] = "", port[16] = "";
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
        getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return mem_strdup(tls ? "https://?:0" : "http://?:0");
    bool is_v6 = ss.ss_family == AF_INET6;
    return mem_printf("http%s://%s%s%s:%s", tls ? "s" : "", is_v6 ? "[" : "", host,
                      is_v6 ? "]" : "", port);
}

int bind_tcp(const char *address, bool tls, bool anywhere, char **ret_url, struct err *err)
{
    struct addrinfo *ai = NULL;
    int r = bind_resolve(address, &ai, err);
    if (r < 0 || !ai)
        return r < 0 ? r : -EINVAL;
    struct sockaddr_storage ss = {0};
    socklen_t len = ai->ai_addrlen;
    memcpy(&ss, ai->ai_addr, len);
    freeaddrinfo(ai);
    if (!tls && !anywhere && !bind_is_loopback((struct sockaddr *)&ss))
        return err_set(err, -EPERM,
                       "%s can be reached by others and there is no TLS; give --api-cert and "
                       "--api-key, or bind 127.0.0.1 or [::1] (a tunnel or a TLS proxy on this "
                       "host can carry it further)",
                       address);
    _cleanup_close_ int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BIND_BACKLOG) < 0)
        return err_errno(err, -errno, "cannot listen at %s", address);
    *ret_url = bind_url(fd, tls);
    return TAKE_FD(fd);
}
