-- Filters of an asset, or of the account where asset_name is empty.
CREATE TABLE filters (
    project_id      TEXT NOT NULL,
    asset_name      TEXT NOT NULL,
    name            TEXT NOT NULL,
    properties_json TEXT NOT NULL,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    PRIMARY KEY (project_id, asset_name, name)
);

CREATE TABLE content_key_policies (
    project_id     TEXT NOT NULL,
    name           TEXT NOT NULL,
    policy_id      TEXT NOT NULL UNIQUE,
    description    TEXT,
    -- The options as everybody may see them.
    options_json   TEXT NOT NULL,
    -- The options with their secrets. Context: content-key-policy/{policy_id}
    options_sealed BLOB NOT NULL,
    created        INTEGER NOT NULL,
    modified       INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);
