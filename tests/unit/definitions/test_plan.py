from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.model import Index
from refresher.definitions.affected import is_changed, read_through
from refresher.definitions.compare import Aspect
from refresher.definitions.model import IndexFacts, Subject
from refresher.definitions.plan import Plan, make_plan
from refresher.definitions.plan_facts import Obstacle, PlanFacts
from refresher.definitions.step import (
    Create,
    CreateIndex,
    Drop,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
)
from tests.unit.definitions.subjects import (
    APPENDED,
    changed,
    facts,
    graph_of,
    subject,
    world,
    worlds,
)

BY_ID = IndexFacts(unique=False, body="USING btree (id)")
BY_NAME = IndexFacts(unique=False, body="USING btree (name)")


def plan_of(views: dict[str, Subject], **given: Any) -> Plan:
    return make_plan(PlanFacts(subjects=views, graph=graph_of(views), **given))


def plan(*subjects: Subject, **given: Any) -> Plan:
    return plan_of(world(*subjects), **given)


def told(found: Plan) -> list[str]:
    """The steps, each as what it does and to which views."""
    return [f"{step.kind} {' '.join(step.views)}" for step in found.steps]


def is_definition(step: Step) -> bool:
    return isinstance(step, Create | Replace | Swap)


def test_where_all_is_well_there_is_nothing_to_do() -> None:
    found = plan(subject("a"), subject("b", "v", reads="a"), subject("c", reads="b"))

    assert (found.steps, found.problems, found.drift) == ((), (), ())
    assert not found.changes


def test_what_is_missing_is_created_and_filled_each_after_what_it_reads() -> None:
    found = plan(
        subject("z", missing=True, after={"indexes": {"i": BY_ID}}),
        subject("b", "v", reads="z", missing=True),
        subject("a", reads="b", missing=True),
    )

    assert told(found) == [
        "create z",
        "populate z",
        "index z",
        "create b",
        "create a",
        "populate a",
    ]
    assert {each.aspect for each in found.drift} == {Aspect.MISSING}


def test_a_plain_view_is_replaced_and_what_is_behind_it_refreshed() -> None:
    found = plan(
        changed("a", "v", after={"columns": APPENDED}),
        subject("b", reads="a"),
        subject("c", "v", reads="b"),
        subject("d", reads="c"),
        subject("e"),
    )

    assert told(found) == ["replace a", "refresh b", "refresh d"]
    assert [step.why for step in found.steps[1:]] == [
        ("its contents were computed before a changed",),
    ] * 2


def test_a_materialized_view_is_swapped_with_its_readers() -> None:
    stands = {"rows": 5, "bytes": 8192}
    found = plan(
        changed("a", before=stands),
        subject("b", "v", reads="a"),
        subject("c", reads="a", before=stands),
        subject("d", reads="b"),
    )

    assert told(found) == ["swap a c b", "refresh d"]
    (swap, _) = found.steps
    assert isinstance(swap, Swap)
    assert (swap.beside, swap.repointed, swap.rows, swap.bytes) == (("a", "c"), ("b",), 10, 16384)
    assert [(diff.view, diff.before, diff.after) for diff in swap.diffs] == [
        ("a", "SELECT 1", "SELECT 2")
    ]
    assert swap.why == (
        "a: the query that stands is another one",
        "c: it reads a, and can only be re-pointed by rebuilding",
    )


def test_rows_are_unknown_if_those_of_one_view_are() -> None:
    (swap,) = plan(changed("a", before={"rows": 5}), subject("b", reads="a")).steps

    assert isinstance(swap, Swap)
    assert swap.rows is None


def test_a_diamond_through_a_view_that_stays_is_no_circle() -> None:
    found = plan(
        changed("x"),
        subject("q", "v", reads="x"),
        subject("p", "v", reads="q"),
        subject("y", "v", reads="px"),
    )

    assert told(found) == ["swap x q y"]


def test_what_is_built_on_contents_that_are_refreshed_later_is_refreshed_again() -> None:
    old = [changed("x"), subject("p", "v", reads="x"), subject("m", reads="p")]

    assert told(plan(*old, subject("y", reads="mx"))) == ["swap x y p", "refresh m", "refresh y"]
    assert told(plan(*old, subject("y", reads="m", missing=True)))[-2:] == [
        "refresh m",
        "refresh y",
    ]


def test_a_view_that_leaves_an_exchange_is_replaced_before_it() -> None:
    views = [changed("a"), changed("b", "v", read="a"), changed("c", reads="b")]

    assert told(plan(*views)) == ["replace b", "swap a", "swap c"]
    assert told(plan(*views, only={"a"})) == ["replace b", "swap a"]
    assert told(plan(*views, only={"c"})) == ["swap c"]


def test_an_unpopulated_view_is_filled_and_not_refreshed() -> None:
    empty = {"populated": False}

    assert told(plan(changed("a", "v"), subject("b", reads="a", before=empty))) == [
        "replace a",
        "populate b",
    ]


