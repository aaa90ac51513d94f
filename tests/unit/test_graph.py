import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.errors import PlanError
from refresher.graph import Graph


def graph(refreshed: str = "", **reads: str) -> Graph:
    names = set(reads) | {name for read in reads.values() for name in read}
    return Graph({name: frozenset(reads.get(name, "")) for name in names}, frozenset(refreshed))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs without cycles: a view reads only views that were drawn before it."""
    names = draw(st.permutations("abcdefgh"))
    reads = {
        name: draw(st.frozensets(st.sampled_from(names[:place]), max_size=3))
        if place
        else frozenset[str]()
        for place, name in enumerate(names)
    }
    return Graph(reads, draw(st.frozensets(st.sampled_from(names))))


@given(graphs())
def test_every_view_comes_after_all_it_reads(drawn: Graph) -> None:
    order = drawn.order()
    assert sorted(order) == sorted(drawn.reads)
    for name in order:
        assert all(order.index(read) < order.index(name) for read in drawn.all_upstreams(name))


@given(graphs(), st.sets(st.sampled_from("abcdefgh")))
def test_some_views_come_in_the_order_of_all(drawn: Graph, names: set[str]) -> None:
    assert drawn.order(names) == tuple(name for name in drawn.order() if name in names)


def test_where_there_is_a_choice_the_name_decides() -> None:
    assert graph(c="z", b="z", a="y").order() == ("y", "a", "z", "b", "c")


@pytest.mark.parametrize(
    ("cyclic", "path"),
    [
        (graph(a="a"), "a → a"),
        (graph(b="a", a="b"), "a → b → a"),
        (graph(c="a", a="b", b="c", d="a"), "a → b → c → a"),
    ],
)
def test_a_cycle_is_named_reader_by_reader(cyclic: Graph, path: str) -> None:
    with pytest.raises(PlanError, match=f": {path}$"):
        cyclic.order()


def test_a_cycle_stops_only_what_needs_an_order() -> None:
    cyclic = graph(refreshed="abc", a="b", b="ac")
    assert cyclic.refreshed_upstreams("b") == ("a", "c")
    assert cyclic.all_upstreams("a") == {"a", "b", "c"}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(PlanError, match="no such view: x, y"):
        graph(a="b").order(["a", "y", "x"])


def test_closures_reach_all_the_way() -> None:
    diamond = graph(d="cb", c="a", b="a")
    assert diamond.all_upstreams("d") == {"a", "b", "c"}
    assert diamond.all_downstreams("a") == {"b", "c", "d"}
    assert diamond.all_upstreams("a") == diamond.all_downstreams("d") == frozenset()


@given(graphs())
def test_closures_are_each_others_mirror(drawn: Graph) -> None:
    for above in drawn.reads:
        for below in drawn.reads:
            assert (above in drawn.all_upstreams(below)) == (below in drawn.all_downstreams(above))


def test_the_nearest_refreshed_upstreams_are_seen_through_plain_views() -> None:
    chain = graph(refreshed="mno", v="pm", p="qn", q="o", n="o")
    assert chain.refreshed_upstreams("v") == ("m", "n", "o")
    assert chain.refreshed_upstreams("p") == ("n", "o")
    assert chain.refreshed_upstreams("m") == ()


def test_what_is_behind_a_refreshed_view_is_not_near() -> None:
    chain = graph(refreshed="mn", v="m", m="n")
    assert chain.refreshed_upstreams("v") == ("m",)


def paths(drawn: Graph, view: str) -> set[str]:
    """The nearest refreshed upstreams, by the definition."""
    found = set()
    for read in drawn.reads[view]:
        found |= {read} if read in drawn.refreshed else paths(drawn, read)
    return found


@given(graphs())
def test_the_nearest_refreshed_upstreams_are_as_defined(drawn: Graph) -> None:
    for view in drawn.reads:
        assert set(drawn.refreshed_upstreams(view)) == paths(drawn, view)


def test_a_long_chain_is_no_deeper_than_a_short_one() -> None:
    reads = {f"v{n:05}": frozenset({f"v{n - 1:05}"} if n else ()) for n in range(5000)}
    chain = Graph(reads, frozenset({"v00000"}))
    assert chain.order() == tuple(sorted(reads))
    assert chain.refreshed_upstreams("v04999") == ("v00000",)
    assert len(chain.all_downstreams("v00000")) == 4999


def test_groups_have_nothing_to_do_with_each_other() -> None:
    found = graph(c="b", b="a", d="a", f="e", g="").groups()

    assert set(found) == {frozenset("abcd"), frozenset("ef"), frozenset("g")}


@given(graphs())
def test_every_view_is_in_one_group_with_all_it_leads_to(drawn: Graph) -> None:
    groups = drawn.groups()

    assert sorted(name for group in groups for name in group) == sorted(drawn.reads)
    for group in groups:
        for name in group:
            assert drawn.all_upstreams(name) | drawn.all_downstreams(name) <= group
