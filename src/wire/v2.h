/* SPDX-License-Identifier: MIT */
/* The shim's protocol, version 2, over a unix stream socket: one command per connection.
 * Bytes only: no malloc, no stdio, no descriptors; decoders take a pointer and a length.
 * docs/protocol.md describes the same byte by byte. All integers are big-endian.
 *
 * The client's first eight bytes are V2_MAGIC. Whatever does not begin with 'C' is version 1,
 * whose first byte is the top of a length of at most 10 MiB and therefore 0.
 * Then both sides send messages: u8 type, three zero bytes, u32 length of the payload, payload.
 *
 *   shim                                    warden, from V2_GO on the mirror
 *   V2_REQUEST          ->
 *                       <-  V2_WAITING      zero or more times; the request waits for a person
 *                       <-  V2_REFUSED      the end: print the text, leave with the code
 *                       <-  V2_GO           from here the peer is the helper
 *   V2_FDS + SCM_RIGHTS ->                  stdin, stdout, stderr; with V2_FDS_PTY the pty's slave;
 *                                           then what else the shim inherited
 *   V2_SIGNAL           ->  at any time after V2_FDS
 *   V2_FOREGROUND       ->  the shim (re)gained or lost its terminal's foreground
 *                       <-  V2_STOPPED      the command stopped (job control)
 *                       <-  V2_EXIT         the end
 *
 * Before V2_GO a descriptor sent to the warden ends the connection. A close by the shim at any time
 * withdraws the request or kills the command. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define V2_MAGIC "CLAWRDN2"
#define V2_MAGIC_SIZE 8
#define V2_HEAD_SIZE 8

/* The kernel's own limits: argv and env together are at most a quarter of the stack limit and 6 MiB
 * (execve(2)), one string at most 128 KiB (MAX_ARG_STRLEN). */
#define V2_REQUEST_BYTES_MAX (8u << 20)
#define V2_ARGS_MAX 2000000u
#define V2_ENV_MAX 2000000u
#define V2_STRING_MAX (128u << 10)
#define V2_PATH_MAX 4096u
#define V2_NAME_MAX 255u
#define V2_TEXT_MAX 8192u

enum v2_type {
    V2_REQUEST = 1,
    V2_FDS = 2,
    V2_SIGNAL = 3,
    V2_FOREGROUND = 4,
    V2_WAITING = 0x81,
    V2_REFUSED = 0x82,
    V2_GO = 0x83,
    V2_STOPPED = 0x84,
    V2_EXIT = 0x85,
};

struct v2_head {
    uint8_t type; /* any value; the receiver refuses what it does not expect */
    uint32_t len; /* bytes of payload that follow */
};

/* V2_REQUEST payload: fixed head of V2_REQUEST_HEAD_SIZE bytes
 *   u32 flags | u32 umask | u32 argc | u32 envc | u8 claim[16]
 * then the NUL-terminated strings: name, cwd, argv[0..argc), env[0..envc), and nothing after. */
#define V2_REQUEST_HEAD_SIZE 32
/* Stdin, stdout, stderr are terminals: for the record only, nothing rests on it. */
#define V2_REQ_TTY0 1u
#define V2_REQ_TTY1 2u
#define V2_REQ_TTY2 4u
/* `claim` is the id of a request that waited before the warden restarted. */
#define V2_REQ_CLAIM 8u
#define V2_REQ_FLAGS_ALL 15u

struct v2_request {
    uint32_t flags;
    uint32_t umask; /* 0..0777 */
    uint32_t argc;  /* at least 1 */
    uint32_t envc;
    uint8_t claim[16];
    const char *name; /* what the shim was called by, without directories; not empty, no '/' */
    const char *cwd;  /* what the shim believes, absolute, or empty when it cannot tell; the kernel
                       * is asked for the truth */
    const char *argv; /* first of argc NUL-terminated strings that lie one behind the other */
    const char *env;  /* first of envc */
};

/* The next of such strings. */
const char *v2_next_string(const char *s);

