/* SPDX-License-Identifier: MIT */
/* What clawrden-gate and the warden say to each other, over one unix stream socket for the whole
 * life of a governed tree. Bytes only: no malloc, no stdio, no descriptors; decoders take a pointer
 * and a length. docs/protocol-gate.md describes the same byte by byte. All integers are big-endian.
 *
 * The gate's first eight bytes are GATEWIRE_MAGIC. Then both sides send messages: u8 type, three
 * zero bytes, u32 length of the body, body.
 *
 *   gate                                   warden
 *   GATEWIRE_HELLO           ->
 *                            <-  GATEWIRE_WELCOME  the agent may start; again when the policy's
 *                                                  search path changes
 *                            <-  GATEWIRE_COVERS   what lies below shims that are mounted over
 *                                                  tools; before WELCOME, and when that changes
 *                            <-  GATEWIRE_REFUSED  no gate here: text, then the end
 * and for each new image, by its job:
 *   GATEWIRE_REQUEST + pidfd ->
 *                            <-  GATEWIRE_LOOK     find the facts (again), and these operands
 *   GATEWIRE_FACTS           ->
 *                            <-  GATEWIRE_WAITING  a person is asked
 *   GATEWIRE_WITHDRAW        ->                    it died, or got a signal that ends it
 *                            <-  GATEWIRE_ALLOW    let it go, without these variables
 *                            <-  GATEWIRE_REDIRECT the same, but the shim runs in its place
 *                            <-  GATEWIRE_DENY     it prints the text and leaves with the code
 *   GATEWIRE_STARTED         ->                    it was let go
 *                            <-  GATEWIRE_KILL
 *                            <-  GATEWIRE_FREEZE   it stands still, or goes on
 *   GATEWIRE_FROZEN          ->                    it was seen to stand still
 *   GATEWIRE_END             ->                    how it ended */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/pack.h"

#define GATEWIRE_MAGIC "CLAWRDG1"
#define GATEWIRE_MAGIC_SIZE 8
#define GATEWIRE_HEAD_SIZE 8
#define GATEWIRE_VERSION 1u

#define GATEWIRE_BODY_MAX (10u << 20) /* argv and env are at most 6 MiB (execve(2)) */
#define GATEWIRE_STRINGS_MAX (8u << 20)
#define GATEWIRE_STRING_MAX (128u << 10) /* MAX_ARG_STRLEN of the kernel */
#define GATEWIRE_ARGS_MAX 2000000u
#define GATEWIRE_PATH_MAX 4096u
#define GATEWIRE_NAMES_MAX 64u
#define GATEWIRE_PARENTS_MAX 16u
#define GATEWIRE_OPERANDS_MAX 256u
#define GATEWIRE_SEARCH_MAX 64u
#define GATEWIRE_SCRUB_MAX 65536u
#define GATEWIRE_TEXT_MAX 8192u
#define GATEWIRE_SCRIPT_ARG_MAX 2u /* the kernel puts at most one argument before a script */

enum gatewire_type {
    GATEWIRE_HELLO = 1,
    GATEWIRE_REQUEST = 2,
    GATEWIRE_FACTS = 3,
    GATEWIRE_WITHDRAW = 4,
    GATEWIRE_STARTED = 5,
    GATEWIRE_END = 6,
    GATEWIRE_FROZEN = 7,
    GATEWIRE_WELCOME = 0x81,
    GATEWIRE_REFUSED = 0x82,
    GATEWIRE_LOOK = 0x83,
    GATEWIRE_WAITING = 0x84,
    GATEWIRE_ALLOW = 0x85,
    GATEWIRE_DENY = 0x86,
    GATEWIRE_REDIRECT = 0x87,
    GATEWIRE_KILL = 0x88,
    GATEWIRE_FREEZE = 0x89,
    GATEWIRE_COVERS = 0x8a,
};

struct gatewire_head {
    uint8_t type; /* any value; the receiver refuses what it does not expect */
    uint32_t len;
};
void gatewire_head_encode(uint8_t type, uint32_t len, uint8_t out[GATEWIRE_HEAD_SIZE]);
/* -EBADMSG when the reserved bytes are not zero; -E2BIG when len > GATEWIRE_BODY_MAX. */
int gatewire_head_decode(const uint8_t in[GATEWIRE_HEAD_SIZE], struct gatewire_head *ret);

