-- Joining without a secret: until when a host is awaited, and whose key it is to be.
ALTER TABLE hosts ADD COLUMN awaited_until_ms INTEGER;
CREATE TABLE approved (
    spki BLOB PRIMARY KEY,
    host BLOB NOT NULL REFERENCES hosts (id),
    approved_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    -- The certificate that it was given, once it was.
    serial BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX approved_of_host ON approved (host);
