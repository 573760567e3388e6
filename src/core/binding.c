/* SPDX-License-Identifier: MIT */
/* What an answer is bound to. Every item is hashed with its length and whether it is there, so that
 * no two requests share a byte stream. */
#include "core/binding.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/str.h"

int binding_env(const struct request *r, struct binding_env *ret, struct err *err)
{
    *ret = (struct binding_env){.env = BUF_INIT(BINDING_ENV_MAX),
                                .passed = BUF_INIT(BINDING_ENV_MAX),
                                .dropped = BUF_INIT(BINDING_ENV_MAX)};
    if (!r->policy)
        return err_set(err, -EINVAL, "no policy has judged it");
    struct policy_request q;
    request_to_policy(r, &q);
    int (*build)(const struct policy *, const struct policy_decision *,
                 const struct policy_request *, struct buf *, size_t *, struct buf *,
                 struct buf *) =
        r->ask.door == DOOR_GATE ? policy_environment_in_place : policy_environment;
    int e = build(r->policy, &r->judged, &q, &ret->env, &ret->envc, &ret->passed, &ret->dropped);
    if (e < 0)
        return err_errno(err, e, "the environment that passes");
    return 0;
}

void binding_env_done(struct binding_env *e)
{
    buf_done(&e->env);
    buf_done(&e->passed);
    buf_done(&e->dropped);
}

/* A hash under way; `ok` stays false once a step failed. */
struct hash {
    EVP_MD_CTX *ctx;
    bool ok;
};

static void add(struct hash *h, const void *p, size_t n)
{
    if (n && EVP_DigestUpdate(h->ctx, p, n) != 1)
        h->ok = false;
}

static void add_number(struct hash *h, uint64_t v)
{
    uint8_t b[8];
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (uint8_t)(v >> (8 * i));
    add(h, b, sizeof(b));
}

static void add_bytes(struct hash *h, const char *p, size_t n)
{
    add_number(h, p != NULL);
    add_number(h, n);
    add(h, p, n);
}

static void add_string(struct hash *h, const char *s)
{
    add_bytes(h, s, s ? strlen(s) : 0);
}

static void add_ask(struct hash *h, const struct request *r)
{
    add_string(h, r->ask.name);
    add_number(h, r->ask.argc);
    for (size_t i = 0; i < r->ask.argc; i++)
        add_string(h, r->ask.argv[i]);
    add_number(h, r->ask.umask);
    add_number(h, r->peer.uid);
    add_number(h, r->peer.gid);
    add_string(h, r->peer.container);
}

static void add_facts(struct hash *h, const struct facts *f)
{
    const struct policy_program *p = &f->program;
    add_string(h, f->cwd);
    add_number(h, f->cwd_dev);
    add_number(h, f->cwd_ino);
    add_string(h, f->exec_path);
    add_number(h, p->trust);
    add_number(h, p->dev);
    add_number(h, p->ino);
    add_string(h, p->path);
    add_string(h, p->script);
    add_number(h, p->script_trust);
    add_string(h, p->interpreter);
    add_string(h, p->digest);
    add_number(h, f->paths_count);
    for (size_t i = 0; i < f->paths_count; i++) {
        add_number(h, f->paths[i].arg);
        add_string(h, f->paths[i].resolved);
    }
}

int binding_digest(const struct request *r, char ret[BINDING_DIGEST_SIZE], struct err *err)
{
    struct binding_env e;
    int result = binding_env(r, &e, err);
    struct hash h = {.ctx = EVP_MD_CTX_new()};
    h.ok = h.ctx && EVP_DigestInit_ex(h.ctx, EVP_sha256(), NULL) == 1;
    if (result == 0 && h.ok) {
        add_string(&h, "clawrden binding 1");
        add_string(&h, policy_digest(r->policy));
        add_ask(&h, r);
        add_facts(&h, &r->facts);
        add_number(&h, e.envc);
        add_bytes(&h, buf_str(&e.env), e.env.len);
    }
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (result == 0 && (!h.ok || EVP_DigestFinal_ex(h.ctx, md, &n) != 1 || n != 32))
        result = err_set(err, -EIO, "SHA-256 is not to be had");
    EVP_MD_CTX_free(h.ctx);
    binding_env_done(&e);
    if (result == 0)
        str_hex(md, n, ret);
    return result;
}
