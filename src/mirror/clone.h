/* SPDX-License-Identifier: MIT */
/* clone3(2) that works like vfork(2): the child borrows the parent's memory until it executes or
 * exits. A fork of this process costs sixty times as much (docs/decisions.md), and commands are
 * started often. The child may only make system calls and must not return from the function that
 * called. */
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

/* The child in `cgroup` (a directory of cgroup v2) unless that is -1. The pid, 0 in the child, or a
 * negative errno. Signals must be blocked and no handler installed. */
#define clone_vfork(cgroup_)                                                                       \
    __extension__({                                                                                \
        struct compat_clone_args *args_ = clone_args(cgroup_);                                     \
        clone_call(args_, sizeof(*args_));                                                         \
    })

#include "mirror/compat.h"

/* The same by clone(2), which the seccomp filters of containers know, for the child's own child: it
 * is a child of our parent and not of ours. It has the caller's memory until it executes. */
long clone_sibling(unsigned long flags) __attribute__((returns_twice));
#define clone_sibling_vfork()                                                                      \
    clone_sibling(                                                                                 \
        (unsigned long)(COMPAT_CLONE_VM | COMPAT_CLONE_VFORK | COMPAT_CLONE_PARENT | SIGCHLD))

struct compat_clone_args *clone_args(int cgroup);
long clone_call(struct compat_clone_args *args, unsigned long size) __attribute__((returns_twice));
