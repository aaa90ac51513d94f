"""The indexes that definitions want, as PostgreSQL understands them."""

from collections.abc import Mapping

import psycopg

from refresher.config.model import View
from refresher.definitions import index_statements, statements
from refresher.definitions.model import IndexFacts
from refresher.definitions.twins import Twins
from refresher.postgres.failures import describe

_TOGETHER = 25
"""Of how many views the indexes are made at a time: all are locked until they are read, which costs
more than making them."""

_Indexes = dict[str, dict[str, IndexFacts]]


def read_wanted_indexes(twins: Twins, views: Mapping[str, View]) -> tuple[_Indexes, list[str]]:
    """The indexes that views are to have, by their names, and what PostgreSQL refuses of them.

    Args:
        twins: these have one of each view.
        views: by label.
    """
    indexed = [(label, view) for label, view in views.items() if view.kind.has_contents]
    found: _Indexes = {}
    faults: list[str] = []
    for first in range(0, len(indexed), _TOGETHER):
        some = dict(indexed[first : first + _TOGETHER])
        together = _read(twins, some)
        if together is not None:
            found |= together
            continue
        for label, view in some.items():
            alone = _read(twins, {label: view})
            found |= alone or {}
            if alone is None:
                faults += _refused(twins, view)
    return found, faults


def _read(twins: Twins, views: Mapping[str, View]) -> _Indexes | None:
    """None if PostgreSQL refuses some of them."""
    try:
        return twins.read_indexes(views)
    except psycopg.Error as error:
        statements.require_refusal(error)
        return None


def _refused(twins: Twins, view: View) -> list[str]:
    return [
        f"{view.query_path}: PostgreSQL refuses the index {name!r} of {view.name!r}:"
        f" {describe(error)}"
        for name, index in index_statements.wanted_indexes(view).items()
        if (error := twins.refuse_index(view.name, index)) is not None
    ]
