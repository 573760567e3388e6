/* SPDX-License-Identifier: MIT */
/* Grammar of RFC 9112 and RFC 3986 in the narrow reading: origin-form targets only, each of the
 * headers that frame or address a request at most once, no transfer coding. */
#include "http/gate.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

/* A piece of the head, borrowed. */
struct slice {
    const char *p;
    size_t n;
};

/* ---- the scan ---- */

static bool is_forbidden(unsigned char c)
{
    return (c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f;
}

static int gate_scan_byte(struct gate_scan *s, unsigned char c, struct err *err)
{
    if (is_forbidden(c))
        return err_set(err, -EBADMSG, "control byte 0x%02x at byte %zu of the head", c, s->seen);
    if (s->last == '\r' && c != '\n')
        return err_set(err, -EBADMSG, "a carriage return without its line feed");
    if (c == '\n' && s->last != '\r')
        return err_set(err, -EBADMSG, "a line feed without its carriage return");
    if ((c == ' ' || c == '\t') && s->seen == s->line_start)
        return err_set(err, -EBADMSG,
                       "a line that begins with a blank (folded headers are obsolete)");
    return 0;
}

int gate_scan(struct gate_scan *s, const char *p, size_t n, size_t *ret_len, struct err *err)
{
    for (; s->seen < n; s->seen++) {
        if (s->seen >= GATE_HEAD_MAX)
            return err_set(err, -EMSGSIZE, "the head is longer than %u bytes", GATE_HEAD_MAX);
        unsigned char c = (unsigned char)p[s->seen];
        int r = gate_scan_byte(s, c, err);
        if (r < 0)
            return r;
        s->last = c;
        if (c != '\n')
            continue;
        bool empty = s->seen == s->line_start + 1;
        if (empty && s->lines == 0)
            return err_set(err, -EBADMSG, "an empty line where a request line belongs");
        if (empty) {
            *ret_len = ++s->seen;
            return 0;
        }
        if (++s->lines > GATE_HEADERS_MAX + 1)
            return err_set(err, -EMSGSIZE, "more than %d headers", GATE_HEADERS_MAX);
        s->line_start = s->seen + 1;
    }
    return -EAGAIN;
}

/* ---- characters ---- */

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_token_char(unsigned char c) /* RFC 9110, 5.6.2 */
{
    return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_path_char(unsigned char c) /* pchar and '/' */
{
    return is_alnum(c) || (c && strchr("-._~!$&'()*+,;=:@/", c));
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at `i` stands for, or -1. */
static int percent_byte(struct slice s, size_t i)
{
    if (i + 2 >= s.n)
        return -1;
    int high = hex_digit((unsigned char)s.p[i + 1]), low = hex_digit((unsigned char)s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* ---- the request line ---- */

/* Takes what stands before the next `end` and steps over it; false when there is none. */
static bool slice_cut(struct slice *from, char end, struct slice *ret)
{
    const char *at = from->n ? memchr(from->p, end, from->n) : NULL;
    if (!at)
        return false;
    *ret = (struct slice){from->p, (size_t)(at - from->p)};
    from->n -= ret->n + 1;
    from->p = at + 1;
    return true;
}

/* True for "." and "..", encoded or not. */
static bool is_dots(struct slice segment)
{
    size_t dots = 0;
    for (size_t i = 0; i < segment.n; dots++) {
        if (segment.p[i] == '.')
            i++;
        else if (segment.p[i] == '%' && percent_byte(segment, i) == '.')
            i += 3;
        else
            return false;
    }
    return dots == 1 || dots == 2;
}

static int gate_path(struct slice path, struct err *err)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c != '%') {
            if (!is_path_char(c))
                return err_set(err, -EBADMSG, "byte 0x%02x in the path must be encoded", c);
            continue;
        }
        int byte = percent_byte(path, i);
        if (byte < 0)
            return err_set(err, -EBADMSG, "a '%%' in the path without two hex digits");
        if (byte < 0x20 || byte == 0x7f || byte == '/' || byte == '\\')
            return err_set(err, -EBADMSG, "%%%02X in the path", byte);
        i += 2;
    }
    struct slice rest = path, segment;
    while (slice_cut(&rest, '/', &segment))
        if (is_dots(segment))
            return err_set(err, -EBADMSG, "a '.' or '..' in the path");
    return is_dots(rest) ? err_set(err, -EBADMSG, "a '.' or '..' in the path") : 0;
}

static size_t count(struct slice s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

static int gate_query(struct slice query, struct err *err)
{
    if (count(query, '&') >= GATE_PARAMETERS_MAX)
        return err_set(err, -EBADMSG, "more than %d parameters", GATE_PARAMETERS_MAX);
    for (size_t i = 0; i < query.n; i++) {
        unsigned char c = (unsigned char)query.p[i];
        if (c != '%') {
            if (!is_path_char(c) && c != '?' && c != '[' && c != ']')
                return err_set(err, -EBADMSG, "byte 0x%02x in the query must be encoded", c);
            continue;
        }
        int byte = percent_byte(query, i);
        if (byte < 0)
            return err_set(err, -EBADMSG, "a '%%' in the query without two hex digits");
        if (byte == 0)
            return err_set(err, -EBADMSG, "%%00 in the query");
        i += 2;
    }
    return 0;
}

static int gate_target(struct slice target, struct err *err)
{
    if (target.n == 0 || target.p[0] != '/')
        return err_set(err, -EBADMSG, "the target must be a path that begins with '/'");
    struct slice path;
    struct slice query = target;
    if (!slice_cut(&query, '?', &path)) {
        path = target;
        query = (struct slice){NULL, 0};
    }
    int r = gate_path(path, err);
    return r < 0 ? r : gate_query(query, err);
}

static int gate_request_line(struct slice line, bool *ret_1_1, struct err *err)
{
    struct slice method, target;
    if (!slice_cut(&line, ' ', &method) || !slice_cut(&line, ' ', &target))
        return err_set(err, -EBADMSG, "the request line is not 'METHOD TARGET VERSION'");
    if (!is_token(method) || method.n > GATE_METHOD_MAX)
        return err_set(err, -EBADMSG, "the method is no token of 1 to %d characters",
                       GATE_METHOD_MAX);
    *ret_1_1 = line.n == 8 && memcmp(line.p, "HTTP/1.1", 8) == 0;
    if (!*ret_1_1 && (line.n != 8 || memcmp(line.p, "HTTP/1.0", 8) != 0))
        return err_set(err, -EBADMSG, "the version is neither HTTP/1.1 nor HTTP/1.0");
    return gate_target(target, err);
}

/* ---- headers ---- */

/* Headers whose second line would be read differently by different readers. */
enum single {
    SINGLE_HOST,
    SINGLE_LENGTH,
    SINGLE_ENCODING,
    SINGLE_EXPECT,
    SINGLE_AUTHORIZATION,
    SINGLE_TYPE,
    SINGLE_ORIGIN,
    SINGLE_UPGRADE,
    SINGLE_COOKIE,
    SINGLE_COUNT_,
};
static const char *const single_names[SINGLE_COUNT_] = {
    [SINGLE_HOST] = "Host",
    [SINGLE_LENGTH] = "Content-Length",
    [SINGLE_ENCODING] = "Transfer-Encoding",
    [SINGLE_EXPECT] = "Expect",
    [SINGLE_AUTHORIZATION] = "Authorization",
    [SINGLE_TYPE] = "Content-Type",
    [SINGLE_ORIGIN] = "Origin",
    [SINGLE_UPGRADE] = "Upgrade",
    [SINGLE_COOKIE] = "Cookie",
};

struct headers {
    bool has[SINGLE_COUNT_];
    struct slice value[SINGLE_COUNT_];
};

static struct slice trim(struct slice s)
{
    for (; s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'); s.n--)
        s.p++;
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static int gate_header(struct headers *h, struct slice line, struct err *err)
{
    struct slice name;
    if (!slice_cut(&line, ':', &name))
        return err_set(err, -EBADMSG, "a header without a colon");
    if (!is_token(name))
        return err_set(err, -EBADMSG, "a header whose name is no token");
    for (size_t i = 0; i < SINGLE_COUNT_; i++) {
        if (strlen(single_names[i]) != name.n || strncasecmp(single_names[i], name.p, name.n) != 0)
            continue;
        if (h->has[i])
            return err_set(err, -EBADMSG, "more than one %s", single_names[i]);
        h->has[i] = true;
        h->value[i] = trim(line);
    }
    return 0;
}

static int gate_host(const struct headers *h, bool is_1_1, struct err *err)
{
    if (!h->has[SINGLE_HOST])
        return is_1_1 ? err_set(err, -EBADMSG, "HTTP/1.1 without Host") : 0;
    struct slice host = h->value[SINGLE_HOST];
    for (size_t i = 0; i < host.n; i++)
        if (!is_alnum((unsigned char)host.p[i]) && !strchr("-._~[]:", host.p[i]))
            return err_set(err, -EBADMSG, "Host is not NAME or NAME:PORT");
    return host.n > 0 && host.n <= 255 ? 0 : err_set(err, -EBADMSG, "Host is empty or too long");
}

static int gate_cookie(const struct headers *h, struct err *err)
{
    struct slice cookie = h->value[SINGLE_COOKIE];
    if (cookie.n > GATE_COOKIE_BYTES_MAX)
        return err_set(err, -EBADMSG, "Cookie is longer than %d bytes", GATE_COOKIE_BYTES_MAX);
    if (count(cookie, ';') + count(cookie, ',') >= GATE_COOKIES_MAX)
        return err_set(err, -EBADMSG, "more than %d cookies", GATE_COOKIES_MAX);
    return 0;
}

static int gate_length(struct slice value, struct gate_head *ret, struct err *err)
{
    if (value.n == 0 || value.n > 18) /* 18 digits always fit */
        return err_set(err, -EBADMSG, "Content-Length is no plain number");
    uint64_t v = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return err_set(err, -EBADMSG, "Content-Length is no plain number");
        v = v * 10 + (uint64_t)(value.p[i] - '0');
    }
    ret->content_length = v;
    ret->oversize = v > GATE_BODY_MAX;
    return 0;
}

static int gate_framing(const struct headers *h, struct gate_head *ret, struct err *err)
{
    if (h->has[SINGLE_ENCODING] && h->has[SINGLE_LENGTH])
        return err_set(err, -EBADMSG, "both Content-Length and Transfer-Encoding");
    if (h->has[SINGLE_ENCODING]) {
        ret->status = 411;
        return err_set(err, -EBADMSG, "no transfer encoding is taken; send a Content-Length");
    }
    if (h->has[SINGLE_EXPECT]) {
        ret->status = 417;
        return err_set(err, -EBADMSG, "no expectation is met; send the body at once");
    }
    return h->has[SINGLE_LENGTH] ? gate_length(h->value[SINGLE_LENGTH], ret, err) : 0;
}

static bool take_line(struct slice *from, struct slice *ret)
{
    if (!slice_cut(from, '\n', ret) || ret->n == 0 || ret->p[ret->n - 1] != '\r')
        return false;
    ret->n--;
    return true;
}

static int gate_lines(struct slice rest, struct gate_head *ret, struct err *err)
{
    struct headers h = {0};
    struct slice line;
    bool is_1_1 = false;
    if (!take_line(&rest, &line))
        return err_set(err, -EBADMSG, "no request line");
    int r = gate_request_line(line, &is_1_1, err);
    while (r == 0 && take_line(&rest, &line) && line.n > 0)
        r = gate_header(&h, line, err);
    if (r == 0)
        r = gate_host(&h, is_1_1, err);
    if (r == 0)
        r = gate_cookie(&h, err);
    return r < 0 ? r : gate_framing(&h, ret, err);
}

int gate_parse(const char *p, size_t n, struct gate_head *ret, struct err *err)
{
    struct gate_scan s = {0};
    *ret = (struct gate_head){.len = n, .status = 400};
    int r = gate_scan(&s, p, n, &ret->len, err); /* a caller that did not scan is no hole */
    if (r == 0 && ret->len != n)
        r = err_set(err, -EBADMSG, "bytes behind the head");
    if (r == 0)
        r = gate_lines((struct slice){p, n}, ret, err);
    return r == 0 ? 0 : -EBADMSG;
}
