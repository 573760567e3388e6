/* SPDX-License-Identifier: MIT */
/* The rights of set-up are given up before the agent begins. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

/* Drops every capability but those with which root uses files of other users (root only; anybody
 * else keeps none), for this process and all that it starts. With no_new_privs, which this sets,
 * nothing brings them back but a user namespace made later, where they reach nothing of ours. */
int caps_drop(struct err *err) MUST_CHECK;
