"""How stale each view may get, for its own target lag and for those of the views below it. Pure.

A target is a bound on staleness back to the base tables, so everything a view with one reads has to
be fresh enough for it:

    lag(view) = min(own target, for each nearest refreshed reader: lag(reader) - step(reader))
    step(view) = what a refresh of it usually takes + MARGIN

A reader that is refreshed as soon as what it reads is new stays within its lag that way: it is most
stale at the end of its refresh, by what it read plus the time that took. One that has a schedule of
its own besides, or is made from several at the top, may be at work for that when something new is
there: its step is longer by another refresh. So what is read by many is refreshed as often as the
most demanding of them needs, once, and not once for each.

Who is `manual` is never made due by others, and so nothing above it either.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from refresher.config.model import Manual, TargetLag, View
from refresher.durations import format_duration
from refresher.graph import Graph

MARGIN = timedelta(seconds=2)
"""What a refresh is begun earlier than its usual time asks for: a wake-up that was lost costs as
much at most, and a free slot may have to be waited for."""
_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class Aim:
    """How stale a view may get."""

    lag: timedelta
    """Back to the base tables, until the next refresh is committed."""
    usual: timedelta
    """What a refresh usually takes: the 95th percentile of the last ones; none if there is none."""
    by: str
    """The view whose target lag asks for it; the view's own name, or one below."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A target lag that can't be kept."""

    view: str
    problem: str
    """Why, and what to do."""


def aims(
    views: Mapping[str, View], graph: Graph, usual: Mapping[str, timedelta], now: datetime
) -> dict[str, Aim]:
    """The aim of every view that has one: those with a target, and what they read.

    Args:
        views: the views of a database.
        graph: who reads whom.
        usual: what a refresh usually takes, where one is known.
        now: the database's clock; outside its `only` a view asks nothing of what it reads.

    Raises:
        PlanError: if views read each other.
    """
    asked: dict[str, Aim] = {}
    found: dict[str, Aim] = {}
    for name in reversed(graph.order(views.keys() & graph.reads.keys())):
        view = views[name]
        wish = asked.get(name)
        if isinstance(view.schedule, TargetLag):
            wish = _shorter(wish, Aim(view.schedule.target, _NONE, name))
        if wish is None or not view.refreshed or isinstance(view.schedule, Manual):
            continue
        takes = usual.get(name, _NONE)
        # More often than one after the other is not possible.
        found[name] = aim = Aim(max(wish.lag, 2 * takes + MARGIN), takes, wish.by)
        if view.schedule.only is not None and not view.schedule.only.contains(now):
            continue
        for upstream in graph.refreshed_upstreams(name):
            passed_on = Aim(aim.lag - _step(view, graph, takes), _NONE, aim.by)
            asked[upstream] = _shorter(asked.get(upstream), passed_on)
    return found


def concerned(views: Mapping[str, View], graph: Graph) -> frozenset[str]:
    """The views with a target lag, and all above them: whose usual times matter."""
    targets = [name for name, view in views.items() if view.target_lag is not None]
    return frozenset(targets).union(*(graph.all_upstreams(name) for name in targets))


def infeasible(
    views: Mapping[str, View], graph: Graph, usual: Mapping[str, timedelta]
) -> Iterator[Infeasible]:
    """The target lags that can't be kept as things stand, with the shortest one that can.

    The shortest is that of a chain of views in which each is refreshed as soon as what it reads:
    the sum of their steps, and once more what the slowest takes, since that is how often there can
    be anything new.
    """
    for name, view in views.items():
        if not isinstance(view.schedule, TargetLag):
            continue
        above = [name, *graph.all_upstreams(name)]
        held = [each for each in above if each in views and _is_manual(views[each])]
        if held:
            yield Infeasible(name, _not_refreshed(view.schedule, sorted(held)))
        shortest, path = _longest_chain(name, views, graph, usual)
        if shortest > view.schedule.target:
            yield Infeasible(name, _too_short(view.schedule, shortest, path, usual))


def _step(view: View, graph: Graph, takes: timedelta) -> timedelta:
    """What passes at the most from new contents above a view to contents of its own."""
    above = graph.all_upstreams(view.name) & graph.refreshed
    tops = [name for name in above if not graph.refreshed_upstreams(name)]
    follows_one = isinstance(view.schedule, TargetLag) and len(tops) == 1
    return (takes if follows_one or not above else 2 * takes) + MARGIN


def _shorter(one: Aim | None, other: Aim) -> Aim:
    return other if one is None or other.lag < one.lag else one


def _is_manual(view: View) -> bool:
    return view.refreshed and isinstance(view.schedule, Manual)


def _longest_chain(
    name: str, views: Mapping[str, View], graph: Graph, usual: Mapping[str, timedelta]
) -> tuple[timedelta, tuple[str, ...]]:
    """The shortest lag that every chain of views down to this one allows, and that chain."""
    sums: dict[str, list[tuple[timedelta, timedelta, tuple[str, ...]]]] = {}
    for each in graph.order({name, *graph.all_upstreams(name)}):
        takes = usual.get(each, _NONE)
        if each not in graph.refreshed:
            continue
        above = [chain for one in graph.refreshed_upstreams(each) for chain in sums[one]]
        begun = above or [(_NONE, _NONE, ())]
        chains = [
            (total + _step(views[each], graph, takes), max(slowest, takes), (*path, each))
            for total, slowest, path in begun
        ]
        sums[each] = _worst(chains)
    total, slowest, path = max(sums[name], key=lambda chain: chain[0] + chain[1])
    return total + slowest, path


def _worst(
    chains: Iterable[tuple[timedelta, timedelta, tuple[str, ...]]],
) -> list[tuple[timedelta, timedelta, tuple[str, ...]]]:
    """Without those that another one is as bad as, by its sum and by its slowest."""
    kept: list[tuple[timedelta, timedelta, tuple[str, ...]]] = []
    for chain in sorted(chains, key=lambda each: each[:2], reverse=True):
        if not kept or chain[1] > kept[-1][1]:
            kept.append(chain)
    return kept


def _not_refreshed(schedule: TargetLag, held: list[str]) -> str:
    return (
        f"target_lag {format_duration(schedule.target)} can't be kept: it reads"
        f" {', '.join(held)}, whose schedule is manual; give what it reads a schedule,"
        " after: upstream for example"
    )


def _too_short(
    schedule: TargetLag, shortest: timedelta, path: tuple[str, ...], usual: Mapping[str, timedelta]
) -> str:
    steps = " → ".join(f"{each} ({format_duration(usual.get(each, _NONE))})" for each in path)
    return (
        f"target_lag {format_duration(schedule.target)} can't be kept: refreshing {steps} allows"
        f" {format_duration(shortest)} at the least; lengthen it, or make these faster"
    )
