-- What the seventh schema added.
-- The version of what this host has said that it trusts.
ALTER TABLE hosts ADD COLUMN trusts INTEGER NOT NULL DEFAULT 0;
-- The number of the root that has signed it.
ALTER TABLE certificates ADD COLUMN root INTEGER NOT NULL DEFAULT 1;

UPDATE hosts SET trusts = 1 WHERE name = 'chat-1';
