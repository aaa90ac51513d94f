"""Names in sentences. Pure."""

from collections.abc import Iterable, Sized

_SHOWN = 10


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, not too many of them."""
    known = list(names)
    more = len(known) - _SHOWN
    return ", ".join(known[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def does(subjects: Sized, one: str, many: str) -> str:
    """The verb of one subject, or of several."""
    return one if len(subjects) == 1 else many
