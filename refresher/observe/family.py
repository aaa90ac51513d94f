"""A metric family of views, as a value, and the ways most are made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from refresher.config.model import Kind
from refresher.observe.model import ViewSnapshot

Number: TypeAlias = int | float
Sample: TypeAlias = tuple[tuple[str, ...], Number]
"""Values of the family's own labels, and the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFamily:
    """One metric family with a series, or some, for each view."""

    name: str
    """As its samples are named; a counter's ends in `_total`."""
    meaning: str
    samples: Callable[[ViewSnapshot, datetime], Iterable[Sample]]
    labels: tuple[str, ...] = ()
    """Beside `database` and `view`."""
    type: Literal["gauge", "counter"] = "gauge"
    moving: Callable[[ViewSnapshot, datetime], object] | None = None
    """What it shows, in short, where that changes as time goes by without a new snapshot.

    Of a family without labels of its own it is the number itself."""


def gauge(
    name: str, meaning: str, value: Callable[[ViewSnapshot], Number | bool | None]
) -> ViewFamily:
    """A family with at most one series a view, and no labels of its own."""

    def samples(view: ViewSnapshot, _: datetime) -> Iterable[Sample]:
        number = value(view)
        return () if number is None else (((), number + 0),)

    return ViewFamily(name=name, meaning=meaning, samples=samples)


def moving_gauge(
    name: str, meaning: str, value: Callable[[ViewSnapshot, datetime], Number | None]
) -> ViewFamily:
    """The same for a number that changes as time goes by."""

    def samples(view: ViewSnapshot, now: datetime) -> Iterable[Sample]:
        number = value(view, now)
        return () if number is None else (((), number),)

    return ViewFamily(name=name, meaning=meaning, samples=samples, moving=value)


def of_last_ended(field: str) -> Callable[[ViewSnapshot], Number | None]:
    """A field of the last run that succeeded or failed."""

    def value(view: ViewSnapshot) -> Number | None:
        number: Number | None = getattr(view.last_ended, field, None)
        return number

    return value


def of_refreshed(
    value: Callable[[ViewSnapshot], Number],
) -> Callable[[ViewSnapshot], Number | None]:
    """Nothing for plain views, which have no refreshes."""
    return lambda view: value(view) if view.view.refreshed else None


def counter(
    name: str,
    meaning: str,
    metric: str,
    *,
    labels: tuple[str, ...] = (),
    series: Callable[[Kind], Iterable[tuple[str, ...]]],
) -> ViewFamily:
    """Tallies of one metric; every series that a kind can have stands from the start, at zero."""
    keys = {
        kind: [(values, (metric, "/".join(values))) for values in series(kind)] for kind in Kind
    }

    def samples(view: ViewSnapshot, _: datetime) -> Iterable[Sample]:
        if not view.view.refreshed:
            return ()
        return [(values, view.tallies.get(key, 0)) for values, key in keys[view.view.kind]]

    return ViewFamily(name=name, meaning=meaning, samples=samples, labels=labels, type="counter")
