/* SPDX-License-Identifier: MIT */
/* The intrusive list: order, removing twice, removing inside a loop. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    int n;
    struct list link;
};

static void items_come_in_the_order_of_appending(void **state)
{
    struct list head = LIST_INIT(head);
    struct thing a = {1, {0}}, b = {2, {0}};
    assert_true(list_empty(&head));
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    assert_false(list_empty(&head));
    int seen = 0;
    list_foreach(it, &head) seen = seen * 10 + list_item(it, struct thing, link)->n;
    assert_int_equal(seen, 12);
}

static void removing_twice_is_harmless(void **state)
{
    struct list head;
    list_init(&head);
    struct thing a = {1, {0}}, b = {2, {0}};
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    assert_ptr_equal(head.next, &b.link);
    assert_ptr_equal(head.prev, &b.link);
}

static void the_current_item_may_be_removed_inside_the_loop(void **state)
{
    struct list head = LIST_INIT(head);
    struct thing things[5] = {0};
    for (int i = 0; i < 5; i++) {
        things[i].n = i;
        list_append(&head, &things[i].link);
    }
    int met = 0;
    list_foreach(it, &head)
    {
        met++;
        list_remove(it);
    }
    assert_int_equal(met, 5);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_the_order_of_appending),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(the_current_item_may_be_removed_inside_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
