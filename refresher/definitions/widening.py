"""Whether a table's columns only become wider, which PostgreSQL does without writing a row. Pure.

postgresql.org/docs/current/sql-altertable.html: "if the USING clause does not change the column
contents and the old type is either binary coercible to the new type or an unconstrained domain over
the new type, a table rewrite is not needed"; a longer varchar, more digits before the point and a
greater precision of times change no contents either.
"""

import re
from collections.abc import Collection

from refresher.definitions.model import Subject

_TYPE = re.compile(
    r"(?P<name>character varying|bit varying|numeric|timestamp|time|interval|text)"
    r"(\((?P<limit>\d+)(,(?P<scale>\d+))?\))?"
    r"(?P<rest>( with(out)? time zone)?( COLLATE .+)?)"
)
_TIMES = {"timestamp", "time", "interval"}
_FINEST = 6
"""The precision of a time that names none, in digits of a second."""


def widened_columns(subject: Subject) -> dict[str, str]:
    """The columns of a table that become wider, with their new types; its query may change, too.

    None if anything else of them changes.
    """
    standing, desired = subject.standing, subject.desired
    if standing is None or desired is None or not standing.kind == desired.kind == "r":
        return {}
    if not standing.is_view or standing.primary_key != desired.primary_key:
        return {}
    if [name for name, _ in standing.columns] != [name for name, _ in desired.columns]:
        return {}
    before = dict(standing.columns)
    changed = {name: type_ for name, type_ in desired.columns if before[name] != type_}
    fits = all(widens(before[name], type_) for name, type_ in changed.items())
    return changed if fits else {}


def is_widened(subject: Subject, others: Collection[Subject]) -> bool:
    """Whether ALTER TABLE will do; not where a view reads the table, for that forbids it."""
    return bool(widened_columns(subject)) and not any(
        subject.label in other.read for other in others
    )


def widens(before: str, after: str) -> bool:
    """Whether every value of one type is one of the other, stored in the same way."""
    old, new = _TYPE.fullmatch(before), _TYPE.fullmatch(after)
    if old is None or new is None or old["rest"] != new["rest"]:
        return False
    if old["name"] == "character varying" and new["name"] == "text":
        return True
    return old["name"] == new["name"] and _reaches(old, new)


def _reaches(old: re.Match[str], new: re.Match[str]) -> bool:
    """Whether the limit of a type of the same name is no lower, and its scale the same."""
    if old["name"] in _TIMES:
        return int(old["limit"] or _FINEST) <= int(new["limit"] or _FINEST)
    if old["limit"] is None or new["limit"] is None:
        return new["limit"] is None
    return int(old["limit"]) <= int(new["limit"]) and old["scale"] == new["scale"]
