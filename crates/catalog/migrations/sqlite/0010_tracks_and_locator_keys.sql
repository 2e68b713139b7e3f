-- The content key policy of keys that name none.
ALTER TABLE streaming_locators ADD COLUMN key_policy TEXT;
-- What an external key server knows the content by.
ALTER TABLE streaming_locators ADD COLUMN content_id TEXT;
-- Names, in the order in which they were given. They are also in locator_filters, for finding.
ALTER TABLE streaming_locators ADD COLUMN filters_json TEXT NOT NULL DEFAULT '[]';
-- The content keys that the writer chose, as everybody may see them: without values.
ALTER TABLE streaming_locators ADD COLUMN keys_json TEXT NOT NULL DEFAULT '[]';

-- Which filters are in use.
CREATE TABLE locator_filters (
    project_id   TEXT NOT NULL,
    locator_name TEXT NOT NULL,
    asset_name   TEXT NOT NULL,
    filter_name  TEXT NOT NULL,
    PRIMARY KEY (project_id, locator_name, filter_name)
);
CREATE INDEX locator_filters_by_filter ON locator_filters (project_id, filter_name);

-- The content keys of locators, one for each key that their streaming policy has.
CREATE TABLE locator_keys (
    project_id   TEXT NOT NULL,
    locator_name TEXT NOT NULL,
    asset_name   TEXT NOT NULL,
    -- In the order of the streaming policy, from 0.
    position     INTEGER NOT NULL,
    -- Locators may share a key: rows with the same id hold the same value and lie in one project.
    key_id       TEXT NOT NULL,
    -- EnvelopeEncryption, CommonEncryptionCenc or CommonEncryptionCbcs
    type         TEXT NOT NULL,
    label        TEXT,
    -- The content key policy by which the key is given out. NULL: somebody else gives it out.
    policy_name  TEXT,
    -- The tracks that the key is for, as the streaming policy has them; empty for the default key.
    tracks_json  TEXT NOT NULL,
    -- 16 bytes inside the seal. Context: content-key/{project_id}/{key_id}
    value_sealed BLOB NOT NULL,
    PRIMARY KEY (project_id, locator_name, position)
);
CREATE INDEX locator_keys_by_id ON locator_keys (key_id);
CREATE INDEX locator_keys_by_policy ON locator_keys (project_id, policy_name);

-- Files of assets that were made tracks beside those that the media has.
CREATE TABLE asset_tracks (
    project_id      TEXT NOT NULL,
    asset_name      TEXT NOT NULL,
    name            TEXT NOT NULL,
    -- AudioTrack or TextTrack
    kind            TEXT NOT NULL,
    -- Relative to the asset.
    file_name       TEXT NOT NULL,
    -- What else the writer said, in AMS's names.
    properties_json TEXT NOT NULL,
    created         INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    PRIMARY KEY (project_id, asset_name, name)
);
