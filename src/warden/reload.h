/* SPDX-License-Identifier: MIT */
/* The policy file: read at the start, and again when it changes, at SIGHUP and by the API. A broken
 * file leaves the policy in force. */
#pragma once

#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/warden.h"
#include "policy/policy.h"

/* Checks who can write the file, reads and parses it. Words begin with the file's name. */
int reload_read(const char *path, struct policy **ret, struct err *err) MUST_CHECK;

struct reload;

/* Watches `path` (copied) from now on. `w` and the loop are borrowed. */
struct reload *reload_new(uv_loop_t *loop, struct warden *w, const char *path);
/* Reads it now and hands it to the warden; `who` is for the record ("SIGHUP", a user). The words
 * are what a broken file was refused for. */
int reload_now(struct reload *x, const char *who, struct err *err) MUST_CHECK;
/* `fn` hears of each policy that is in force from then on. */
void reload_listen(struct reload *x, void (*fn)(void *arg, const struct policy *p), void *arg);
/* Closes its handles; free after the loop has run. */
void reload_close(struct reload *x);
struct reload *reload_free(struct reload *x);
