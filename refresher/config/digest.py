"""Telling whether two processes work by the same configuration, without comparing it. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from refresher.config.model import Database, Secret, View

_NOWHERE, _NO_SECRET = Path(), Secret("")


def digest(database: Database, views: Mapping[str, View]) -> str:
    """A digest of what a configuration says of one database and its views.

    Where its files are, how the database is reached and what it is called here make no difference:
    they differ between machines. The records' own texts are complete, and the same everywhere.
    """
    told = sha256(repr(replace(database, alias="", conninfo=_NO_SECRET)).encode())
    for name in sorted(views):
        told.update(repr(replace(views[name], database="", query_path=_NOWHERE)).encode())
    return told.hexdigest()[:32]
