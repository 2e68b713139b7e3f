-- What a job does when an output fails, and which output it makes first: as the transform said when the job was made.
ALTER TABLE job_outputs ADD COLUMN continues INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_outputs ADD COLUMN urgency INTEGER NOT NULL DEFAULT 1;

-- When a project last had a job taken, so that projects take turns.
CREATE TABLE job_turns (
    project_id TEXT NOT NULL PRIMARY KEY,
    taken      INTEGER NOT NULL
);
