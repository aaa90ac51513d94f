"""Saying that rows repeat where they must not, without showing what is in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from refresher.definitions.model import IndexFacts
from refresher.errors import FailureReason, RefreshError


@contextmanager
def repeats_explained(label: str, name: str, index: IndexFacts) -> Iterator[None]:
    """Around the creation of an index.

    Raises:
        RefreshError: (not_unique) rows repeat in what the index wants unique.
    """
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        message = (
            f"rows of {label} repeat in what index {name} wants unique ({index.body}): correct the"
            " query, or the key"
        )
        raise RefreshError(message, reason=FailureReason.NOT_UNIQUE) from error
