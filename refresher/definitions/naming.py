"""The names of what is made for a while, in a view's own schema. Pure."""

import re

from refresher.names import fitted_name

PREFIX = "refresher_"

BESIDE = "beside"
"""What is to take the place of another one."""
ASIDE = "aside"
"""What stood, while its place is taken."""
TRIED = "tried"
"""What is rolled back."""


def made_name(name: str, purpose: str, number: int) -> str:
    """A name made from another one's for a purpose; with higher numbers, other ones."""
    suffix = f"{purpose}_{number}" if number else purpose
    return fitted_name(PREFIX.rstrip("_"), name, suffix=suffix)


def is_made_for(name: str, purpose: str) -> bool:
    """Whether a name could be one that was made for a purpose; somebody's own may be, too."""
    return bool(re.fullmatch(rf"{PREFIX}.*_{purpose}(_\d+)?", name, re.DOTALL))
