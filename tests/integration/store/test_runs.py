"""What is kept of runs, and how they are read."""

from datetime import UTC, datetime, timedelta
from typing import Any

from refresher.errors import FailureReason
from refresher.postgres.queries import load_queries
from refresher.postgres.sessions import Connection
from refresher.runs import Outcome
from refresher.store.purge import FIRST, purge_runs
from refresher.store.state import read_history, read_last_runs, read_median_seconds
from tests.integration.store.conftest import make_known, open_run, values

QUERIES = load_queries("refresher.store", "store.sql")


def purge(connection: Connection) -> int:
    """Have all views' turn come; returns how many statements that took."""
    after: str | None = FIRST
    statements = 0
    while after is not None:
        after = purge_runs(connection, after=after)
        statements += 1
    return statements


def kept(connection: Connection, view: str) -> list[int]:
    return values(connection, "SELECT id FROM refresher.run WHERE view = %s ORDER BY id", view)


def fill(connection: Connection, view: str, count: int, *, minutes: int = 1) -> None:
    """Record runs a number of minutes apart, the newest one now."""
    connection.execute(
        "INSERT INTO refresher.run (view, due_at, trigger, attempt, worker, outcome, started_at)"
        " SELECT %(view)s, now(), 'schedule', 1, 'w', 'succeeded',"
        " now() - n * make_interval(mins => %(minutes)s)"
        " FROM generate_series(%(count)s - 1, 0, -1) AS n",
        {"view": view, "count": count, "minutes": minutes},
    )


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def test_runs_are_kept_for_thirty_days(connection: Connection) -> None:
    make_known(connection, "v")
    open_run(connection, "v", age="31 days", outcome="succeeded")
    young = open_run(connection, "v", age="29 days", outcome="failed")

    purge(connection)

    assert kept(connection, "v") == [young]


def test_the_newest_run_of_a_view_is_kept_however_old(connection: Connection) -> None:
    make_known(connection, "v")
    open_run(connection, "v", age="60 days", outcome="succeeded")
    newest = open_run(connection, "v", age="50 days", outcome="succeeded")

    purge(connection)

    assert kept(connection, "v") == [newest]


def test_an_open_run_is_never_purged(connection: Connection) -> None:
    make_known(connection, "v")
    left_open = open_run(connection, "v", age="60 days")
    newest = open_run(connection, "v", age="1 day", outcome="succeeded")

    purge(connection)

    assert kept(connection, "v") == [left_open, newest]


def test_ten_thousand_runs_of_a_view_are_kept(connection: Connection) -> None:
    make_known(connection, "often", "seldom")
    fill(connection, "often", 10_050)
    fill(connection, "seldom", 10)
    all_of_it = kept(connection, "often")

    purge(connection)

    assert kept(connection, "often") == all_of_it[50:]
    assert len(kept(connection, "seldom")) == 10
    purge(connection)
    assert kept(connection, "often") == all_of_it[50:]


def test_every_view_has_its_turn_to_be_purged(connection: Connection) -> None:
    names = [f"v{number}" for number in range(13)]
    make_known(connection, *names)
    for name in names:
        open_run(connection, name, age="31 days", outcome="succeeded")
        open_run(connection, name, outcome="succeeded")

    purge(connection)

    assert [len(kept(connection, name)) for name in names] == [1] * len(names)


def test_what_is_much_is_purged_little_by_little(connection: Connection) -> None:
    make_known(connection, "v", "w")
    fill(connection, "v", 350, minutes=60 * 24)
    fill(connection, "w", 10)

    first = purge_runs(connection, after=FIRST)

    assert first == FIRST
    assert len(kept(connection, "v")) == 250
    assert purge(connection) > 2
    assert len(kept(connection, "v")) == 30
    assert len(kept(connection, "w")) == 10


def test_no_purge_reads_all_runs(connection: Connection) -> None:
    make_known(connection, *(f"v{number}" for number in range(20)))
    for number in range(20):
        fill(connection, f"v{number}", 2_000)
    connection.execute("ANALYZE refresher.run, refresher.fence")

    with connection.transaction(force_rollback=True):
        row: Any = connection.execute(
            b"EXPLAIN (ANALYZE, FORMAT json) " + QUERIES["purge_runs"].as_bytes(), {"after": FIRST}
        ).fetchone()

    ((explained,),) = row.values()
    on_runs = [node for node in nodes(explained["Plan"]) if node.get("Relation Name") == "run"]
    assert on_runs
    assert {node["Node Type"] for node in on_runs} <= {
        *("ModifyTable", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
    }
    # Of five views all their numbers, and of their oldest hundred runs the times: of 40,000 runs.
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in on_runs) <= 5 * (2_000 + 100)


def test_history_is_newest_first(connection: Connection) -> None:
    make_known(connection, "v", "w")
    ids = [open_run(connection, "v", outcome="succeeded") for _ in range(5)]
    open_run(connection, "w")

    assert [run.id for run in read_history(connection, "v", limit=3)] == ids[:1:-1]
    assert read_history(connection, "nothing", limit=3) == ()


def test_a_run_reads_as_it_was_written(connection: Connection) -> None:
    make_known(connection, "v")
    connection.execute(
        "INSERT INTO refresher.run (view, due_at, trigger, strategy, outcome, attempt, failure,"
        " error, worker, rows) VALUES ('v', '2026-01-01T00:00Z', 'upstream', 'concurrent',"
        " 'failed', 3, 'disk_full', 'no space', 'w', 7)"
    )

    (run,) = read_history(connection, "v", limit=10)

    assert (run.due_at, run.attempt, run.rows) == (datetime(2026, 1, 1, tzinfo=UTC), 3, 7)
    assert (run.outcome, run.failure) == (Outcome.FAILED, FailureReason.DISK_FULL)


def test_the_last_run_comes_with_the_failures_since_the_last_success(
    connection: Connection,
) -> None:
    views = make_known(connection, "failing", "well", "new")
    open_run(connection, "failing", outcome="failed")
    success = open_run(connection, "failing", outcome="succeeded")
    open_run(connection, "failing", outcome="failed")
    open_run(connection, "failing", outcome="cancelled")
    last = open_run(connection, "failing", outcome="failed")
    open_run(connection, "well", outcome="succeeded")
    connection.execute(
        "INSERT INTO refresher.state (view, relation, as_of, watermark, run, rows)"
        " VALUES ('failing', 1, now(), '1:1:', %s, 0)",
        [success],
    )

    found = read_last_runs(connection, views)

    assert found.keys() == {"failing", "well"}
    assert (found["failing"].run.id, found["failing"].failures) == (last, 2)
    assert found["well"].failures == 0


def test_the_median_is_of_successes(connection: Connection) -> None:
    make_known(connection, "v")
    assert read_median_seconds(connection, "v") is None
    for seconds, outcome in ((1, "succeeded"), (2, "succeeded"), (9, "succeeded"), (99, "failed")):
        run = open_run(connection, "v", outcome=outcome)
        connection.execute(
            "UPDATE refresher.run SET duration_seconds = %s WHERE id = %s", [seconds, run]
        )

    assert read_median_seconds(connection, "v") == timedelta(seconds=2).total_seconds()


def test_runs_that_are_too_many_and_too_old_go_once(connection: Connection) -> None:
    make_known(connection, "v")
    fill(connection, "v", 10_050, minutes=60)

    purge(connection)

    assert len(kept(connection, "v")) == 30 * 24
