"""One round of torture: definitions change, apply is killed, and readers go on reading."""

import contextlib
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from refresher.postgres.sessions import Connection
from tests.torture import keeping, oracle, scenario, strangers
from tests.torture.chain import Chain, surviving
from tests.torture.changes import Edit, draw_edit
from tests.torture.checker import BREAKING_SHARE
from tests.torture.history import Ended, Observations, Phase, Standing, Step
from tests.torture.program import Program
from tests.torture.readers import Readers
from tests.torture.scenario import Roles
from tests.torture.writer import Writer

_SECOND_THOUGHTS = 0.2
"""The share of killed applies after which the user changes the definitions once more."""
_WRITTEN = 0.2
"""The share of changes with a writer at work."""
_KILLED_AGAIN = 0.2
"""The share of killed applies after which the next one is killed, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much torture, and which."""

    changes: int
    """Those in which an apply is killed included."""
    kills: int
    seed: int
    baseline: float = 2.0
    """Seconds of reading before anything happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it happens."""

    connection: Connection
    """A superuser's."""
    conninfo: str
    """How the superuser connects, for the writer."""
    reader: str
    """How the readers connect."""
    roles: Roles
    program: Program


def play(plan: Plan, place: Place) -> Observations:
    """Carry out a plan and return everything that was seen; ends early when a change fails."""
    return _Round(plan, place).play()


class _Round:
    def __init__(self, plan: Plan, place: Place) -> None:
        self._plan = plan
        self._place = place
        self._chance = random.Random(plan.seed)  # noqa: S311 - torture to be repeated, no secret
        self._chain = scenario.begin(place.roles)
        self._readers = Readers(place.reader, random.Random(plan.seed))  # noqa: S311 - the same
        self._writer = Writer(place.conninfo)
        self._steps: list[Step] = []

    def play(self) -> Observations:
        place = self._place
        scenario.create_source(place.connection, place.roles)
        place.program.write(self._chain)
        first = place.program.apply()
        assert first.code == 0, first.text
        strangers.create_strangers(place.connection, self._chain, place.roles)
        standing = oracle.read_standing(place.connection, self._chain)
        with self._readers.reading(self._readable([self._chain])):
            threading.Event().wait(self._plan.baseline)
            self._readers.phase = Phase.BETWEEN
            while not self._is_over():
                standing = self._change(len(self._steps) + 1, standing)
        return Observations(
            wanted_changes=self._plan.changes,
            wanted_kills=self._plan.kills,
            steps=tuple(self._steps),
            reads=tuple(self._readers.reads),
            writes=tuple(self._writer.writes),
        )

    def _readable(self, chains: Sequence[Chain]) -> dict[str, tuple[str, ...]]:
        return {**surviving(chains), scenario.AUDIT: scenario.AUDIT_COLUMNS}

    def _is_over(self) -> bool:
        steps = self._steps
        if steps and not steps[-1].well:
            return True
        enough = len(steps) >= self._plan.changes and self._killed() >= self._plan.kills
        return enough or len(steps) >= 2 * (self._plan.changes + self._plan.kills)

    def _killed(self) -> int:
        return sum(ended.killed for step in self._steps for ended in step.applies)

    def _change(self, number: int, before: Standing) -> Standing:
        place = self._place
        edits = [self._draw_edit()]
        # The first one shows how long an apply takes.
        kills = number % 2 == 0 and self._killed() < self._plan.kills
        if kills and self._chance.random() < _SECOND_THOUGHTS:
            edits.append(draw_edit(edits[0].chain, self._chance, applied=False))
        chains = [self._chain, *(edit.chain for edit in edits)]
        self._chain = chains[-1]
        readable = self._readable(chains)
        self._readers.go_on_with(readable, step=number)
        place.program.write(edits[0].chain)
        written = self._chance.random() < _WRITTEN
        self._readers.phase = Phase.APPLY
        planned, _ = place.program.plan()
        with self._writer.writing(number) if written else contextlib.nullcontext():
            applies = self._apply(edits, kills=kills)
        self._readers.phase = Phase.BETWEEN
        if written:
            assert place.program.refresh() == 0
        left, left_changes = place.program.plan()
        differences = tuple(oracle.differences(place.connection, self._chain))
        after = before if differences else oracle.read_standing(place.connection, self._chain)
        self._steps.append(
            Step(
                number=number,
                edit="; then ".join(map(str, edits)),
                kinds=tuple(change for edit in edits for change, _ in edit.changes),
                breaking=any(edit.breaking for edit in edits),
                readable=frozenset(readable),
                planned=planned,
                applies=tuple(applies),
                left=left,
                left_changes=left_changes,
                written=written,
                differences=differences,
                lost=() if differences else tuple(keeping.lost(before, after, chains)),
                broken=tuple(strangers.broken(place.connection, self._chain, place.roles)),
            )
        )
        return after

    def _draw_edit(self) -> Edit:
        breaking = sum(step.breaking for step in self._steps)
        behind = breaking < BREAKING_SHARE * (len(self._steps) + 1)
        edit = draw_edit(self._chain, self._chance)
        while behind and not edit.breaking:
            edit = draw_edit(self._chain, self._chance)
        return edit

    def _apply(self, edits: Sequence[Edit], *, kills: bool) -> list[Ended]:
        program, applies = self._place.program, list[Ended]()
        if kills:
            applies.append(program.apply_and_kill(self._chance))
            while self._chance.random() < _KILLED_AGAIN:
                applies.append(program.apply_and_kill(self._chance))
        if len(edits) > 1:
            program.write(edits[-1].chain)
        return [*applies, program.apply()]
