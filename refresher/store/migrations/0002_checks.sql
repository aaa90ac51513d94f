-- Which checks are broken is state. Whoever judges a plain view writes its verdicts, and whoever records
-- a refused refresh those of its view: never a refresh in its own transaction.

CREATE TABLE refresher.verdict (
    view text NOT NULL,
    check_name text NOT NULL,
    message text,
    broken_since timestamptz,
    checked_at timestamptz NOT NULL,
    run bigint,
    PRIMARY KEY (view, check_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE refresher.verdict IS 'How checks were judged last: of a plain view each time, of what is refreshed when a refresh was refused.';
COMMENT ON COLUMN refresher.verdict.message IS 'What is broken; null where the check holds.';
COMMENT ON COLUMN refresher.verdict.run IS 'The run that was refused, whose record is written with this: a later success mends it without a write, for that could fail the success. Null of a plain view.';

CREATE VIEW refresher.broken_check AS
SELECT v.view, v.check_name, v.message, v.broken_since, v.checked_at
FROM refresher.verdict AS v
JOIN refresher.view AS w ON w.name = v.view
LEFT JOIN refresher.state AS s ON s.view = v.view
WHERE v.message IS NOT NULL
    AND CASE
        WHEN w.kind = 'view' THEN v.run IS NULL
        ELSE v.run > coalesce(s.run, 0)
    END;
COMMENT ON VIEW refresher.broken_check IS 'One row a check that is broken now. Grant it to any application.';
