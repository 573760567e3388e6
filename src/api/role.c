/* SPDX-License-Identifier: MIT */
#include "api/role.h"

#include "base/cleanup.h"
#include "base/str.h"

const char *role_name(enum api_role r)
{
    switch (r) {
    case API_ROLE_NONE:
        return "none";
    case API_ROLE_VIEWER:
        return "viewer";
    case API_ROLE_APPROVER:
        return "approver";
    case API_ROLE_OPERATOR:
        return "operator";
    case API_ROLE_ADMIN:
        return "admin";
    }
    return "none";
}

bool role_parse(const char *s, enum api_role *ret)
{
    static const enum api_role roles[] = {API_ROLE_VIEWER, API_ROLE_APPROVER, API_ROLE_OPERATOR,
                                          API_ROLE_ADMIN};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        if (!str_eq(s, role_name(roles[i])))
            continue;
        *ret = roles[i];
        return true;
    }
    return false;
}
