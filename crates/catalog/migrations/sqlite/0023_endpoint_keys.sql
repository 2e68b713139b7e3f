-- Keys with which Akamai's servers sign what they ask for, sealed, and what they are sealed for.
ALTER TABLE streaming_endpoints ADD COLUMN akamai_id TEXT;
ALTER TABLE streaming_endpoints ADD COLUMN akamai_sealed BLOB;
