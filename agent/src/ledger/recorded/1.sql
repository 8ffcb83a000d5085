-- A ledger of the first schema: one deployment that ended well, one in the middle of an effect.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE deployment (
    id TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    site TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    state TEXT NOT NULL,
    accepted_ms INTEGER NOT NULL,
    finished_ms INTEGER,
    result TEXT
) STRICT;
CREATE UNIQUE INDEX one_deployment_runs ON deployment (state) WHERE state = 'running';
CREATE TABLE effect (
    deployment TEXT NOT NULL REFERENCES deployment (id),
    stream INTEGER NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    intent_ms INTEGER NOT NULL,
    outcome TEXT,
    output_bytes INTEGER,
    logged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (deployment, stream)
) STRICT;
CREATE TABLE memory (
    domain TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (domain, key)
) STRICT;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    deployment TEXT,
    what TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_deployment ON event (deployment, seq);
INSERT INTO meta VALUES ('stream_epoch', 'a3d6428a-14b5-4a97-a4a8-2ca440d1bb3a');
INSERT INTO meta VALUES ('tag_key', '58c0aed699d24d5db17d405452ef8758099abf277cd4494daa29f105478f49ff');
INSERT INTO meta VALUES ('boot_id', 'boot-2');
INSERT INTO meta VALUES ('acked', '5');
INSERT INTO deployment VALUES ('01a214ed-852f-7699-b77f-e429b0c0ef09', 'db860a8bfebf124747aa168177ba892530a76d8632e8048e5e018764ffcbc414', '{"domain":"chat.example.com","admin":"alice","registration":"invite_only","turn":null,"updates":true,"registry_user":null,"oidc":null,"source":{"repository":"https://forgejo.seglamater.app/seglamater/chatalot.git","reference":"main"},"folder":"/srv/chatalot","acme":"production"}', 'an operator', 'succeeded', 1790000000001, 1790000000005, '{"advice":null,"values":{"public_url":"https://chat.example.com"},"handover":null}');
INSERT INTO deployment VALUES ('01a214f0-1111-7699-b77f-e429b0c0ef10', '1111111111111111111111111111111111111111111111111111111111111111', '{"domain":"chat.example.com","admin":"alice","registration":"invite_only","turn":null,"updates":true,"registry_user":null,"oidc":null,"source":{"repository":"https://forgejo.seglamater.app/seglamater/chatalot.git","reference":"main"},"folder":"/srv/chatalot","acme":"production"}', 'alice', 'running', 1790000000006, NULL, '{"advice":null,"values":{},"handover":null}');
INSERT INTO effect VALUES ('01a214ed-852f-7699-b77f-e429b0c0ef09', 1, 'install.run', 1, 'boot-1', 1790000000002, '{"outcome":"done","remember":{"installer.public_url":"https://chat.example.com"}}', 120, 1);
INSERT INTO effect VALUES ('01a214f0-1111-7699-b77f-e429b0c0ef10', 1, 'checkout.update', 1, 'boot-2', 1790000000009, NULL, NULL, 0);
INSERT INTO memory VALUES ('chat.example.com', 'installer.public_url', 'https://chat.example.com');
INSERT INTO memory VALUES ('chat.example.com', 'commit', '0f1e2d3c4b5a69788796a5b4c3d2e1f001122334');
INSERT INTO event VALUES (1, 1790000000001, NULL, '{"event":"agent_started","version":"0.1.0","rebooted":false}');
INSERT INTO event VALUES (2, 1790000000002, '01a214ed-852f-7699-b77f-e429b0c0ef09', '{"event":"deployment_started","plan":"db860a8bfebf124747aa168177ba892530a76d8632e8048e5e018764ffcbc414","domain":"chat.example.com","steps":[["install.run","chatalot is installed"]]}');
INSERT INTO event VALUES (3, 1790000000003, '01a214ed-852f-7699-b77f-e429b0c0ef09', '{"event":"step_started","step":"install.run","attempt":1,"stream":1}');
INSERT INTO event VALUES (4, 1790000000004, '01a214ed-852f-7699-b77f-e429b0c0ef09', '{"event":"step_finished","step":"install.run","end":"done","saw":"it is installed","millis":4100,"stream":1,"output_bytes":120}');
INSERT INTO event VALUES (5, 1790000000005, '01a214ed-852f-7699-b77f-e429b0c0ef09', '{"event":"deployment_finished","state":"succeeded","values":{"public_url":"https://chat.example.com"}}');
INSERT INTO event VALUES (6, 1790000000006, NULL, '{"event":"agent_started","version":"0.1.0","rebooted":true}');
INSERT INTO event VALUES (7, 1790000000007, NULL, '{"event":"level_changed","from":"ok","to":"down","cause":{"check":"http","level":"down","saw":"502","since_ms":5}}');
INSERT INTO event VALUES (8, 1790000000008, '01a214f0-1111-7699-b77f-e429b0c0ef10', '{"event":"deployment_started","plan":"1111111111111111111111111111111111111111111111111111111111111111","domain":"chat.example.com","steps":[["checkout.update","the source is there"]]}');
INSERT INTO event VALUES (9, 1790000000009, '01a214f0-1111-7699-b77f-e429b0c0ef10', '{"event":"step_started","step":"checkout.update","attempt":1,"stream":1}');
