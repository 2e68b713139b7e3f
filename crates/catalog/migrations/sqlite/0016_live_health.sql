-- What ingest workers measured, for ten minutes: one row for every five seconds, whose place a later one takes.
CREATE TABLE live_event_health (
    event_id    TEXT NOT NULL,
    slot        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    health_json TEXT NOT NULL,
    PRIMARY KEY (event_id, slot)
);
