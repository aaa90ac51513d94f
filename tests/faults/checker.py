"""Whether a history holds what refresher promises. Pure: observations in, violations out.

Each rule is a function of its own and says what it found; `docs/adr/` says why it must hold.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from refresher.refresh.retry import may_pass
from refresher.runs import Run
from refresher.schedule import instants
from tests.faults.history import Observations, Sample, Success, seconds
from tests.faults.staleness import verdicts
from tests.faults.takeovers import end_of, takeovers

TAKEOVER_LIMIT = timedelta(seconds=5)
ORPHAN_LIMIT = timedelta(seconds=3)
SETTLED_LIMIT = timedelta(seconds=10)
"""How old an as_of may be in the end: one refresh at work, the next instant pending."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    rule: str
    view: str
    detail: str
    at: datetime | None = None
    """About when; None where that can't be said."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.view}: {self.detail}"


def violations(seen: Observations) -> list[Violation]:
    """Everything that is wrong with a history."""
    return [violation for rule in RULES for violation in rule(seen)]


def check_discharged_once(seen: Observations) -> Iterator[Violation]:
    """Every due instant is discharged by exactly one success, or counted as coalesced.

    On each server for itself: after a failover nothing is known of what contents are as of, and the
    first success there is where the account begins.
    """
    for view, subject in seen.subjects.items():
        due, discharging = 0, 0
        for began, successes in _accounts(seen, view):
            previous = began
            for success in successes:
                fresh = instants.count(
                    subject.schedule, subject.group or view, previous, success.as_of
                )
                if not fresh or not previous < success.due_at <= success.as_of:
                    yield Violation(
                        "discharged once",
                        view,
                        f"run {success.run} for {success.due_at} succeeded as of {success.as_of},"
                        f" after a success as of {previous} had discharged that",
                        success.as_of,
                    )
                discharging += fresh > 0
                previous = success.as_of
            due += instants.count(subject.schedule, subject.group or view, began, previous)
        if due != discharging + seen.misfires[view]:
            yield Violation(
                "discharged once",
                view,
                f"{due} instants were due, {discharging} successes discharged one each, but"
                f" {seen.misfires[view]} were counted as coalesced",
            )


def _accounts(seen: Observations, view: str) -> Iterator[tuple[datetime, list[Success]]]:
    """For each server, the as_of from which its account begins, and the successes since."""
    for lineage, own in _by_lineage(seen, view).items():
        if lineage == seen.began_lineage:
            yield seen.began_as_of[view], own
        else:
            yield own[0].as_of, own[1:]


def check_recorded(seen: Observations) -> Iterator[Violation]:
    """A success and its record can't part."""
    effects = {success.run: (success.view, success.as_of) for success in seen.successes}
    records = {run.id: (run.view, run.as_of) for run in seen.runs if run.succeeded}
    for run, (view, _) in effects.items():
        if run not in records:
            yield Violation("recorded", view, f"run {run} had an effect and has no success")
    for run, (view, as_of) in records.items():
        if run not in effects:
            yield Violation("recorded", view, f"run {run} is a success without effect")
        elif effects[run] != (view, as_of):
            yield Violation("recorded", view, f"run {run} and its effect differ")


def check_runs_ended(seen: Observations) -> Iterator[Violation]:
    """No run is left open, and what failed failed for a reason that passes."""
    for run in seen.runs:
        if run.outcome is None:
            detail = f"run {run.id} of {run.worker} is open"
            yield Violation("run ended", run.view, detail, run.started_at)
        if run.failure is None or may_pass(run.failure) or _excused(seen, run):
            continue
        detail = f"run {run.id}: {run.failure}: {run.error}"
        yield Violation("run ended", run.view, detail, run.started_at)


def _excused(seen: Observations, run: Run) -> bool:
    """Whether the faults of its time are made to have runs fail so."""
    return any(
        run.failure in chapter.excused
        for chapter in seen.chapters
        if run.started_at <= chapter.ended_at
        and chapter.began_at <= (run.finished_at or run.started_at)
    )


def check_settled(seen: Observations) -> Iterator[Violation]:
    """Once the killing is over, every view keeps up with its schedule."""
    for view in seen.subjects:
        behind = seen.ended_at - _last_as_of(seen, view)
        if behind > SETTLED_LIMIT:
            yield Violation("settled", view, f"in the end its as_of was {seconds(behind)} old")


def check_forward(seen: Observations) -> Iterator[Violation]:
    """Neither as_of nor data_as_of moves back, and data_as_of is not later than as_of."""
    for view in seen.subjects:
        yield from _find_backward(view, "the store", seen.successes)
        yield from _find_backward(view, "a reader", seen.samples)


