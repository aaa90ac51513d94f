"""Dropping views on purpose: the only way but `prune` by which apply's views go."""

import time
from collections.abc import Callable, Collection

from refresher.config.model import View
from refresher.definitions import statements
from refresher.definitions.dependents import read_dependents, unmanaged_readers
from refresher.definitions.facts import read_facts_of
from refresher.definitions.model import RelationFacts
from refresher.definitions.patience import LOCK_TIMEOUT, persist
from refresher.errors import PlanError
from refresher.names import RelationName
from refresher.postgres.sessions import set_local, short_transaction
from refresher.refresh.session import Session
from refresher.store.definition import forget, read_applied


def find_views(
    session: Session, views: Collection[View], names: Collection[str]
) -> dict[str, RelationName]:
    """Where views of these names are: configured ones, and those that were once applied.

    Raises:
        PlanError: there is no such view.
    """
    places = {name: each.relation for name, each in read_applied(session.connection()).items()}
    places |= {view.name: view.relation for view in views}
    unknown = sorted(set(names) - places.keys())
    if unknown:
        message = (
            f"no view {', '.join(unknown)} is configured here, and none was applied; see"
            " `refresher status` for those there are"
        )
        raise PlanError(message)
    return {name: places[name] for name in names}
