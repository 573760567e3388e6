/* SPDX-License-Identifier: MIT */
/* How the core meets the world: structs of functions, the object first. Doors implement `caller`,
 * exec implements `resolver` and `executor`, store implements `audit_log` and `index`, mains the
 * `clock`. Tests drive the core with fakes of these (tests/fakes/).
 * Everything runs on the loop thread; nothing here blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/request.h"

struct clock_port {
    uint64_t (*monotonic)(struct clock_port *c); /* ns */
    uint64_t (*realtime)(struct clock_port *c);  /* ns since 1970 UTC */
};

/* The one who asked. A door embeds this in its session. After refused() or take() the core does not
 * touch the caller again. */
struct caller {
    const struct caller_ops *ops;
};
struct caller_ops {
    /* The request waits; called again after a reload re-judged it. */
    void (*waiting)(struct caller *c, const struct request *r);
    /* The end without a command: `text` is whole lines that begin with "clawrden:". */
    void (*refused)(struct caller *c, const struct request *r, int exit_code, const char *text);
    /* Gives up the connection: a stream socket, owned by the callee from now on. NULL: the command
     * is the caller's process itself, there is nothing to give (a gate). */
    int (*take)(struct caller *c);
};

/* To whom the socket of one door belongs: callers from elsewhere are refused there. Strings are
 * borrowed and NULL when they are not asked for. */
struct bond {
    const char *name;                    /* of the prisoner */
    const char *container;               /* the engine's name or id of its container */
    const char *label_key, *label_value; /* a label of it; value NULL: any */
    const char *cgroup;                  /* without an engine: the cgroup it lives below */
    int64_t userns_owner;                /* or the owner of its user namespace; -1: not asked for */
};

/* Knows which containers there are, and in which one a process lives. */
struct census {
    /* Fills p->in and p->container, or leaves them NULL for a process of this host. `bond` is that
     * of the door it came to, or NULL. 0; -EINPROGRESS: the engine is being asked, `done(arg)`
     * follows once and not before this returns, then it is to be asked again; -EPERM with words: it
     * is not to be served. */
    int (*find)(struct census *x, struct peer *p, const struct bond *bond, void (*done)(void *arg),
                void *arg, struct err *err);
    /* `arg` is going away: its `done` will not be called. */
    void (*forget)(struct census *x, void *arg);
};

/* Finds the facts of a request: real cwd, program, script, paths, in the caller's own root and
 * under a deadline of its own. Answers once by warden_resolved(), possibly before it returns. Also
 * used again right before a start after an approval, and when a new policy looks at other paths.
 * r->facts is empty and r->policy is the policy in force when it is called. A negative return:
 * nothing will be answered. */
struct resolver {
    int (*resolve)(struct resolver *x, struct request *r, struct err *err);
    /* The request is going away: forget it, answer no more. */
    void (*cancel)(struct resolver *x, struct request *r);
};

/* Makes a container what its jail asks for, before the agent of its gate starts. */
/* `below`: a socket, the callee's from now on, that says of each cover what lies below
 * (wire/gatewire: COVERS), or negative: it could not be, and `words` say why. */
typedef void fitter_done(void *arg, int below, const char *words);
struct fitter {
    /* 0: nothing is to be done. -EINPROGRESS: `done` follows, once and later. Other negative: it
     * cannot be, with words. */
    int (*fit)(struct fitter *x, struct container *c, fitter_done *done, void *arg,
               struct err *err);
    /* Whoever waits with this `arg` is gone. */
    void (*forget)(struct fitter *x, void *arg);
};

/* Of commands under a gate, which stay in their own process. */
#define EXECUTOR_INPLACE "inplace"
/* Under a gate, what runs elsewhere: the program becomes the shim, which asks for it. */
#define EXECUTOR_REDIRECT "redirect"
#define EXECUTOR_GHOST "ghost"

