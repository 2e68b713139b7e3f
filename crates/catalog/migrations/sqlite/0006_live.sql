-- Live events and what records them. Names may be used again; ids are not.
CREATE TABLE live_events (
    id                  TEXT NOT NULL PRIMARY KEY,
    project_id          TEXT NOT NULL,
    name                TEXT NOT NULL,
    -- As they are shown, without the access token.
    properties_json     TEXT NOT NULL,
    -- Also in properties_json. It stands in URLs, so no two events share one.
    preview_locator     TEXT NOT NULL UNIQUE,
    -- What an encoder has to show. Context: live-event/{id}/access-token
    access_token_sealed BLOB NOT NULL,
    tags_json           TEXT NOT NULL,
    labels_json         TEXT NOT NULL,
    state               TEXT NOT NULL,
    -- Counted up by every reset.
    generation          INTEGER NOT NULL,
    -- The operation that the state is due to, if there was one.
    operation           TEXT,
    worker              TEXT,
    lease               TEXT,
    lease_until         INTEGER,
    -- How long a claim or renewal lasts.
    lease_seconds       INTEGER,
    -- When an event that no worker holds is waited for no more.
    claim_by            INTEGER,
    -- URLs that the worker reported; they hold the access token. Context: live-event/{id}/endpoints
    endpoints_sealed    BLOB,
    created             INTEGER NOT NULL,
    modified            INTEGER NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX live_events_by_state ON live_events (state, lease_until);

-- Labels by which live events are found. What they are is also in live_events.labels_json, for showing.
CREATE TABLE live_event_labels (
    event_id TEXT NOT NULL,
    label    TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (event_id, label)
);

CREATE TABLE live_outputs (
    id              TEXT NOT NULL PRIMARY KEY,
    project_id      TEXT NOT NULL,
    event_id        TEXT NOT NULL,
    name            TEXT NOT NULL,
    asset_name      TEXT NOT NULL,
    -- Without .ism
    manifest_name   TEXT NOT NULL,
    properties_json TEXT NOT NULL,
    state           TEXT NOT NULL,
    -- The operation that the state is due to.
    operation       TEXT NOT NULL,
    -- When the first media was in storage.
    started         INTEGER,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    UNIQUE (event_id, name),
    UNIQUE (project_id, asset_name)
);

-- Why an operation failed.
ALTER TABLE operations ADD COLUMN error_json TEXT;
