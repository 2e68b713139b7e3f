-- How often tokens were used that say how often they may be (the claim maxuses).
CREATE TABLE token_uses (
    policy_id   TEXT NOT NULL,
    -- SHA-256 of what was signed, hexadecimal.
    fingerprint TEXT NOT NULL,
    uses        INTEGER NOT NULL,
    -- Forgotten from here on, because the token is.
    expires     INTEGER NOT NULL,
    PRIMARY KEY (policy_id, fingerprint)
);
CREATE INDEX token_uses_by_expiry ON token_uses (expires);