/* The memory of what waits can be written by nobody: /proc is read-only or walled off, and the
 * filter refuses process_vm_writev. Without it nothing may be held for a person. */
#define GATEWIRE_WALL_MEMORY 1u
#define GATEWIRE_WALL_LANDLOCK 2u /* by Landlock: mount(2) is refused in the tree */
#define GATEWIRE_TREE_PID1 4u     /* the gate is process 1: nothing outlives it */
#define GATEWIRE_SCOPE_CGROUP 8u  /* what has a time limit gets a cgroup of its own */
#define GATEWIRE_DEBUGGERS 16u    /* programs of the tree may trace each other */
#define GATEWIRE_FREEZES 32u      /* the gate understands FREEZE */
#define GATEWIRE_TAKES_COVERS 64u /* the gate understands COVERS */
#define GATEWIRE_HELLO_ALL 127u

struct gatewire_hello {
    uint32_t version;
    uint32_t flags;
    const char *words; /* what is missing here and what follows from it, or "" */
};

struct gatewire_welcome {
    uint32_t version;
    struct pack_strings search; /* the policy's trusted directories, absolute */
};

/* COVERS has no body, but a SOCK_SEQPACKET socket in which a message for each cover lies: this, and
 * the directory of the tool as a descriptor, without the covers in it. Read to its end. */
struct gatewire_cover {
    uint64_t mount;   /* its number (statx(2)), by which a program that was started shows it */
    const char *path; /* of the tool, absolute */
};
#define GATEWIRE_COVER_SIZE_MAX (8u + GATEWIRE_PATH_MAX)

enum gatewire_trust { GATEWIRE_UNKNOWN, GATEWIRE_TRUSTED };

/* Strings are "" for none. */
struct gatewire_facts {
    uint32_t error;    /* 0, or an errno: then `words` says why and nothing else counts */
    const char *words; /* why it could not be looked at */
    const char *cwd;   /* resolved; "" unknown */
    uint64_t cwd_dev, cwd_ino;
    uint32_t trust, script_trust; /* enum gatewire_trust */
    uint32_t script_arg; /* 0, or: it is the tool that argv[script_arg], a script, is by its name,
                          * and arguments before that are its interpreter's */
    const char *path;    /* of the opened executable */
    uint64_t dev, ino;   /* of the opened executable */
    const char *why_unknown;
    struct pack_strings names; /* by which the search path leads to this very file */
    const char *script;
    const char *interpreter;
    const char *digest;           /* 64 hex digits: of the script, or of a program not trusted */
    struct pack_strings operands; /* as LOOK asked; "" for one that could not be resolved */
};

struct gatewire_request {
    uint64_t job;                /* never 0, never used again on this connection */
    const char *execfn;          /* the path as it was called: AT_EXECFN */
    struct pack_strings argv;    /* at least one */
    struct pack_strings env;     /* as they are; not all need to have a '=' */
    struct pack_strings parents; /* "DEV:INO NAME", the parent first: what runs above it */
    struct gatewire_facts facts;
};

struct gatewire_look {
    uint64_t job;
    struct pack_strings operands; /* paths to resolve, relative to its directory */
};

struct gatewire_found { /* GATEWIRE_FACTS */
    uint64_t job;
    struct gatewire_facts facts;
};

struct gatewire_waiting {
    uint64_t job;
    uint8_t id[16];
};

/* It has a time limit: it ends when the warden goes, because nobody would end it in time. */
#define GATEWIRE_ALLOW_LIMITED 1u

struct gatewire_allow { /* and GATEWIRE_REDIRECT */
    uint64_t job;
    uint32_t flags;
    struct pack_strings scrub; /* names of variables that must not stay */
    const char *shim;          /* REDIRECT: absolute path; ALLOW: "" */
    const char *command;       /* REDIRECT: the name that the shim stands in for; ALLOW: "" */
    uint32_t skip;             /* REDIRECT: so many of argv go: the interpreter's; ALLOW: 0 */
};

struct gatewire_deny {
    uint64_t job;
    uint32_t code;    /* 125, 126, 127 */
    const char *text; /* whole lines for stderr */
};

