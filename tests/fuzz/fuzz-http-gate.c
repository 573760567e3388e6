/* SPDX-License-Identifier: MIT */
/* The gate and the router over one head. Besides crashes this looks for what must never be: a
 * verdict that depends on how bytes arrive, and a head that passed although a plain look finds what
 * the gate is there to refuse. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/gate.h"
#include "http/router.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x))                                                                                  \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scan_in_steps(const char *p, size_t n, size_t step, size_t *ret_len)
{
    struct gate_scan s = {0};
    int r = -EAGAIN;
    for (size_t have = 0; r == -EAGAIN && have < n;) {
        have = n - have < step ? n : have + step;
        r = gate_scan(&s, p, have, ret_len, NULL);
    }
    return r;
}

static void passed(const char *p, size_t len, const struct gate_head *head)
{
    CHECK(head->len == len && len <= GATE_HEAD_MAX && len >= 4);
    CHECK(memcmp(p + len - 4, "\r\n\r\n", 4) == 0);
    CHECK(head->oversize == (head->content_length > GATE_BODY_MAX));
    const char *line_end = memchr(p, '\r', len), *target = memchr(p, ' ', len);
    CHECK(line_end && target && target < line_end && target[1] == '/');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        CHECK(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
        CHECK(c != '\n' || (i > 0 && p[i - 1] == '\r'));
        CHECK(c != '\r' || p[i + 1] == '\n');
    }
}

static void route(const char *p, size_t len)
{
    static const struct route routes[] = {{"GET", "/api/queue", 1, NULL},
                                          {"GET", "/api/queue/{}", 1, NULL},
                                          {"POST", "/api/queue/{}/approve", 2, NULL}};
    char method[GATE_METHOD_MAX + 1] = "", *path = strndup(p, len);
    CHECK(path);
    const char *target = strchr(p, ' ') + 1;
    memcpy(method, p, (size_t)(target - 1 - p));
    size_t n = strcspn(target, "? ");
    memcpy(path, target, n);
    path[n] = '\0';
    struct router_match m;
    router_match(routes, 3, method, path, &m);
    CHECK(strlen(m.param) <= ROUTER_PARAM_MAX && !strchr(m.param, '/'));
    CHECK(!m.route || m.allow[0]);
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size + 1); /* of its exact size, so that a look behind it is seen */
    CHECK(p);
    memcpy(p, data, size);
    p[size] = '\0';
    size_t len = 0, len_steps = 0;
    int r = scan_in_steps(p, size, size ? size : 1, &len);
    for (size_t step = 1; step <= 7; step += 3) {
        CHECK(scan_in_steps(p, size, step, &len_steps) == r);
        CHECK(r != 0 || len_steps == len);
    }
    struct gate_head head;
    if (r == 0 && gate_parse(p, len, &head, NULL) == 0) {
        passed(p, len, &head);
        route(p, len);
    }
    free(p);
    return 0;
}
