-- What the fourth schema added.
CREATE TABLE api_tokens (
    id BLOB PRIMARY KEY,
    secret BLOB NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('read', 'plan', 'approve', 'admin')),
    -- Both absent: every host, and the controller itself.
    host BLOB REFERENCES hosts (id),
    label TEXT,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX api_tokens_in_force ON api_tokens (name) WHERE revoked_ms IS NULL;

CREATE TABLE labels (
    host BLOB NOT NULL REFERENCES hosts (id),
    label TEXT NOT NULL,
    PRIMARY KEY (host, label)
) STRICT, WITHOUT ROWID;

-- What an endpoint was asked for and somebody else has to approve; the request itself may carry secrets and is a file.
CREATE TABLE approvals (
    id BLOB PRIMARY KEY,
    action TEXT NOT NULL,
    path TEXT NOT NULL,
    subject TEXT NOT NULL,
    host BLOB REFERENCES hosts (id),
    plan TEXT,
    needs TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requester TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'done', 'rejected', 'expired')),
    decided_by TEXT,
    status INTEGER,
    answer TEXT
) STRICT;

CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

INSERT INTO labels VALUES (x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', 'eu');
INSERT INTO api_tokens (id, secret, name, role, label, created_ms, created_by, expires_ms) VALUES (x'0505050505050505', x'5555555555555555555555555555555555555555555555555555555555555555', 'ci', 'plan', 'eu', 1790000000000, 'uid 0', 1790000900000);
