"""Contents that are older than the definition of what they were computed from are refreshed."""

import pytest

from refresher.config.model import Index
from tests.integration.definitions.conftest import PLAIN, Workbench


class _Interruption(Exception):  # noqa: N818 - it is none of the program's errors
    pass


@pytest.fixture
def bench(workbench: Workbench) -> Workbench:
    """`m`, read by a plain view, read by `n`, read by a plain view, read by `o`."""
    workbench.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 10) AS n")
    workbench.define("m", "SELECT id FROM t", key=("id",))
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.define("n", "SELECT id FROM v", key=("id",))
    workbench.define("w", "SELECT id FROM n", PLAIN)
    workbench.define("o", "SELECT id FROM w", key=("id",))
    workbench.apply_well()
    return workbench


def counts(workbench: Workbench) -> list[int]:
    return [workbench.one(f"SELECT count(*) FROM {name}") for name in "mvnwo"]


def test_behind_a_plain_view_that_changed(bench: Workbench) -> None:
    bench.redefine("v", query="SELECT id FROM m WHERE id > 4")

    assert bench.apply_well() == [("replace", "v"), ("refresh", "n"), ("refresh", "o")]

    assert counts(bench) == [10, 6, 6, 6, 6]
    assert bench.apply_well() == []


def test_behind_an_exchange(bench: Workbench) -> None:
    before = dict(bench.execute("SELECT view, as_of FROM refresher.state"))
    bench.redefine("m", query="SELECT id FROM t WHERE id > 4")

    assert bench.apply_well() == [("swap", "m", "v"), ("refresh", "n"), ("refresh", "o")]

    assert counts(bench) == [6, 6, 6, 6, 6]
    after = dict(bench.execute("SELECT view, as_of FROM refresher.state"))
    assert before["m"] < after["m"] < after["n"] < after["o"]
    data = bench.execute("SELECT DISTINCT data_as_of FROM refresher.state")
    assert data == [(after["m"],)]
    assert bench.execute("SELECT DISTINCT state FROM refresher.freshness") == [("fresh",)]


@pytest.mark.parametrize(("at", "left"), [("n", ["n", "o"]), ("o", ["o"])])
def test_by_the_next_apply_when_this_one_ends_before(
    bench: Workbench, at: str, left: list[str]
) -> None:
    bench.redefine("v", query="SELECT id FROM m WHERE id > 4")

    def tell(activity: str) -> None:
        if activity == f"{at}: filling it":
            raise _Interruption

    with pytest.raises(_Interruption):
        bench.apply(tell=tell)
    assert counts(bench)[1] == 6
    assert counts(bench)[4] == 10

    assert bench.apply_well() == [("refresh", name) for name in left]
    assert counts(bench) == [10, 6, 6, 6, 6]


def test_not_when_a_refresh_came_meanwhile(bench: Workbench) -> None:
    bench.redefine("v", query="SELECT id FROM m WHERE id > 4")
    bench.apply_well(only={"v"})
    assert bench.kinds() == [("refresh", "n"), ("refresh", "o")]

    bench.populator().refresh(bench.views["n"], bench.simulate().graph)
    assert bench.kinds() == [("refresh", "o")]
    bench.apply_well()

    assert bench.kinds() == []


def test_not_what_only_got_an_index_or_a_comment(bench: Workbench) -> None:
    bench.redefine("m", indexes=(Index(columns=("id",)),), comment="m")
    bench.redefine("v", comment="v")

    assert sorted(bench.apply_well()) == [("alter", "m"), ("alter", "v"), ("index", "m")]