def _find_backward(view: str, who: str, moments: Sequence[Success | Sample]) -> Iterator[Violation]:
    history = [moment for moment in moments if moment.view == view]
    for before, after in pairwise(history):
        if after.lineage != before.lineage:
            continue
        if after.as_of < before.as_of:
            detail = f"{who} saw as_of move from {before.as_of} back to {after.as_of}"
            yield Violation("forward", view, detail, after.as_of)
        if _earlier(after.data_as_of, before.data_as_of):
            detail = f"{who} saw data_as_of move back to {after.data_as_of}"
            yield Violation("forward", view, detail, after.as_of)
    for moment in history:
        # After a failover a view may be refreshed before its upstream is: then nobody knows.
        if moment.data_as_of is None and moment.lineage != history[0].lineage:
            continue
        if moment.data_as_of is None or moment.data_as_of > moment.as_of:
            detail = f"{who} saw data_as_of {moment.data_as_of}, as_of {moment.as_of}"
            yield Violation("forward", view, detail, moment.as_of)


def check_serial(seen: Observations) -> Iterator[Violation]:
    """No two refreshes of a view overlap: each one's snapshot sees the whole one before it."""
    for view in seen.subjects:
        for successes in _by_lineage(seen, view).values():
            for before, after in pairwise(successes):
                if not after.snapshot.sees(before.transaction):
                    detail = f"run {after.run} began before run {before.run} had committed"
                    yield Violation("serial", view, detail, after.as_of)


def check_contents(seen: Observations) -> Iterator[Violation]:
    """Contents are those of the last success: whole, of one refresh, and never empty."""
    for sample in seen.samples:
        wanted = seen.subjects[sample.view].rows
        if sample.rows != wanted:
            detail = f"at {sample.at} it had {sample.rows} rows instead of {wanted}"
            yield Violation("contents", sample.view, detail, sample.at)
        foreign = len(sample.made_by) == 1 and sample.made_by <= seen.foreign.get(
            sample.view, frozenset()
        )
        if sample.made_by != {sample.refreshed_by} and not foreign:
            detail = (
                f"at {sample.at} the last success was {sample.refreshed_by}, the contents were made"
                f" by {sorted(sample.made_by)}"
            )
            yield Violation("contents", sample.view, detail, sample.at)
        if len(sample.generations) != 1:
            detail = f"at {sample.at} it showed half a commit: {sorted(sample.generations)}"
            yield Violation("contents", sample.view, detail, sample.at)


def check_truth(seen: Observations) -> Iterator[Violation]:
    """Everything that was committed before data_as_of is in the contents."""
    for sample in seen.samples:
        if sample.data_as_of is None:
            continue
        commits = seen.commits[seen.subjects[sample.view].source]
        known = bisect_right(commits, sample.data_as_of, key=lambda commit: commit.known_at)
        if known and min(sample.generations, default=0) < commits[known - 1].generation:
            yield Violation(
                "truth",
                sample.view,
                f"at {sample.at} data_as_of was {sample.data_as_of}, but generation"
                f" {commits[known - 1].generation}, committed by then, was not in it:"
                f" {sorted(sample.generations)}",
                sample.at,
            )


def check_honest(seen: Observations) -> Iterator[Violation]:
    """Reported staleness is never far under the truth, through plain views on top as well."""
    for verdict in verdicts(seen):
        if not verdict.honest:
            reading = verdict.reading
            yield Violation(
                "honest",
                reading.view,
                f"at {reading.at} it was said to be {reading.staleness} stale, but a commit in"
                f" {reading.source} had been missing for {verdict.at_least}",
                reading.at,
            )


def check_upstreams(seen: Observations) -> Iterator[Violation]:
    """What a view says of the upstream it read is what its contents show."""
    made: dict[tuple[str, datetime | None], int] = {
        (success.view, success.as_of): success.snapshot.xmax for success in seen.successes
    }
    told = {(success.view, success.as_of): success for success in seen.successes}
    for sample in seen.samples:
        upstream = seen.subjects[sample.view].upstream
        success = told.get((sample.view, sample.as_of))
        if upstream is None or success is None:
            continue
        read = made.get((upstream, success.upstreams_seen.get(upstream)))
        foreign = seen.foreign.get(sample.view, frozenset()) | seen.foreign.get(
            upstream, frozenset()
        )
        if read is not None and sample.read_from != {read} and not foreign:
            yield Violation(
                "upstreams",
                sample.view,
                f"run {success.run} says it read {upstream} made by {read}, its contents show"
                f" {sorted(sample.read_from)}",
                sample.at,
            )


def check_groups(seen: Observations) -> Iterator[Violation]:
    """Views of a group are of one moment, whenever they are read: one that reads another of it
    shows what that one shows."""
    shown = {(sample.view, sample.at): sample.made_by for sample in seen.samples}
    for sample in seen.samples:
        subject = seen.subjects[sample.view]
        upstream = subject.upstream
        if upstream is None or subject.group is None:
            continue
        if seen.subjects[upstream].group == subject.group:
            made_by = shown.get((upstream, sample.at))
            if made_by is not None and sample.read_from != made_by:
                yield Violation(
                    "groups",
                    sample.view,
                    f"it shows {upstream} made by {sorted(sample.read_from)}, which shows"
                    f" {sorted(made_by)}",
                    sample.at,
                )


