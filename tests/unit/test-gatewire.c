/* SPDX-License-Identifier: MIT */
/* The codec between the gate and the warden: what is written is read back, and nothing else is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/bytes.h"
#include "wire/gatewire.h"

static const char *const three[] = {"a", "", "\377x"};
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct pack_strings strings(void)
{
    return (struct pack_strings){.list = three, .count = 3};
}

static void assert_strings(const struct pack_strings *s)
{
    assert_int_equal(s->count, 3);
    assert_int_equal(s->size, 6);
    assert_memory_equal(s->packed, "a\0\0\377x", 6);
}

static struct gatewire_facts facts(void)
{
    return (struct gatewire_facts){.cwd = "/work",
                                   .cwd_dev = 1,
                                   .cwd_ino = 2,
                                   .trust = GATEWIRE_TRUSTED,
                                   .script_trust = GATEWIRE_UNKNOWN,
                                   .path = "/usr/bin/python3.11",
                                   .dev = 1ull << 40,
                                   .ino = 7,
                                   .why_unknown = "its script: the caller owns it",
                                   .names = strings(),
                                   .script = "/srv/a.py",
                                   .interpreter = "",
                                   .digest = DIGEST,
                                   .operands = strings()};
}

static void assert_facts(const struct gatewire_facts *f)
{
    assert_int_equal(f->error, 0);
    assert_string_equal(f->cwd, "/work");
    assert_int_equal(f->cwd_dev, 1);
    assert_int_equal(f->cwd_ino, 2);
    assert_int_equal(f->trust, GATEWIRE_TRUSTED);
    assert_int_equal(f->script_trust, GATEWIRE_UNKNOWN);
    assert_string_equal(f->path, "/usr/bin/python3.11");
    assert_int_equal(f->dev, 1ull << 40);
    assert_int_equal(f->ino, 7);
    assert_string_equal(f->why_unknown, "its script: the caller owns it");
    assert_strings(&f->names);
    assert_string_equal(f->script, "/srv/a.py");
    assert_string_equal(f->digest, DIGEST);
    assert_strings(&f->operands);
}

/* Every body that was cut short or has something behind it is refused. */
#define assert_exact(decode, type, body, n)                                                        \
    do {                                                                                           \
        type m_;                                                                                   \
        assert_int_equal(decode(body, n, &m_), 0);                                                 \
        for (size_t i_ = 0; i_ < n; i_++) {                                                        \
            uint8_t *cut_ = malloc(i_ + 1);                                                        \
            memcpy(cut_, body, i_);                                                                \
            assert_int_equal(decode(cut_, i_, &m_), -EBADMSG);                                     \
            free(cut_);                                                                            \
        }                                                                                          \
        uint8_t *more_ = malloc(n + 1);                                                            \
        memcpy(more_, body, n);                                                                    \
        more_[n] = 0;                                                                              \
        assert_int_equal(decode(more_, n + 1, &m_), -EBADMSG);                                     \
        free(more_);                                                                               \
    } while (0)

static void a_head_is_read_as_written_and_nothing_else_is(void **state)
{
    struct gatewire_head h;
    uint8_t b[GATEWIRE_HEAD_SIZE];
    gatewire_head_encode(GATEWIRE_REQUEST, 70000, b);
    assert_int_equal(gatewire_head_decode(b, &h), 0);
    assert_int_equal(h.type, GATEWIRE_REQUEST);
    assert_int_equal(h.len, 70000);
    for (size_t i = 1; i < 4; i++) {
        b[i] = 1;
        assert_int_equal(gatewire_head_decode(b, &h), -EBADMSG);
        b[i] = 0;
    }
    gatewire_head_encode(GATEWIRE_REQUEST, GATEWIRE_BODY_MAX + 1, b);
    assert_int_equal(gatewire_head_decode(b, &h), -E2BIG);
}

