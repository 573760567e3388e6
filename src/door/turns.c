/* SPDX-License-Identifier: MIT */
/* A flood stands in its own way: however much one uid has sent, another's request waits for one
 * reading of it at most. The first connection of a uid that is ready in a turn is read at once; the
 * others stand in line, where they do not wake the loop. A turn is one iteration of the loop.
 *
 * What a large request costs behind the door (decoding, judging, its record) is owed: while another
 * uid is about, a uid gets a twentieth of the loop for such, and is not read until it has paid. */
#include "door/turns.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "door/session.h"

#define OTHERS_WITHIN CLOCK_NS_PER_SEC /* who was read so lately may come again */
#define SERVED_MAX                                                                                 \
    8 /* in a turn: who has many uids (root in a container) is no flood at other doors */
#define LOOK_AGAIN_MS 5 /* while all that stand in line have to pay first */

/* Measured on the loop, in ns, generously. */
#define COST_BYTE 6
#define COST_STRING 80
#define COST_FREE (100 * UINT64_C(1000)) /* an ordinary command is not counted */

#define PAY_TIMES 20
#define PAY_LATER (5 * CLOCK_NS_PER_MS * PAY_TIMES) /* owed before it is not read */
#define OWED_MAX (2 * CLOCK_NS_PER_SEC)

/* ---- who owes ---- */

static bool must_pay(const struct turns *t, const struct quota *q, uint64_t now)
{
    return q->owed_until > now + PAY_LATER &&
           company_others(&t->company, q->uid, now, OTHERS_WITHIN);
}

bool turns_owes(const struct quota *q, uint64_t now)
{
    return q->owed_until > now;
}

void turns_charge(struct session *s, size_t bytes, size_t strings)
{
    struct quota *q = s->quota;
    uint64_t now = clock_monotonic(), cost = bytes * COST_BYTE + strings * COST_STRING;
    if (cost <= COST_FREE)
        return;
    uint64_t until = (turns_owes(q, now) ? q->owed_until : now) + cost * PAY_TIMES;
    q->owed_until = until < now + OWED_MAX ? until : now + OWED_MAX;
}

/* ---- lines ---- */

/* What comes behind a request is its end: a hang-up, which must not wait until something is paid.
 */
static bool urgent(const struct session *s)
{
    return s->state == SESSION_ASKED || s->state == SESSION_NAMING;
}

static bool may_go(struct session *s, uint64_t now)
{
    struct turns *t = &s->room->turns;
    struct quota *q = s->quota;
    if (q->turn == t->turn || t->served >= SERVED_MAX || (must_pay(t, q, now) && !urgent(s)))
        return false;
    q->turn = t->turn;
    t->served++;
    company_note(&t->company, q->uid, now);
    return true;
}

bool turns_now(struct session *s)
{
    if (s->in_turn)
        return false;
    struct list *line = &s->quota->line;
    if (list_empty(line) && may_go(s, clock_monotonic()))
        return true;
    if (list_empty(line))
        list_append(&s->room->turns.lines, &s->quota->in_lines);
    list_append(urgent(s) ? line->next : line, &s->in_line);
    s->in_turn = true;
    return false;
}

void turns_leave(struct session *s)
{
    if (!s->in_turn)
        return;
    s->in_turn = false;
    list_remove(&s->in_line);
    if (list_empty(&s->quota->line))
        list_remove(&s->quota->in_lines);
}

/* ---- turns ---- */

static size_t count_lines(const struct turns *t)
{
    size_t n = 0;
    for (const struct list *it = t->lines.next; it != &t->lines; it = it->next)
        n++;
    return n;
}

/* One of each line that may go. Reading may end any session, and so any line. False: nobody could.
 */
static bool serve_lines(struct turns *t)
{
    uint64_t now = clock_monotonic();
    bool any = false;
    for (size_t n = count_lines(t); n > 0 && !list_empty(&t->lines) && t->served < SERVED_MAX;
         n--) {
        struct quota *q = list_item(t->lines.next, struct quota, in_lines);
        list_remove(&q->in_lines);
        list_append(&t->lines, &q->in_lines);
        struct session *s = list_item(q->line.next, struct session, in_line);
        if (!may_go(s, now))
            continue;
        turns_leave(s);
        session_turn(s);
        any = true;
    }
    return any;
}

static void look_again(uv_timer_t *timer)
{
    (void)timer; /* that the loop comes around is enough */
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

/* Before the loop waits for anything. */
static void turn_begins(uv_prepare_t *p)
{
    struct turns *t = p->data;
    t->turn++;
    t->served = 0;
    if (list_empty(&t->lines)) {
        (void)uv_idle_stop(&t->idle);
        return;
    }
    bool any = serve_lines(t);
    if (any && !list_empty(&t->lines)) {
        (void)uv_idle_start(&t->idle, stay_awake);
        return;
    }
    (void)uv_idle_stop(&t->idle);
    if (!list_empty(&t->lines) && !uv_is_active((uv_handle_t *)&t->timer))
        (void)uv_timer_start(&t->timer, look_again, LOOK_AGAIN_MS, 0);
}

void turns_init(struct room *m)
{
    struct turns *t = &m->turns;
    list_init(&t->lines);
    (void)uv_prepare_init(m->loop, &t->prepare); /* none of these can fail */
    (void)uv_idle_init(m->loop, &t->idle);
    (void)uv_timer_init(m->loop, &t->timer);
    t->prepare.data = t;
    (void)uv_prepare_start(&t->prepare, turn_begins);
    uv_unref((uv_handle_t *)&t->prepare);
}

void turns_close(struct room *m)
{
    uv_handle_t *all[] = {(uv_handle_t *)&m->turns.prepare, (uv_handle_t *)&m->turns.idle,
                          (uv_handle_t *)&m->turns.timer};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!uv_is_closing(all[i]))
            uv_close(all[i], NULL);
}
