-- What nobody has ended is little beside what was ever asked for, and is looked through each time a host comes.
CREATE INDEX deployments_unfinished ON deployments (not_after_ms) WHERE NOT finished;
