CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hosts (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- invited: a token is out; active: joined; revoked: no longer
    state TEXT NOT NULL CHECK (state IN ('invited', 'active', 'revoked')),
    domains TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    joined_ms INTEGER,
    seen_ms INTEGER,
    address TEXT,
    agent TEXT,
    hostname TEXT,
    system TEXT,
    architecture TEXT,
    boot_id TEXT,
    epoch BLOB,
    level TEXT NOT NULL DEFAULT 'unknown',
    cause TEXT
) STRICT;

CREATE TABLE certificates (
    serial BLOB PRIMARY KEY,
    host BLOB NOT NULL REFERENCES hosts (id),
    spki BLOB NOT NULL,
    pem TEXT NOT NULL,
    issued_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_of_host ON certificates (host);

CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    secret BLOB NOT NULL,
    host BLOB NOT NULL REFERENCES hosts (id),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER,
    spki BLOB,
    serial BLOB REFERENCES certificates (serial)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_of_host ON tokens (host);

CREATE TABLE deployments (
    id BLOB PRIMARY KEY,
    host BLOB NOT NULL REFERENCES hosts (id),
    domain TEXT NOT NULL,
    plan TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    not_after_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    taken_up INTEGER NOT NULL DEFAULT 0,
    cancel_asked INTEGER NOT NULL DEFAULT 0,
    finished INTEGER NOT NULL DEFAULT 0,
    outcome TEXT
) STRICT;
CREATE INDEX deployments_of_host ON deployments (host, created_ms);

-- One life of one agent's state; sequence numbers count within it.
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    host BLOB NOT NULL REFERENCES hosts (id),
    epoch BLOB NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (host, epoch)
) STRICT;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    deployment BLOB,
    received_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (stream, seq)
) STRICT;
CREATE INDEX events_of_deployment ON events (deployment, position) WHERE deployment IS NOT NULL;
