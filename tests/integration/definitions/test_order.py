"""Definitions that lead to each other on more than one way."""

from tests.integration.definitions.conftest import PLAIN, Workbench

VIEWS = "xqpymz"


def define(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 9) AS n")
    workbench.define("x", "SELECT id FROM orders", key=("id",))
    workbench.define("q", "SELECT id FROM x", PLAIN)
    workbench.define("p", "SELECT id FROM q", PLAIN)
    workbench.define("y", "SELECT p.id FROM p JOIN x USING (id)", PLAIN)
    workbench.define("m", "SELECT id FROM q", key=("id",))
    workbench.define("z", "SELECT m.id FROM m JOIN x USING (id)", key=("id",))


def counts(workbench: Workbench) -> list[int]:
    return [workbench.one(f"SELECT count(*) FROM {name}") for name in VIEWS]


def test_what_stays_between_views_that_are_exchanged_is_no_circle(workbench: Workbench) -> None:
    define(workbench)
    workbench.apply_well()
    workbench.define("x", "SELECT id FROM orders WHERE id > 3", key=("id",))

    steps = workbench.apply_well()

    assert steps == [("swap", "x", "z", "q", "y"), ("refresh", "m"), ("refresh", "z")]
    assert counts(workbench) == [6] * 6


def test_a_view_that_leaves_an_exchange_is_there_for_what_is_built_on_it(
    workbench: Workbench,
) -> None:
    define(workbench)
    workbench.apply_well()
    workbench.define("x", "SELECT id FROM orders WHERE id > 1", key=("id",))
    workbench.define("q", "SELECT id, id AS more FROM orders WHERE id > 6", PLAIN)
    workbench.define("z", "SELECT more AS id FROM q", key=("id",))

    steps = workbench.apply_well()

    assert steps[0] == ("replace", "q")
    assert counts(workbench) == [8, 3, 3, 3, 3, 3]


def test_a_view_that_is_filled_from_what_is_refreshed_later_is_up_to_date_at_last(
    workbench: Workbench,
) -> None:
    define(workbench)
    del workbench.views["z"]
    workbench.apply_well()
    workbench.define("q", "SELECT id FROM x WHERE id > 5", PLAIN)
    workbench.define("z", "SELECT id FROM m", key=("id",))

    workbench.apply_well()

    assert counts(workbench) == [9, 4, 4, 4, 4, 4]


def test_views_that_are_pruned_go_before_what_they_read(workbench: Workbench) -> None:
    define(workbench)
    workbench.apply_well()
    workbench.views.clear()

    steps = workbench.apply_well(prune=True)

    assert {kind for kind, _ in steps} == {"drop"}
    assert workbench.relations() == {"orders": "r"}


def test_a_reader_that_is_pruned_stands_in_nobodys_way(workbench: Workbench) -> None:
    workbench.execute("CREATE TABLE t (id int, name text)")
    workbench.define("a", "SELECT id, name FROM t", PLAIN)
    workbench.define("b", "SELECT name FROM a", PLAIN)
    workbench.apply_well()
    workbench.redefine("a", query="SELECT id FROM t")
    del workbench.views["b"]
    assert len(workbench.plan().problems) == 1

    assert workbench.apply_well(prune=True) == [("swap", "a"), ("drop", "b")]

    assert workbench.relations().keys() == {"t", "a"}
