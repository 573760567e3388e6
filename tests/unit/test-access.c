/* SPDX-License-Identifier: MIT */
/* Records about people: their exact form, and that strangers cannot fill the log. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/access.h"
#include "core/audit.h"
#include "core/limits.h"
#include "fakes/fakes.h"

#define HEAD "\"time\":\"1970-01-01T00:00:00.000000001Z\",\"event\":"

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    world_init(w, "default_action: deny\n");
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

/* Names and order of the members are a contract with readers of the log. */
static void each_record_has_its_members(void **state)
{
    _cleanup_buf_ struct buf a = AUDIT_BUF(), b = AUDIT_BUF(), c = AUDIT_BUF(), d = AUDIT_BUF();
    access_login_members(&(struct access_login){"ana", "admin", "token", "127.0.0.1", "0192"}, 1,
                         &a);
    assert_string_equal(buf_str(&a), HEAD
                        "\"login\",\"who\":\"ana\",\"role\":\"admin\","
                        "\"method\":\"token\",\"address\":\"127.0.0.1\",\"request_id\":\"0192\"");
    access_refusal_members(
        &(struct access_refusal){"credentials", "\x1b[2J\xff", "::1", "GET", "/api/status", "0192"},
        1, &b);
    assert_string_equal(buf_str(&b),
                        HEAD "\"login-refused\",\"why\":\"credentials\",\"who\":{\"bytes\":"
                             "\"G1sySv8=\"},\"address\":\"::1\",\"method\":\"GET\",\"path\":"
                             "\"/api/status\",\"request_id\":\"0192\"");
    access_change_members(&(struct access_change){"token-created", "bob", "00ff", "viewer", 1,
                                                  "ana", "127.0.0.1", "0192"},
                          1, &c);
    assert_string_equal(buf_str(&c),
                        HEAD "\"access\",\"what\":\"token-created\",\"subject\":\"bob\","
                             "\"subject_id\":\"00ff\",\"role\":\"viewer\",\"expires\":"
                             "\"1970-01-01T00:00:00.000000001Z\",\"by\":\"ana\",\"address\":"
                             "\"127.0.0.1\",\"request_id\":\"0192\"");
    access_change_members(&(struct access_change){.what = "token-revoked", .by = "ana"}, 1, &d);
    assert_string_equal(buf_str(&d),
                        HEAD "\"access\",\"what\":\"token-revoked\",\"subject\":null,"
                             "\"subject_id\":null,\"role\":null,\"expires\":null,\"by\":\"ana\","
                             "\"address\":null,\"request_id\":null");
}

static void words_of_strangers_are_cut(void **state)
{
    static char path[10000];
    _cleanup_buf_ struct buf b = AUDIT_BUF();
    memset(path, 'a', sizeof(path) - 1);
    access_refusal_members(&(struct access_refusal){.why = "none", .path = path}, 1, &b);
    assert_in_range(b.len, 256, 600);
}

/* `spread`: each from another address. */
static size_t refusals_from(struct world *w, bool spread, int n)
{
    size_t before = w->audit.count;
    for (int i = 0; i < n; i++) {
        char address[32];
        (void)snprintf(address, sizeof(address), "10.0.%d.%d", spread ? i / 250 : 0,
                       spread ? i % 250 : 1);
        access_refused(w->w, &(struct access_refusal){.why = "credentials", .address = address});
    }
    return w->audit.count - before;
}

static void one_address_has_ten_records_a_minute_and_the_rest_is_counted(void **state)
{
    struct world *w = *state;
    assert_int_equal(refusals_from(w, false, 1000), LIMITS_RECORDS_PER_MINUTE);
    world_advance(w, 61 * CLOCK_NS_PER_SEC);
    assert_true(fake_audit_is(&w->audit, NULL, "limited", "peer", "api:10.0.0.1"));
    assert_int_equal(refusals_from(w, false, 5), 5);
}

static void many_addresses_together_have_a_bound_too(void **state)
{
    struct world *w = *state;
    assert_int_equal(refusals_from(w, true, 1000),
                     ACCESS_REFUSALS_PER_MINUTE + LIMITS_RECORDS_PER_MINUTE);
    world_advance(w, 61 * CLOCK_NS_PER_SEC);
    assert_true(fake_audit_is(&w->audit, NULL, "limited", "peer", "api"));
}

static void a_change_that_cannot_be_recorded_is_refused(void **state)
{
    struct world *w = *state;
    struct err err = {""};
    w->audit.refuse = -ENOSPC;
    assert_true(access_change(w->w, &(struct access_change){.what = "token-created"}, &err) < 0);
    assert_non_null(strstr(err.text, "was not made"));
    w->audit.refuse = 0;
    assert_int_equal(access_change(w->w, &(struct access_change){.what = "x"}, &err), 0);
    assert_true(fake_audit_is(&w->audit, NULL, "access", "what", "x"));
}

static void a_login_during_a_failure_is_recorded_later(void **state)
{
    struct world *w = *state;
    w->audit.refuse = -ENOSPC;
    access_login(w->w, &(struct access_login){.who = "ana", .method = "token"});
    w->audit.refuse = 0;
    world_advance(w, 61 * CLOCK_NS_PER_SEC);
    assert_true(fake_audit_is(&w->audit, NULL, "login", "who", "ana"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_record_has_its_members),
        CASE(words_of_strangers_are_cut),
        CASE(one_address_has_ten_records_a_minute_and_the_rest_is_counted),
        CASE(many_addresses_together_have_a_bound_too),
        CASE(a_change_that_cannot_be_recorded_is_refused),
        CASE(a_login_during_a_failure_is_recorded_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
