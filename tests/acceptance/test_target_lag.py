"""Target lags, kept by a real daemon over a real chain: once for everybody, and honestly judged."""

from itertools import pairwise

from tests.conftest import Database
from tests.project import Project, materialized
from tests.waiting import wait_until

_CHAIN = {
    "base": materialized("SELECT id FROM generate_series(1, 10) AS id", schedule={"every": "1d"}),
    "through": {"kind": "view", "query": "SELECT id FROM base"},
    "middle": materialized("SELECT id FROM through", schedule={"after": "upstream"}),
    "page": materialized("SELECT id FROM middle", schedule={"target_lag": "8s"}),
    "report": materialized("SELECT id FROM middle", schedule={"target_lag": "1h"}),
}
_FOLLOWED = ("base", "middle", "page")


def test_what_a_target_reads_is_refreshed_for_it_and_nobody_else_more_often(
    project: Project, database: Database
) -> None:
    project.configure(_CHAIN)
    project.apply()
    with project.daemon() as daemon:
        for _ in range(4):
            daemon.wait_for_log("run.succeeded", view="page", since=daemon.mark())
        assert daemon.stop() == 0
    with database.connect() as connection:
        runs = connection.execute(
            "SELECT view, as_of, trigger FROM refresher.run WHERE outcome = 'succeeded'"
            " ORDER BY as_of"
        ).fetchall()
    of = {name: [run for run in runs if run["view"] == name] for name in _CHAIN}
    # The first ones are apply's.
    counts = [len(of[name]) - 1 for name in _FOLLOWED]
    assert max(counts) - min(counts) <= 1
    assert max(counts) in range(4, 7)
    assert len(of["report"]) <= 2
    assert {run["trigger"] for run in of["page"][1:]} == {"upstream"}
    gaps = [later["as_of"] - sooner["as_of"] for sooner, later in pairwise(of["base"])]
    # 8 s less three steps of little more than the margin of 2 s, and no more often than that.
    assert min(gap.total_seconds() for gap in gaps[1:]) > 0.5


def test_a_view_over_its_target_is_late(project: Project, database: Database) -> None:
    project.configure(
        {"numbers": materialized("SELECT 1 AS id", schedule={"target_lag": "1s"})},
    )
    project.apply()

    def state() -> tuple[str, str]:
        (shown,) = project.run("status", "--json").json()
        with database.connect() as connection:
            row = connection.execute("SELECT state FROM refresher.freshness").fetchone()
        assert row is not None
        return shown["state"], row["state"]

    wait_until(lambda: state() == ("late", "late"), 30, what="late by its target")


def test_a_target_that_cannot_be_kept_is_said_before_it_is_in_force(
    project: Project, database: Database
) -> None:
    by_hand = {**_CHAIN, "base": {**_CHAIN["base"], "schedule": "manual"}}
    project.configure(by_hand)
    project.apply()
    plain = "page: target_lag 8.0s can't be kept: it reads base, whose schedule is manual"
    assert plain in project.run("validate", "--database").stdout
    notes = project.run("plan", "--json").json()[0]["notes"]
    assert any(note.startswith(plain) for note in notes)
    project.configure(_CHAIN)
    with database.connect() as connection:
        connection.execute("UPDATE refresher.run SET duration_seconds = 60 WHERE view = 'base'")
    planned = project.run("plan")
    assert planned.code == 0
    shown = " ".join(planned.stdout.split())
    assert "page: target_lag 8.0s can't be kept: refreshing base (1m) → middle" in shown
    assert "allows 2m 6s at the least" in shown
