-- Who is told of what happens, what has been told, and who changed what.

CREATE TABLE webhook_rules (
    project_id            TEXT NOT NULL,
    name                  TEXT NOT NULL,
    rule_id               TEXT NOT NULL UNIQUE,
    enabled               INTEGER NOT NULL,
    url                   TEXT NOT NULL,
    events_json           TEXT NOT NULL,
    headers_json          TEXT NOT NULL,
    query_json            TEXT NOT NULL,
    -- The names of the secrets, each with asterisks for a value.
    authentication_json   TEXT NOT NULL,
    -- The secrets themselves. Context: webhook-rule/{rule_id}
    authentication_sealed BLOB NOT NULL,
    created               INTEGER NOT NULL,
    modified              INTEGER NOT NULL,
    -- When the log was last cut to its length.
    trimmed               INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
);

-- What the rules that are on want: one look tells whether anybody asks for a fact.
CREATE TABLE webhook_subscriptions (
    project_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    rule_id    TEXT NOT NULL,
    PRIMARY KEY (project_id, event_type, rule_id)
);
CREATE INDEX webhook_subscriptions_by_rule ON webhook_subscriptions (rule_id);

-- The outbox, and the log once it is sent: one row per event and rule.
CREATE TABLE webhook_deliveries (
    rule_id         TEXT NOT NULL,
    -- The CloudEvents id, the same for every rule.
    event_id        TEXT NOT NULL,
    event_type      TEXT NOT NULL,
    -- Below the account: transforms/t/jobs/j
    subject         TEXT NOT NULL,
    -- When it happened.
    created         INTEGER NOT NULL,
    previous_state  TEXT,
    state           TEXT,
    -- What it happened to, as it was then. NULL once nothing more will be sent.
    payload_json    TEXT,
    -- Pending, Retrying, Sent or Failed
    status          TEXT NOT NULL,
    attempt         INTEGER NOT NULL DEFAULT 0,
    -- When to try (again): the end of the lease while somebody tries. NULL: never.
    due             INTEGER,
    lease           TEXT,
    last_attempt    INTEGER,
    response_status INTEGER,
    error           TEXT,
    PRIMARY KEY (rule_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due, rule_id);
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (rule_id, created);
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (rule_id) WHERE lease IS NOT NULL;

-- How far progress was told last, and when.
ALTER TABLE job_outputs ADD COLUMN told_progress INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_outputs ADD COLUMN told INTEGER;

CREATE TABLE audit_log (
    request_id TEXT NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    subject    TEXT NOT NULL,
    token_id   TEXT,
    roles      TEXT NOT NULL,
    address    TEXT,
    operation  TEXT NOT NULL,
    method     TEXT NOT NULL,
    path       TEXT NOT NULL,
    project    TEXT,
    -- Below the account: transforms/t/jobs/j
    resource   TEXT,
    -- NULL: the change is committed, and the answer never got so far as to have a status.
    status     INTEGER,
    error_code TEXT
);
CREATE INDEX audit_log_by_time ON audit_log (at, request_id);
CREATE INDEX audit_log_by_project ON audit_log (project, at);
