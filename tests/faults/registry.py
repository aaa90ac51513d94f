"""All kinds of faults, in the order they are played and reported."""

from typing import Any

from tests.faults.kind import Kind, Solo
from tests.faults.kinds import kill

KINDS: tuple[Kind[Any] | Solo, ...] = (kill.KIND,)
