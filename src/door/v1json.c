/* SPDX-License-Identifier: MIT */
/* Counts before it copies: the blob and the arrays have their final size from the start. The cost
 * is bounded by the caller's limit in bytes and by V1JSON_NODES_MAX. */
#include "door/v1json.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "wire/v2.h"

#define V1_UMASK 022u

struct v1_lists {
    const struct json *args, *env; /* NULL: empty */
};

/* A string without NUL and within `max`; the words name it by `what`. */
static int check_string(const struct json *j, const char *what, size_t max, size_t *ret_len,
                        struct err *err)
{
    size_t n = 0;
    const char *s = j ? json_string(j, &n) : NULL;
    if (!s)
        return err_set(err, -EBADMSG, "\"%s\" must be a string", what);
    if (memchr(s, '\0', n))
        return err_set(err, -EBADMSG, "\"%s\" contains a NUL character", what);
    if (n >= max)
        return err_set(err, -E2BIG, "\"%s\" is longer than %zu bytes", what, max - 1);
    *ret_len = n;
    return 0;
}

/* Adds what the strings of a list take, each with its NUL. */
static int check_list(const struct json *list, const char *what, size_t *bytes, struct err *err)
{
    for (size_t i = 0, n = 0; list && i < json_count(list); i++) {
        int r = check_string(json_at(list, i), what, V2_STRING_MAX, &n, err);
        if (r < 0)
            return r;
        *bytes += n + 1;
    }
    return 0;
}

static int find_list(const struct json *root, const char *key, const struct json **ret,
                     struct err *err)
{
    const struct json *j = json_get(root, key);
    if (j && !json_is_array(j) && !json_is_null(j)) /* Go writes an empty list as null */
        return err_set(err, -EBADMSG, "\"%s\" must be an array of strings", key);
    *ret = j && json_is_array(j) ? j : NULL;
    return 0;
}

static int read_identity(const struct json *root, struct v1json_identity *ret, struct err *err)
{
    *ret = (struct v1json_identity){.said = false};
    const struct json *j = json_get(root, "identity");
    if (!j || json_is_null(j))
        return 0;
    const struct json *uid = json_get(j, "uid"), *gid = json_get(j, "gid");
    if (!json_is_object(j) || (uid && !json_is_integer(uid)) || (gid && !json_is_integer(gid)))
        return err_set(err, -EBADMSG, "\"identity\" must be an object of the integers uid and gid");
    if (uid && gid)
        *ret = (struct v1json_identity){true, json_integer(uid, -1), json_integer(gid, -1)};
    return 0;
}

/* Copies into the blob and returns where. */
static const char *put(char **at, const struct json *j)
{
    size_t n = 0;
    const char *s = json_string(j, &n);
    char *to = *at;
    memcpy(to, s, n); /* its NUL is there: the blob was zeroed */
    *at += n + 1;
    return to;
}

static const char **put_list(char **at, const char *first, const struct json *list, size_t *ret_n)
{
    size_t n = 0, count = list ? json_count(list) : 0;
    const char **v = mem_new_array(const char *, count + 2);
    if (first)
        v[n++] = first;
    for (size_t i = 0; i < count; i++)
        v[n++] = put(at, json_at(list, i));
    *ret_n = n;
    return v;
}

static void build(const struct json *root, const struct v1_lists *l, size_t bytes, struct ask *ret)
{
    char *blob = mem_zalloc(bytes + 1), *at = blob;
    *ret = (struct ask){.door = DOOR_SHIM_V1, .blob = blob, .umask = V1_UMASK};
    ret->name = put(&at, json_get(root, "command"));
    ret->cwd = put(&at, json_get(root, "cwd"));
    ret->argv = put_list(&at, ret->name, l->args, &ret->argc);
    ret->env = put_list(&at, NULL, l->env, &ret->envc);
}

static int check(const struct json *root, struct v1_lists *l, size_t *bytes, struct err *err)
{
    size_t n = 0;
    int r = check_string(json_get(root, "command"), "command", V2_PATH_MAX, &n, err);
    if (r < 0)
        return r;
    if (n == 0)
        return err_set(err, -EBADMSG, "\"command\" is empty");
    *bytes = n + 1;
    r = check_string(json_get(root, "cwd"), "cwd", V2_PATH_MAX, &n, err);
    if (r < 0)
        return r;
    if (json_string(json_get(root, "cwd"), NULL)[0] != '/')
        return err_set(err, -EBADMSG, "\"cwd\" must be an absolute path");
    *bytes += n + 1;
    if ((r = find_list(root, "args", &l->args, err)) < 0 ||
        (r = find_list(root, "env", &l->env, err)) < 0 ||
        (r = check_list(l->args, "args", bytes, err)) < 0 ||
        (r = check_list(l->env, "env", bytes, err)) < 0)
        return r;
    return 0;
}

int v1json_decode(const char *text, size_t len, struct ask *ret,
                  struct v1json_identity *ret_identity, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    struct v1_lists lists = {NULL, NULL};
    size_t bytes = 0;
    int r = json_parse(text, len, V1JSON_NODES_MAX, &root, err);
    if (r < 0)
        return r;
    if (!json_is_object(root))
        return err_set(err, -EBADMSG, "the request must be a JSON object");
    if ((r = check(root, &lists, &bytes, err)) < 0 ||
        (r = read_identity(root, ret_identity, err)) < 0)
        return r;
    build(root, &lists, bytes, ret);
    return 0;
}
