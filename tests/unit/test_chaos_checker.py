"""The judge of the chaos tests is judged: each rule finds the one thing that is wrong."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from refresher.config.model import Every
from refresher.errors import FailureReason
from refresher.runs import Outcome
from refresher.schedule import instants
from tests.chaos.checker import Violation, violations
from tests.chaos.history import (
    Commit,
    Holder,
    Kill,
    Observations,
    Sample,
    Snapshot,
    Subject,
    Success,
)
from tests.chaos.report import describe
from tests.chaos.takeovers import takeovers
from tests.unit.builders import NOON, SECOND, run

EVERY = Every(every=SECOND)
BEFORE = NOON - SECOND
"""The as_of before the first daemon was started."""
DEAD, ALIVE = 7, 8
KILLED_AT = NOON + 2.2 * SECOND


def success(view: str, number: int, as_of: datetime, **fields: Any) -> Success:
    """Success `number` of the history; it is transaction ten times `number` and sees all before."""
    due_at = instants.latest(EVERY, view, as_of)
    assert due_at is not None
    return Success(
        **{
            "view": view,
            "run": number,
            "due_at": due_at,
            "as_of": as_of,
            "data_as_of": as_of,
            "snapshot": Snapshot(10 * number, 10 * number, frozenset()),
            "transaction": 10 * number,
            "taken_at": as_of,
            "upstreams_seen": {},
            **fields,
        }
    )


SUCCESSES = (
    success("up", 1, NOON),
    success("up", 2, NOON + SECOND),
    success("down", 3, NOON + 1.5 * SECOND, upstreams_seen={"up": NOON + SECOND}),
    # Run 4 was killed; run 5 took over and coalesced an instant.
    success("up", 5, NOON + 3 * SECOND),
    success("down", 6, NOON + 3.5 * SECOND, upstreams_seen={"up": NOON + 3 * SECOND}),
)
LOST = run(
    id=4,
    view="up",
    worker=f"host/{DEAD}/a",
    started_at=NOON + 2 * SECOND,
    finished_at=NOON + 13 * SECOND,
    failure=FailureReason.LOST,
)
RUNS = (
    *(
        run(
            id=done.run,
            view=done.view,
            worker=f"host/{ALIVE}/b",
            due_at=done.due_at,
            as_of=done.as_of,
            started_at=done.as_of,
            finished_at=done.as_of + SECOND / 10,
            outcome=Outcome.SUCCEEDED,
            failure=None,
        )
        for done in SUCCESSES
    ),
    LOST,
)


def sample(done: Success, generation: int, **fields: Any) -> Sample:
    """What a reader saw right after a success."""
    return Sample(
        **{
            "at": done.as_of + SECOND / 5,
            "view": done.view,
            "as_of": done.as_of,
            "data_as_of": done.data_as_of,
            "refreshed_by": done.snapshot.xmax,
            "rows": 3,
            "made_by": frozenset({done.snapshot.xmax}),
            "generations": frozenset({generation}),
            "read_from": frozenset(),
            **fields,
        }
    )


SAMPLES = (
    sample(SUCCESSES[0], 1),
    sample(SUCCESSES[1], 1),
    sample(SUCCESSES[2], 1, read_from=frozenset({20})),
    sample(SUCCESSES[3], 2),
    sample(SUCCESSES[4], 2, read_from=frozenset({50})),
)


def coalesced(view: str) -> int:
    as_of = [done.as_of for done in SUCCESSES if done.view == view]
    return instants.count(EVERY, view, BEFORE, as_of[-1]) - len(as_of)


GOOD = Observations(
    subjects={
        "up": Subject(schedule=EVERY, source="t", rows=3),
        "down": Subject(schedule=EVERY, source="t", rows=3, upstream="up"),
    },
    began_as_of={"up": BEFORE, "down": BEFORE},
    ended_at=NOON + 5 * SECOND,
    successes=SUCCESSES,
    runs=RUNS,
    misfires={"up": coalesced("up"), "down": coalesced("down")},
    samples=SAMPLES,
    holders=(Holder(KILLED_AT + SECOND, "up", DEAD), Holder(NOON + 9 * SECOND, "up", ALIVE)),
    commits={"t": (Commit(1, BEFORE), Commit(2, NOON + 2 * SECOND))},
    kills=(Kill(DEAD, KILLED_AT),),
)


def rules(seen: Observations) -> set[str]:
    return {violation.rule for violation in violations(seen)}


def swap_success(number: int, **changes: Any) -> Observations:
    changed = [replace(done, **changes) if done.run == number else done for done in SUCCESSES]
    return replace(GOOD, successes=tuple(changed))


def swap_run(number: int, **changes: Any) -> Observations:
    changed = [replace(record, **changes) if record.id == number else record for record in RUNS]
    return replace(GOOD, runs=tuple(changed))


def swap_sample(number: int, **changes: Any) -> Observations:
    changed = list(SAMPLES)
    changed[number] = replace(changed[number], **changes)
    return replace(GOOD, samples=tuple(changed))


def test_a_good_history_has_no_violations() -> None:
    assert violations(GOOD) == []


def test_the_history_of_nothing_but_what_was_there_is_not_settled() -> None:
    nothing = replace(
        GOOD,
        successes=(),
        samples=(),
        runs=(),
        misfires=dict.fromkeys(GOOD.subjects, 0),
        kills=(),
        ended_at=BEFORE + 11 * SECOND,
    )
    assert rules(nothing) == {"settled", "watched"}


def test_looking_away_is_no_proof() -> None:
    blind = replace(GOOD, samples=SAMPLES[:2])
    assert [str(found) for found in violations(blind)] == [
        "watched: down: its contents were never read"
    ]
    assert rules(replace(GOOD, holders=())) == {"watched"}
    assert rules(replace(GOOD, commits={"t": ()})) == {"watched"}


def test_an_instant_discharged_twice_is_found() -> None:
    again = success("up", 9, SUCCESSES[3].as_of + SECOND / 1000)
    record = replace(RUNS[3], id=9, as_of=again.as_of)
    twice = replace(GOOD, successes=(*SUCCESSES, again), runs=(*RUNS, record))
    assert rules(twice) == {"discharged once"}


def test_a_success_for_an_instant_that_another_discharged_is_found() -> None:
    assert rules(swap_success(2, due_at=SUCCESSES[0].due_at)) == {"discharged once"}


@pytest.mark.parametrize("off", [-1, 1])
def test_a_miscounted_coalesced_instant_is_found(off: int) -> None:
    misfires = {**GOOD.misfires, "up": GOOD.misfires["up"] + off}
    assert rules(replace(GOOD, misfires=misfires)) == {"discharged once"}


def test_a_record_without_effect_and_an_effect_without_record_are_found() -> None:
    assert rules(swap_run(4, outcome=Outcome.SUCCEEDED, as_of=NOON, failure=None)) == {"recorded"}
    assert rules(swap_run(3, outcome=Outcome.CANCELLED, as_of=None)) == {"recorded"}
    assert rules(swap_run(3, as_of=NOON)) == {"recorded"}


def test_an_open_run_is_found() -> None:
    assert rules(swap_run(4, outcome=None, failure=None, finished_at=None)) == {"run ended"}


def test_a_failure_that_killing_does_not_explain_is_found() -> None:
    assert rules(swap_run(4, failure=FailureReason.NOT_UNIQUE)) == {"run ended"}


def test_a_view_that_is_behind_in_the_end_is_found() -> None:
    assert rules(replace(GOOD, ended_at=NOON + 13.4 * SECOND)) == {"settled"}


def test_an_as_of_that_moves_back_is_found() -> None:
    back = replace(GOOD, samples=(*SAMPLES, SAMPLES[1]))
    assert {*rules(back)} == {"forward"}
    first, second, *rest = SUCCESSES
    assert "forward" in rules(replace(GOOD, successes=(second, first, *rest)))


def test_a_data_as_of_that_moves_back_is_found() -> None:
    assert rules(swap_success(6, data_as_of=NOON)) == {"forward"}


@pytest.mark.parametrize("data_as_of", [None, NOON + 3.6 * SECOND])
def test_a_data_as_of_that_is_missing_or_later_than_as_of_is_found(
    data_as_of: datetime | None,
) -> None:
    assert rules(swap_success(6, data_as_of=data_as_of)) == {"forward"}


def test_refreshes_that_overlap_are_found() -> None:
    blind = Snapshot(xmin=10, xmax=20, in_progress=frozenset({10}))
    assert rules(swap_success(2, snapshot=blind)) >= {"serial"}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": 2},
        {"made_by": frozenset({10})},
        {"made_by": frozenset({10, 20})},
        {"made_by": frozenset()},
        {"generations": frozenset({1, 2})},
    ],
)
def test_contents_of_another_refresh_half_or_none_are_found(change: dict[str, Any]) -> None:
    assert rules(swap_sample(1, **change)) == {"contents"}


def test_a_commit_missing_from_contents_that_claim_it_is_found() -> None:
    assert rules(swap_sample(3, generations=frozenset({1}))) == {"truth"}


def test_empty_contents_are_no_excuse() -> None:
    empty: dict[str, Any] = {"rows": 0, "generations": frozenset(), "made_by": frozenset()}
    assert rules(swap_sample(3, **empty)) == {"contents", "truth"}


def test_contents_of_another_upstream_than_told_are_found() -> None:
    assert rules(swap_sample(4, read_from=frozenset({20}))) == {"upstreams"}


def test_a_slow_takeover_is_found() -> None:
    late = KILLED_AT + timedelta(seconds=5, milliseconds=1)
    assert rules(swap_success(5, taken_at=late)) == {"takeover"}
    (takeover,) = takeovers(GOOD)
    assert takeover.seconds == pytest.approx(0.8)


def test_a_takeover_that_never_comes_is_found() -> None:
    assert Violation(
        "takeover", "up", f"run 4 was killed at {KILLED_AT}, taken over never"
    ) in violations(replace(GOOD, runs=tuple(record for record in RUNS if record.id != 5)))


def test_a_run_that_was_lost_before_is_no_takeover() -> None:
    dead = replace(LOST, id=9, worker="host/6/c", started_at=KILLED_AT - SECOND)
    twice = replace(GOOD, runs=(*RUNS, dead))
    assert [takeover.seconds for takeover in takeovers(twice)] == [pytest.approx(0.8)]


def test_a_run_that_is_lost_too_was_a_takeover() -> None:
    soon = replace(LOST, id=9, worker="host/6/c", started_at=KILLED_AT + SECOND / 2)
    (takeover,) = takeovers(replace(GOOD, runs=(*RUNS, soon)))
    assert takeover.seconds == pytest.approx(0.5)


def test_the_dead_ones_own_runs_are_no_takeover() -> None:
    assert "takeover" in rules(swap_run(5, worker=LOST.worker))


def test_an_orphan_that_holds_the_fence_is_found() -> None:
    orphan = Holder(KILLED_AT + 3.1 * SECOND, "up", DEAD)
    assert rules(replace(GOOD, holders=(orphan,))) == {"orphans"}


def test_a_snapshot_is_read_as_postgresql_writes_it() -> None:
    snapshot = Snapshot.parse("10:20:12,15")
    assert [number for number in range(8, 22) if not snapshot.sees(number)] == [12, 15, 20, 21]
    assert Snapshot.parse("10:10:") == Snapshot(10, 10, frozenset())


def test_the_report_counts() -> None:
    report = describe(GOOD)
    assert "1 kills, 5 samples" in report
    assert "5 succeeded, 1 failed lost" in report
    assert "1 runs were killed; 0 times another daemon was at it already" in report
    assert "1 times one took over, after median 0.80 s" in report
