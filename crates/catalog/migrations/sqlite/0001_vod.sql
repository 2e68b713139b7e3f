-- The catalog for the VOD path.
--
-- Instants are microseconds since 1970-01-01T00:00:00Z. Flags are 0 or 1. Columns that end in _json hold JSON text;
-- columns that end in _sealed hold what headwater-seal made.

CREATE TABLE projects (
    id              TEXT NOT NULL PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    display_name    TEXT NOT NULL,
    location        TEXT NOT NULL,
    -- How the AMS surface names the same project.
    subscription_id TEXT NOT NULL,
    resource_group  TEXT NOT NULL,
    account_name    TEXT NOT NULL,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL
);
CREATE UNIQUE INDEX projects_by_account ON projects (lower(subscription_id), lower(resource_group), lower(account_name));

CREATE TABLE storage_accounts (
    project_id        TEXT NOT NULL,
    name              TEXT NOT NULL,
    id                TEXT NOT NULL UNIQUE,
    -- The account as the storage service and its events name it.
    account           TEXT NOT NULL,
    -- Of the account, without a trailing slash.
    url               TEXT NOT NULL,
    description       TEXT,
    -- The account key, base64 inside the seal. Context: storage/{id}
    credential_sealed BLOB NOT NULL,
    is_primary        INTEGER NOT NULL,
    created           INTEGER NOT NULL,
    modified          INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE assets (
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    asset_id        TEXT NOT NULL UNIQUE,
    storage_account TEXT NOT NULL,
    container       TEXT NOT NULL,
    sub_path        TEXT NOT NULL,
    description     TEXT,
    alternate_id    TEXT,
    -- Retain or Delete
    deletion_policy TEXT NOT NULL,
    labels_json     TEXT NOT NULL,
    -- What the writer sent beyond the above, kept as it came.
    extra_json      TEXT NOT NULL,
    -- File name of the server manifest, once known.
    manifest        TEXT,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX assets_by_created ON assets (project_id, created, name);
CREATE INDEX assets_by_container ON assets (storage_account, container);

CREATE TABLE transforms (
    project_id   TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT,
    outputs_json TEXT NOT NULL,
    created      INTEGER NOT NULL,
    modified     INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE jobs (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    project_id       TEXT NOT NULL,
    transform_name   TEXT NOT NULL,
    name             TEXT NOT NULL,
    -- As it is shown: without the query strings of URLs.
    input_json       TEXT NOT NULL,
    -- The asset it reads, if it reads one.
    input_asset      TEXT,
    -- The complete URLs of an HTTP input, which may carry signatures. Context: job/{id}
    input_sealed     BLOB,
    description      TEXT,
    correlation_json TEXT NOT NULL,
    -- Low -1, Normal 0, High 1
    priority         INTEGER NOT NULL,
    -- Of the request that created it: the same request again is answered with the same job.
    fingerprint      TEXT NOT NULL,
    state            TEXT NOT NULL,
    created          INTEGER NOT NULL,
    modified         INTEGER NOT NULL,
    started          INTEGER,
    ended            INTEGER,
    -- Claims so far.
    attempt          INTEGER NOT NULL DEFAULT 0,
    not_before       INTEGER NOT NULL DEFAULT 0,
    worker           TEXT,
    lease            TEXT,
    lease_until      INTEGER,
    -- How long a claim or renewal lasts.
    lease_seconds    INTEGER,
    -- The lease that gave the job back last, so that a repeated finish is recognised.
    finished_lease   TEXT,
    UNIQUE (project_id, transform_name, name)
);
CREATE INDEX jobs_queue ON jobs (state, priority, seq);
CREATE INDEX jobs_by_created ON jobs (project_id, transform_name, created);

CREATE TABLE job_outputs (
    job_id      TEXT NOT NULL,
    output      INTEGER NOT NULL,
    asset_name  TEXT NOT NULL,
    label       TEXT,
    -- The preset at the time of submission: a later change of the transform does not reach a queued job.
    preset_json TEXT NOT NULL,
    -- Whether the job brought its own preset.
    overridden  INTEGER NOT NULL,
    state       TEXT NOT NULL,
    progress    INTEGER NOT NULL,
    error_json  TEXT,
    started     INTEGER,
    ended       INTEGER,
    PRIMARY KEY (job_id, output)
);
CREATE INDEX job_outputs_by_asset ON job_outputs (asset_name);

CREATE TABLE job_chunks (
    job_id      TEXT NOT NULL,
    output      INTEGER NOT NULL,
    chunk       INTEGER NOT NULL,
    record_json TEXT NOT NULL,
    PRIMARY KEY (job_id, output, chunk)
);

CREATE TABLE streaming_policies (
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    properties_json TEXT NOT NULL,
    -- Whether HLS or DASH is allowed in the clear: what lists of published media look for.
    streams_clear   INTEGER NOT NULL,
    fingerprint     TEXT NOT NULL,
    created         INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE streaming_locators (
    project_id           TEXT NOT NULL,
    name                 TEXT NOT NULL,
    locator_id           TEXT NOT NULL UNIQUE,
    asset_name           TEXT NOT NULL,
    policy_name          TEXT NOT NULL,
    start_time           INTEGER,
    end_time             INTEGER,
    alternative_media_id TEXT,
    default_manifest     TEXT,
    suppressed           INTEGER NOT NULL,
    extra_json           TEXT NOT NULL,
    fingerprint          TEXT NOT NULL,
    created              INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX streaming_locators_by_asset ON streaming_locators (project_id, asset_name);

CREATE TABLE streaming_endpoints (
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    properties_json TEXT NOT NULL,
    tags_json       TEXT NOT NULL,
    -- Stopped or Running: starting and stopping take no time here.
    state           TEXT NOT NULL,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- Long-running operations, kept after the resource they worked on is gone.
CREATE TABLE operations (
    id         TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    -- Of the thing worked on: streamingEndpoints
    collection TEXT NOT NULL,
    resource   TEXT NOT NULL,
    status     TEXT NOT NULL,
    created    INTEGER NOT NULL
);
CREATE INDEX operations_by_created ON operations (created);

CREATE TABLE upload_rules (
    project_id      TEXT NOT NULL,
    name            TEXT NOT NULL,
    enabled         INTEGER NOT NULL,
    storage_account TEXT NOT NULL,
    container       TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    suffixes_json   TEXT NOT NULL,
    transform_name  TEXT NOT NULL,
    policy_name     TEXT NOT NULL,
    description     TEXT,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX upload_rules_by_container ON upload_rules (container);

-- Storage events that were taken in.
CREATE TABLE storage_events (
    id   TEXT NOT NULL PRIMARY KEY,
    seen INTEGER NOT NULL
);
CREATE INDEX storage_events_by_seen ON storage_events (seen);

-- One row per version of a blob that a rule has turned into a job.
CREATE TABLE ingested_blobs (
    project_id TEXT NOT NULL,
    rule_name  TEXT NOT NULL,
    account    TEXT NOT NULL,
    container  TEXT NOT NULL,
    blob       TEXT NOT NULL,
    etag       TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    created    INTEGER NOT NULL,
    PRIMARY KEY (account, container, blob, etag, project_id, rule_name)
);

CREATE TABLE signing_keys (
    kid            TEXT NOT NULL PRIMARY KEY,
    -- The raw public key, base64url.
    public_key     TEXT NOT NULL,
    -- PKCS#8. Context: signing-key/{kid}
    private_sealed BLOB NOT NULL,
    created        INTEGER NOT NULL,
    -- Signs no more from here on; still verifies.
    retired        INTEGER
);

CREATE TABLE revoked_tokens (
    jti     TEXT NOT NULL PRIMARY KEY,
    revoked INTEGER NOT NULL,
    -- When the token would have run out by itself; the row may go then.
    expires INTEGER NOT NULL
);

-- Programs that sign in with a client id and secret (OAuth 2.0 client credentials).
CREATE TABLE api_clients (
    client_id   TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 over salt and secret, both hexadecimal.
    salt        TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    role        TEXT NOT NULL,
    -- NULL: every project.
    project     TEXT,
    description TEXT,
    created     INTEGER NOT NULL
);

-- What was done once in this installation's life.
CREATE TABLE milestones (
    name    TEXT NOT NULL PRIMARY KEY,
    reached INTEGER NOT NULL
);
