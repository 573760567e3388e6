/* SPDX-License-Identifier: MIT */
/* The JSON of a v1 request. What is accepted is a whole ask: absolute cwd, a command, strings
 * within the kernel's limits, lists that end. */
#include <stdlib.h>
#include <string.h>

#include "door/v1json.h"
#include "wire/v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!list[i] || strlen(list[i]) >= V2_STRING_MAX)
            abort();
    if (list[n])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ask a;
    struct v1json_identity id;
    struct err err = {.text = ""};
    if (v1json_decode((const char *)data, size, &a, &id, &err) < 0) {
        if (err.text[0] == '\0')
            abort(); /* a refusal has words */
        return 0;
    }
    if (a.argc < 1 || a.name[0] == '\0' || a.argv[0] != a.name || a.cwd[0] != '/')
        abort();
    check_list(a.argv, a.argc);
    check_list(a.env, a.envc);
    free(a.blob);
    free(a.argv);
    free(a.env);
    return 0;
}
