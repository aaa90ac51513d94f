"""The ages of contents over graphs: what is computed at each refresh adds up to the whole truth."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from refresher.freshness import Age, plain, refreshed, staleness
from refresher.graph import Graph
from tests.unit.builders import NOON, SECOND


@dataclass(frozen=True)
class Step:
    """A view is refreshed, or all that was recorded before comes to nothing."""

    view: str
    restored: bool
    waited: timedelta
    """Since the step before."""


@dataclass(frozen=True)
class Story:
    graph: Graph
    steps: tuple[Step, ...]


@dataclass
class World:
    """What the store would have, and beside it the whole truth."""

    graph: Graph
    now: datetime = NOON
    stored: dict[str, Age] = field(default_factory=dict)
    links: dict[str, frozenset[tuple[str, datetime | None]]] = field(default_factory=dict)
    """Every refreshed view in the closure of one, with the as_of its contents were read at."""

    def take(self, step: Step) -> None:
        self.now += step.waited
        if step.restored:
            self.stored.clear()
            self.links.clear()
        elif step.view in self.graph.refreshed:
            self.stored[step.view] = refreshed(
                step.view,
                self.now,
                self.above(step.view),
                unmanaged=bool(self.graph.unmanaged_upstreams(step.view)),
            )
            self.links[step.view] = self.read(step.view) | {(step.view, self.now)}

    def above(self, view: str) -> dict[str, Age]:
        return {
            name: self.stored.get(name, Age(None, (name,)))
            for name in self.graph.refreshed_upstreams(view)
        }

    def read(self, view: str) -> frozenset[tuple[str, datetime | None]]:
        nothing: frozenset[tuple[str, datetime | None]] = frozenset()
        upstreams = self.graph.refreshed_upstreams(view)
        read = [self.links.get(name, frozenset({(name, None)})) for name in upstreams]
        unmanaged = {(name, None) for name in self.graph.unmanaged_upstreams(view)}
        return nothing.union(*read, unmanaged)

    def age(self, view: str) -> Age:
        if view in self.graph.refreshed:
            return self.stored.get(view, Age(None, (view,)))
        unmanaged = bool(self.graph.unmanaged_upstreams(view))
        return plain(view, self.now, self.above(view), unmanaged=unmanaged)

    def truth(self, view: str) -> frozenset[tuple[str, datetime | None]]:
        if view in self.graph.refreshed:
            return self.links.get(view, frozenset({(view, None)}))
        return self.read(view)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"v{number}" for number in range(draw(st.integers(1, 7)))]
    reads = {
        name: frozenset(other for other in names[:place] if draw(st.booleans()))
        for place, name in enumerate(names)
    }
    refreshed_ones = frozenset(name for name in names if draw(st.integers(0, 3)))
    unmanaged = {name: frozenset({"x.mv"}) for name in names if not draw(st.integers(0, 9))}
    return Graph(reads, refreshed_ones, unmanaged)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    graph = draw(graphs())
    steps = st.builds(
        Step,
        view=st.sampled_from(sorted(graph.reads)),
        restored=st.integers(0, 19).map(lambda number: number == 0),
        waited=st.integers(0, 3).map(lambda seconds: seconds * SECOND),
    )
    return Story(graph, tuple(draw(st.lists(steps, max_size=25))))


def told(story: Story) -> World:
    world = World(story.graph)
    for step in story.steps:
        world.take(step)
    return world


@given(story=stories())
def test_data_as_of_is_the_oldest_of_all_that_was_read(story: Story) -> None:
    world = told(story)

    for view in story.graph.reads:
        moments = [as_of for _, as_of in world.truth(view)]
        known = [moment for moment in moments if moment is not None]
        whole = len(known) == len(moments)
        assert world.age(view).data_as_of == (min([world.now, *known]) if whole else None)


@given(story=stories())
def test_a_path_leads_to_what_makes_contents_so_old(story: Story) -> None:
    world = told(story)

    for view in story.graph.reads:
        age, truth = world.age(view), world.truth(view)
        last = age.oldest[-1]
        assert age.oldest[0] == view
        for reader, read in zip(age.oldest, age.oldest[1:], strict=False):
            assert read in story.graph.refreshed_upstreams(reader)
        if age.data_as_of is None:
            hidden = {(name, None) for name in story.graph.unmanaged_upstreams(last)}
            assert (last, None) in truth or hidden & truth
        else:
            assert (last, age.data_as_of) in truth or (last, world.now) == (view, age.data_as_of)


@given(story=stories(), later=st.integers(0, 5))
def test_staleness_is_never_negative_and_grows_with_time(story: Story, later: int) -> None:
    world = told(story)

    for view in story.graph.reads:
        data_as_of = world.age(view).data_as_of
        found = staleness(data_as_of, world.now)
        then = staleness(data_as_of, world.now + later * SECOND)
        assert (found is None) == (then is None) == (data_as_of is None)
        if found is not None and then is not None:
            assert timedelta() <= found
            assert then - found == later * SECOND


@given(
    ages=st.dictionaries(
        st.sampled_from("abcd"),
        st.none() | st.integers(-5, 5).map(lambda seconds: NOON + seconds * SECOND),
        min_size=1,
    ),
    as_of=st.integers(-5, 5),
    newer=st.integers(0, 5),
    data=st.data(),
)
def test_what_comes_from_newer_contents_is_no_older(
    ages: dict[str, datetime | None], as_of: int, newer: int, data: st.DataObject
) -> None:
    upstreams = {name: Age(moment, (name,)) for name, moment in ages.items()}
    moved = data.draw(st.sampled_from(sorted(ages)))
    moment = ages[moved]
    moment = moment and moment + newer * SECOND
    began = NOON + as_of * SECOND

    before = refreshed("v", began, upstreams).data_as_of
    upstreams[moved] = replace(upstreams[moved], data_as_of=moment)
    after = refreshed("v", began, upstreams).data_as_of
    later = refreshed("v", began + newer * SECOND, upstreams).data_as_of

    assert (before is None) == (after is None) == (later is None) == (None in ages.values())
    if before is not None and after is not None and later is not None:
        assert before <= after <= later
    upstreams[moved] = Age(None, (moved,))
    assert refreshed("v", began, upstreams).data_as_of is None
