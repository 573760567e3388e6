/* SPDX-License-Identifier: MIT */
/* The codec between warden and helper: what is written is read back, and nothing else is read. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/bytes.h"
#include "wire/helper.h"

static const uint32_t groups[] = {4, 0xfffffffe};
static const char *const three[] = {"a", "", "\377x"};

static struct helper_peer peer(void)
{
    return (struct helper_peer){
        .pid = 42, .uid = 1000, .gid = 1001, .groups_count = 2, .groups = groups};
}

static struct helper_strings strings(void)
{
    return (struct helper_strings){.list = three, .count = 3};
}

static void assert_peer(const struct helper_peer *p)
{
    assert_int_equal(p->pid, 42);
    assert_int_equal(p->uid, 1000);
    assert_int_equal(p->gid, 1001);
    assert_int_equal(p->groups_count, 2);
    assert_int_equal(helper_group(p, 0), 4);
    assert_int_equal(helper_group(p, 1), 0xfffffffe);
}

static void assert_strings(const struct helper_strings *s)
{
    assert_int_equal(s->count, 3);
    assert_int_equal(s->size, 6);
    assert_memory_equal(s->packed, "a\0\0\377x", 6);
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

static void a_head_is_read_as_written(void **state)
{
    const struct helper_head in = {
        .type = HELPER_START, .flags = HELPER_ATTACHED, .len = 70000, .job = 1ull << 40};
    struct helper_head out;
    uint8_t b[HELPER_HEAD_SIZE];
    helper_head_encode(&in, b);
    assert_int_equal(helper_head_decode(b, &out), 0);
    assert_int_equal(out.type, in.type);
    assert_int_equal(out.flags, in.flags);
    assert_int_equal(out.len, in.len);
    assert_int_equal(out.job, in.job);
}

static void a_head_with_unknown_flags_or_lengths_is_refused(void **state)
{
    struct helper_head h = {.type = HELPER_START}, out;
    uint8_t b[HELPER_HEAD_SIZE];
    helper_head_encode(&h, b);
    for (size_t i = 1; i < 4; i++) {
        b[i] = 8;
        assert_int_equal(helper_head_decode(b, &out), -EBADMSG);
        b[i] = 0;
    }
    h.len = HELPER_BODY_MAX + 1;
    helper_head_encode(&h, b);
    assert_int_equal(helper_head_decode(b, &out), -EBADMSG);
}

static void a_lookup_is_read_as_written(void **state)
{
    const struct helper_resolve in = {.peer = peer(),
                                      .flags = HELPER_PEER_V1 | HELPER_ARGS_CUT,
                                      .name = "git",
                                      .cwd = "/w",
                                      .search = strings(),
                                      .args = strings(),
                                      .paths = strings()};
    struct helper_resolve out;
    uint8_t b[512];
    size_t n = helper_resolve_encode(&in, b, sizeof(b));
    assert_int_equal(n, helper_resolve_encode(&in, NULL, 0));
    assert_int_equal(helper_resolve_decode(b, n, &out), 0);
    assert_peer(&out.peer);
    assert_int_equal(out.flags, in.flags);
    assert_string_equal(out.name, "git");
    assert_string_equal(out.cwd, "/w");
    assert_strings(&out.search);
    assert_strings(&out.args);
    assert_strings(&out.paths);
    assert_exact(helper_resolve_decode, struct helper_resolve, b, n);
}

static void an_answer_is_read_as_written(void **state)
{
    const struct helper_resolved in = {.words = "w",
                                       .cwd = "/c",
                                       .cwd_dev = 1,
                                       .cwd_ino = 2,
                                       .cwd_mnt = 3,
                                       .trust = HELPER_TRUST_TRUSTED,
                                       .exec_path = "/bin/sh",
                                       .path = "/usr/bin/dash",
                                       .dev = 4,
                                       .ino = 5,
                                       .names = strings(),
                                       .script = "/w/f",
                                       .script_trust = HELPER_TRUST_UNKNOWN,
                                       .digest = "00",
                                       .paths = strings()};
    struct helper_resolved out;
    uint8_t b[512];
    size_t n = helper_resolved_encode(&in, b, sizeof(b));
    assert_int_equal(helper_resolved_decode(b, n, &out), 0);
    assert_string_equal(out.words, "w");
    assert_string_equal(out.cwd, "/c");
    assert_int_equal(out.cwd_mnt, 3);
    assert_int_equal(out.trust, HELPER_TRUST_TRUSTED);
    assert_string_equal(out.exec_path, "/bin/sh");
    assert_string_equal(out.path, "/usr/bin/dash");
    assert_int_equal(out.ino, 5);
    assert_string_equal(out.why_unknown, "");
    assert_strings(&out.names);
    assert_string_equal(out.script, "/w/f");
    assert_string_equal(out.interpreter, "");
    assert_string_equal(out.digest, "00");
    assert_strings(&out.paths);
    assert_exact(helper_resolved_decode, struct helper_resolved, b, n);
}

static struct helper_start a_start(void)
{
    return (struct helper_start){.peer = peer(),
                                 .umask = 022,
                                 .id = {1, 2, 3},
                                 .exec_dev = 1,
                                 .exec_ino = 2,
                                 .cwd_dev = 3,
                                 .cwd_ino = 4,
                                 .cwd_mnt = 5,
                                 .trust = HELPER_TRUST_TRUSTED,
                                 .name = "sh",
                                 .exec_path = "/bin/sh",
                                 .cwd = "/c",
                                 .argv = strings(),
                                 .env = {.packed = "A=b\0C=d", .size = 8, .count = 2}};
}

static void a_start_is_read_as_written(void **state)
{
    const struct helper_start in = a_start();
    struct helper_start out;
    uint8_t b[512];
    size_t n = helper_start_encode(&in, b, sizeof(b));
    assert_int_equal(helper_start_decode(b, n, &out), 0);
    assert_peer(&out.peer);
    assert_int_equal(out.umask, 022);
    assert_memory_equal(out.id, in.id, 16);
    assert_int_equal(out.exec_ino, 2);
    assert_int_equal(out.cwd_mnt, 5);
    assert_string_equal(out.exec_path, "/bin/sh");
    assert_strings(&out.argv);
    assert_int_equal(out.env.count, 2);
    assert_string_equal(helper_next(out.env.packed), "C=d");
    assert_exact(helper_start_decode, struct helper_start, b, n);
}

static void a_start_that_makes_no_sense_is_refused(void **state)
{
    uint8_t b[512];
    struct helper_start out;
    for (int i = 0; i < 6; i++) {
        struct helper_start in = a_start();
        if (i == 0)
            in.exec_path = "sh"; /* not absolute */
        if (i == 1)
            in.argv.count = 0;
        if (i == 2)
            in.umask = 01000;
        if (i == 3)
            in.trust = HELPER_TRUST_TRUSTED + 1;
        if (i == 4)
            in.peer.pid = 0;
        if (i == 5)
            in.flags = HELPER_ARGS_CUT;
        size_t n = helper_start_encode(&in, b, sizeof(b));
        assert_int_equal(helper_start_decode(b, n, &out), -EBADMSG);
    }
}

