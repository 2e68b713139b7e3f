-- Tokens that people made for their programs. The token itself is shown once and kept nowhere.
CREATE TABLE api_tokens (
    -- The token's jti.
    id          TEXT NOT NULL PRIMARY KEY,
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    description TEXT,
    roles_json  TEXT NOT NULL,
    -- NULL: every project.
    project     TEXT,
    issued      INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    revoked     INTEGER,
    revoked_by  TEXT
);
CREATE INDEX api_tokens_by_subject ON api_tokens (subject, issued);
