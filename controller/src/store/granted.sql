-- What a host is added with goes into the policy that it writes when it joins.
ALTER TABLE hosts ADD COLUMN git_remotes TEXT NOT NULL DEFAULT '[]';
