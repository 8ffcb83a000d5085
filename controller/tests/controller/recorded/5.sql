-- What the fifth schema added.
-- deploy, uninstall, uninstall_with_data
ALTER TABLE deployments ADD COLUMN work TEXT NOT NULL DEFAULT 'deploy';

UPDATE deployments SET work = 'uninstall' WHERE finished = 0;
