/* SPDX-License-Identifier: MIT */
/* The question about a stopped program, and what becomes of the answer: let go, held, ended with
 * words, or the shim in its place. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gate/execs.h"
#include "wire/gatewire.h"

/* Programs of the tree may trace each other (--allow-debuggers). Only one process can trace
 * another: what a debugger starts itself is traced before its exec and could not be judged, so it
 * is refused. Instead what has CLAWRDEN_STOP in its environment is let go stopped, for a debugger
 * to attach. */
void verdict_debuggers(void);

/* It was looked at: asks the warden, or answers its LOOK. */
void verdict_facts(struct exec *e, const struct gatewire_facts *f);
/* Its image cannot be read (negative errno): the warden records that, and it dies. */
void verdict_ask_unread(struct exec *e, int error);
/* 0, or a negative errno with *ret_why: the tree must end. */
int verdict_answer(const struct gatewire_head *h, const uint8_t *body, const char **ret_why);
/* The warden has a request of it that is open. */
bool verdict_expected(const struct exec *e);

/* Kills what is stopped; the kernel says when it is gone. */
void verdict_doom(struct exec *e);
void verdict_drop_finder(struct exec *e);
void verdict_end(const struct exec *e, enum gatewire_end_kind kind, int value, const char *text);
void verdict_withdraw(const struct exec *e, const char *why);

/* There is no warden: it was refused with words, and `e` is gone or doomed. */
bool verdict_alone(struct exec *e);
void verdict_warden_lost(void);

void verdict_tick(uint64_t now); /* signals for what is held */
uint64_t verdict_next(void);     /* ms; UINT64_MAX: nothing */
