-- Version 3: the story of one request. What was indexed before stays as it is: what is new of it is NULL until the index
-- is made anew (clawrden audit reindex).

ALTER TABLE requests ADD COLUMN started INTEGER; -- of the end: whether it ever ran
ALTER TABLE requests ADD COLUMN looks TEXT;      -- JSON array as in the log

CREATE TABLE orders (
    seq       INTEGER PRIMARY KEY,
    time      INTEGER NOT NULL,
    event     TEXT NOT NULL, -- kill, pause, resume
    scope     TEXT,
    request   TEXT,          -- id
    container TEXT,          -- name
    by        TEXT,
    reason    TEXT,
    signal    TEXT,
    until     INTEGER,
    error     TEXT           -- of the second record: what of it could not be done
);
CREATE INDEX orders_time ON orders (time);
