/* SPDX-License-Identifier: MIT */
/* A word on each refusal:
 * clone with CLONE_FS and without CLONE_THREAD: a process that shares its directory and root with
 * another could have them moved after it was judged. clone3: its flags lie in memory, where a
 * filter cannot see them; libraries fall back to clone on ENOSYS.
 * ptrace, process_vm_writev: would change what was judged. With debuggers ptrace is let through:
 * what waits is traced by us and so by nobody else, and an exec of what is traced already is
 * refused. io_uring: goes around filters. 32-bit and x32 exec: another ABI of the same call, which
 * nothing needs. Numbers: arch/x86/entry/syscalls/syscall_{64,32}.tbl of the kernel. */
#include "gate/filter.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gate/uapi.h"

#define LOAD(field)                                                                                \
    {                                                                                              \
        UAPI_BPF_LD_W_ABS, 0, 0, offsetof(struct uapi_seccomp_data, field)                         \
    }
#define RETURN(value)                                                                              \
    {                                                                                              \
        UAPI_BPF_RET, 0, 0, value                                                                  \
    }
#define FAIL(error) RETURN(UAPI_SECCOMP_RET_ERRNO | (error))
/* if (A == nr) the next instruction, else the one behind it */
#define IS(nr)                                                                                     \
    {                                                                                              \
        UAPI_BPF_JEQ, 0, 1, nr                                                                     \
    }
#define IF(nr, action) IS(nr), action

enum { I386_PTRACE = 26, I386_CLONE = 120, I386_EXECVE = 11, I386_EXECVEAT = 358 };
enum { I386_PROCESS_VM_WRITEV = 348 };
enum { X86_64_EXECVEAT = 322, X86_64_PROCESS_VM_WRITEV = 311 };
enum { ANY_IO_URING_SETUP = 425, ANY_CLONE3 = 435 };

/* A: the low word of the flags, which is the first argument of clone on both. */
#define CLONE_RULE                                                                                 \
    LOAD(args[0]), {UAPI_BPF_JSET, 0, 2, UAPI_CLONE_FS}, {UAPI_BPF_JSET, 1, 0, UAPI_CLONE_THREAD}, \
        FAIL(EPERM), RETURN(UAPI_SECCOMP_RET_ALLOW)
#define CLONE_RULE_LEN 5

static const struct uapi_bpf program[] = {
    LOAD(arch),
    {UAPI_BPF_JEQ, 2, 0, UAPI_ARCH_X86_64},
    {UAPI_BPF_JEQ, 23, 0, UAPI_ARCH_I386}, /* to the part below */
    RETURN(UAPI_SECCOMP_RET_KILL_PROCESS),
    /* x86-64 */
    LOAD(nr),
    {UAPI_BPF_JGE, 0, 1, UAPI_X32_BIT},
    FAIL(ENOSYS),
    IF(SYS_execve, RETURN(UAPI_SECCOMP_RET_USER_NOTIF)),
    IF(X86_64_EXECVEAT, RETURN(UAPI_SECCOMP_RET_USER_NOTIF)),
    IF(SYS_ptrace, FAIL(EPERM)),
    IF(X86_64_PROCESS_VM_WRITEV, FAIL(EPERM)),
    IF(ANY_IO_URING_SETUP, FAIL(EPERM)),
    IF(ANY_CLONE3, FAIL(ENOSYS)),
    {UAPI_BPF_JEQ, 1, 0, SYS_clone},
    RETURN(UAPI_SECCOMP_RET_ALLOW),
    CLONE_RULE,
    /* i386 */
    LOAD(nr),
    IF(I386_EXECVE, FAIL(ENOSYS)),
    IF(I386_EXECVEAT, FAIL(ENOSYS)),
    IF(I386_PTRACE, FAIL(EPERM)),
    IF(I386_PROCESS_VM_WRITEV, FAIL(EPERM)),
    IF(ANY_IO_URING_SETUP, FAIL(EPERM)),
    IF(ANY_CLONE3, FAIL(ENOSYS)),
    {UAPI_BPF_JEQ, 1, 0, I386_CLONE},
    RETURN(UAPI_SECCOMP_RET_ALLOW),
    CLONE_RULE,
};

#define PROGRAM_LEN (sizeof(program) / sizeof(program[0]))
#define PTRACE_RULE (4 + 1 + 2 + 2 * 2 + 1) /* what is done with it, x86-64 */

/* Without its first four instructions. */
#define FIRST_PART (1 + 2 + 6 * 2 + 2 + CLONE_RULE_LEN)
_Static_assert(FIRST_PART == 22, "the jump over the x86-64 part");
_Static_assert(PROGRAM_LEN == 4 + FIRST_PART + 1 + 12 + 2 + CLONE_RULE_LEN,
               "the length of the filter");

int filter_install(bool debuggers)
{
    struct uapi_bpf all[PROGRAM_LEN];
    const struct uapi_bpf_prog p = {.len = PROGRAM_LEN, .filter = all};
    memcpy(all, program, sizeof(program));
    if (all[PTRACE_RULE - 1].k != SYS_ptrace)
        return -EINVAL;
    if (debuggers)
        all[PTRACE_RULE] = (struct uapi_bpf)RETURN(UAPI_SECCOMP_RET_ALLOW);
    unsigned long flags = UAPI_SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long r = syscall(SYS_seccomp, UAPI_SECCOMP_SET_MODE_FILTER,
                     flags | UAPI_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &p);
    if (r < 0 && errno == EINVAL) /* before Linux 5.19 */
        r = syscall(SYS_seccomp, UAPI_SECCOMP_SET_MODE_FILTER, flags, &p);
    return r < 0 ? -errno : (int)r;
}
