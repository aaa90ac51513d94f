-- Audits, which look again at a sample of what a refresh wrote, and rows that were put right.

ALTER TABLE refresher.state ADD COLUMN audited_at timestamptz;
COMMENT ON COLUMN refresher.state.audited_at IS 'The as_of of the last refresh that was audited; null if none was.';

ALTER TABLE refresher.tally DROP CONSTRAINT tally_metric_check;
ALTER TABLE refresher.tally ADD CONSTRAINT tally_metric_check
    CHECK (metric IN ('runs', 'failures', 'rows', 'misfires', 'corrected'));
