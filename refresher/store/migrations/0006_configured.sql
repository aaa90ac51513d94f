-- Which configuration a daemon has, and since when: of two that differ the newer one is in force.

ALTER TABLE refresher.worker ADD COLUMN configuration text;
ALTER TABLE refresher.worker ADD COLUMN configured_at timestamptz;
COMMENT ON COLUMN refresher.worker.configuration IS 'A digest of what the configuration says of this database; null for commands.';
COMMENT ON COLUMN refresher.worker.configured_at IS 'When that configuration came into force in the process; null for commands.';
