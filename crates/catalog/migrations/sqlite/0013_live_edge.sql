-- Where the origin asks the worker of a live event for its newest moments, and what it shows there. Clients are never told.
-- Context: live-event/{id}/edge
ALTER TABLE live_events ADD COLUMN edge_sealed BLOB;
