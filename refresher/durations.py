"""Durations as users write them: `500ms`, `30s`, `5m`, `1h30m`, `26h`, `7d`."""

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Read a duration; a day is 24 hours.

    Raises:
        ValueError: with a message that shows the accepted form.
    """
    if not _WHOLE.fullmatch(text):
        message = f"{text!r} is not a duration; write it like 500ms, 30s, 5m, 1h30m or 7d"
        raise ValueError(message)
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        message = f"{text!r} names a unit twice; write it like 1h30m"
        raise ValueError(message)
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError as error:
        message = f"{text!r} is longer than any duration refresher can keep"
        raise ValueError(message) from error


def format_duration(duration: timedelta) -> str:
    """Write a duration in its largest two units, for people: `1h 5m`, `3.2s`, `41ms`."""
    seconds = duration.total_seconds()
    if seconds < 0:
        return f"-{format_duration(-duration)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f}s"
    whole = round(seconds)
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    largest = next(index for index, (_, size) in enumerate(sizes) if whole >= size)
    parts = []
    for unit, size in sizes[largest : largest + 2]:
        number, whole = divmod(whole, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts)