static void a_request_is_read_as_written(void **state)
{
    struct gatewire_request in = {.job = 9,
                                  .execfn = "./a.py",
                                  .argv = strings(),
                                  .env = strings(),
                                  .parents = strings(),
                                  .facts = facts()},
                            out;
    uint8_t body[2048];
    size_t n = gatewire_request_encode(&in, NULL, 0);
    assert_in_range(n, 1, sizeof(body));
    assert_int_equal(gatewire_request_encode(&in, body, sizeof(body)), n);
    assert_int_equal(gatewire_request_decode(body, n, &out), 0);
    assert_int_equal(out.job, 9);
    assert_string_equal(out.execfn, "./a.py");
    assert_strings(&out.argv);
    assert_strings(&out.env);
    assert_strings(&out.parents);
    assert_facts(&out.facts);
    assert_exact(gatewire_request_decode, struct gatewire_request, body, n);
}

static int decode_request(struct gatewire_request *in)
{
    struct gatewire_request out;
    static uint8_t body[1 << 20];
    size_t n = gatewire_request_encode(in, body, sizeof(body));
    return n == 0 || n > sizeof(body) ? -EFBIG : gatewire_request_decode(body, n, &out);
}

static void a_request_that_makes_no_sense_is_refused(void **state)
{
    const struct gatewire_request good = {
        .job = 1, .argv = strings(), .env = strings(), .facts = facts()};
    struct gatewire_request m = good;
    assert_int_equal(decode_request(&m), 0);
    m.job = 0;
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.argv.count = 0, m.argv.list = NULL;
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.trust = 2;
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.script_trust = 2;
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.digest = "abc";
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.path = "usr/bin/git";
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.path = "";
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.path = "", m.facts.error = ETIMEDOUT;
    assert_int_equal(decode_request(&m), 0);
    m = good, m.facts.script_trust = GATEWIRE_TRUSTED, m.facts.script = "a.py";
    assert_int_equal(decode_request(&m), -EBADMSG);
    m = good, m.facts.script_arg = 1; /* named by a script that is not trusted */
    assert_int_equal(decode_request(&m), -EBADMSG);
    m.facts.script_trust = GATEWIRE_TRUSTED, m.facts.interpreter = "/usr/bin/node";
    assert_int_equal(decode_request(&m), 0);
    m.facts.script_arg = 3;
    assert_int_equal(decode_request(&m), -EBADMSG);
}

static void what_is_longer_than_the_kernel_allows_is_refused(void **state)
{
    static char word[GATEWIRE_STRING_MAX + 2], path[GATEWIRE_PATH_MAX + 2];
    memset(word, 'x', sizeof(word) - 1);
    memset(path, '/', sizeof(path) - 1);
    const char *const list[] = {word};
    struct gatewire_request m = {
        .job = 1, .argv = strings(), .env = {.list = list, .count = 1}, .facts = facts()};
    assert_int_equal(decode_request(&m), -E2BIG);
    m.env = strings();
    m.facts.cwd = path;
    assert_int_equal(decode_request(&m), -E2BIG);
}

static void counts_that_lie_are_refused(void **state)
{
    const struct gatewire_look in = {.job = 3, .operands = strings()};
    struct gatewire_look out;
    uint8_t body[64];
    size_t n = gatewire_look_encode(&in, body, sizeof(body));
    for (uint32_t count = 0; count < 8; count++) {
        bytes_put_u32(body + 8, count);
        assert_int_equal(gatewire_look_decode(body, n, &out), count == 3 ? 0 : -EBADMSG);
    }
    bytes_put_u32(body + 8, GATEWIRE_OPERANDS_MAX + 1);
    assert_int_equal(gatewire_look_decode(body, n, &out), -E2BIG);
    bytes_put_u32(body + 8, 3);
    bytes_put_u32(body + 12, UINT32_MAX);
    assert_int_equal(gatewire_look_decode(body, n, &out), -EBADMSG);
}

