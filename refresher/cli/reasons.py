"""Why a view is so old, and what to do about it, in sentences."""

import shlex
from dataclasses import dataclass
from datetime import datetime

from refresher.cli import render
from refresher.config.model import AfterUpstream
from refresher.observe.explanation import Cause, Explanation

_REASONS = {
    Cause.LIVE: "{view} reads base tables as they are: it is always up to date.",
    Cause.OWN: "{oldest} was refreshed {ago}, and nothing that it read was older.",
    Cause.UPSTREAM: "{oldest} was refreshed {ago}; {view} shows nothing newer ({way}).",
    Cause.NOT_READ_YET: "{oldest} was read as of {ago}. It has been refreshed since, but {reader}"
    " has not read that yet.",
    Cause.UNMANAGED: "{oldest} reads {unmanaged}, which the configuration does not name: nobody can"
    " tell how old that is.",
    Cause.MISSING: "Nothing, or something of another kind, stands under the name of {oldest}.",
    Cause.EMPTY: "{oldest} was never populated.",
    Cause.FOREIGN: "What is in {oldest} is not refresher's: somebody else made or restored it, and"
    " nobody can tell how old it is.",
    Cause.LINEAGE: "{oldest} was refreshed on another server, before a restore or a failover: what"
    " was known of its age does not count here.",
    Cause.CLOCK: "{oldest} was refreshed at a time that is still to come: the database's clock was"
    " put back, and nobody can tell how old it is.",
    Cause.WAS_UNKNOWN: "{reader} read what nobody could tell the age of then.",
    Cause.NOT_RECORDED: "{view} read something that was older; an earlier version of refresher did"
    " not record what.",
    Cause.FORGOTTEN: "{view} shows nothing newer than {oldest}, which is not configured any more.",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What makes a view fresher."""

    why: str
    command: str | None = None
    """What to run, if a command does it."""


def reason(explained: Explanation, now: datetime) -> str:
    """What makes the view so old, or its age unknown; and what becomes of it by itself."""
    data_as_of = explained.view.snapshot.data_as_of(now)
    told = _REASONS[explained.cause].format(
        view=explained.path[0],
        oldest=explained.path[-1],
        reader=explained.reader,
        way=" → ".join(explained.path),
        unmanaged=", ".join(explained.unmanaged),
        ago="" if data_as_of is None else _ago(data_as_of, now, explained.cause),
    )
    return " ".join(filter(None, (told, _next(explained, now))))


def advice(explained: Explanation) -> Advice | None:
    """What to do about it; None if there is nothing to be done."""
    view = shlex.quote(explained.path[0])
    match explained.cause:
        case Cause.LIVE:
            return None
        case Cause.OWN:
            return Advice("To have it sooner", f"refresher run-now {view}")
        case Cause.UPSTREAM | Cause.NOT_READ_YET:
            return Advice("To have it sooner", f"refresher run-now {view} --upstream")
        case Cause.UNMANAGED:
            return Advice(f"Add {', '.join(explained.unmanaged)} to `views`")
        case Cause.MISSING:
            return Advice("To create it", f"refresher apply {shlex.quote(explained.path[-1])}")
        case _:
            return Advice("To know it again", f"refresher run-now {view} --upstream")


def _ago(moment: datetime, now: datetime, cause: Cause) -> str:
    if cause is Cause.NOT_READ_YET:
        return render.moment(moment)
    return f"{render.length(now - moment)} ago, as of {render.moment(moment)}"


def _next(explained: Explanation, now: datetime) -> str | None:
    """When the view is refreshed by itself whose refresh would change this."""
    match explained.cause:
        case Cause.NOT_READ_YET | Cause.WAS_UNKNOWN:
            name = explained.reader
        case Cause.NOT_RECORDED | Cause.FORGOTTEN:
            name = explained.path[0]
        case _:
            name = explained.path[-1]
    link = explained.links.get(name)
    if link is None or link.snapshot.missing or not link.snapshot.view.refreshed:
        return None
    view = link.snapshot
    if view.stored.running:
        return f"{name} is being refreshed now."
    if view.waiting is not None:
        return f"{name} is not refreshed now: {view.waiting}."
    if view.next_due_at is None:
        follows = isinstance(view.view.schedule, AfterUpstream)
        return f"{name} is refreshed {'after what it reads' if follows else 'by hand only'}."
    if view.next_due_at <= now:
        return f"{name} has been due since {render.moment(view.next_due_at)}."
    return f"{name} is due next at {render.moment(view.next_due_at)}."
