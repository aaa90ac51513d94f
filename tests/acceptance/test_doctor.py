"""`refresher doctor` as a process: its exit codes, whoever it works as."""

from tests.conftest import Database
from tests.project import Project, materialized

VIEWS = {"copies": materialized("SELECT id FROM numbers")}


def test_the_exit_code_says_how_well_things_are(project: Project, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE numbers AS SELECT generate_series(1, 10) AS id")
        project.configure(VIEWS)
        assert project.run("apply").code == 0

        well = project.run("doctor")
        assert (well.code, well.stderr) == (0, "")
        assert "0 errors, 0 warnings" in well.stdout

        connection.execute("REFRESH MATERIALIZED VIEW copies WITH NO DATA")
        ill = project.run("doctor")
        assert (ill.code, ill.stderr) == (1, "")
        assert "copies was never populated" in ill.stdout

        # Its own advice, taken.
        assert project.run("run-now", "copies").code == 0
        assert project.run("doctor").code == 0


def test_a_database_that_is_away_is_3_and_a_wrong_configuration_2(project: Project) -> None:
    project.environment["DATABASE_URL"] = "host=/nowhere dbname=crm password=hunter2"
    project.configure(VIEWS)
    away = project.run("doctor", "--json")
    assert away.code == 3
    assert away.json()[0]["server"] is None
    assert "hunter2" not in away.stdout + away.stderr
    project.configure({"copies": {**VIEWS["copies"], "kind": "nonsense"}})
    assert project.run("doctor").code == 2
