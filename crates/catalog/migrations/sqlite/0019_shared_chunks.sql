-- Chunks of jobs that are under way, and who makes them. What is made is in job_chunks.
CREATE TABLE job_shares (
    job_id TEXT NOT NULL,
    output INTEGER NOT NULL,
    -- Fingerprint of what the chunks are parts of.
    plan   TEXT NOT NULL,
    PRIMARY KEY (job_id, output)
);

CREATE TABLE job_parts (
    job_id TEXT NOT NULL,
    output INTEGER NOT NULL,
    chunk  INTEGER NOT NULL,
    -- Chunks of one lot are taken together.
    lot    INTEGER NOT NULL,
    -- Of the job's holder or of a helper; NULL while nobody has it.
    lease  TEXT,
    PRIMARY KEY (job_id, output, chunk)
);

-- Workers that help with a job which another has.
CREATE TABLE job_helpers (
    job_id        TEXT NOT NULL,
    lease         TEXT NOT NULL,
    worker        TEXT NOT NULL,
    lease_seconds INTEGER NOT NULL,
    lease_until   INTEGER NOT NULL,
    PRIMARY KEY (job_id, lease)
);
