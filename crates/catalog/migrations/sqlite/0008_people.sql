-- People, and what they may do: users are members of teams, teams are granted roles over scopes.

CREATE TABLE users (
    id           TEXT NOT NULL PRIMARY KEY,
    name         TEXT NOT NULL,
    -- Lower case; NULL for somebody without one.
    login_email  TEXT UNIQUE,
    -- What else a profile says, in MK.IO's names.
    profile_json TEXT NOT NULL,
    -- Tokens of somebody who is not active are refused.
    is_active    INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    modified     INTEGER NOT NULL
);

CREATE TABLE teams (
    name        TEXT NOT NULL PRIMARY KEY,
    description TEXT,
    created     INTEGER NOT NULL,
    modified    INTEGER NOT NULL
);

CREATE TABLE team_members (
    team          TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    -- May change who else is a member.
    is_team_admin INTEGER NOT NULL,
    PRIMARY KEY (team, user_id)
);
CREATE INDEX team_members_by_user ON team_members (user_id);

CREATE TABLE team_grants (
    team  TEXT NOT NULL,
    -- A project's id, or * for the organization.
    scope TEXT NOT NULL,
    -- A built-in role or one of custom_roles.
    role  TEXT NOT NULL,
    PRIMARY KEY (team, scope, role)
);
CREATE INDEX team_grants_by_role ON team_grants (role);

CREATE TABLE custom_roles (
    name              TEXT NOT NULL PRIMARY KEY,
    description       TEXT,
    -- Kinds of resources, each with a list of verbs.
    capabilities_json TEXT NOT NULL,
    created           INTEGER NOT NULL,
    modified          INTEGER NOT NULL
);

CREATE TABLE invites (
    id          TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret, hexadecimal. The secret is 256 random bits, so it needs no salt.
    secret_hash TEXT NOT NULL UNIQUE,
    -- Somebody who is known already.
    user_id     TEXT,
    name        TEXT,
    login_email TEXT,
    teams_json  TEXT NOT NULL,
    invited_by  TEXT NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    accepted    INTEGER,
    declined    INTEGER,
    -- Who came of it.
    accepted_by TEXT
);
CREATE INDEX invites_by_created ON invites (created);

-- Verifies until then; NULL while it signs.
ALTER TABLE signing_keys ADD COLUMN verifies_until INTEGER;
-- Refused from here on, whatever it signed.
ALTER TABLE signing_keys ADD COLUMN revoked INTEGER;

-- JSON, of restricted tokens.
ALTER TABLE api_tokens ADD COLUMN permissions_json TEXT;

-- The role may be a custom one from here on.
ALTER TABLE api_clients ADD COLUMN modified INTEGER;
CREATE INDEX api_clients_by_role ON api_clients (role);
