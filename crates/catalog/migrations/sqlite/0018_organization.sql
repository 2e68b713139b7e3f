-- What the one organization is called, once somebody has said so.
CREATE TABLE organization (
    id                         TEXT NOT NULL PRIMARY KEY,
    name                       TEXT NOT NULL,
    legal_entity_name          TEXT,
    legal_entity_contact_email TEXT,
    modified                   INTEGER NOT NULL
);
