/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: a head of the same type as the links, circular. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct list {
    struct list *prev, *next;
};

#define LIST_INIT(l) ((struct list){&(l), &(l)})

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts `item` at the end of the list that `head` is the head of. */
static inline void list_append(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

/* Leaves `item` linked to itself, so removing twice is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->prev = item->next = item;
}

/* Moves all of `from` to the end of `head`. */
static inline void list_append_all(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#define list_item(l, type, member) container_of(l, type, member)

/* `it` is a struct list *; the current item may be removed inside the loop. */
#define list_foreach(it, head)                                                                     \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)
