-- What apply did, in transactions of its own or in that of a swap.

CREATE TABLE refresher.definition (
    view text PRIMARY KEY,
    schema_name text NOT NULL,
    relation_name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz,
    built_at timestamptz
);
COMMENT ON TABLE refresher.definition IS 'Views that were applied, and where; one that is no longer configured can be dropped by its row.';
COMMENT ON COLUMN refresher.definition.changed_at IS 'When apply last gave the view another query: contents computed from it before are of the old one.';
COMMENT ON COLUMN refresher.definition.built_at IS 'When apply last built the view beside and exchanged it: on the definitions of that moment.';
