-- A storage account has one credential or more; the one that lasts longest is used.
CREATE TABLE storage_credentials (
    id            TEXT NOT NULL PRIMARY KEY,
    storage_id    TEXT NOT NULL,
    -- AccountKey or Sas
    kind          TEXT NOT NULL,
    -- An account key in base64, or a SAS without its question mark. Context: storage/{id}
    secret_sealed BLOB NOT NULL,
    -- A SAS without its signature.
    sanitized     TEXT,
    -- An account key lasts to the last instant there is.
    expires       INTEGER NOT NULL,
    created_by    TEXT,
    created       INTEGER NOT NULL
);
CREATE INDEX storage_credentials_by_storage ON storage_credentials (storage_id, expires);

-- The key there was takes the account's id for its own: that is what it is sealed for.
INSERT INTO storage_credentials (id, storage_id, kind, secret_sealed, sanitized, expires, created_by, created)
    SELECT id, id, 'AccountKey', credential_sealed, NULL, 253402207200999999, NULL, created FROM storage_accounts;
ALTER TABLE storage_accounts DROP COLUMN credential_sealed;
ALTER TABLE storage_accounts ADD COLUMN created_by TEXT;
ALTER TABLE storage_accounts ADD COLUMN modified_by TEXT;
CREATE INDEX storage_accounts_by_account ON storage_accounts (account);

-- Storage accounts with the credential that is used.
CREATE VIEW opened_storage AS
    SELECT s.project_id, s.name, s.id, s.account, s.url, s.description, s.is_primary, s.created_by, s.modified_by,
           s.created, s.modified, c.id AS credential_id, c.kind AS credential_kind, c.secret_sealed, c.sanitized,
           c.expires, c.created_by AS credential_created_by, c.created AS credential_created
    FROM storage_accounts s
    JOIN storage_credentials c ON c.id = (
        SELECT b.id FROM storage_credentials b WHERE b.storage_id = s.id
        ORDER BY b.expires DESC, b.created DESC, b.id LIMIT 1);

-- What was used, by the hour. Rows outlive their project.
CREATE TABLE metered_usage (
    project_id   TEXT NOT NULL,
    project_name TEXT NOT NULL,
    meter        TEXT NOT NULL,
    -- Its beginning.
    hour         INTEGER NOT NULL,
    -- In the meter's own unit: milliseconds, or pieces.
    quantity     INTEGER NOT NULL,
    PRIMARY KEY (project_id, meter, hour)
);
CREATE INDEX metered_usage_by_hour ON metered_usage (hour);
