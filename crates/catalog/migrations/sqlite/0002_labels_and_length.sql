-- Labels by which assets are found. What they are is also in assets.labels_json, for showing.
CREATE TABLE asset_labels (
    project_id TEXT NOT NULL,
    asset_name TEXT NOT NULL,
    label      TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (project_id, asset_name, label)
);
CREATE INDEX asset_labels_by_value ON asset_labels (project_id, label, value);

-- How long the asset plays, once somebody has looked. Milliseconds.
ALTER TABLE assets ADD COLUMN duration_ms INTEGER;
