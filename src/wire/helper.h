/* SPDX-License-Identifier: MIT */
/* What the warden and its helper say to each other, over a SOCK_SEQPACKET pair: one message a
 * packet. Bytes only: no malloc, no stdio; descriptors travel beside, see docs/protocol-helper.md.
 * Each message is a head and a body of that many bytes; a body over HELPER_INLINE_MAX lies in a
 * sealed memfd that is attached instead. All integers are big-endian, strings NUL-terminated.
 *
 *   warden                                helper
 *                                     <-  HELPER_HELLO     once, what it can do here
 *   HELPER_RESOLVE  + pidfd, init     ->  init: a pidfd, for a caller in a container
 *   HELPER_CANCEL                     ->  forget that lookup
 *                                     <-  HELPER_RESOLVED  by its second socket, from the worker
 *   HELPER_START    + conn, pidfd, init ->
 *                                     <-  HELPER_READY     by the engine only: the caller gave its
 * fds HELPER_STREAM   + socket          ->  the engine's stream of the command HELPER_ADOPT ->  the
 * command's pid
 *                                     <-  HELPER_STARTED
 *                                     <-  HELPER_RESIZED   by the engine only
 *   HELPER_KILL, HELPER_FREEZE        ->
 *                                     <-  HELPER_ENDED
 *   HELPER_RELEASE                    ->  the end is on record: tell the shim
 *                                     <-  HELPER_LINE + socket: of a worker that keeps a seat in a
 * container; RESOLVE, CANCEL, START, KILL and RELEASE may go by it, and are answered there */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HELPER_VERSION 4u
/* Descriptors that the helper finds: the socket of all of the above, whose end is the other side's
 * end, and the one for what workers answer themselves, without the dispatcher in between. */
#define HELPER_FD_CONTROL 3
#define HELPER_FD_ANSWERS 4
#define HELPER_HEAD_SIZE 16
#define HELPER_INLINE_MAX (64u << 10)
#define HELPER_BODY_MAX (12u << 20)
#define HELPER_FDS_MAX 5
#define HELPER_GROUPS_MAX 65536u
#define HELPER_PATHS_MAX 256u
#define HELPER_ARGS_MAX 64u    /* arguments that a lookup sees: enough to find a script */
#define HELPER_NAMES_MAX 1024u /* of a file; or paths that are covered */
#define HELPER_TEXT_MAX 512u

enum helper_type {
    HELPER_RESOLVE = 1,
    HELPER_START = 2,
    HELPER_KILL = 3,
    HELPER_RELEASE = 4,
    HELPER_CANCEL = 5,
    HELPER_STREAM = 6,
    HELPER_ADOPT = 7,
    HELPER_FREEZE = 8,
    HELPER_HELLO = 0x81,
    HELPER_RESOLVED = 0x82,
    HELPER_STARTED = 0x83,
    HELPER_ENDED = 0x84,
    HELPER_IDLE = 0x85, /* inside the helper only: a worker is free again */
    HELPER_READY = 0x86,
    HELPER_RESIZED = 0x87,
    HELPER_LINE = 0x88,
};

#define HELPER_ATTACHED 1u /* the body is in a memfd, the last descriptor */
#define HELPER_CGROUP 2u   /* inside the helper only: the command's cgroup is attached */
#define HELPER_SEAT 4u     /* inside the helper only: a seat may be kept in there */

/* u8 type | u8 flags | u16 zero | u32 len | u64 job */
struct helper_head {
    uint8_t type;
    uint8_t flags;
    uint32_t len; /* of the body, wherever it is */
    uint64_t job; /* chosen by the warden, never 0 and never used again */
};

void helper_head_encode(const struct helper_head *h, uint8_t out[HELPER_HEAD_SIZE]);
/* -EBADMSG for an unknown flag, reserved bytes, or len over HELPER_BODY_MAX. The type is any. */
int helper_head_decode(const uint8_t in[HELPER_HEAD_SIZE], struct helper_head *ret);

/* Strings that lie one behind the other. Encoders take `list` or, when that is NULL, `packed` of
 * `size` bytes; decoders set `packed` and `size`. */
struct helper_strings {
    const char *const *list;
    const char *packed;
    size_t size;
    uint32_t count;
};

struct helper_peer {
    uint32_t pid, uid, gid, groups_count;
    const uint32_t *groups;    /* for the encoder */
    const uint8_t *groups_raw; /* from the decoder: big-endian, see helper_group() */
};
uint32_t helper_group(const struct helper_peer *p, uint32_t i);

#define HELPER_PEER_V1 1u   /* `cwd` is a path to use, not the caller's own directory */
#define HELPER_ARGS_CUT 2u  /* there are more or longer arguments than were sent */
#define HELPER_BY_ENGINE 4u /* the container's engine starts the command, nobody enters */
/* Mount the shim, whose O_PATH descriptor comes behind init's, over the tools that `paths` name.
 * The caller is init; answered by names, the paths that are covered, and words, what is not. */
#define HELPER_COVER 8u
/* With HELPER_COVER: behind the shim comes a SOCK_SEQPACKET socket, on which the helper says of
 * each cover what lies below: GATEWIRE_COVERS in wire/gatewire. */
#define HELPER_BELOW 16u

struct helper_resolve {
    uint32_t init; /* of the container that the caller lives in; 0: it lives on this host */
    struct helper_peer peer;
    uint32_t flags;
    const char *name;             /* what it was called by; v1: may have slashes */
    const char *cwd;              /* v1: the directory to use; v2: "" */
    struct helper_strings search; /* trusted directories, absolute */
    struct helper_strings args;   /* argv as far as HELPER_ARGS_MAX */
    struct helper_strings paths;  /* operands to resolve */
};

