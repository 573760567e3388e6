/* SPDX-License-Identifier: MIT */
#include "policy/suppose.h"

#include <stdlib.h>

#include "base/path.h"
#include "base/str.h"

static size_t resolve(struct suppose *x, const struct policy *p)
{
    size_t args[SUPPOSE_PATHS_MAX];
    size_t n = policy_path_operands(p, x->q.command, x->q.argv, x->q.argc, args, SUPPOSE_PATHS_MAX);
    if (n > SUPPOSE_PATHS_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *whole = path_join(x->q.cwd, x->q.argv[args[i]]);
        x->paths[i] = (struct policy_path){.arg = args[i], .resolved = path_normalise(whole)};
    }
    return n;
}

void suppose_begin(struct suppose *x, const struct policy *p, const char *const *argv, size_t argc,
                   const char *cwd)
{
    x->names[0] = str_basename(argv[0]);
    x->q = (struct policy_request){
        .command = x->names[0],
        .argv = argv,
        .argc = argc,
        .cwd = cwd,
        .paths = x->paths,
        .program = {
            .trust = PROGRAM_TRUSTED, .path = argv[0], .names = x->names, .names_count = 1}};
    x->q.paths_count = resolve(x, p);
}

void suppose_done(struct suppose *x)
{
    for (size_t i = 0; i < x->q.paths_count; i++)
        free((char *)x->paths[i].resolved);
    x->q.paths_count = 0;
}
