from itertools import combinations

import pytest
from hypothesis import given

from refresher.definitions.affected import (
    Exchange,
    exchanges,
    is_changed,
    is_passage,
    is_replaced,
    read_through,
)
from refresher.definitions.model import Subject, replaceable
from tests.unit.definitions.subjects import (
    APPENDED,
    DROPPED,
    KEPT,
    RETYPED,
    changed,
    facts,
    subject,
    world,
    worlds,
)

World = dict[str, Subject]


def told(*subjects: Subject) -> list[tuple[str, str, str]]:
    """Of each exchange what is built beside, re-pointed and broken, by letter."""
    return [
        (
            "".join(sorted(each.beside)),
            "".join(sorted(each.repointed)),
            "".join(sorted(each.broken)),
        )
        for each in exchanges(world(*subjects))
    ]


def parts(views: World) -> Exchange:
    """All exchanges as one."""
    found = exchanges(views)
    return Exchange(
        beside=frozenset[str]().union(*(each.beside for each in found)),
        repointed=frozenset[str]().union(*(each.repointed for each in found)),
        broken=frozenset[str]().union(*(each.broken for each in found)),
    )


def is_kept(each: Subject) -> bool:
    standing, desired = each.standing, each.desired
    return standing is not None and desired is not None and replaceable(standing, desired)


def leads_to(views: World, label: str, goal: frozenset[str]) -> bool:
    """Whether a view's contents come from some of these without contents between."""
    through = read_through(views, [label]) | {label}
    return any(views[each].reads & goal for each in through)


def allowed(views: World, beside: frozenset[str]) -> bool:
    """Whether PostgreSQL could exchange these, and contents would come from what is new."""
    going = beside | {label for label in views if is_broken(views, label, beside)}
    for label, each in views.items():
        standing, desired = each.standing, each.desired
        if standing is not None and desired is not None:
            hit = each.read & going or is_changed(each)
            if hit and not is_kept(each) and label not in beside:
                return False
    for label in beside:
        for passage in read_through(views, [label]) - beside:
            if leads_to(views, passage, beside):
                return False
    return all(
        label in beside or views[label].standing is not None
        for reader in views
        if reader not in beside and is_repointed(views, reader, going, beside)
        for label in views[reader].reads
        if is_passage(views[label]) and leads_to(views, label, beside)
    )


def is_broken(views: World, label: str, beside: frozenset[str]) -> bool:
    each = views[label]
    return each.desired is None and any(
        read in beside or is_broken(views, read, beside) for read in each.read
    )


def is_repointed(views: World, label: str, going: frozenset[str], beside: frozenset[str]) -> bool:
    """Whether a view that stays must be given its query within the exchange."""
    each = views[label]
    if not is_kept(each):
        return False
    stays = leads_to(views, label, beside) or not is_replaced(each)
    if each.read & going and stays:
        return True
    return (
        is_changed(each)
        and leads_to(views, label, beside)
        and any(
            is_repointed(views, reader, going, beside)
            for reader in views
            if reader not in beside and label in views[reader].reads
        )
    )


def test_what_stands_as_it_should_is_left_alone() -> None:
    assert told(subject("a"), subject("b", "v", reads="a"), subject("c", reads="ab")) == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(KEPT, []), (APPENDED, []), (DROPPED, [("a", "b", "")]), (RETYPED, [("a", "b", "")])],
)
def test_a_plain_view_is_exchanged_only_for_what_a_replacement_cant_do(
    columns: tuple[tuple[str, str], ...], expected: list[tuple[str, str, str]]
) -> None:
    found = told(changed("a", "v", after={"columns": columns}), subject("b", "v", reads="a"))

    assert found == expected


def test_a_chain_is_exchanged_as_far_as_what_goes_is_read_directly() -> None:
    chain = [
        changed("a"),
        subject("b", "v", reads="a"),
        subject("c", reads="b"),
        subject("d", "v", reads="c"),
    ]

    assert told(*chain) == [("a", "b", "")]
    assert told(*chain, subject("e", reads="a")) == [("ae", "b", "")]


def test_what_lies_between_two_that_are_built_beside_is_built_beside() -> None:
    assert told(
        changed("a"),
        subject("b", "v", reads="a"),
        subject("c", "v", reads="b"),
        changed("d", reads="c"),
    ) == [("abcd", "", "")]


def test_contents_that_stand_are_no_passage() -> None:
    chain = [changed("a"), subject("p", "v", reads="a")]
    end = changed("z", reads="ma")

    assert told(*chain, subject("m", reads="p"), end) == [("az", "p", "")]
    unfilled = subject("m", reads="p", before={"populated": False})
    assert told(*chain, unfilled, end) == [("ampz", "", "")]


