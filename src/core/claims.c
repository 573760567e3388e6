/* SPDX-License-Identifier: MIT */
/* Places in the queue of the warden's former life, in a map by id and a list by age. */
#include "core/claims.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/uuid.h"

struct place {
    struct list link; /* the order in which they fall due */
    struct queue_row *row;
    uint64_t until;
    char id_text[UUID_TEXT_SIZE];
};

struct claims {
    struct map *by_id;
    struct list order;
};

struct claims *claims_new(void)
{
    struct claims *c = mem_new(struct claims);
    c->by_id = map_new();
    list_init(&c->order);
    return c;
}

struct queue_row *claims_row_free(struct queue_row *row)
{
    if (row)
        free(row->summary);
    free(row);
    return NULL;
}

/* Takes the row out and forgets the place. */
static struct queue_row *release(struct claims *c, struct place *p)
{
    struct queue_row *row = p->row;
    map_remove(c->by_id, p->id_text);
    list_remove(&p->link);
    free(p);
    return row;
}

struct claims *claims_free(struct claims *c)
{
    if (!c)
        return NULL;
    list_foreach(it, &c->order) claims_row_free(release(c, list_item(it, struct place, link)));
    map_free(c->by_id);
    free(c);
    return NULL;
}

void claims_keep(struct claims *c, const struct queue_row *row, uint64_t until)
{
    struct place *p = mem_new(struct place);
    uuid_format(row->id, p->id_text);
    if (map_get(c->by_id, p->id_text)) {
        free(p);
        return;
    }
    p->row = mem_dup(row, sizeof(*row));
    p->row->summary = mem_strdup(row->summary);
    p->row->digest[sizeof(p->row->digest) - 1] = '\0';
    p->until = until;
    map_put(c->by_id, p->id_text, p);
    list_append(&c->order, &p->link);
}

struct queue_row *claims_take(struct claims *c, const uint8_t id[16], pid_t pid,
                              uint64_t start_time)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    struct place *p = map_get(c->by_id, text);
    if (!p || p->row->pid != pid || p->row->start_time != start_time)
        return NULL;
    return release(c, p);
}

struct queue_row *claims_take_due(struct claims *c, uint64_t now)
{
    if (list_empty(&c->order))
        return NULL;
    struct place *p = list_item(c->order.next, struct place, link);
    return p->until <= now ? release(c, p) : NULL;
}

void claims_later(struct claims *c, uint64_t until, uint64_t ns)
{
    list_foreach(it, &c->order)
    {
        struct place *p = list_item(it, struct place, link);
        p->until = until;
        p->row->deadline = p->row->deadline > UINT64_MAX - ns ? UINT64_MAX : p->row->deadline + ns;
    }
}

uint64_t claims_next(const struct claims *c)
{
    if (list_empty(&c->order))
        return UINT64_MAX;
    return list_item(c->order.next, struct place, link)->until;
}

int claims_has(const struct claims *c, const char *id_text)
{
    return map_get(c->by_id, id_text) != NULL;
}