def test_contents_older_than_what_they_came_from_are_refreshed() -> None:
    views = [subject("a"), subject("b", reads="a"), subject("c", reads="b")]

    found = plan(*views, outdated={"b": "a"})

    assert told(found) == ["refresh b", "refresh c"]


def test_indexes_count_by_what_they_are() -> None:
    view = subject(
        "a",
        before={"indexes": {"own": BY_ID, "named": BY_NAME}, "bytes": 7},
        after={"indexes": {"same": BY_ID, "named": BY_ID, "new": BY_NAME}},
        indexes=(Index(columns=("id",)),),
    )

    assert told(plan(view)) == []
    other = IndexFacts(unique=True, body="USING btree (id)")
    found = plan(subject("a", before={"indexes": {"i": BY_ID}}, after={"indexes": {"i": other}}))
    (step,) = found.steps
    assert isinstance(step, CreateIndex)
    assert (step.name, step.replaces, step.concurrently) == ("i", True, True)


def test_indexes_that_are_not_configured_go_only_with_prune() -> None:
    view = subject("a", before={"indexes": {"own": BY_ID}})

    kept, pruned = plan(view), plan(view, prune=True)

    assert told(kept) == []
    assert "a: index own stands and is not configured; it stays" in kept.notes
    assert told(pruned) == ["drop index a"]
    assert not any("own" in note for note in pruned.notes)


@pytest.mark.parametrize(
    ("configured", "standing", "aspects"),
    [
        ({"owner": "other"}, {}, ["owner"]),
        ({"grants": {"app": ("select",)}}, {}, ["grants"]),
        ({"comment": "Ours."}, {"comment": "Theirs."}, ["comment"]),
        ({"options": {"fillfactor": "70"}}, {}, ["options"]),
        ({"owner": "crm", "grants": {}, "comment": ""}, {"comment": ""}, []),
    ],
)
def test_what_is_no_query_is_altered(
    configured: dict[str, Any], standing: dict[str, Any], aspects: list[str]
) -> None:
    found = plan(subject("a", before=standing, **configured))

    assert [step.kind for step in found.steps] == ["alter"] * bool(aspects)
    assert [list(getattr(step, "aspects", ())) for step in found.steps] == [aspects] * bool(aspects)


def test_what_is_built_beside_or_replaced_needs_no_step_for_what_comes_with_it() -> None:
    drifted: dict[str, Any] = {"owner": "other", "options": {"x": "y"}}

    assert told(plan(changed("a", **drifted))) == ["swap a"]
    found = plan(changed("a", "v", **drifted))
    assert told(found) == ["replace a", "alter a"]
    assert [getattr(step, "aspects", None) for step in found.steps] == [None, ("owner",)]
    found = plan(changed("a"), subject("b", "v", reads="a", **drifted))
    assert told(found) == ["swap a b", "alter b"]


def test_renames_come_first_and_drops_last() -> None:
    found = plan(
        changed("a", "v"),
        renamed={"a": "before"},
        removed={"gone": facts(bytes=9)},
        prune=True,
    )

    assert told(found) == ["rename a", "replace a", "drop gone"]
    rename, _, drop = found.steps
    assert isinstance(rename, Rename)
    assert isinstance(drop, Drop)
    assert (rename.before, drop.relation_kind, drop.bytes) == ("before", "m", 9)


def test_what_is_no_longer_configured_stays_without_prune() -> None:
    found = plan(removed={"gone": facts()})

    assert told(found) == []
    (note,) = found.notes
    assert note == (
        "gone is no longer configured, and still stands: `refresher destroy gone` drops it, and"
        " so does `prune: true`"
    )


def test_a_table_in_the_way_is_a_problem() -> None:
    found = plan(subject("a", before={"kind": "r"}), subject("b", "v", reads="a"))

    assert told(found) == []
    assert found.problems == ("a: crm.a is a table, not a materialized view; rename one of them",)


def test_an_unmanaged_view_that_would_break_is_a_problem_until_it_may_go() -> None:
    views = [changed("a"), subject("u", "v", read="a", managed=False, broken=True)]

    (problem,) = plan(*views).problems
    assert problem == (
        "u, which is not managed, would not work any more: it needs what goes; change it first,"
        " or let it go with --allow-drop 'u'"
    )
    allowed = plan(*views, allow_drop=["u"])
    assert allowed.problems == ()
    (swap,) = allowed.steps
    assert isinstance(swap, Swap)
    assert swap.dropped == ("u",)


def test_an_obstacle_counts_only_where_its_view_goes() -> None:
    obstacle = Obstacle(view="a", name="function f()", problem="depends on a")

    assert plan(changed("a"), obstacles=[obstacle]).problems == (
        "function f() depends on a; change it first, or let it go with --allow-drop 'function f()'",
    )
    assert plan(changed("a", "v"), obstacles=[obstacle]).problems == ()
    allowed = plan(changed("a"), obstacles=[obstacle], allow_drop=["function f()"])
    assert allowed.problems == ()
    (swap,) = allowed.steps
    assert isinstance(swap, Swap)
    assert swap.dropped == ("function f()",)


