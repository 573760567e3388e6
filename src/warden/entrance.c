/* SPDX-License-Identifier: MIT */
#include "warden/entrance.h"

#include <errno.h>

#include "base/str.h"

const char *entrance_name(enum entrance e)
{
    switch (e) {
    case ENTRANCE_NATIVE:
        return "native";
    case ENTRANCE_DOCKER:
        return "docker";
    case ENTRANCE_NONE:
        return "none";
    }
    return "none";
}

static int native(const char *outside, enum entrance *ret, struct err *err)
{
    *ret = ENTRANCE_NATIVE;
    (void)err_set(err, 0, "%s",
                  outside[0] ? outside : "the helper may enter containers, as fast as it goes");
    return 0;
}

int entrance_choose(const char *wish, const char *outside, bool engine, bool root,
                    enum entrance *ret, struct err *err)
{
    bool asked = str_eq(wish, "docker");
    *ret = ENTRANCE_NONE;
    if (str_eq(wish, "native")) {
        if (outside[0])
            return err_set(err, -EINVAL, "--mirror=native: %s", outside);
        return native(outside, ret, err);
    }
    if (asked && !engine)
        return err_set(err, -EINVAL, "--mirror=docker needs an engine: name it with --engine");
    if (asked && !root)
        return err_set(err, -EINVAL,
                       "--mirror=docker needs root: what would run is looked up in the container");
    if (!asked && (!outside[0] || !engine || !root)) {
        if (outside[0]) {
            (void)err_set(err, 0, "%s", outside);
            return 0;
        }
        return native(outside, ret, err);
    }
    *ret = ENTRANCE_DOCKER;
    (void)err_set(err, 0, "%s", asked ? "--mirror=docker" : outside);
    return 0;
}
