-- deploy, uninstall, uninstall_with_data
ALTER TABLE deployments ADD COLUMN work TEXT NOT NULL DEFAULT 'deploy';
