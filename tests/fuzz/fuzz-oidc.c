/* SPDX-License-Identifier: MIT */
/* What a provider sends: a set of keys, a token, what the token says. Bytes that nobody signed are
 * no token, and only a name that fits comes out of a payload. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "oidc/idtoken.h"
#include "oidc/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key of RFC 7515, A.3, whose private half no input signs with. */
#define KEYS                                                                                       \
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","                                                \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                       \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void group(void *arg, const char *name)
{
    (void)arg;
    must(name != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct err err = {{0}};
    _cleanup_(jwks_freep) struct jwks *keys = NULL, *given = NULL;
    _cleanup_buf_ struct buf payload = BUF_INIT(JWS_MAX);
    must(jwks_parse(KEYS, strlen(KEYS), &keys, &err) == 0);
    must(jws_verify(text, size, keys, &payload, &err) < 0 && payload.len == 0);
    if (jwks_parse(text, size, &given, &err) == 0)
        must(jwks_find(given, JWKS_RS256, "no such") == NULL);
    else
        must(!given && err.text[0]);
    const struct idtoken_expect e = {.issuer = "https://login.example",
                                     .client_id = "clawrden",
                                     .nonce = "n",
                                     .now = 1700000000,
                                     .groups_claim = "groups",
                                     .group = group};
    char name[IDTOKEN_NAME_MAX + 1] = "";
    int r = idtoken_check(text, size, &e, name, &err);
    must(r < 0 || (name[0] && memchr(name, '\0', sizeof(name))));
    return 0;
}