static void a_count_of_strings_that_lies_is_refused(void **state)
{
    const struct helper_start in = a_start();
    struct helper_start out;
    uint8_t b[512];
    size_t n = helper_start_encode(&in, b, sizeof(b));
    uint8_t *env = b + n - 8 - 8; /* u32 count, u32 size, 8 bytes */
    const uint32_t lies[] = {0, 1, 3, 0xffffffff};
    for (size_t i = 0; i < 4; i++) {
        bytes_put_u32(env, lies[i]);
        assert_true(helper_start_decode(b, n, &out) < 0);
    }
    bytes_put_u32(env, 2);
    assert_int_equal(helper_start_decode(b, n, &out), 0);
    b[n - 1] = 'x'; /* the last one has no end */
    assert_int_equal(helper_start_decode(b, n, &out), -EBADMSG);
}

static void too_many_groups_or_bytes_are_not_written(void **state)
{
    static char big[HELPER_BODY_MAX + 2];
    struct helper_start in = a_start();
    in.peer.groups_count = HELPER_GROUPS_MAX + 1;
    assert_int_equal(helper_start_encode(&in, NULL, 0), 0);
    in = a_start();
    memset(big, 'a', sizeof(big) - 1);
    const char *const list[] = {big};
    in.argv = (struct helper_strings){.list = list, .count = 1};
    assert_int_equal(helper_start_encode(&in, NULL, 0), 0);
}