static void the_other_messages_are_read_as_written(void **state)
{
    uint8_t b[4096];
    size_t n;
    const struct gatewire_hello hello = {.version = 1, .flags = 3, .words = "w"};
    n = gatewire_hello_encode(&hello, b, sizeof(b));
    assert_exact(gatewire_hello_decode, struct gatewire_hello, b, n);
    bytes_put_u32(b + 4, GATEWIRE_HELLO_ALL + 1);
    struct gatewire_hello hello_out;
    assert_int_equal(gatewire_hello_decode(b, n, &hello_out), -EBADMSG);

    const struct gatewire_welcome welcome = {.version = 1, .search = strings()};
    n = gatewire_welcome_encode(&welcome, b, sizeof(b));
    assert_exact(gatewire_welcome_decode, struct gatewire_welcome, b, n);

    const struct gatewire_cover cover = {.mount = 5, .path = "/usr/bin/git"};
    n = gatewire_cover_encode(&cover, b, sizeof(b));
    assert_exact(gatewire_cover_decode, struct gatewire_cover, b, n);

    const struct gatewire_found found = {.job = 5, .facts = facts()};
    n = gatewire_found_encode(&found, b, sizeof(b));
    assert_exact(gatewire_found_decode, struct gatewire_found, b, n);

    const struct gatewire_waiting waiting = {.job = 5, .id = {1, 2, 3}};
    n = gatewire_waiting_encode(&waiting, b, sizeof(b));
    assert_exact(gatewire_waiting_decode, struct gatewire_waiting, b, n);

    const struct gatewire_allow allow = {
        .job = 5, .scrub = strings(), .shim = "/s", .command = "c", .skip = 1};
    n = gatewire_allow_encode(&allow, b, sizeof(b));
    assert_exact(gatewire_allow_decode, struct gatewire_allow, b, n);

    const struct gatewire_deny deny = {.job = 5, .code = 126, .text = "clawrden: no\n"};
    struct gatewire_deny deny_out;
    n = gatewire_deny_encode(&deny, b, sizeof(b));
    assert_exact(gatewire_deny_decode, struct gatewire_deny, b, n);
    bytes_put_u32(b + 8, 0); /* a refusal that would look like success */
    assert_int_equal(gatewire_deny_decode(b, n, &deny_out), -EBADMSG);

    const struct gatewire_withdraw withdraw = {.job = 5, .why = "it died"};
    n = gatewire_withdraw_encode(&withdraw, b, sizeof(b));
    assert_exact(gatewire_withdraw_decode, struct gatewire_withdraw, b, n);

    const struct gatewire_end end = {.job = 5, .kind = GATEWIRE_SIGNALED, .value = 9, .text = ""};
    struct gatewire_end end_out;
    n = gatewire_end_encode(&end, b, sizeof(b));
    assert_exact(gatewire_end_decode, struct gatewire_end, b, n);
    bytes_put_u32(b + 8, GATEWIRE_FAILED + 1);
    assert_int_equal(gatewire_end_decode(b, n, &end_out), -EBADMSG);
}

static void numbers_alone_are_checked_too(void **state)
{
    uint8_t b[GATEWIRE_KILL_SIZE + 1] = {0};
    uint64_t job;
    uint32_t signo;
    assert_int_equal(gatewire_started_decode(b, GATEWIRE_STARTED_SIZE, &job), -EBADMSG);
    b[7] = 4, b[11] = 15;
    assert_int_equal(gatewire_started_decode(b, GATEWIRE_STARTED_SIZE, &job), 0);
    assert_int_equal(job, 4);
    assert_int_equal(gatewire_kill_decode(b, GATEWIRE_KILL_SIZE, &job, &signo), 0);
    assert_int_equal(signo, 15);
    assert_int_equal(gatewire_kill_decode(b, GATEWIRE_KILL_SIZE + 1, &job, &signo), -EBADMSG);
    b[11] = 65;
    assert_int_equal(gatewire_kill_decode(b, GATEWIRE_KILL_SIZE, &job, &signo), -EBADMSG);
    assert_int_equal(gatewire_freeze_decode(b, GATEWIRE_FREEZE_SIZE, &job, &signo), -EBADMSG);
    b[11] = 1;
    assert_int_equal(gatewire_freeze_decode(b, GATEWIRE_FREEZE_SIZE, &job, &signo), 0);
    assert_int_equal(signo, 1);
    assert_int_equal(gatewire_freeze_decode(b, GATEWIRE_FREEZE_SIZE - 1, &job, &signo), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_as_written_and_nothing_else_is),
        cmocka_unit_test(a_request_is_read_as_written),
        cmocka_unit_test(a_request_that_makes_no_sense_is_refused),
        cmocka_unit_test(what_is_longer_than_the_kernel_allows_is_refused),
        cmocka_unit_test(counts_that_lie_are_refused),
        cmocka_unit_test(the_other_messages_are_read_as_written),
        cmocka_unit_test(numbers_alone_are_checked_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
