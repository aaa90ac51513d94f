"""Why a view is not being refreshed although it could be, in words. Pure."""

from typing import assert_never

from refresher.config.model import View
from refresher.schedule.decision import Decision, Due, Facts, Idle, Waiting
from refresher.schedule.urgency import waits_since


def why_it_waits(view: View, facts: Facts, decision: Decision, *, served: bool) -> str | None:
    """What a view waits for; None if it waits for nothing.

    Args:
        view: the view.
        facts: what is known of it.
        decision: what follows from that.
        served: whether a daemon lives.
    """
    match decision:
        case Due():
            since = waits_since(view, facts, decision)
            obstacle = "waits for a free slot" if served else "no daemon is at work"
            return f"due since {since:%Y-%m-%d %H:%M:%S %Z}, {obstacle}"
        case Waiting(reason):
            return reason
        case Idle():
            return None
        case other:
            assert_never(other)
