-- What the second schema added.
-- What a host is added with goes into the policy that it writes when it joins.
ALTER TABLE hosts ADD COLUMN git_remotes TEXT NOT NULL DEFAULT '[]';

UPDATE hosts SET git_remotes = '["https://git.example.com/ours.git"]' WHERE name = 'chat-1';
