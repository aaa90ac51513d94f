"""The judge of the faults is judged: each rule finds the one thing that is wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refresher.config.model import Every
from refresher.errors import FailureReason
from refresher.runs import Outcome
from refresher.schedule import instants
from tests.faults.checker import Violation, check_groups, violations
from tests.faults.history import (
    Chapter,
    Commit,
    Exit,
    Holder,
    Injection,
    Kill,
    Measurement,
    Observations,
    Reading,
    Sample,
    Snapshot,
    Subject,
    Success,
)
from tests.faults.report import describe, rows, table
from tests.faults.staleness import verdicts
from tests.faults.takeovers import takeovers
from tests.unit.builders import NOON, SECOND, run

EVERY = Every(every=SECOND)
BEFORE = NOON - SECOND
"""The as_of before the first daemon was started."""
DEAD, ALIVE = 7, 8
KILLED_AT = NOON + 2.2 * SECOND
HERE, THERE = "7/1", "7/2"


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
            "lineage": HERE,
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
            "lineage": HERE,
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


def reading(done: Success, generation: int, **fields: Any) -> Reading:
    """What a reader was told right after a success, and the stamp that it saw."""
    return Reading(
        **{
            "at": done.as_of + SECOND / 5,
            "view": done.view,
            "source": "t",
            "stamped_at": COMMITS[generation - 1].stamped_at,
            "staleness": SECOND / 5,
            **fields,
        }
    )


COMMITS = (
    Commit(1, BEFORE - SECOND / 10, BEFORE),
    Commit(2, NOON + 1.9 * SECOND, NOON + 2 * SECOND),
)
READINGS = (
    reading(SUCCESSES[0], 1),
    reading(SUCCESSES[1], 1, at=NOON + 2.5 * SECOND, staleness=1.5 * SECOND),
    reading(SUCCESSES[4], 2),
)
FAULT = Chapter(kind="kill", times=1, began_at=BEFORE, ended_at=NOON + 4 * SECOND)


def coalesced(view: str) -> int:
    as_of = [done.as_of for done in SUCCESSES if done.view == view]
    return instants.count(EVERY, view, BEFORE, as_of[-1]) - len(as_of)


GOOD = Observations(
    subjects={
        "up": Subject(schedule=EVERY, source="t", rows=3),
        "down": Subject(schedule=EVERY, source="t", rows=3, upstream="up"),
    },
    began_as_of={"up": BEFORE, "down": BEFORE},
    began_lineage=HERE,
    ended_at=NOON + 5 * SECOND,
    successes=SUCCESSES,
    runs=RUNS,
    misfires={"up": coalesced("up"), "down": coalesced("down")},
    samples=SAMPLES,
    readings=READINGS,
    holders=(
        Holder(KILLED_AT + SECOND, "up", DEAD, KILLED_AT - SECOND),
        Holder(NOON + 9 * SECOND, "up", ALIVE, NOON + 8 * SECOND),
    ),
    commits={"t": COMMITS},
    kills=(Kill(DEAD, KILLED_AT),),
    exits=(Exit(ALIVE, NOON + 5 * SECOND, 0, 0.5, 8.0),),
    injections=(Injection("kill", KILLED_AT),),
    measurements=(Measurement("kill", "resumed", NOON + 3 * SECOND, 0.8, 5.0),),
    chapters=(FAULT,),
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
    assert rules(replace(GOOD, readings=READINGS[:2])) == {"watched"}
    assert rules(replace(GOOD, plain_views=frozenset({"top"}))) == {"watched"}


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


def swap_reading(number: int, **changes: Any) -> Observations:
    changed = list(READINGS)
    changed[number] = replace(changed[number], **changes)
    return replace(GOOD, readings=tuple(changed))


def test_staleness_under_the_truth_is_found() -> None:
    # The commit that does not show was answered half a second before.
    assert rules(swap_reading(1, staleness=0.4 * SECOND)) == set()
    assert rules(swap_reading(1, staleness=0.399 * SECOND)) == {"honest"}


def test_an_unknown_staleness_promises_nothing() -> None:
    assert rules(swap_reading(1, staleness=None)) == set()


def test_no_rows_show_no_commit() -> None:
    assert rules(swap_reading(2, stamped_at=None)) == {"honest"}


def test_the_truth_is_between_the_stamp_and_the_answer() -> None:
    (verdict,) = [found for found in verdicts(GOOD) if found.reading is READINGS[1]]
    assert (verdict.at_least, verdict.at_most) == (0.5 * SECOND, 0.6 * SECOND)
    assert (verdict.understated, verdict.overstated) == (-SECOND, 0.9 * SECOND)


def test_a_commit_that_nobody_has_answered_proves_nothing() -> None:
    commits = (*COMMITS, Commit(3, NOON + 3 * SECOND, datetime.max.replace(tzinfo=UTC)))
    later = swap_reading(2, at=NOON + 5 * SECOND, staleness=timedelta())
    assert rules(replace(later, commits={"t": commits})) == set()


def test_each_server_has_an_account_of_its_own() -> None:
    """After a failover as_of may be earlier, and what was discharged is due again."""
    there = success(
        *("down", 7, NOON + 3.4 * SECOND),
        lineage=THERE,
        data_as_of=None,
        upstreams_seen={"up": None},
    )
    record = replace(RUNS[4], id=7, as_of=there.as_of, due_at=there.due_at)
    seen = sample(there, 2, made_by=frozenset({70}), read_from=frozenset({50}))
    moved = replace(
        GOOD,
        successes=(*SUCCESSES, there),
        runs=(*RUNS, record),
        samples=(*SAMPLES, replace(seen, lineage=THERE)),
    )
    assert rules(moved) == set()
    here = replace(moved, successes=(*SUCCESSES, replace(there, lineage=HERE)))
    assert rules(here) >= {"discharged once", "forward"}


def test_contents_of_somebody_elses_refresh_are_its_own() -> None:
    theirs = swap_sample(4, made_by=frozenset({61}), read_from=frozenset({55}))
    assert rules(theirs) == {"contents", "upstreams"}
    assert rules(replace(theirs, foreign={"down": frozenset({61})})) == set()
    both = swap_sample(4, made_by=frozenset({60, 61}))
    assert rules(replace(both, foreign={"down": frozenset({61})})) == {"contents"}


def test_a_failure_that_the_fault_explains_is_excused_in_its_time() -> None:
    full = swap_run(4, failure=FailureReason.DISK_FULL)
    excusing = replace(FAULT, excused=frozenset({FailureReason.DISK_FULL}))
    assert rules(full) == {"run ended"}
    assert rules(replace(full, chapters=(excusing,))) == set()
    early = replace(excusing, ended_at=NOON)
    assert rules(replace(full, chapters=(early,))) == {"run ended"}


@pytest.mark.parametrize(("code", "seconds"), [(1, 0.5), (0, 8.1), (None, 60.0)])
def test_an_end_that_is_late_or_not_well_is_found(code: int | None, seconds: float) -> None:
    ended = Exit(ALIVE, NOON, code, seconds, 8.0)
    assert rules(replace(GOOD, exits=(ended,))) == {"exit"}


def test_a_daemon_that_ends_unasked_is_found() -> None:
    gone = Exit(ALIVE, NOON, 0, 0.0, 8.0, last_words="out of memory")
    (violation,) = violations(replace(GOOD, exits=(gone,)))
    assert violation.detail == f"daemon {ALIVE} ended by itself with 0:\nout of memory"


@pytest.mark.parametrize("seconds", [None, 5.1])
def test_what_takes_too_long_or_never_comes_is_found(seconds: float | None) -> None:
    slow = Measurement("kill", "resumed", NOON, seconds, 5.0)
    assert rules(replace(GOOD, measurements=(slow,))) == {"limit"}


def test_a_fault_that_was_not_injected_is_found() -> None:
    assert rules(replace(GOOD, injections=())) == {"injected"}
    failed = replace(FAULT, trouble="nobody was at work")
    assert rules(replace(GOOD, chapters=(failed,))) == {"injected"}


def test_contents_of_another_upstream_than_told_are_found() -> None:
    assert rules(swap_sample(4, read_from=frozenset({20}))) == {"upstreams"}


def test_views_of_a_group_that_show_two_moments_are_found() -> None:
    subjects = {name: replace(subject, group="g") for name, subject in GOOD.subjects.items()}
    up = sample(SUCCESSES[3], 2, at=SAMPLES[4].at)
    grouped = replace(GOOD, subjects=subjects)

    def read(*samples: Sample) -> set[str]:
        return {violation.rule for violation in check_groups(replace(grouped, samples=samples))}

    assert read(up, SAMPLES[4]) == set()
    assert read(up, replace(SAMPLES[4], read_from=frozenset({20}))) == {"groups"}


def test_a_slow_takeover_is_found() -> None:
    late = KILLED_AT + timedelta(seconds=5, milliseconds=1)
    assert rules(swap_success(5, taken_at=late)) == {"takeover"}
    (takeover,) = takeovers(GOOD)
    assert takeover.seconds == pytest.approx(0.8)


def test_a_takeover_that_never_comes_is_found() -> None:
    alone = replace(GOOD, runs=tuple(record for record in RUNS if record.id != 5))
    never = f"run 4 was killed at {KILLED_AT}, taken over never"
    assert Violation("takeover", "up", never, KILLED_AT) in violations(alone)


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
    orphan = Holder(KILLED_AT + 3.1 * SECOND, "up", DEAD, KILLED_AT - SECOND)
    assert rules(replace(GOOD, holders=(orphan,))) == {"orphans"}


def test_one_that_has_a_dead_ones_number_is_no_orphan() -> None:
    heir = Holder(KILLED_AT + 9 * SECOND, "up", DEAD, KILLED_AT + 8 * SECOND)
    assert rules(replace(GOOD, holders=(heir,))) == set()


def test_a_snapshot_is_read_as_postgresql_writes_it() -> None:
    snapshot = Snapshot.parse("10:20:12,15")
    assert [number for number in range(8, 22) if not snapshot.sees(number)] == [12, 15, 20, 21]
    assert Snapshot.parse("10:10:") == Snapshot(10, 10, frozenset())


def test_the_report_counts() -> None:
    broken = replace(GOOD, exits=(Exit(ALIVE, NOON, 1, 0.5, 8.0),))
    (row,) = rows(broken, violations(broken))
    assert row.cells()[:-1] == ("kill", "1", "5", "5", "3", "1")
    assert row.measured == [
        "1 runs lost; takeover p50 0.80 s, max 0.80 s",
        "exit p50 0.50 s, max 0.50 s",
        "resumed p50 0.80 s, max 0.80 s",
    ]
    told = describe(GOOD)
    assert "5 succeeded, 1 failed lost" in told
    assert "3 readings, 0 unknown; at most 0 ms under the truth" in told
    assert "5 samples" in told


def test_the_table_has_a_line_for_each_kind_under_its_head() -> None:
    lines = table(list(rows(GOOD, []))).splitlines()
    assert [line.split()[0] for line in lines] == ["fault", "kill"]
