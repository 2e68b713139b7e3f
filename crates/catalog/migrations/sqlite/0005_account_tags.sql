-- What ARM calls tags; shown, and nothing else.
ALTER TABLE projects ADD COLUMN tags_json TEXT NOT NULL DEFAULT '{}';
