-- What the third schema added.
-- How far each host's audit was seen to have got, verified.
CREATE TABLE anchors (
    host BLOB PRIMARY KEY REFERENCES hosts (id),
    anchor TEXT NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT;

-- What a person must see about a host. What the host has said, it can take back; what the controller saw, it cannot.
CREATE TABLE alarms (
    host BLOB NOT NULL REFERENCES hosts (id),
    code TEXT NOT NULL,
    by_host INTEGER NOT NULL,
    advice TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (host, by_host, code)
) STRICT, WITHOUT ROWID;

INSERT INTO anchors VALUES (x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', '{"n":2,"hash":"abababababababababababababababababababababababababababababababab"}', 1790000000005);
