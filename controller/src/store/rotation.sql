-- The version of what this host has said that it trusts.
ALTER TABLE hosts ADD COLUMN trusts INTEGER NOT NULL DEFAULT 0;
-- The number of the root that has signed it.
ALTER TABLE certificates ADD COLUMN root INTEGER NOT NULL DEFAULT 1;
