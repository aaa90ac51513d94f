"""An apply that was cut off leaves what the next one knows to be its own, and nothing else goes."""

import contextlib
from collections.abc import Callable

import psycopg
import pytest

from refresher.errors import UnreachableError
from tests.integration.definitions.conftest import PLAIN, Workbench

LEFT = "refresher builds this beside public.x; if it is left over, the next apply drops it"


@pytest.fixture
def bench(workbench: Workbench) -> Workbench:
    """Views of which two are to be exchanged, one replaced and one refreshed."""
    workbench.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 100) AS n")
    workbench.define("m", "SELECT id FROM t", key=("id",), comment="m")
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.define("n", "SELECT id FROM v", key=("id",))
    workbench.apply_well()
    workbench.execute("CREATE VIEW theirs AS SELECT id FROM m")
    workbench.redefine("m", query="SELECT id FROM t WHERE id > 1")
    return workbench


def test_what_is_marked_is_dropped_and_what_is_only_called_so_stays(bench: Workbench) -> None:
    bench.execute(
        "CREATE MATERIALIZED VIEW refresher_m_beside AS SELECT 1 AS id;"
        "COMMENT ON MATERIALIZED VIEW refresher_m_beside IS 'mine';"
        "CREATE TABLE refresher_m_aside (id int); CREATE VIEW marked AS SELECT 1 AS id;"
        f"COMMENT ON VIEW marked IS '{LEFT}'; CREATE TABLE refresher_t_beside (id int);"
        f"COMMENT ON TABLE refresher_t_beside IS '{LEFT}'"
    )
    kept = {"refresher_m_beside", "refresher_m_aside", "marked", "refresher_t_beside"}
    bench.execute(
        "CREATE MATERIALIZED VIEW refresher_x_beside AS SELECT 1 AS id;"
        f"COMMENT ON MATERIALIZED VIEW refresher_x_beside IS '{LEFT}';"
        "CREATE VIEW refresher_y_beside AS SELECT id FROM refresher_x_beside;"
        f"COMMENT ON VIEW refresher_y_beside IS '{LEFT}'"
    )

    bench.apply_well()

    assert {name for name in bench.relations() if "refresher" in name or name == "marked"} == kept
    assert bench.one("SELECT obj_description('refresher_m_beside'::regclass)") == "mine"


def test_what_somebody_reads_meanwhile_stays(bench: Workbench) -> None:
    bench.execute(
        f"CREATE VIEW refresher_x_beside AS SELECT 1 AS id; COMMENT ON VIEW refresher_x_beside"
        f" IS '{LEFT}'; CREATE VIEW reader AS SELECT id FROM refresher_x_beside;"
        "CREATE VIEW refresher_z_beside AS SELECT 1;"
        f"COMMENT ON VIEW refresher_z_beside IS '{LEFT}'"
    )

    bench.apply_well()

    assert "reader" in bench.relations()
    assert "refresher_x_beside" in bench.relations()
    assert "refresher_z_beside" not in bench.relations()


class _Interruption(Exception):  # noqa: N818 - it is none of the program's errors
    pass


def raise_one(workbench: Workbench) -> None:
    del workbench
    raise _Interruption


def end_backends(workbench: Workbench) -> None:
    """What kill -9 of the apply looks like from the server."""
    workbench.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'refresher test/worker%%'"
        " AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("end", [raise_one, end_backends])
def test_cut_off_anywhere_the_old_ones_stand_and_the_next_apply_goes_on(
    bench: Workbench, end: Callable[[Workbench], None]
) -> None:
    stands = set(bench.relations())
    number, came_so_far = 0, True
    while came_so_far:
        told: list[str] = []

        def tell(activity: str, told: list[str] = told, number: int = number) -> None:
            told.append(activity)
            if len(told) == number + 1:
                end(bench)

        bench.redefine("m", query=f"SELECT id FROM t WHERE id > {number + 1}")
        with contextlib.suppress(_Interruption, psycopg.OperationalError, UnreachableError):
            bench.apply(tell=tell)
        assert set(counts(bench).values()) <= {100 - number, 99 - number}
        bench.apply_well()
        assert set(counts(bench).values()) == {99 - number}
        assert set(bench.relations()) == stands
        assert bench.one("SELECT obj_description('m'::regclass)") == "m"
        came_so_far = len(told) > number
        number += 1

    assert number > 7
    assert bench.one("SELECT count(*) FROM refresher.run WHERE outcome = 'succeeded'") >= number


def counts(workbench: Workbench) -> dict[str, int]:
    names = ("m", "n", "v", "theirs")
    return {name: workbench.one(f"SELECT count(*) FROM {name}") for name in names}
