-- Whether an endpoint says who is served or for how long answers are kept, so that serving looks at the others no closer.
ALTER TABLE streaming_endpoints ADD COLUMN ruled INTEGER NOT NULL DEFAULT 0;
