-- What the second schema added: the audit, and what was approved.
CREATE TABLE audit (n INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE approval (
    deployment TEXT PRIMARY KEY REFERENCES deployment (id), plan TEXT NOT NULL
) STRICT;
INSERT INTO audit VALUES (1, '{"at_ms":1790000000006,"action":"deploy","by":"alice","via":"controller","subject":"01a214f0-1111-7699-b77f-e429b0c0ef10","plan":"1111111111111111111111111111111111111111111111111111111111111111","verdict":"allowed","detail":"chat.example.com"}', '0e3993cb95bec3c2ecbfc3f499b8c9c68bd1472a00de6bf1b0d31ecbf5bed8b3');
INSERT INTO approval VALUES ('01a214f0-1111-7699-b77f-e429b0c0ef10', '{"recipe":1,"distribution":"Debian 13","steps":[["checkout.update",["fetches the source"]]]}');