def check_takeover(seen: Observations) -> Iterator[Violation]:
    """What a killed daemon was at is begun by another one soon."""
    for takeover in takeovers(seen):
        if takeover.seconds is None or takeover.seconds > TAKEOVER_LIMIT.total_seconds():
            took = "never" if takeover.seconds is None else f"after {takeover.seconds:.2f} s"
            detail = f"run {takeover.lost} was killed at {takeover.killed_at}, taken over {took}"
            yield Violation("takeover", takeover.view, detail, takeover.killed_at)


def check_orphans(seen: Observations) -> Iterator[Violation]:
    """A dead daemon's backend gives its fence back soon."""
    for holder in seen.holders:
        kill = end_of(seen, holder.pid, holder.since)
        if kill is not None and holder.at - kill.at > ORPHAN_LIMIT:
            since = seconds(holder.at - kill.at)
            detail = f"{since} after daemon {holder.pid} died its backend held the fence"
            yield Violation("orphans", holder.view, detail, holder.at)


def check_exits(seen: Observations) -> Iterator[Violation]:
    """A daemon that is asked to end does so within its drain time, and says that all is well."""
    for end in seen.exits:
        if end.last_words is not None:
            detail = f"daemon {end.pid} ended by itself with {end.code}:\n{end.last_words}"
            yield Violation("exit", "all", detail, end.at)
            continue
        if end.code != 0 or end.seconds > end.allowed:
            code = "had to be killed" if end.code is None else f"ended with {end.code}"
            detail = f"daemon {end.pid} {code} after {end.seconds:.2f} s of {end.allowed:.2f}"
            yield Violation("exit", "all", detail, end.at)


def check_limits(seen: Observations) -> Iterator[Violation]:
    """What may not take long does not."""
    for measured in seen.measurements:
        if measured.seconds is None or measured.seconds > measured.limit:
            took = "never came" if measured.seconds is None else f"took {measured.seconds:.2f} s"
            detail = f"{measured.what} {took}; it may take {measured.limit:g} s"
            yield Violation("limit", "all", detail, measured.at)


def check_injected(seen: Observations) -> Iterator[Violation]:
    """Every fault was injected as often as was asked for."""
    for chapter in seen.chapters:
        times = sum(injection.kind == chapter.kind for injection in seen.injections)
        if chapter.trouble is not None or times != chapter.times:
            trouble = f": {chapter.trouble}" if chapter.trouble else ""
            detail = f"{chapter.kind} came {times} times of {chapter.times}{trouble}"
            yield Violation("injected", "all", detail, chapter.began_at)


def check_watched(seen: Observations) -> Iterator[Violation]:
    """Nothing was seen to be wrong because it was looked at, not because nobody looked."""
    sampled = {sample.view for sample in seen.samples}
    read = {reading.view for reading in seen.readings if reading.staleness is not None}
    held = {holder.view for holder in seen.holders}
    for view, subject in seen.subjects.items():
        if view not in sampled:
            yield Violation("watched", view, "its contents were never read")
        if not seen.commits[subject.source]:
            yield Violation("watched", view, f"nobody wrote {subject.source}")
    for view in {*seen.subjects, *seen.plain_views} - read:
        yield Violation("watched", view, "its staleness was never read")
    if not held:
        yield Violation("watched", "all", "no daemon was ever seen to hold a fence")


RULES: tuple[Callable[[Observations], Iterator[Violation]], ...] = (
    check_discharged_once,
    check_recorded,
    check_runs_ended,
    check_settled,
    check_forward,
    check_serial,
    check_contents,
    check_truth,
    check_honest,
    check_upstreams,
    check_groups,
    check_takeover,
    check_orphans,
    check_exits,
    check_limits,
    check_injected,
    check_watched,
)


def _successes(seen: Observations, view: str) -> list[Success]:
    """A view's, in the order of their as_of."""
    own = (success for success in seen.successes if success.view == view)
    return sorted(own, key=lambda success: success.as_of)


def _by_lineage(seen: Observations, view: str) -> dict[str | None, list[Success]]:
    """A view's successes on each server, in the order of their as_of."""
    found: dict[str | None, list[Success]] = defaultdict(list)
    for success in _successes(seen, view):
        found[success.lineage].append(success)
    return found


def _last_as_of(seen: Observations, view: str) -> datetime:
    return max(
        (success.as_of for success in _successes(seen, view)), default=seen.began_as_of[view]
    )


def _earlier(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other
