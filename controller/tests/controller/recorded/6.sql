-- What the sixth schema added.
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

INSERT INTO certificates VALUES (x'66666666666666666666666666666666', x'0192f0c4a1b27c3d8e4f5a6b7c8d9e0f', x'7777777777777777777777777777777777777777777777777777777777777777', 'recorded too', 1790000000005, 1790086400000, 'pending', NULL);
