-- A database of the first schema: a host with two deployments, one of them running, and a host that was invited.
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

INSERT INTO meta VALUES ('cluster', '6f1d2c3b-4a59-4687-b6a5-c4d3e2f10213'), ('epoch', '1');
INSERT INTO hosts VALUES (x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', 'chat-1', 'active', '["chat.example.com"]', 1790000000000, 1790000000001, 1790000000009, '203.0.113.42', '0.1.0', 'vps', 'Debian GNU/Linux 13', 'x86_64', 'boot-1', x'a3d6428a14b54a97a4a82ca440d1bb3a', 'ok', NULL);
INSERT INTO hosts (id, name, state, domains, created_ms) VALUES (x'0192f0c4a1b27c3d8e4f5a6b7c8d9e10', 'chat-2', 'invited', '[]', 1790000000000);
INSERT INTO certificates VALUES (x'11111111111111111111111111111111', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', x'2222222222222222222222222222222222222222222222222222222222222222', 'recorded', 1790000000001, 1790086400000);
INSERT INTO tokens VALUES (x'0101010101010101', x'3333333333333333333333333333333333333333333333333333333333333333', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', 1790000000000, 1790000900000, 1790000000001, x'2222222222222222222222222222222222222222222222222222222222222222', x'11111111111111111111111111111111');
INSERT INTO tokens VALUES (x'0202020202020202', x'4444444444444444444444444444444444444444444444444444444444444444', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e10', 1790000000000, 1790000900000, NULL, NULL, NULL);
INSERT INTO deployments VALUES (x'01a214ed852f7699b77fe429b0c0ef09', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', 'chat.example.com', 'db860a8bfebf124747aa168177ba892530a76d8632e8048e5e018764ffcbc414', 'uid 0', 1790000000002, 1790000900000, 'succeeded', 1, 1, 0, 1, '{"values":{"public_url":"https://chat.example.com"}}');
INSERT INTO deployments VALUES (x'01a214f011117699b77fe429b0c0ef10', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', 'chat.example.com', '1111111111111111111111111111111111111111111111111111111111111111', 'uid 0', 1790000000006, 1790000900000, 'running', 1, 1, 0, 0, NULL);
INSERT INTO streams VALUES (1, x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', x'a3d6428a14b54a97a4a82ca440d1bb3a', 3);
INSERT INTO events VALUES (1, 1, 1, NULL, 1790000000002, '{"seq":1,"at_ms":1790000000001,"event":"agent_started","version":"0.1.0","rebooted":false}');
INSERT INTO events VALUES (2, 1, 2, x'01a214ed852f7699b77fe429b0c0ef09', 1790000000003, '{"seq":2,"at_ms":1790000000002,"deployment":"01a214ed-852f-7699-b77f-e429b0c0ef09","event":"deployment_started","plan":"db860a8bfebf124747aa168177ba892530a76d8632e8048e5e018764ffcbc414","domain":"chat.example.com","steps":[]}');
INSERT INTO events VALUES (3, 1, 3, x'01a214ed852f7699b77fe429b0c0ef09', 1790000000004, '{"seq":3,"at_ms":1790000000004,"deployment":"01a214ed-852f-7699-b77f-e429b0c0ef09","event":"deployment_finished","state":"succeeded","values":{"public_url":"https://chat.example.com"}}');
