"""A daemon that vacuums and analyses the views it refreshes."""

from refresher.postgres.sessions import Connection
from tests.acceptance.web import metric
from tests.conftest import Database
from tests.project import Project, materialized
from tests.roads import Road
from tests.waiting import wait_until


def _dead_rows(connection: Connection) -> int:
    row = connection.execute(
        "SELECT pg_stat_get_dead_tuples('copy'::regclass) AS dead_rows"
    ).fetchone()
    assert row is not None
    return int(row["dead_rows"])


def test_the_churn_of_refreshes_is_cleared_away(
    project: Project, database: Database, road: Road
) -> None:
    with database.connect() as owner:
        owner.execute(
            "CREATE TABLE numbers AS SELECT id, 0 AS n FROM generate_series(1, 500) AS id"
        )
        if road is Road.LEAST_PRIVILEGE:
            owner.execute("GRANT SELECT ON numbers TO PUBLIC")
        project.configure({"copy": materialized("SELECT * FROM numbers", schedule={"every": "1s"})})
        project.apply()
        with project.daemon() as daemon:
            daemon.wait_for_log("run.succeeded", view="copy")
            owner.execute("UPDATE numbers SET n = n + 1")
            done = daemon.wait_for_log("view.vacuumed", view="copy")
            assert done["command"].startswith("VACUUM")
            assert done["dead_rows"] == 0
            assert _dead_rows(owner) == 0
            dead = 'refresher_view_dead_rows{database="crm",view="copy"}'
            wait_until(lambda: metric(daemon, dead) == 0, 20, what="the metric")
            assert daemon.log_events("run.failed") == []
            assert daemon.stop() == 0
