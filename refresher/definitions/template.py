"""A query in PostgreSQL's own words that may be read under other names. Pure.

PostgreSQL prints a query with the names that its relations have at that moment. Printed while every
view that matters has a name that occurs nowhere else, it can be turned to any names: those that
stand, or those of what is built beside.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from refresher.names import RelationName, quoted

_MARK = re.compile(
    r"""
    (?:pg_temp(?:_\d+)?\.)? refresher_twin_(?P<number>\d+)_x \b
    (?: (?P<column>(?=\.)) | (?:\ (?P<alias>"(?:[^"]|"")*"|[a-z_][a-z0-9_]*)(?=[\s,;)]|$))? )
    """,
    re.VERBOSE,
)


def mark(number: int) -> str:
    """The name that stands for a view while queries are printed."""
    return f"refresher_twin_{number}_x"


@dataclass(frozen=True, slots=True)
class Template:
    """A query whose views are known by number."""

    text: str
    labels: tuple[str, ...]
    """The views, by number."""

    def query(self, name: Callable[[str], RelationName]) -> str:
        """The query, reading each view under the name it is given.

        Before a dot the mark qualifies a column, and nothing but the name itself may stand there;
        everywhere else it is the relation. An alias that says nothing is left out, as PostgreSQL
        leaves it out.
        """

        def replace(found: re.Match[str]) -> str:
            relation = name(self.labels[int(found["number"])])
            if found["column"] is not None:
                return quoted(relation.name)
            alias = found["alias"]
            said = alias is not None and alias != quoted(relation.name)
            return f"{relation} {alias}" if said else str(relation)

        return _MARK.sub(replace, self.text)
