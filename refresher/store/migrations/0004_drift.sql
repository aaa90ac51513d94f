-- What others do to the views: looked for by daemons, in transactions of their own.

CREATE TABLE refresher.look (
    view text PRIMARY KEY,
    tried_at timestamptz NOT NULL,
    looked_at timestamptz,
    problem text
);
COMMENT ON TABLE refresher.look IS 'When each view was last compared with its definition.';
COMMENT ON COLUMN refresher.look.problem IS 'Why the last try came to nothing; what is known of drift is then that of looked_at.';

CREATE TABLE refresher.drift (
    view text NOT NULL,
    aspect text NOT NULL,
    message text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (view, aspect)
);
COMMENT ON TABLE refresher.drift IS 'Ways in which the catalog differs from the definitions.';

-- Written by refreshes, hence in the state: what a refresh of ours leaves behind, so that somebody
-- else's can be told from it.
ALTER TABLE refresher.state ADD COLUMN storage oid;
ALTER TABLE refresher.state ADD COLUMN rows_written bigint;
COMMENT ON COLUMN refresher.state.storage IS 'The file node of the contents: a plain REFRESH, VACUUM FULL and CLUSTER write a new one.';
COMMENT ON COLUMN refresher.state.rows_written IS 'What PostgreSQL''s counters of inserted, updated and deleted rows show once this refresh is counted.';

CREATE TABLE refresher.outside (
    view text PRIMARY KEY,
    run bigint NOT NULL,
    storage oid NOT NULL,
    rows_written bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE refresher.outside IS 'The last refresh of each view that was somebody else''s.';
COMMENT ON COLUMN refresher.outside.run IS 'Our last success before it; one of ours since then makes the contents ours again.';