static void reports_are_read_as_written(void **state)
{
    uint8_t b[256];
    const struct helper_end end = {
        .kind = HELPER_END_SIGNAL, .value = 9, .flags = HELPER_END_CALLER_GONE, .text = "t\n"};
    struct helper_end end_out;
    size_t n = helper_end_encode(&end, b, sizeof(b));
    assert_int_equal(helper_end_decode(b, n, &end_out), 0);
    assert_int_equal(end_out.kind, HELPER_END_SIGNAL);
    assert_int_equal(end_out.value, 9);
    assert_int_equal(end_out.flags, HELPER_END_CALLER_GONE);
    assert_string_equal(end_out.text, "t\n");
    assert_exact(helper_end_decode, struct helper_end, b, n);
    bytes_put_u32(b, HELPER_END_FAILED + 1);
    assert_int_equal(helper_end_decode(b, n, &end_out), -EBADMSG);
    bytes_put_u32(b, 0);
    bytes_put_u32(b + 4, 256);
    assert_int_equal(helper_end_decode(b, n, &end_out), -EBADMSG);

    const struct helper_started started = {.pid = 7, .cgroup = "/c"};
    n = helper_started_encode(&started, b, sizeof(b));
    assert_exact(helper_started_decode, struct helper_started, b, n);
    const struct helper_hello hello = {.version = 1, .features = 3, .cgroup = "/c", .words = "w"};
    n = helper_hello_encode(&hello, b, sizeof(b));
    assert_exact(helper_hello_decode, struct helper_hello, b, n);
}

static void only_signals_can_be_sent(void **state)
{
    uint8_t b[HELPER_KILL_SIZE];
    uint32_t signo = 0;
    helper_kill_encode(15, b);
    assert_int_equal(helper_kill_decode(b, sizeof(b), &signo), 0);
    assert_int_equal(signo, 15);
    assert_int_equal(helper_kill_decode(b, 3, &signo), -EBADMSG);
    helper_kill_encode(0, b);
    assert_int_equal(helper_kill_decode(b, sizeof(b), &signo), -EBADMSG);
    uint32_t on;
    helper_freeze_encode(1, b);
    assert_int_equal(helper_freeze_decode(b, sizeof(b), &on), 0);
    assert_int_equal(on, 1);
    assert_int_equal(helper_freeze_decode(b, 3, &on), -EBADMSG);
    helper_freeze_encode(2, b);
    assert_int_equal(helper_freeze_decode(b, sizeof(b), &on), -EBADMSG);
    helper_kill_encode(65, b);
    assert_int_equal(helper_kill_decode(b, sizeof(b), &signo), -EBADMSG);
}

static void numbers_are_as_many_as_expected(void **state)
{
    uint32_t in[HELPER_NUMBERS_MAX] = {0, 1, UINT32_MAX, 7, 8, 9}, out[HELPER_NUMBERS_MAX];
    uint8_t b[4 * HELPER_NUMBERS_MAX];
    (void)state;
    assert_int_equal(helper_numbers_encode(in, READY_COUNT, b), 4 * READY_COUNT);
    assert_int_equal(helper_numbers_decode(b, 4 * READY_COUNT, READY_COUNT, out), 0);
    assert_memory_equal(in, out, 4 * READY_COUNT);
    assert_int_equal(helper_numbers_decode(b, 4 * READY_COUNT - 1, READY_COUNT, out), -EBADMSG);
    assert_int_equal(helper_numbers_decode(b, 4 * READY_COUNT, ADOPT_COUNT, out), -EBADMSG);
    assert_int_equal(helper_numbers_decode(b, 0, ADOPT_COUNT, out), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_as_many_as_expected),
        cmocka_unit_test(a_head_is_read_as_written),
        cmocka_unit_test(a_head_with_unknown_flags_or_lengths_is_refused),
        cmocka_unit_test(a_lookup_is_read_as_written),
        cmocka_unit_test(an_answer_is_read_as_written),
        cmocka_unit_test(a_start_is_read_as_written),
        cmocka_unit_test(a_start_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_count_of_strings_that_lies_is_refused),
        cmocka_unit_test(too_many_groups_or_bytes_are_not_written),
        cmocka_unit_test(reports_are_read_as_written),
        cmocka_unit_test(only_signals_can_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
