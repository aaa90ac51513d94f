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
_LONGEST = timedelta(days=36_500)
"""Sums of a few of them still fit between the years 1 and 9999, where datetime ends."""

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
        duration = sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST:
        message = f"{text!r} is too long; the longest duration is {_LONGEST.days}d"
        raise ValueError(message)
    return duration


def format_duration(duration: timedelta) -> str:
    """Write a duration in its largest two units, for people: `1h 5m`, `3.2s`, `41ms`."""
    if duration < timedelta():
        return f"-{format_duration(-duration)}"
    milliseconds = round(duration / timedelta(milliseconds=1))
    if milliseconds < 1000:  # noqa: PLR2004 - milliseconds in a second
        return f"{milliseconds}ms"
    tenths = round(duration / timedelta(seconds=0.1))
    if tenths < 600:  # noqa: PLR2004 - tenths in a minute
        return f"{tenths / 10}s"
    rest = round(duration / timedelta(seconds=1))
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    largest = next(index for index, (_, size) in enumerate(sizes) if rest >= size)
    parts = []
    for unit, size in sizes[largest : largest + 2]:
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts)
