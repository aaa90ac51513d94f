"""From what the database says of views to the facts their decisions need. Pure."""

from collections.abc import Mapping
from datetime import datetime

from refresher.config.model import View
from refresher.errors import FailureReason
from refresher.graph import Graph
from refresher.schedule.due import Decision, Facts, decide, undischarged
from refresher.schedule.upstreams import UpstreamFacts
from refresher.store.state import ViewState


def decide_all(
    views: Mapping[str, View], states: Mapping[str, ViewState], graph: Graph, now: datetime
) -> dict[str, Decision]:
    """Decide about views, upstream first.

    Args:
        views: the views to decide about, with every view above them.
        states: their states, read no later than `now`.
        graph: who reads whom.
        now: the database's clock.
    """
    facts = gather_facts(views, states, graph, now)
    return {name: decide(views[name], of) for name, of in facts.items()}


def gather_facts(
    views: Mapping[str, View], states: Mapping[str, ViewState], graph: Graph, now: datetime
) -> dict[str, Facts]:
    """The facts about views, upstream first; the arguments are those of `decide_all`."""
    pending: dict[str, datetime | None] = {}
    facts = {}
    for name in graph.order(views.keys() & graph.reads.keys()):
        facts[name] = _facts(states[name], _upstreams(name, states, graph, pending), now)
        pending[name] = undischarged(views[name], facts[name])
    return facts


def _facts(state: ViewState, upstreams: tuple[UpstreamFacts, ...], now: datetime) -> Facts:
    return Facts(
        now=now,
        as_of=state.as_of,
        populated=state.populated,
        paused=state.paused_until is not None,
        running=state.running,
        requested_at=state.requested_at,
        unsuccessful=state.unsuccessful,
        upstreams=upstreams,
    )


def _upstreams(
    name: str,
    states: Mapping[str, ViewState],
    graph: Graph,
    pending: Mapping[str, datetime | None],
) -> tuple[UpstreamFacts, ...]:
    return tuple(
        UpstreamFacts(
            name=upstream,
            as_of=states[upstream].as_of,
            seen_as_of=states[name].upstreams_seen.get(upstream),
            undischarged=pending.get(upstream),
            paused=states[upstream].paused_until is not None,
            failure=_last_failure(states[upstream]),
        )
        for upstream in graph.refreshed_upstreams(name)
        if upstream in states
    )


def _last_failure(state: ViewState) -> FailureReason | None:
    return state.unsuccessful[-1].failure if state.unsuccessful else None