/* Runs commands. */
struct executor {
    const char *name; /* "local" */
    /* Starts r->facts.exec_path with the environment `env` (envc strings, one behind the other) for
     * the caller on `conn` (-1: in the caller's own process), which it owns from here on, also when
     * it fails. Reports by
     * warden_started() and then warden_ended(), or only warden_ended() with END_FAILED. A negative
     * return means that nothing was started and nothing will be reported. */
    int (*start)(struct executor *x, struct request *r, int conn, const char *env, size_t env_len,
                 size_t envc, struct err *err);
    /* SIGTERM and the like go to the command's processes; SIGKILL to the whole tree. */
    void (*kill)(struct executor *x, struct request *r, int signo);
    /* Stops everything of the command where it is, or lets it go on. 0, or negative with words.
     * NULL: it cannot. */
    int (*freeze)(struct executor *x, struct request *r, bool on, struct err *err);
    /* After freeze(on): everything of it stands still by now, seen where it is and not believed.
     * NULL: when freeze() has returned it does. */
    bool (*stands)(struct executor *x, const struct request *r);
    /* The end is on record: tell the shim (r->end), close its connection, forget the job. */
    void (*release)(struct executor *x, struct request *r);
    /* What it started goes on without the warden: a stop neither waits for it nor kills it. */
    bool outlives;
};

/* A container that is governed: it has a door of ours, or was given one. */
struct jail {
    const char *key, *name; /* borrowed; see container_key() */
};

/* Stops and ends whole containers, by the engine that runs them or by their cgroups. */
struct jailer {
    /* The governed container of this name, id, or beginning of an id. 0 with its key in
     * `ret_key` and its name in *ret_name (owned by the caller); -ENOENT, -ENOTUNIQ with words. */
    int (*find)(struct jailer *x, const char *name, char ret_key[CONTAINER_KEY_SIZE],
                char **ret_name, struct err *err);
    /* `fn` must not call the jailer. */
    void (*each)(struct jailer *x, void (*fn)(void *arg, const struct jail *j), void *arg);
    /* Both call `done` once, later or before they return. `result`: 0; -EALREADY: it was so
     * already; -ENOENT: there is no such container any more; else negative, `words` say why.
     * kill: what does not end by the signal is killed after `grace` ns. */
    void (*freeze)(struct jailer *x, const char *key, bool on,
                   void (*done)(void *arg, int result, const char *words), void *arg);
    void (*kill)(struct jailer *x, const char *key, int signo, uint64_t grace,
                 void (*done)(void *arg, int result, const char *words), void *arg);
};

/* Where pauses outlive the warden. */
struct keeper {
    /* Puts this text in the place of the one before, as a whole. */
    int (*keep)(struct keeper *k, const char *text, size_t len, struct err *err);
};

/* The audit log. `members` is the inside of a JSON object without braces ("\"time\":...,..."): the
 * log puts version, sequence, hashes around it. `done` is called once, possibly before append()
 * returns: 0 when the record is as durable as the sync mode promises. A negative return: nothing
 * was written and `done` will not be called; `err` says why. */
struct audit_log {
    int (*append)(struct audit_log *l, const char *members, size_t len,
                  void (*done)(void *arg, int result), void *arg, struct err *err);
};

/* The queue as it survives a restart, made so that a kill at any moment leaves each request either
 * a row or a decision in the log: a row is put before the caller is told that it waits, and goes
 * when a decision about its id is on record (the index sees to that by itself, from the log). */
struct queue_row {
    uint8_t id[16];
    char digest[65];
    pid_t pid;
    uint64_t start_time; /* clock ticks, as in struct peer */
    uint64_t waiting_at; /* realtime ns */
    uint64_t deadline;   /* realtime ns */
    char *summary;       /* audit members of the request as far as known: JSON object; owned */
};
struct index {
    /* Copies. */
    void (*queue_put)(struct index *x, const struct queue_row *row);
    /* Set by the core. Called for each row that was put, possibly before queue_put() returns: it
     * outlives a kill now, or could not be written and would be judged anew. NULL: nobody asks. */
    void (*kept)(void *arg, const uint8_t id[16]);
    void *kept_arg;
};
