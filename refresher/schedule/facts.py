"""From what the database says of views to the facts their decisions need. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.graph import Graph
from refresher.schedule.aims import Aim
from refresher.schedule.decision import Decision, Facts
from refresher.schedule.due import decide, expected_at, pending_request, undischarged
from refresher.schedule.upstreams import UpstreamFacts
from refresher.store.state import ViewState


def decide_all(
    views: Mapping[str, View],
    states: Mapping[str, ViewState],
    graph: Graph,
    aims: Mapping[str, Aim],
    now: datetime,
) -> dict[str, Decision]:
    """Decide about views, upstream first.

    Args:
        views: the views to decide about, with every view above them.
        states: their states, read no later than `now`.
        graph: who reads whom.
        aims: how stale each view that has an aim may get.
        now: the database's clock.
    """
    facts = gather_facts(views, states, graph, aims, now)
    return {name: decide(views[name], of) for name, of in facts.items()}


def gather_facts(
    views: Mapping[str, View],
    states: Mapping[str, ViewState],
    graph: Graph,
    aims: Mapping[str, Aim],
    now: datetime,
) -> dict[str, Facts]:
    """The facts about views, upstream first; the arguments are those of `decide_all`."""
    seen: dict[str, _Outlook] = {}
    facts = {}
    for name in graph.order(views.keys() & graph.reads.keys()):
        upstreams = _upstreams(name, states, graph, seen)
        facts[name] = of = _facts(states[name], upstreams, aims.get(name), now)
        expected = expected_at(views[name], of, decide(views[name], of)) if aims else None
        requested = pending_request(views[name], of)
        seen[name] = _Outlook(undischarged(views[name], of), expected, requested)
    return facts


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What the views below need to know of what becomes of a view."""

    undischarged: datetime | None
    expected_at: datetime | None
    requested_at: datetime | None


_UNKNOWN = _Outlook(None, None, None)


def _facts(
    state: ViewState, upstreams: tuple[UpstreamFacts, ...], aim: Aim | None, now: datetime
) -> Facts:
    return Facts(
        now=now,
        as_of=state.as_of,
        populated=state.populated,
        paused=state.paused_until is not None,
        running=state.running,
        requested_at=state.requested_at,
        unsuccessful=state.unsuccessful,
        upstreams=upstreams,
        data_as_of=state.data_as_of,
        aim=aim,
    )


def _upstreams(
    name: str,
    states: Mapping[str, ViewState],
    graph: Graph,
    seen: Mapping[str, _Outlook],
) -> tuple[UpstreamFacts, ...]:
    return tuple(
        UpstreamFacts(
            name=upstream,
            as_of=states[upstream].as_of,
            seen_as_of=states[name].upstreams_seen.get(upstream),
            undischarged=seen.get(upstream, _UNKNOWN).undischarged,
            paused=states[upstream].paused_until is not None,
            data_as_of=states[upstream].data_as_of,
            expected_at=seen.get(upstream, _UNKNOWN).expected_at,
            requested_at=seen.get(upstream, _UNKNOWN).requested_at,
            failure=_last_failure(states[upstream]),
        )
        for upstream in graph.refreshed_upstreams(name)
        if upstream in states
    )


def _last_failure(state: ViewState) -> FailureReason | None:
    return state.unsuccessful[-1].failure if state.unsuccessful else None
