/* SPDX-License-Identifier: MIT */
/* Jails in memory, and those that are kept over restarts in a file. The file is the warden's own;
 * it is read as strictly as if it were not. */
#pragma once

#include "jail/roster.h"

#define BOOK_BYTES_MAX (64u << 20)

struct roster_entry *book_entry_new(enum roster_origin origin, const struct roster_wish *w);
void book_entry_change(struct roster_entry *e, const struct roster_wish *w);
/* It has the commands, containers and mode of the wish already. */
bool book_entry_is(const struct roster_entry *e, const struct roster_wish *w);
/* It is in no list. NULL is fine. */
struct roster_entry *book_entry_free(struct roster_entry *e);

/* Appends what the file holds to `entries`; none when there is no file. */
int book_read(const char *path, struct list *entries, size_t *ret_count,
              struct err *err) MUST_CHECK;
/* The same of a text: names are checked, unique, at most ROSTER_MAX. -EBADMSG. */
int book_parse(const char *text, size_t len, struct list *entries, size_t *ret_count,
               struct err *err) MUST_CHECK;
/* All but the policy's. Renamed into place and not synced: it outlives a killed warden. */
int book_write(const char *path, const struct list *entries, struct err *err) MUST_CHECK;

void book_put_names(struct json_writer *w, const char *key, char *const *names, size_t count);