struct gatewire_withdraw {
    uint64_t job;
    const char *why;
};

enum gatewire_end_kind {
    GATEWIRE_EXITED,
    GATEWIRE_SIGNALED,
    GATEWIRE_REPLACED, /* the process started another program in its place */
    GATEWIRE_GONE,     /* it ended, and this kernel does not tell how */
    GATEWIRE_FAILED,   /* it was allowed and not let go: `text` says why */
};
struct gatewire_end {
    uint64_t job;
    uint32_t kind;
    uint32_t value; /* exit code, signal; else 0 */
    const char *text;
};

/* Encoders return the size of the body, and have written it when that is at most `size` (call with
 * NULL, 0 to learn it); 0 when a limit is passed. Decoders refuse (-EBADMSG, -E2BIG) before
 * anything is used; their strings point into the body. */
size_t gatewire_hello_encode(const struct gatewire_hello *m, uint8_t *out, size_t size);
int gatewire_hello_decode(const uint8_t *in, size_t len, struct gatewire_hello *ret);
size_t gatewire_welcome_encode(const struct gatewire_welcome *m, uint8_t *out, size_t size);
int gatewire_welcome_decode(const uint8_t *in, size_t len, struct gatewire_welcome *ret);
size_t gatewire_cover_encode(const struct gatewire_cover *m, uint8_t *out, size_t size);
int gatewire_cover_decode(const uint8_t *in, size_t len, struct gatewire_cover *ret);
size_t gatewire_facts_encode(const struct gatewire_facts *m, uint8_t *out, size_t size);
int gatewire_facts_decode(const uint8_t *in, size_t len, struct gatewire_facts *ret);
size_t gatewire_request_encode(const struct gatewire_request *m, uint8_t *out, size_t size);
int gatewire_request_decode(const uint8_t *in, size_t len, struct gatewire_request *ret);
size_t gatewire_look_encode(const struct gatewire_look *m, uint8_t *out, size_t size);
int gatewire_look_decode(const uint8_t *in, size_t len, struct gatewire_look *ret);
size_t gatewire_found_encode(const struct gatewire_found *m, uint8_t *out, size_t size);
int gatewire_found_decode(const uint8_t *in, size_t len, struct gatewire_found *ret);
size_t gatewire_waiting_encode(const struct gatewire_waiting *m, uint8_t *out, size_t size);
int gatewire_waiting_decode(const uint8_t *in, size_t len, struct gatewire_waiting *ret);
size_t gatewire_allow_encode(const struct gatewire_allow *m, uint8_t *out, size_t size);
int gatewire_allow_decode(const uint8_t *in, size_t len, struct gatewire_allow *ret);
size_t gatewire_deny_encode(const struct gatewire_deny *m, uint8_t *out, size_t size);
int gatewire_deny_decode(const uint8_t *in, size_t len, struct gatewire_deny *ret);
size_t gatewire_withdraw_encode(const struct gatewire_withdraw *m, uint8_t *out, size_t size);
int gatewire_withdraw_decode(const uint8_t *in, size_t len, struct gatewire_withdraw *ret);
size_t gatewire_end_encode(const struct gatewire_end *m, uint8_t *out, size_t size);
int gatewire_end_decode(const uint8_t *in, size_t len, struct gatewire_end *ret);
/* GATEWIRE_REFUSED: the text, at most GATEWIRE_TEXT_MAX bytes, no NUL.
 * GATEWIRE_STARTED, GATEWIRE_FROZEN: u64 job. GATEWIRE_KILL: u64 job, u32 signal 1..64.
 * GATEWIRE_FREEZE: u64 job, u32 1: it stands still, 0: it goes on. */
#define GATEWIRE_STARTED_SIZE 8
#define GATEWIRE_FREEZE_SIZE 12
#define GATEWIRE_KILL_SIZE 12
int gatewire_started_decode(const uint8_t *in, size_t len, uint64_t *ret_job);
int gatewire_kill_decode(const uint8_t *in, size_t len, uint64_t *ret_job, uint32_t *ret_signo);
int gatewire_freeze_decode(const uint8_t *in, size_t len, uint64_t *ret_job, uint32_t *ret_on);
