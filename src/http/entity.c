/* SPDX-License-Identifier: MIT */
#include "http/entity.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/str.h"

#define GZIP_WINDOW (15 + 16) /* the largest, with gzip's head and sum */

void entity_tag(const char *p, size_t n, char out[ENTITY_TAG_SIZE])
{
    unsigned char hash[32];
    char hex[33];
    out[0] = '\0';
    if (EVP_Digest(p, n, hash, NULL, EVP_sha256(), NULL) != 1)
        return;
    str_hex(hash, 16, hex);
    (void)snprintf(out, ENTITY_TAG_SIZE, "W/\"%s\"", hex);
}

bool entity_matches(const char *if_none_match, const char *tag)
{
    if (!if_none_match || !tag[0])
        return false;
    /* Compared weakly: without W/, the quotes included. */
    return str_eq(if_none_match, "*") || strstr(if_none_match, tag + 2) != NULL;
}

/* "gzip", "gzip;q=0.5", "*"; not "gzip;q=0". */
bool entity_takes_gzip(const char *accept_encoding)
{
    for (const char *s = accept_encoding; s && *s;) {
        s += strspn(s, " \t,");
        size_t n = strcspn(s, ","), name = strcspn(s, " \t,;");
        if (name == 4 && strncasecmp(s, "gzip", 4) == 0) {
            const char *q = memchr(s, ';', n);
            q = q ? q + 1 + strspn(q + 1, " \t") : NULL;
            return !q || strncasecmp(q, "q=0", 3) != 0 || q[3 + strspn(q + 3, ".0")] > '0';
        }
        s += n;
    }
    return false;
}

int entity_gzip(const char *p, size_t n, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(void *)p, .avail_in = (uInt)n};
    if (n < ENTITY_GZIP_MIN || n > ENTITY_GZIP_MAX)
        return -EMSGSIZE;
    if (deflateInit2(&z, 1, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    char *room = buf_reserve(out, n);
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)n;
    int r = room && deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -EMSGSIZE;
    if (r == 0)
        out->len += n - z.avail_out;
    (void)deflateEnd(&z);
    return r;
}
