/* SPDX-License-Identifier: MIT */
/* One command on its way: what was asked, by whom, what is known of it, what was decided, how it
 * ended. Doors fill `ask` and `peer`, the resolver fills `facts`, the warden does the rest and
 * alone changes `state`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "base/uuid.h"
#include "core/container.h"
#include "policy/policy.h"

enum request_state {
    REQUEST_RECEIVED, /* facts are being found */
    REQUEST_WAITING,  /* for a person */
    REQUEST_STARTING, /* allowed and recorded; the helper has it, or facts are read once more */
    REQUEST_RUNNING,
    REQUEST_ENDED,
};
const char *request_state_name(enum request_state s);

enum door_kind { DOOR_SHIM_V1, DOOR_SHIM_V2, DOOR_GATE, DOOR_API };
const char *door_kind_name(enum door_kind d); /* "shim-v1", "shim", "gate", "api" */

enum decision {
    DECISION_NONE,
    DECISION_DENY,         /* by policy */
    DECISION_ALLOW,        /* by policy */
    DECISION_ASK_APPROVED, /* by a person */
    DECISION_ASK_DENIED,
    DECISION_ASK_EXPIRED, /* nobody answered in time */
    DECISION_WITHDRAWN,   /* the caller went, before an answer */
    DECISION_LIMITED,     /* a cap of this caller is reached */
    DECISION_ERROR,       /* facts could not be found, or the record could not be written */
    DECISION_INTERRUPTED, /* the warden stopped before the end was known */
};
const char *decision_name(enum decision d); /* "deny", "allow", "ask-approved", "ask-expired" ... */

/* Who is calling, from the kernel. */
struct peer {
    pid_t pid, ppid, sid;
    int pidfd;           /* owned by the request; -1 only in tests */
    uint64_t start_time; /* of pid, clock ticks since boot, /proc/PID/stat field 22 */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* owned */
    size_t groups_count;
    uint32_t tty;         /* device number of the controlling terminal, 0: none */
    char parent[64];      /* comm of the parent, as it is: untrusted bytes */
    char *container;      /* owned; NULL: host */
    struct container *in; /* owned reference; NULL: host */
    char *cgroup;         /* owned; the peer's v2 cgroup path */
};

/* What was asked. Pointers lead into `blob`. */
struct ask {
    enum door_kind door;
    char *blob; /* owned */
    const char *name;
    const char *cwd;   /* v1: the directory to use; v2: what the shim believes */
    const char **argv; /* owned array, NULL-terminated */
    size_t argc;
    const char **env; /* owned array, NULL-terminated */
    size_t envc;
    uint32_t umask; /* 0777 mask; v1: 022 */
    uint32_t flags; /* V2_REQ_TTY* */
    bool has_claim;
    uint8_t claim[16];
    uint64_t tree;   /* the gate's, a number that is not used again; 0 none */
    bool scoped;     /* under a gate: what has a time limit gets a cgroup of its own */
    bool debuggers;  /* under a gate: programs of the tree may trace each other */
    bool unholdable; /* others could change it while it waits: it cannot be asked about */
};

/* What the resolver found. `program`, `paths` are in the form that policy judges. */
struct facts {
    bool known; /* false until the resolver has answered */
    char *cwd;  /* owned; resolved */
    uint64_t cwd_dev, cwd_ino, cwd_mnt;
    char *exec_path; /* owned; what is to be executed (the path found, before symlinks) */
    struct policy_program program; /* its strings and arrays are kept in `arena` */
    struct policy_path *paths;     /* kept in `arena` */
    size_t paths_count;
    size_t argv_skip;   /* rules see argv from here: what is before it is an interpreter's */
    const char **above; /* in `arena`: names of the trusted programs above it, under a gate */
    size_t above_count;
    void **arena; /* owned pointers to free; see facts_keep() */
    size_t arena_count;
};
/* Remembers `p` for freeing with the facts, and returns it. */
void *facts_keep(struct facts *f, void *p);
void facts_done(struct facts *f); /* frees, leaves empty facts */

/* How it ended. */
enum end_kind {
    END_EXIT,     /* value: exit code */
    END_SIGNAL,   /* value: signal */
    END_FAILED,   /* it never started: value is the exit code for the shim (125, 126, 127) */
    END_REPLACED, /* under a gate: its process started another program in its place */
    END_UNSEEN,   /* under a gate: it ended, and the kernel did not tell how */
};
struct end {
    enum end_kind kind;
    int value;
    bool caller_gone; /* the shim hung up, the command was killed for it */
    char text[512];   /* words for the shim's stderr, whole lines, or "" */
};

struct answer {
    enum verdict verdict; /* VERDICT_ALLOW or VERDICT_DENY */
    char approver[128];   /* who: a user name or token name */
    char channel[32];     /* "cli", "api", "dashboard", "slack" ... */
    char comment[1024];   /* may be "" */
    bool remember;        /* yes to this unknown program for as long as its gate's tree lives */
};

struct caller;
struct request_look;
struct track;

struct request {
    struct list all; /* the warden's */
    uint8_t id[16];
    char id_text[UUID_TEXT_SIZE];
    enum request_state state;
    struct peer peer;
    struct ask ask;
    struct facts facts;
    struct policy *policy; /* owned reference: the one that judged it */
    struct policy_decision judged;
    enum decision decision;
    struct answer answer;       /* when a person answered */
    struct request_look *looks; /* owned, see core/looks.h */
    size_t looks_count;
    char digest[65]; /* hex SHA-256 of argv, cwd, passing env, program identity, policy version */
    struct caller *caller;     /* borrowed; NULL when it is gone or handed over */
    struct executor *executor; /* borrowed; NULL until starting */
    void *job;                 /* the executor's own */
    void *lookup;              /* the resolver's own */
    pid_t command_pid;         /* 0 until running */
    uint64_t received_at, waiting_at, decided_at, started_at,
        ended_at;      /* realtime ns; 0: not yet */
    uint64_t deadline; /* monotonic ns: of the answer while waiting, of the run while running */
    bool timed_out;    /* its time was up: TERM was sent */
    bool paused;       /* it, its container or everything is: its deadline stands still */
    struct end end;
    char
        remembered[256]; /* "yes to ... by NAME (request ID)", or ""; judged.reason may lead here */
    char why[512];       /* withdrawn, error, limited, killed: words */
    struct track *track; /* the warden's own, see core/course.h; NULL before warden_submit() */
};

struct request *request_new(void);
struct request *request_free(struct request *r);
CLEANUP_DEFINE(struct request, request_free)

/* The tool of the system that it is, whatever its caller called it (the agent chooses that); NULL:
 * none. Borrowed from `r`. */
const char *request_tool(const struct request *r);
/* The facts in the form that policy judges; borrowed from `r`. */
void request_to_policy(const struct request *r, struct policy_request *ret);
