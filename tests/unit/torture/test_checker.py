"""The checker of the torture finds what is wrong with a history, and nothing in a good one."""

from dataclasses import replace
from typing import Any

import pytest

from tests.torture.checker import violations
from tests.torture.history import Ended, Observations, Phase, Read, Step
from tests.torture.report import describe

DONE = Ended(code=0, seconds=1.2, worked=0.7, text="")
KILLED = Ended(code=-9, seconds=0.8, worked=0.3, text="")


def read(**changed: Any) -> Read:
    """One that was answered at once."""
    return Read(
        **{
            "step": 1,
            "phase": Phase.APPLY,
            "relations": ("totals",),
            "statement": "SELECT 1",
            "seconds": 0.01,
            "rows": 1,
            **changed,
        }
    )


def step(**changed: Any) -> Step:
    """One that came off."""
    return Step(
        **{
            "number": 1,
            "edit": "drop column of totals",
            "kinds": ("drop column",),
            "breaking": True,
            "readable": frozenset({"totals"}),
            "planned": 10,
            "applies": (KILLED, DONE),
            "left": 0,
            "left_changes": False,
            **changed,
        }
    )


GOOD = Observations(
    wanted_changes=1,
    wanted_kills=1,
    steps=(step(),),
    reads=(read(step=0, phase=Phase.BASELINE), read(), read(phase=Phase.BETWEEN)),
    writes=(read(relations=("orders",)),),
)
FAILED = Ended(code=1, seconds=1, text="no")


def test_a_good_history_has_no_violations() -> None:
    assert violations(GOOD) == []
    assert "1 changes, 1 (100%) drop or retype a column" in describe(GOOD)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"reads": (*GOOD.reads, read(error="relation is gone"))}, "read fails"),
        ({"writes": (read(error="deadlock detected"),)}, "read fails"),
        ({"reads": (*GOOD.reads, read(rows=0))}, "read shows nothing"),
        ({"reads": (*GOOD.reads, read(seconds=0.71))}, "read waits"),
        ({"reads": (*GOOD.reads, read(seconds=0.71, phase=Phase.BETWEEN))}, "read waits"),
        ({"steps": (step(applies=(KILLED, FAILED)),)}, "applied"),
        ({"steps": (step(applies=(KILLED, FAILED, DONE)),)}, "applied"),
        ({"steps": (step(applies=(KILLED,)),)}, "applied"),
        ({"steps": (step(planned=0),)}, "planned"),
        ({"steps": (step(planned=2),)}, "planned"),
        ({"steps": (step(left=10, left_changes=True),)}, "planned"),
        ({"steps": (step(left_changes=True),)}, "planned"),
        ({"steps": (step(differences=("totals is missing",)),)}, "catalog"),
        ({"steps": (step(lost=("a table was left over",)),)}, "kept"),
        ({"steps": (step(broken=("the rule fails",)),)}, "strangers"),
        ({"steps": ()}, "watched"),
        ({"steps": (step(breaking=False),)}, "watched"),
        ({"steps": (step(applies=(DONE,)),)}, "watched"),
        ({"steps": (step(readable=frozenset({"totals", "ranks"})),)}, "watched"),
        ({"reads": (read(),)}, "watched"),
        ({"reads": (read(step=0, phase=Phase.BASELINE),)}, "watched"),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], rule: str) -> None:
    seen = replace(GOOD, **changed)
    assert {violation.rule for violation in violations(seen)} == {rule}
