/* SPDX-License-Identifier: MIT */
#include "core/looks.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

struct request_look {
    uint64_t time;
    enum look_kind how;
    char who[128];
};

void looks_add(struct request *r, const char *who, enum look_kind how, uint64_t realtime)
{
    if (r->state != REQUEST_WAITING || r->looks_count == LOOKS_MAX)
        return;
    for (size_t i = 0; i < r->looks_count; i++)
        if (r->looks[i].how == how && str_eq(r->looks[i].who, who))
            return;
    r->looks = mem_realloc_array(r->looks, r->looks_count + 1, sizeof(*r->looks));
    struct request_look *l = &r->looks[r->looks_count++];
    *l = (struct request_look){.time = realtime, .how = how};
    (void)snprintf(l->who, sizeof(l->who), "%s", who);
}

void looks_put(const struct request *r, struct json_writer *w)
{
    char time[32];
    json_array_begin(w);
    for (size_t i = 0; i < r->looks_count; i++) {
        json_object_begin(w);
        json_field_string(w, "time", clock_format(r->looks[i].time, time));
        json_key(w, "by");
        json_put_string(w, r->looks[i].who);
        json_field_bool(w, "explained", r->looks[i].how == LOOK_EXPLAINED);
        json_object_end(w);
    }
    json_array_end(w);
}
