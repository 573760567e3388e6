/* SPDX-License-Identifier: MIT */
#include "mirror/clone.h"

#include <signal.h>
#include <stddef.h>

/* The return address is kept in a register over the call: the child runs on the parent's stack, and
 * what it pushes there must not be what the parent returns to. */
#if defined(__x86_64__)
__asm__(".text\n.global clone_call\n.type clone_call,@function\n"
        "clone_call:\n"
        "    pop %rdx\n"
        "    mov $435, %eax\n"
        "    syscall\n"
        "    push %rdx\n"
        "    ret\n"
        ".size clone_call, .-clone_call\n"
        ".global clone_sibling\n.type clone_sibling,@function\n"
        "clone_sibling:\n"
        "    pop %rdx\n"
        "    xor %esi, %esi\n"
        "    mov $56, %eax\n"
        "    syscall\n"
        "    push %rdx\n"
        "    ret\n"
        ".size clone_sibling, .-clone_sibling\n");
#elif defined(__aarch64__)
__asm__(".text\n.global clone_call\n.type clone_call,%function\n"
        "clone_call:\n"
        "    mov x8, #435\n"
        "    svc #0\n"
        "    ret\n"
        ".size clone_call, .-clone_call\n"
        ".global clone_sibling\n.type clone_sibling,%function\n"
        "clone_sibling:\n"
        "    mov x1, xzr\n"
        "    mov x8, #220\n"
        "    svc #0\n"
        "    ret\n"
        ".size clone_sibling, .-clone_sibling\n");
#else
#error "clone_call is not written for this architecture"
#endif

struct compat_clone_args *clone_args(int cgroup)
{
    static struct compat_clone_args args; /* not on the stack that the child shares */
    args = (struct compat_clone_args){.flags = COMPAT_CLONE_VM | COMPAT_CLONE_VFORK,
                                      .exit_signal = SIGCHLD};
    if (cgroup >= 0) {
        args.flags |= COMPAT_CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup;
    }
    return &args;
}
