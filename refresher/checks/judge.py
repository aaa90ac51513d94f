"""Whether columns and contents meet a view's checks. Pure.

What is broken is told by columns and counts, never by values: messages are logged and stored, and
rows are somebody's personal data.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from refresher.config.model import Checks
from refresher.names import quoted

_SHOWN_NAMES = 50
"""A view may have 1,600 columns; a message that names all of them helps nobody."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A check that is broken, by its key in the configuration, and how, in words."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"check {self.check}: {self.message}"


def judge_rows(checks: Checks, *, rows: int, previous_rows: int | None) -> Broken | None:
    """Judge the number of rows; `previous_rows` is None where there were no contents before."""
    if checks.min_rows is not None and rows < checks.min_rows:
        return Broken("min_rows", f"{rows:,} rows, fewer than min_rows {checks.min_rows:,}")
    if checks.max_shrink is not None and previous_rows:
        lost = (previous_rows - rows) / previous_rows
        if lost > checks.max_shrink:
            message = (
                f"{rows:,} rows after {previous_rows:,}: {lost:.1%} fewer, more than max_shrink"
                f" {checks.max_shrink:.1%}"
            )
            return Broken("max_shrink", message)
    return None


def judge_columns(
    checks: Checks, columns: Sequence[tuple[str, str]], types: Mapping[str, str | None]
) -> tuple[Broken, ...]:
    """Judge a relation's columns; also whether it has those that `not_null` and `unique` read.

    Args:
        checks: the view's.
        columns: names and types, in order, as PostgreSQL spells them with schemas.
        types: the types that `checks` names, spelled in the same way; None for one it doesn't know.
    """
    found = dict(columns)
    problems = [*_lacking(checks, found), *_mistyped(checks, found, types)]
    if checks.exact_columns:
        problems += _inexact(checks, list(found))
    broken = [Broken("columns", "; ".join(problems))] if problems else []
    for check, read in _read_columns(checks).items():
        missing = [name for name in read if name not in found]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            broken.append(Broken(check, f"it reads {_names(missing)}, which {are} missing"))
    return tuple(broken)


def judge_nulls(*, rows: int, nulls: Mapping[str, int]) -> Broken | None:
    """Judge `not_null` by how many of the rows have a null in each column."""
    problems = [
        f"{quoted(name)} is null in {count:,} of {rows:,} rows"
        for name, count in nulls.items()
        if count
    ]
    return Broken("not_null", "; ".join(problems)) if problems else None


def judge_repeats(repeats: Mapping[tuple[str, ...], tuple[int, int]]) -> Broken | None:
    """Judge `unique` by how many values of each key come more than once, and in how many rows."""
    problems = [
        f"{values:,} {'value' if values == 1 else 'values'} of ({_names(key)}) in {rows:,} rows"
        for key, (values, rows) in repeats.items()
        if values
    ]
    return Broken("unique", f"repeated: {'; '.join(problems)}") if problems else None


def _lacking(checks: Checks, found: Mapping[str, str]) -> list[str]:
    missing = [column.name for column in checks.columns if column.name not in found]
    if not missing:
        return []
    return [f"{len(missing):,} of {len(checks.columns):,} are missing: {_names(missing)}"]


def _mistyped(
    checks: Checks, found: Mapping[str, str], types: Mapping[str, str | None]
) -> list[str]:
    problems = []
    for column in checks.columns:
        if column.type is None or column.name not in found:
            continue
        wanted = types[column.type]
        name = quoted(column.name)
        if wanted is None:
            problems.append(f"{name}: PostgreSQL knows no type {column.type!r}")
        elif found[column.name] != wanted:
            problems.append(f"{name} is {found[column.name]}, not {wanted}")
    return problems


def _inexact(checks: Checks, found: Sequence[str]) -> list[str]:
    wanted = [column.name for column in checks.columns]
    extra = [name for name in found if name not in wanted]
    if extra:
        return [f"{len(extra):,} should not be there: {_names(extra)}"]
    there = [name for name in wanted if name in found]
    for number, (is_there, should_be) in enumerate(zip(found, there, strict=True), start=1):
        if is_there != should_be:
            return [f"number {number:,} is {quoted(is_there)}, not {quoted(should_be)}"]
    return []


def _read_columns(checks: Checks) -> dict[str, list[str]]:
    """The columns that other checks read, each once."""
    keyed = dict.fromkeys(name for key in checks.unique for name in key)
    return {"not_null": list(checks.not_null), "unique": list(keyed)}


def _names(names: Iterable[str]) -> str:
    shown = [quoted(name) for name in names]
    if len(shown) > _SHOWN_NAMES:
        shown[_SHOWN_NAMES:] = [f"and {len(shown) - _SHOWN_NAMES:,} more"]
    return ", ".join(shown)