/* Size of the payload of such a request; 0 when a limit above is passed or the name is no name.
 * Limits on strings count the NUL, except V2_NAME_MAX. */
size_t v2_request_size(const char *name, const char *cwd, const char *const *argv, uint32_t argc,
                       const char *const *env, uint32_t envc);
/* Writes the fixed head. The strings follow as they are, each with its NUL. */
void v2_request_head_encode(const struct v2_request *r, uint8_t out[V2_REQUEST_HEAD_SIZE]);
/* Checks all of it before anything is used: -EBADMSG malformed or trailing bytes, -E2BIG a limit.
 * The strings in *ret point into `payload`. */
int v2_request_decode(const uint8_t *payload, size_t len, struct v2_request *ret);

void v2_head_encode(uint8_t type, uint32_t len, uint8_t out[V2_HEAD_SIZE]);
/* -EBADMSG when the reserved bytes are not zero; -E2BIG when len > max. */
int v2_head_decode(const uint8_t in[V2_HEAD_SIZE], uint32_t max, struct v2_head *ret);

/* V2_WAITING payload: u8 id[16] | u32 seconds until the deadline, 0 when there is none | text,
 * not NUL-terminated. */
#define V2_WAITING_HEAD_SIZE 20
/* V2_REFUSED payload: u32 exit code (125, 126, 127, 75) | text for stderr, whole lines. */
#define V2_REFUSED_HEAD_SIZE 4
/* V2_GO payload: u8 id[16]. */
#define V2_GO_SIZE 16
/* V2_FDS payload: u32 flags | u32 number of each further descriptor, ascending. The message carries
 * three descriptors, with V2_FDS_PTY a fourth, then one for each number: what the shim inherited
 * above 2, which the command finds at the same number. */
#define V2_FDS_SIZE 4 /* without further ones */
#define V2_FDS_MORE_MAX 240u
#define V2_FDS_NUMBER_MAX 1023u
#define V2_FDS_SIZE_MAX (V2_FDS_SIZE + 4 * V2_FDS_MORE_MAX)
#define V2_FDS_PTY0 1u /* this one of the three is the pty's slave */
#define V2_FDS_PTY1 2u
#define V2_FDS_PTY2 4u
#define V2_FDS_PTY 8u         /* a fourth descriptor, the slave, becomes the controlling terminal */
#define V2_FDS_FOREGROUND 16u /* start the command in the pty's foreground */
#define V2_FDS_CLOSED0 32u    /* this one of the three was closed in the shim: its slot carries a */
#define V2_FDS_CLOSED1 64u    /* placeholder (any descriptor, possibly O_PATH), and the command */
#define V2_FDS_CLOSED2 128u   /* starts with this number closed */
#define V2_FDS_FLAGS_ALL 255u
struct v2_fds {
    uint32_t flags;
    uint32_t more; /* further descriptors */
    uint16_t number[V2_FDS_MORE_MAX];
};
/* How many descriptors such a message carries. */
uint32_t v2_fds_carried(const struct v2_fds *f);
/* Size of the payload. */
uint32_t v2_fds_encode(const struct v2_fds *f, uint8_t out[V2_FDS_SIZE_MAX]);
/* -EBADMSG malformed, -E2BIG a limit. */
int v2_fds_decode(const uint8_t *payload, size_t len, struct v2_fds *ret);

/* V2_SIGNAL payload: u32 signal number, one of those that the shim forwards. */
#define V2_SIGNAL_SIZE 4
/* V2_FOREGROUND payload: u32 1 gained, 0 lost. */
#define V2_FOREGROUND_SIZE 4
/* V2_STOPPED payload: u32 signal number that stopped it. */
#define V2_STOPPED_SIZE 4
/* V2_EXIT payload: u32 kind | u32 exit code or signal number | text for stderr (may be empty). */
#define V2_EXIT_HEAD_SIZE 8
enum v2_exit_kind { V2_EXIT_CODE = 0, V2_EXIT_SIGNAL = 1 };

/* Signals that a shim forwards and a helper accepts: 1 when forwardable. */
int v2_signal_ok(uint32_t signo);
