"""What commands begin with: the configuration, views by their names, databases at hand."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import click
import psycopg

from refresher.cli import render
from refresher.config.faults import suggest
from refresher.config.groups import grouped
from refresher.config.load import load_config
from refresher.config.model import Config, View
from refresher.daemon.endpoints import endpoints
from refresher.errors import ConfigError, RefresherError, StoreError, UnreachableError
from refresher.postgres.failures import breaks_connection, describe
from refresher.postgres.sessions import Connection, Endpoint, connect
from refresher.store.migrate import require_current

T = TypeVar("T")


def load(context: click.Context) -> Config:
    """The configuration the command line names.

    Raises:
        ConfigError: it is invalid.
    """
    return load_config(context.obj, os.environ)


def pick_views(config: Config, names: Sequence[str]) -> dict[str, View]:
    """The views of these names, or all if none is named.

    Raises:
        ConfigError: there is no such view.
    """
    for name in names:
        if name not in config.views:
            known = suggest(name, list(config.views)) if config.views else "it has no views"
            message = f"{config.path} has no view {name!r}; {known}"
            raise ConfigError(message)
    return {name: config.views[name] for name in dict.fromkeys(names or config.views)}


def with_groups(config: Config, picked: Mapping[str, View]) -> dict[str, View]:
    """These views, and the others of their groups: what holds for one holds for all."""
    groups = grouped(config.views)
    whole = dict(picked)
    for view in picked.values():
        whole |= {other.name: other for other in groups.get(view.group or "", ())}
    return whole


def require_refreshed(views: Iterable[View], what: str) -> None:
    """Make sure that there is something to refresh in each of these views.

    Raises:
        ConfigError: one is a plain view; `what` says what can't be done with it.
    """
    for view in views:
        if not view.refreshed:
            message = f"{view.name!r} is a plain view: it has nothing to refresh, so {what}"
            raise ConfigError(message)


def databases_of(views: Iterable[View]) -> list[str]:
    """The aliases of the databases these views are in, in the order they come."""
    return list(dict.fromkeys(view.database for view in views))


def in_each_database(
    aliases: Collection[str], work: Callable[[str], T]
) -> tuple[dict[str, T], int]:
    """Do something in each database; one that fails is complained of, and the others go on.

    Returns what came of it by alias, and the gravest exit code.
    """
    results: dict[str, T] = {}
    code = 0
    for alias in aliases:
        try:
            results[alias] = work(alias)
        except RefresherError as error:
            render.complain(error)
            code = max(code, error.exit_code)
    return results, code


@contextlib.contextmanager
def reach(config: Config, alias: str) -> Iterator[Endpoint]:
    """One database; what PostgreSQL says against us in it is said in a sentence.

    Raises:
        UnreachableError: the database went away.
        StoreError: PostgreSQL refuses something, a privilege for one.
    """
    with _explained(alias), endpoints(config, [alias]) as reachable:
        yield reachable[alias]


@contextlib.contextmanager
def open_store(config: Config, alias: str) -> Iterator[Connection]:
    """A connection to one database whose store can be used.

    Raises:
        UnreachableError: the database can't be reached, or went away.
        StoreError: it has no store of this version.
    """
    with reach(config, alias) as endpoint, connect(endpoint) as connection:
        require_current(connection)
        yield connection


@contextlib.contextmanager
def _explained(alias: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if breaks_connection(error):
            message = f"database {alias!r} went away: {describe(error)}; try again"
            raise UnreachableError(message) from error
        message = f"database {alias!r} refuses: {describe(error)}"
        raise StoreError(message) from error
