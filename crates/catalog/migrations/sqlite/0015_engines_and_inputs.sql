-- Which engine makes a job, and why.
ALTER TABLE jobs ADD COLUMN engine_json TEXT;

-- Assets that a job reads beside the one in jobs.input_asset.
CREATE TABLE job_inputs (
    job_id     TEXT NOT NULL,
    asset_name TEXT NOT NULL,
    PRIMARY KEY (job_id, asset_name)
);
CREATE INDEX job_inputs_by_asset ON job_inputs (asset_name);