enum helper_trust { HELPER_TRUST_UNKNOWN, HELPER_TRUST_NOT_FOUND, HELPER_TRUST_TRUSTED };

/* Strings are "" for none. */
struct helper_resolved {
    uint32_t error; /* 0, or an errno: then `words` says why and nothing else counts */
    const char *words;
    const char *cwd;
    uint64_t cwd_dev, cwd_ino, cwd_mnt;
    uint32_t trust;
    const char *exec_path;
    const char *path;
    uint64_t dev, ino;
    const char *why_unknown;
    struct helper_strings names;
    const char *script;
    uint32_t script_trust;
    const char *interpreter;
    const char *digest;          /* 64 hex digits */
    struct helper_strings paths; /* as asked; "" for one that could not be resolved */
};

struct helper_start {
    uint32_t init; /* as above */
    struct helper_peer peer;
    uint32_t flags; /* HELPER_PEER_V1, HELPER_BY_ENGINE */
    uint32_t umask;
    uint8_t id[16];
    uint64_t exec_dev, exec_ino;
    uint64_t cwd_dev, cwd_ino, cwd_mnt;
    uint32_t trust; /* of the program as judged */
    const char *name;
    const char *exec_path;
    const char *cwd;    /* v1: the path to use; v2: where it was judged to be, or "" */
    const char *script; /* read by the interpreter, or "" */
    const char *digest; /* of the script, or of a program that is not trusted; or "" */
    struct helper_strings argv;
    struct helper_strings env;
};

enum helper_end_kind { HELPER_END_EXIT, HELPER_END_SIGNAL, HELPER_END_FAILED };
#define HELPER_END_CALLER_GONE 1u
#define HELPER_END_ASK_ENGINE 4u   /* the engine knows its exit code */
#define HELPER_END_CGROUP_SPENT 2u /* inside the helper only: it was killed, never use it again */
#define HELPER_END_SEAT 8u         /* inside the helper only: a seat is kept in the cgroup */

/* HELPER_ENDED; also the body of HELPER_RELEASE (what to tell the shim) and HELPER_IDLE (flags). */
struct helper_end {
    uint32_t kind, value, flags;
    const char *text;
};

/* HELPER_STARTED; also the body of HELPER_LINE: `pid` is the init of its container. */
struct helper_started {
    uint32_t pid;
    const char *cgroup; /* directory of the command's own cgroup, or "" */
};

#define HELPER_HAS_CGROUP 1u /* commands have a cgroup of their own */
#define HELPER_IS_ROOT 2u    /* may run commands of other users */
#define HELPER_ENTERS 4u     /* may enter containers; else `outside` says why not */
struct helper_hello {
    uint32_t version, features;
    const char *cgroup;  /* directory that holds the commands' cgroups, or "" */
    const char *words;   /* what is missing here and what follows from it, or "" */
    const char *outside; /* why it cannot enter containers, or "" */
};

/* Encoders return the size of the body, and have written it when that is at most `size` (call with
 * NULL, 0 to learn it); 0 when a limit is passed. Decoders refuse (-EBADMSG, -E2BIG) before
 * anything is used; their strings point into the body. */
size_t helper_resolve_encode(const struct helper_resolve *m, uint8_t *out, size_t size);
int helper_resolve_decode(const uint8_t *in, size_t len, struct helper_resolve *ret);
size_t helper_resolved_encode(const struct helper_resolved *m, uint8_t *out, size_t size);
int helper_resolved_decode(const uint8_t *in, size_t len, struct helper_resolved *ret);
size_t helper_start_encode(const struct helper_start *m, uint8_t *out, size_t size);
int helper_start_decode(const uint8_t *in, size_t len, struct helper_start *ret);
size_t helper_started_encode(const struct helper_started *m, uint8_t *out, size_t size);
int helper_started_decode(const uint8_t *in, size_t len, struct helper_started *ret);
size_t helper_end_encode(const struct helper_end *m, uint8_t *out, size_t size);
int helper_end_decode(const uint8_t *in, size_t len, struct helper_end *ret);
size_t helper_hello_encode(const struct helper_hello *m, uint8_t *out, size_t size);
int helper_hello_decode(const uint8_t *in, size_t len, struct helper_hello *ret);
/* HELPER_KILL: u32 signal number, 1..64. */
#define HELPER_KILL_SIZE 4
void helper_kill_encode(uint32_t signo, uint8_t out[HELPER_KILL_SIZE]);
int helper_kill_decode(const uint8_t *in, size_t len, uint32_t *ret_signo);
/* HELPER_FREEZE: u32, 1: the command's cgroup stands still, 0: it goes on. */
#define HELPER_FREEZE_SIZE 4
void helper_freeze_encode(uint32_t on, uint8_t out[HELPER_FREEZE_SIZE]);
int helper_freeze_decode(const uint8_t *in, size_t len, uint32_t *ret_on);

/* HELPER_READY, HELPER_RESIZED and HELPER_ADOPT are so many u32. */
enum helper_ready {
    READY_UID,
    READY_GID,
    READY_GROUPS, /* 1: all that the container has for this user; 0: the gid alone */
    READY_TTY,
    READY_ROWS,
    READY_COLUMNS,
    READY_COUNT
};
enum helper_resized { RESIZED_ROWS, RESIZED_COLUMNS, RESIZED_COUNT };
enum helper_adopt { ADOPT_PID, ADOPT_COUNT }; /* 0: it never was, or has ended already */
#define HELPER_NUMBERS_MAX 6
/* `out` has room for 4 * count bytes; their number is returned. */
size_t helper_numbers_encode(const uint32_t *v, size_t count, uint8_t *out);
int helper_numbers_decode(const uint8_t *in, size_t len, size_t count, uint32_t *ret);

/* The next of strings that lie one behind the other. */
const char *helper_next(const char *s);