def test_a_missing_view_between_is_built_with_the_others() -> None:
    assert told(
        changed("a"), subject("b", "v", reads="a", missing=True), changed("c", reads="b")
    ) == [("abc", "", "")]
    repointed = changed("c", "v", reads="b", read="a")
    assert told(changed("a"), subject("b", reads="a", missing=True), repointed) == [("ab", "c", "")]


def test_a_view_that_no_longer_reads_what_goes_is_replaced_before() -> None:
    leaving = changed("b", "v", read="a")

    assert told(changed("a"), leaving) == [("a", "", "")]
    assert told(changed("a"), leaving, changed("c", reads="b")) == [("a", "", ""), ("c", "", "")]


def test_an_unmanaged_view_that_would_not_work_is_named() -> None:
    stuck = subject("u", "v", read="a", managed=False, broken=True)
    reader = subject("w", "v", read="u", managed=False, broken=True)

    assert told(changed("a"), stuck, reader) == [("a", "", "uw")]
    assert told(changed("a", "v"), stuck, reader) == []


def test_a_kind_that_changes_is_exchanged_and_a_table_is_no_view() -> None:
    assert told(changed("a", "v", before={"kind": "m"})) == [("a", "", "")]
    assert told(changed("a", before={"kind": "r"})) == []


def test_exchanges_that_have_nothing_to_do_with_each_other_are_apart() -> None:
    assert told(changed("a"), changed("b"), subject("c", "v", reads="b")) == [
        ("a", "", ""),
        ("b", "c", ""),
    ]


@given(worlds())
def test_what_is_changed_is_exchanged_or_can_be_replaced(views: World) -> None:
    found = parts(views)

    for label, each in views.items():
        if is_changed(each):
            assert label in found.beside or is_kept(each)


@given(worlds())
def test_nothing_that_stays_reads_what_goes(views: World) -> None:
    found = parts(views)

    for label, each in views.items():
        if each.read & (found.beside | found.broken) and label not in found.beside:
            assert label in found.repointed | found.broken or is_replaced(each)
            assert each.view.kind != "materialized_view" or label in found.broken


@given(worlds())
def test_nothing_is_built_on_what_is_not_yet_as_it_should_be(views: World) -> None:
    found = parts(views)

    for label in found.beside:
        between = read_through(views, [label]) - found.beside
        assert not between & found.repointed
        assert not any(leads_to(views, each, found.beside) for each in between)
    for label in found.repointed:
        for read in views[label].reads - found.beside:
            assert views[read].standing is not None or not leads_to(views, read, found.beside)


@given(worlds())
def test_exchanges_are_disjoint_and_each_is_closed(views: World) -> None:
    found = exchanges(views)
    groups = [each.beside | each.repointed | each.broken for each in found]

    for each in found:
        assert each.beside
        assert not each.beside & each.repointed
        assert not (each.beside | each.repointed) & each.broken
    for one, other in combinations(groups, 2):
        assert not one & other
        assert not any((views[label].reads | views[label].read) & other for label in one)
        assert not any((views[label].reads | views[label].read) & one for label in other)


@given(worlds())
def test_where_nothing_changes_nothing_is_exchanged(views: World) -> None:
    still = {
        label: subject(label, reads=each.reads, managed=each.managed)
        for label, each in views.items()
    }

    assert exchanges(still) == []


@given(worlds())
def test_more_changes_exchange_more(views: World) -> None:
    before = parts(views)
    label = min(views)
    if views[label].standing is None:
        return
    more = {**views, label: changed(label, before={"kind": "m"}, managed=views[label].managed)}

    assert before.beside - {label} <= parts(more).beside


@given(worlds(size=5))
def test_as_little_as_possible_is_built_beside(views: World) -> None:
    labels = [label for label, each in views.items() if each.desired is not None]
    choices = [
        frozenset(chosen)
        for size in range(len(labels) + 1)
        for chosen in combinations(labels, size)
    ]
    possible = [chosen for chosen in choices if allowed(views, chosen)]
    least = frozenset.intersection(*possible)

    assert parts(views).beside == least


def test_columns_may_only_be_added_at_the_end_of_a_plain_view() -> None:
    plain = facts(kind="v")

    assert replaceable(plain, facts(kind="v", columns=APPENDED))
    assert not replaceable(plain, facts(kind="v", columns=(APPENDED[2], *KEPT)))
    assert not replaceable(plain, facts(kind="m"))
    assert not replaceable(facts(), facts())
