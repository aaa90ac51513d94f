"""Views go when they are asked to, and nothing that anybody reads goes with them unasked."""

import pytest

from refresher.definitions.destroy import destroy
from refresher.definitions.result import StepResult
from refresher.errors import PlanError
from tests.integration.definitions.conftest import PLAIN, Workbench


@pytest.fixture
def bench(workbench: Workbench) -> Workbench:
    """`m`, read by `v`, read by `n`."""
    workbench.execute("CREATE TABLE t AS SELECT 1 AS id")
    workbench.define("m", "SELECT id FROM t", key=("id",))
    workbench.define("v", "SELECT id FROM m", PLAIN)
    workbench.define("n", "SELECT id FROM v", key=("id",))
    workbench.apply_well()
    return workbench


def dropped(workbench: Workbench, *names: str, allow_drop: tuple[str, ...] = ()) -> list[str]:
    results: list[StepResult] = destroy(
        workbench.session, workbench.views, names, allow_drop=allow_drop
    )
    return [result.step.views[0] for result in results]


def test_nothing_goes_that_others_read(bench: Workbench) -> None:
    bench.execute(
        "CREATE VIEW theirs AS SELECT id FROM v;"
        " CREATE FUNCTION rows() RETURNS SETOF n LANGUAGE sql AS 'SELECT * FROM n'"
    )
    before = bench.catalog()

    with pytest.raises(PlanError) as caught:
        dropped(bench, "m", "v", "n")
    assert str(caught.value) == (
        "public.theirs, function public.rows() would not work any more; change it first, or:"
        " --allow-drop 'public.theirs' --allow-drop 'function public.rows()'"
    )
    for names in (("m",), ("v",), ("m", "v")):
        with pytest.raises(PlanError, match="would not work any more"):
            dropped(bench, *names)
    assert bench.catalog() == before

    allowed = ("public.theirs", "function public.rows()")
    assert dropped(bench, "m", "v", "n", allow_drop=allowed) == ["m", "v", "n"]
    assert bench.relations() == {"t": "r"}
    for table in ("view", "state", "run", "definition", "fence"):
        assert bench.one(f"SELECT count(*) FROM refresher.{table}") == 0


def test_one_that_is_configured_no_more(bench: Workbench) -> None:
    del bench.views["n"]

    assert dropped(bench, "n") == ["n"]
    assert set(bench.relations()) == {"t", "m", "m_id_key", "v"}
    with pytest.raises(PlanError, match="no view n is configured here, and none was ever applied"):
        dropped(bench, "n")
    assert bench.plan().notes == ()


def test_names_that_nobody_knows(bench: Workbench) -> None:
    bench.execute("CREATE VIEW theirs AS SELECT 1 AS id")
    before = bench.catalog()

    with pytest.raises(PlanError, match="no view theirs, x is configured here"):
        dropped(bench, "x", "m", "theirs")

    assert bench.catalog() == before


def test_a_configured_one_comes_back_with_the_next_apply(bench: Workbench) -> None:
    assert dropped(bench, "n") == ["n"]

    assert bench.apply_well() == [("create", "n"), ("populate", "n"), ("index", "n")]


def test_pruning_drops_what_is_configured_no_more_and_nothing_else(bench: Workbench) -> None:
    del bench.views["n"], bench.views["v"]
    bench.execute("CREATE INDEX extra ON m (id) WHERE id > 3; CREATE VIEW theirs AS SELECT 1 AS id")

    assert [note.split(" ")[:3] for note in bench.plan().notes] == [
        ["m:", "index", "extra"],
        ["n", "is", "no"],
        ["v", "is", "no"],
    ]
    assert bench.apply_well() == []
    assert bench.apply_well(prune=True) == [("drop index", "m"), ("drop", "n"), ("drop", "v")]
    assert set(bench.relations()) == {"t", "m", "m_id_key", "theirs"}
    assert bench.execute("SELECT view FROM refresher.state") == [("m",)]


def test_pruning_leaves_what_others_read(bench: Workbench) -> None:
    bench.views.clear()
    bench.execute("CREATE VIEW theirs AS SELECT id FROM v")
    dropping = {"drop n", "drop v", "drop m"}
    assert {" ".join(step) for step in bench.kinds(prune=True)} == dropping

    if not bench.plan(prune=True).problems:
        errors = bench.errors(prune=True)
        assert errors["v"].startswith(
            "something depends on public.v: change that first; `refresher"
        )

    assert bench.one("SELECT count(*) FROM theirs") == 1
    assert {"v", "m", "theirs"} <= set(bench.relations())
