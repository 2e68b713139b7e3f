-- When an encoder was last known to be connected, since the event was started. NULL: none was.
ALTER TABLE live_events ADD COLUMN last_input INTEGER;
