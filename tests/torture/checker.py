"""Whether a history holds what `apply` promises. Pure: observations in, violations out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.torture.history import Observations, Phase, Read

LONGEST_WAIT = 0.7
"""Seconds a reader may have to wait for an answer."""
BREAKING_SHARE = 0.3
_CHANGES, _NO_CHANGES = 10, 0
"""The exit codes of `plan`."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    rule: str
    step: int
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: step {self.step}: {self.detail}"


def violations(seen: Observations) -> list[Violation]:
    """Everything that is wrong with a history."""
    return [violation for rule in RULES for violation in rule(seen)]


def check_reads(seen: Observations) -> Iterator[Violation]:
    """No read fails, and none shows nothing where there is something."""
    for read in seen.reads + seen.writes:
        if read.error is not None:
            yield _violation("read fails", read, read.error)
        elif not read.rows:
            yield _violation("read shows nothing", read, "no rows")


def check_waits(seen: Observations) -> Iterator[Violation]:
    """No reader waits long, and the machine by itself makes nobody wait long."""
    for read in seen.reads:
        if read.seconds > LONGEST_WAIT:
            yield _violation("read waits", read, f"{read.seconds * 1000:.0f} ms")


def _violation(rule: str, read: Read, what: str) -> Violation:
    return Violation(rule, read.step, f"{what}; {read.phase}: {read.statement}")


def check_applied(seen: Observations) -> Iterator[Violation]:
    """Whatever was killed before, the last apply does it all."""
    for step in seen.steps:
        for ended in step.applies:
            if ended.code > 0 or (ended.killed and ended is step.applies[-1]):
                detail = f"{step.edit}: it ended with {ended.code}: {ended.text}"
                yield Violation("applied", step.number, detail)


def check_planned(seen: Observations) -> Iterator[Violation]:
    """A plan has changes before, and is empty after."""
    for step in seen.steps:
        if step.planned != _CHANGES:
            detail = f"{step.edit}: before, plan ended with {step.planned}"
            yield Violation("planned", step.number, detail)
        if step.left != _NO_CHANGES or step.left_changes:
            detail = f"{step.edit}: after, plan ended with {step.left}"
            yield Violation("planned", step.number, detail)


def check_catalog(seen: Observations) -> Iterator[Violation]:
    """The catalog and the contents are what the definitions say."""
    for step in seen.steps:
        for difference in step.differences:
            yield Violation("catalog", step.number, f"{step.edit}: {difference}")


def check_kept(seen: Observations) -> Iterator[Violation]:
    """Nothing is lost or left over, and what may stay the same object does."""
    for step in seen.steps:
        for lost in step.lost:
            yield Violation("kept", step.number, f"{step.edit}: {lost}")


def check_strangers(seen: Observations) -> Iterator[Violation]:
    """What the configuration does not know of does what it did."""
    for step in seen.steps:
        for broken in step.broken:
            yield Violation("strangers", step.number, f"{step.edit}: {broken}")


def check_watched(seen: Observations) -> Iterator[Violation]:
    """Nothing went wrong because it was looked at, not because nobody looked."""
    if len(seen.steps) < seen.wanted_changes:
        detail = f"{len(seen.steps)} changes were made instead of {seen.wanted_changes}"
        yield Violation("watched", len(seen.steps), detail)
    breaking = sum(step.breaking for step in seen.steps)
    if breaking < BREAKING_SHARE * len(seen.steps):
        yield Violation("watched", 0, f"only {breaking} changes dropped or retyped a column")
    killed = sum(ended.killed for step in seen.steps for ended in step.applies)
    if killed < seen.wanted_kills:
        yield Violation("watched", 0, f"{killed} applies were killed, not {seen.wanted_kills}")
    if not any(read.phase is Phase.BASELINE for read in seen.reads):
        yield Violation("watched", 0, "nobody knows how long a read takes by itself")
    looked = {
        (read.step, relation)
        for read in seen.reads
        if read.phase is Phase.APPLY
        for relation in read.relations
    }
    for step in seen.steps:
        for relation in sorted(step.readable):
            if (step.number, relation) not in looked:
                detail = f"nobody read {relation} while {step.edit} was applied"
                yield Violation("watched", step.number, detail)


RULES: tuple[Callable[[Observations], Iterator[Violation]], ...] = (
    check_applied,
    check_planned,
    check_catalog,
    check_kept,
    check_strangers,
    check_reads,
    check_waits,
    check_watched,
)
