-- Version 2: searches go by one full-text index over everything that can be asked for, not by an index for
-- each column, of which SQLite would use one only. The rows are read from the audit log again.

DROP TABLE requests; -- with its indexes
DELETE FROM meta;

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

-- Words of a request by its seq: those of its command line, and one for each value that can be asked
-- for exactly (store/search.c). Holds no text, no places and no lengths: who finds, looks at the row.
CREATE VIRTUAL TABLE search USING fts5 (words, content = '', columnsize = 0, detail = none, tokenize = 'ascii');