def test_problems_that_concern_only_others_stop_nothing() -> None:
    views = [changed("a"), subject("u", "v", read="a", managed=False, broken=True), changed("b")]

    assert plan(*views, only={"b"}).problems == ()
    assert told(plan(*views, only={"b"})) == ["swap b"]
    assert len(plan(*views, only={"a"}).problems) == 1


def test_what_belongs_to_somebody_else_is_a_problem_if_it_is_to_change() -> None:
    views = [changed("a", before={"owner": "Them"}), subject("b", before={"owner": "Them"})]

    assert plan(*views, strangers={"Them"}).problems == (
        'a belongs to "Them": only its members may change it; GRANT "Them"',
    )


def test_broken_checks_of_columns_are_problems() -> None:
    assert plan(subject("a"), broken={"a": ["column x is missing"]}).problems == (
        "a: column x is missing",
    )


@given(worlds())
def test_each_view_that_differs_gets_its_definition_once(views: dict[str, Subject]) -> None:
    found = plan_of(views)
    steps = [step for step in found.steps if is_definition(step)]
    given_to = [label for step in steps for label in step.views]

    assert len(given_to) == len(set(given_to))
    for label, each in views.items():
        assert (
            not (each.standing is None or is_changed(each))
            or label in given_to
            or (not each.managed)
        )
    for step in steps:
        if not isinstance(step, Swap):
            assert views[step.views[0]].managed
            assert isinstance(step, Create) == (views[step.views[0]].standing is None)


@given(worlds())
def test_a_definition_comes_after_those_it_needs(views: dict[str, Subject]) -> None:
    steps = plan_of(views).steps
    place = {
        label: number
        for number, step in enumerate(steps)
        if is_definition(step)
        for label in step.views
    }

    for label, number in place.items():
        needed = views[label].reads
        if views[label].view.refreshed:
            needed |= read_through(views, [label])
        for read in needed:
            assert place.get(read, -1) <= number
    for label, number in place.items():
        step = steps[number]
        if isinstance(step, Swap) and label in step.beside:
            for reader, each in views.items():
                if label in each.read:
                    assert reader in step.dropped or place[reader] <= number


@given(worlds())
def test_views_are_filled_after_those_they_come_through(views: dict[str, Subject]) -> None:
    steps = plan_of(views).steps
    filled = {step.views[0]: n for n, step in enumerate(steps) if isinstance(step, Populate)}

    for label, each in views.items():
        stands_empty = each.standing is None or not each.standing.populated
        swapped = any(isinstance(step, Swap) and label in step.beside for step in steps)
        wanted = each.managed and each.view.refreshed and stands_empty and not swapped
        assert (label in filled) == wanted
    for label, number in filled.items():
        for read in read_through(views, [label]):
            assert filled.get(read, -1) < number


@given(worlds())
def test_what_is_refreshed_is_what_was_filled_before_something_it_comes_from_changed(
    views: dict[str, Subject],
) -> None:
    found = plan_of(views)
    graph = graph_of(views)
    refreshed = [step.views[0] for step in found.steps if isinstance(step, Refresh)]
    beside = {label for step in found.steps if isinstance(step, Swap) for label in step.beside}

    expected: list[str] = []
    for label, each in views.items():
        if not (each.managed and each.view.refreshed):
            continue
        new = label in beside or each.standing is None or not each.standing.populated
        upstreams = graph.all_upstreams(label)
        causes = {read for read in upstreams if is_changed(views[read]) and not new}
        if causes | upstreams.intersection(expected):
            expected.append(label)
    assert refreshed == expected
    last = [isinstance(step, Refresh) for step in found.steps]
    assert last == sorted(last)


@given(worlds(), st.frozensets(st.sampled_from("abcdefg")))
def test_only_leaves_out_what_concerns_none_of_them(
    views: dict[str, Subject], only: frozenset[str]
) -> None:
    whole, some = plan_of(views), plan_of(views, only=only)

    assert [step for step in whole.steps if step in some.steps] == list(some.steps)
    assert some.drift == whole.drift
    assert {step for step in whole.steps if only.intersection(step.views)} <= set(some.steps)
    assert plan_of(views, only=views).steps == whole.steps


@given(worlds())
def test_a_plan_is_a_function_of_its_facts(views: dict[str, Subject]) -> None:
    assert plan_of(views) == plan_of(dict(views))


def carried_out(views: dict[str, Subject]) -> dict[str, Subject]:
    """The views once a plan is done, those that had to go gone."""
    gone = {label for label, each in views.items() if each.desired is None}
    found = {}
    for label, each in views.items():
        if label in gone:
            continue
        desired = each.desired
        assert desired is not None
        found[label] = subject(
            label,
            desired.kind,
            reads=each.reads,
            managed=each.managed,
            before={"query": desired.query, "columns": desired.columns},
            after={"query": desired.query, "columns": desired.columns},
        )
    return found


@given(worlds())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(views: dict[str, Subject]) -> None:
    assert plan_of(carried_out(views)).steps == ()
