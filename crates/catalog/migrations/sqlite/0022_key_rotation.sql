-- Of keys that rotate: seconds from one key to the next, and what leads from the ids of periods to this row (headwater_protect::rotation).
ALTER TABLE locator_keys ADD COLUMN rotation_s INTEGER;
ALTER TABLE locator_keys ADD COLUMN rotation_handle TEXT;
CREATE INDEX locator_keys_by_handle ON locator_keys (rotation_handle);
