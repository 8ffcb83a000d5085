-- The generations of a host's identity, and what keeps a host out.
-- current: in force; pending: signed, not yet used; old: its successor has been used; void: worth nothing
ALTER TABLE certificates ADD COLUMN state TEXT NOT NULL DEFAULT 'current'
    CHECK (state IN ('current', 'pending', 'old', 'void'));
ALTER TABLE certificates ADD COLUMN retired_ms INTEGER;
CREATE INDEX certificates_of_key ON certificates (spki);

-- Kept out until the operator says otherwise.
ALTER TABLE hosts ADD COLUMN locked_ms INTEGER;
-- Until then the key of a host that is kept out is taken once.
ALTER TABLE hosts ADD COLUMN readmit_until_ms INTEGER;
-- The boot before this one: who comes back to it is one of two machines.
ALTER TABLE hosts ADD COLUMN boot_before TEXT;
