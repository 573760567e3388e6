/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define FORWARDED_NETS_MAX 64

/* All as IPv6: an IPv4 address is one of ::ffff:0:0/96, however it was written. */
struct net {
    struct in6_addr address;
    unsigned bits;
};

struct forwarded {
    struct net nets[FORWARDED_NETS_MAX];
    size_t count;
};

static bool forwarded_parse(const char *s, size_t n, struct in6_addr *ret)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr in;
    if (n == 0 || n >= sizeof(text))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    if (strlen(text) != n)
        return false;
    if (inet_pton(AF_INET6, text, ret) == 1)
        return true;
    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    *ret = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(ret->s6_addr + 12, &in, sizeof(in));
    return true;
}

static void forwarded_format(const struct in6_addr *a, char out[FORWARDED_ADDRESS_SIZE])
{
    if (IN6_IS_ADDR_V4MAPPED(a))
        (void)inet_ntop(AF_INET, a->s6_addr + 12, out, FORWARDED_ADDRESS_SIZE);
    else
        (void)inet_ntop(AF_INET6, a, out, FORWARDED_ADDRESS_SIZE);
}

/* ---- the list ---- */

static int forwarded_add(struct forwarded *f, const char *s, size_t n, struct err *err)
{
    const char *slash = memchr(s, '/', n);
    size_t len = slash ? (size_t)(slash - s) : n;
    struct net *net = &f->nets[f->count];
    char bits_text[8];
    if (f->count == FORWARDED_NETS_MAX)
        return err_set(err, -EINVAL, "more than %d proxies", FORWARDED_NETS_MAX);
    if (!forwarded_parse(s, len, &net->address))
        return err_set(err, -EINVAL, "'%.*s' is no address and no network (10.0.0.0/8)",
                       (int)(n < 80 ? n : 80), s);
    unsigned max = memchr(s, ':', len) ? 128 : 32;
    uint64_t bits = max;
    (void)snprintf(bits_text, sizeof(bits_text), "%.*s", slash ? (int)(n - len - 1) : 0,
                   slash ? slash + 1 : "");
    if (slash && (n - len - 1 >= sizeof(bits_text) || str_parse_u64(bits_text, max, &bits) < 0))
        return err_set(err, -EINVAL, "'%.*s' has no prefix of 0 to %u bits", (int)(n < 80 ? n : 80),
                       s, max);
    net->bits = (unsigned)bits + (max == 32 ? 96 : 0);
    f->count++;
    return 0;
}

int forwarded_new(const char *list, struct forwarded **ret, struct err *err)
{
    _cleanup_(forwarded_freep) struct forwarded *f = mem_new(struct forwarded);
    *ret = NULL;
    for (size_t n; list && *list; list += n + (list[n] == ';')) {
        n = strcspn(list, ";");
        int r = n ? forwarded_add(f, list, n, err) : 0;
        if (r < 0)
            return r;
    }
    if (f->count)
        *ret = TAKE_PTR(f);
    return 0;
}

struct forwarded *forwarded_free(struct forwarded *f)
{
    free(f);
    return NULL;
}

/* ---- looking ---- */

static bool net_has(const struct net *n, const struct in6_addr *a)
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    if (memcmp(n->address.s6_addr, a->s6_addr, whole) != 0)
        return false;
    return !rest || (n->address.s6_addr[whole] ^ a->s6_addr[whole]) >> (8 - rest) == 0;
}

static bool forwarded_has(const struct forwarded *f, const struct in6_addr *a)
{
    for (size_t i = 0; i < f->count; i++)
        if (net_has(&f->nets[i], a))
            return true;
    return false;
}

bool forwarded_trusts(const struct forwarded *f, const char *address)
{
    struct in6_addr a;
    return f && forwarded_parse(address, strlen(address), &a) && forwarded_has(f, &a);
}

/* One hop: "1.2.3.4", "1.2.3.4:5", "::1", "[::1]", "[::1]:5", with blanks around. */
static bool forwarded_hop(const char *s, size_t n, struct in6_addr *ret)
{
    while (n && (s[0] == ' ' || s[0] == '\t')) {
        s++;
        n--;
    }
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    const char *colon = memchr(s, ':', n), *port = NULL;
    size_t len = n;
    if (n && s[0] == '[') {
        const char *end = memchr(s, ']', n);
        if (!end)
            return false;
        len = (size_t)(end - s) - 1;
        port = end + 1;
        n -= (size_t)(port - s);
        s++;
    } else if (colon && !memchr(colon + 1, ':', n - (size_t)(colon + 1 - s))) {
        len = (size_t)(colon - s);
        port = colon;
        n -= len;
    } else {
        n = 0;
    }
    bool ok = n == 0 || (n <= 6 && port[0] == ':' && n > 1);
    for (size_t i = 1; ok && i < n; i++)
        ok = port[i] >= '0' && port[i] <= '9';
    return ok && forwarded_parse(s, len, ret);
}

void forwarded_client(const struct forwarded *f, const char *peer, const char *headers,
                      char out[FORWARDED_ADDRESS_SIZE])
{
    struct in6_addr hop;
    size_t n = strnlen(headers, FORWARDED_MAX + 1);
    (void)snprintf(out, FORWARDED_ADDRESS_SIZE, "%s", peer);
    if (n > FORWARDED_MAX)
        return;
    for (unsigned i = 0; n > 0 && i < FORWARDED_HOPS_MAX; i++) {
        size_t start = n;
        while (start > 0 && headers[start - 1] != ',')
            start--;
        if (!forwarded_hop(headers + start, n - start, &hop))
            return;
        forwarded_format(&hop, out);
        if (!forwarded_has(f, &hop))
            return;
        n = start ? start - 1 : 0;
    }
}
