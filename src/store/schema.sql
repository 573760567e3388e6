-- The index, version 1 (PRAGMA user_version). All of it but the queue can be made anew from the
-- audit log. Text columns hold bytes: TEXT when they are UTF-8, else BLOB.
-- A later version is a file schema-N.sql that starts from version N-1.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value
) WITHOUT ROWID; -- last_seq, last_hash: the last line of the log that is in here

CREATE TABLE requests (
    seq               INTEGER PRIMARY KEY, -- of the record of the decision
    id                TEXT NOT NULL UNIQUE,
    time              INTEGER NOT NULL, -- of the decision, ns since 1970 UTC
    end_seq           INTEGER,
    end_time          INTEGER,
    door              TEXT,
    command           TEXT,
    args              TEXT, -- JSON array as in the log
    command_line      TEXT, -- for people and for search: quoted, every byte visible
    executable        TEXT, -- path
    script            TEXT,
    cwd               TEXT,
    uid               INTEGER,
    gid               INTEGER,
    pid               INTEGER,
    container         TEXT,
    policy            TEXT,
    rule              TEXT,
    reason            TEXT,
    verdict           TEXT,
    decision          TEXT,
    approver          TEXT,
    channel           TEXT,
    comment           TEXT,
    waited_ms         INTEGER,
    executor          TEXT,
    exit_code         INTEGER,
    signal            INTEGER,
    duration_ms       INTEGER,
    timeout_violation INTEGER,
    killed_by         TEXT,
    error             TEXT
);
CREATE INDEX requests_time ON requests (time);
CREATE INDEX requests_command ON requests (command, time);
CREATE INDEX requests_decision ON requests (decision, time);
CREATE INDEX requests_uid ON requests (uid, time);
CREATE INDEX requests_container ON requests (container, time);

CREATE TABLE queue (
    id         BLOB PRIMARY KEY,
    digest     TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    waiting_at INTEGER NOT NULL,
    deadline   INTEGER NOT NULL,
    summary    TEXT NOT NULL
) WITHOUT ROWID;
