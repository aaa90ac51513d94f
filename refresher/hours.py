"""Hours of a week as a clock shows them: what `only` says. Ground floor, pure.

    only     window[, window]…        "mon-fri 06:00-20:00, sat 08:00-12:00"
    window   [days] HH:MM-HH:MM       every day without days
    days     mon, mon-fri, mon+wed+fri, fri-mon; sun-thu+sat

A window holds its beginning and not its end. One that ends before it begins goes on overnight and
belongs to the day it begins: `fri 22:00-06:00` is open on Saturday at 05:59. 24:00 is an end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOUR = 60
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY
_MINUTE = timedelta(minutes=1)

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})", re.ASCII)
_TIMES = re.compile(r"([^\s-]+)-([^\s-]+)")


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows of a week as any clock shows them."""

    text: str
    """As a user writes them."""
    spans: tuple[tuple[int, int], ...]
    """When they are open, in minutes of the week since Monday 00:00, ends excluded; in order, and
    apart from each other, except that the last one may go on as the first."""

    @property
    def shortest(self) -> timedelta:
        """How long they are open at a time, at least, while nobody changes the clock."""
        if self.spans == ((0, _WEEK),):
            return timedelta.max
        lengths = [end - begin for begin, end in self.spans]
        if self.spans[0][0] == 0 and self.spans[-1][1] == _WEEK:
            lengths[0] += lengths.pop()
        return min(lengths) * _MINUTE


def parse_hours(text: str) -> Hours:
    """Read windows of a week.

    Raises:
        ValueError: with a message that says what is wrong and what to write.
    """
    windows = [_parse_window(piece) for piece in text.split(",")]
    return Hours(
        ", ".join(written for written, _ in windows),
        tuple(_join([span for _, spans in windows for span in spans])),
    )


def _parse_window(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A window as it is written, and when it is open."""
    match re.sub(r"\s*-\s*", "-", text).split():
        case [times]:
            days, named = "", set(range(len(DAYS)))
        case [days, times]:
            named = _parse_days(days)
        case []:
            message = "has an empty window; write each like mon-fri 06:00-20:00"
            raise ValueError(message)
        case _:
            message = f"{text.strip()!r} is not a window; write it like mon-fri 06:00-20:00"
            raise ValueError(message)
    begin, end = _parse_times(times)
    length = (end - begin) % _DAY or _DAY
    written = f"{_time(begin)}-{_time(end)}"
    spans = [(day * _DAY + begin, day * _DAY + begin + length) for day in sorted(named)]
    return (f"{days} {written}" if days else written), spans


def _parse_days(text: str) -> set[int]:
    named = set()
    for piece in text.split("+"):
        first, dash, last = piece.partition("-")
        begin = _parse_day(first)
        end = _parse_day(last) if dash else begin
        named |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return named


def _parse_day(text: str) -> int:
    if text not in DAYS:
        message = (
            f"{text!r} is not a day; write days like mon, mon-fri or mon+wed, of {', '.join(DAYS)}"
        )
        raise ValueError(message)
    return DAYS.index(text)


def _parse_times(text: str) -> tuple[int, int]:
    """When a window begins and ends, in minutes of a day."""
    times = _TIMES.fullmatch(text)
    if times is None or ":" not in text:
        message = (
            f"{text!r} has no times; write them like mon-fri 06:00-20:00, and several days like"
            " mon+wed 06:00-20:00"
        )
        raise ValueError(message)
    begin, end = (_parse_time(time) for time in times.groups())
    if begin == _DAY:
        message = f"{text!r} begins at 24:00; write 00:00, and the day after"
        raise ValueError(message)
    if begin == end:
        message = f"{text!r} is empty; for a whole day write 00:00-24:00"
        raise ValueError(message)
    return begin, end


def _parse_time(text: str) -> int:
    found = _TIME.fullmatch(text)
    minutes = int(found[1]) * _HOUR + int(found[2]) if found else _DAY + 1
    if found is None or minutes > _DAY or int(found[2]) >= _HOUR:
        message = f"{text!r} is not a time; write it like 06:00, from 00:00 to 24:00"
        raise ValueError(message)
    return minutes


def _time(minutes: int) -> str:
    return f"{minutes // _HOUR:02}:{minutes % _HOUR:02}"


def _join(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same times, with what goes beyond Sunday put to Monday, and what touches made one."""
    folded = [(begin, min(end, _WEEK)) for begin, end in spans]
    folded += [(0, end - _WEEK) for _, end in spans if end > _WEEK]
    begin, end = -1, -1
    for first, last in sorted(folded):
        if first > end:
            if end > 0:
                yield begin, end
            begin, end = first, last
        else:
            end = max(end, last)
    yield begin, end
