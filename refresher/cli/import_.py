"""`refresher import`: a configuration made of the views that stand already."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from psycopg.conninfo import make_conninfo

from refresher.adoption.describe import Described
from refresher.adoption.draft import Surroundings, draft, included_files, new_files
from refresher.adoption.survey import Survey, survey
from refresher.cli import render
from refresher.cli.context import load, reach
from refresher.cli.parameters import Command, config_option, hide_url, json_option
from refresher.cli.writing import write_new
from refresher.config.faults import suggest
from refresher.config.load import default_keys, load_config
from refresher.config.model import EMBEDDED, Config, Database, Secret
from refresher.config.parsing import parse_conninfo
from refresher.errors import ConfigError
from refresher.postgres.sessions import Connection, connect_to_look

_VARIABLE = "DATABASE_URL"
_NEW = "main"
"""The alias that a new configuration has for its database."""


@click.command(
    "import",
    cls=Command,
    short_help="Write configuration and SQL files for views that stand already.",
    help="Write configuration and SQL files for materialized views that stand already: queries,"
    " indexes, grants, owners, comments, options, and the schedules of pg_cron's jobs that refresh"
    " them. The database is only read, and no file is ever overwritten.\n\n"
    "Where there is a configuration, the views come to it as files to include; else a new one is"
    " made. NAME is a view or a pattern, with or without its schema.",
    examples={
        "refresher import --database-url postgresql://me@db/crm --output crm": "all, to begin with",
        "refresher import --dry-run 'reporting.*'": "look first",
        "refresher import customer_sources customers_crm_v": "two more, for config.yaml",
    },
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--database-url",
    is_eager=True,
    callback=hide_url,
    metavar="URL",
    help="The database, for a new configuration; by default what DATABASE_URL holds. It is written"
    " nowhere.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where a new configuration goes; by default the current directory.",
)
@click.option(
    "--database",
    "alias",
    metavar="ALIAS",
    help="Which database of an existing configuration; needed when it has several.",
)
@click.option("--plain-views", is_flag=True, help="Plain views, too.")
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
@config_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    database_url: str | None,
    output: Path | None,
    alias: str | None,
    *,
    plain_views: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write a configuration of what stands."""
    place = _place(context, database_url, output, alias)
    found = _survey(place, names, plain_views=plain_views)
    views = draft(found.views, found.jobs, place.surroundings(found))
    texts = {place.folder / path: text for path, text in place.files(views).items()}
    if views and not dry_run:
        write_new(texts)
    if as_json:
        render.print_json(_as_json(texts, views, found, dry_run=dry_run))
    elif dry_run:
        for path, text in texts.items():
            render.say(f"--- {path}")
            for line in text.removesuffix("\n").split("\n"):
                render.say(line)
    else:
        _tell_written(texts, views)
    for note in _notes(views, found):
        render.tell(note)
    if views and not dry_run:
        _tell_next(place, views)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the views come to: a configuration that there is, or one to be made."""

    config: Config
    alias: str
    is_new: bool
    defaults: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        return self.config.path.parent

    def surroundings(self, found: Survey) -> Surroundings:
        return Surroundings(
            role=found.role,
            unmanaged=found.unmanaged,
            defaults=self.defaults,
            taken=frozenset(self.config.views),
            alias=self.alias if len(self.config.databases) > 1 else None,
        )

    def files(self, views: Sequence[Described]) -> Mapping[str, str]:
        if not views:
            return {}
        return new_files(views) if self.is_new else included_files(views)


def _place(
    context: click.Context, url: str | None, output: Path | None, alias: str | None
) -> _Place:
    if url is None and output is None and context.obj.exists():
        config = load(context)
        return _Place(
            config=config,
            alias=_choose_database(config, alias),
            is_new=False,
            defaults=default_keys(config.path, os.environ),
        )
    if alias is not None:
        message = "--database is for an existing configuration; leave it out"
        raise click.UsageError(message)
    path = (output or Path()) / "config.yaml"
    if path.exists():
        message = (
            f"{path} is there already; import into it without --database-url and --output, or"
            " choose another directory"
        )
        raise ConfigError(message)
    conninfo = url or os.environ.get(_VARIABLE)
    if not conninfo:
        message = (
            f"there is no {context.obj} to import into; for a new configuration give"
            f" --database-url, or set {_VARIABLE}"
        )
        raise ConfigError(message)
    database = Database(alias=_NEW, conninfo=_read_conninfo(conninfo))
    config = Config(path=path, files=(), databases={_NEW: database}, views={})
    return _Place(config=config, alias=_NEW, is_new=True)


def _read_conninfo(text: str) -> Secret:
    try:
        conninfo = parse_conninfo(text)
    except ValueError as error:
        message = f"--database-url {error}"
        raise ConfigError(message) from None
    if text == EMBEDDED:
        message = "--database-url has to name a server; a private PostgreSQL has nothing to import"
        raise ConfigError(message)
    return conninfo


def _choose_database(config: Config, alias: str | None) -> str:
    known = list(config.databases)
    if alias is None and len(known) == 1:
        return known[0]
    if alias is None or alias not in config.databases:
        which = "choose one with --database" if alias is None else f"it has no {alias!r}"
        message = (
            f"{config.path} has {len(known)} databases, {which}; {suggest(alias or '', known)}"
        )
        raise ConfigError(message)
    return alias


def _survey(place: _Place, names: Sequence[str], *, plain_views: bool) -> Survey:
    with reach(place.config, place.alias) as endpoint, connect_to_look(endpoint) as connection:

        def connect_to(name: str) -> AbstractContextManager[Connection]:
            conninfo = make_conninfo(endpoint.conninfo, dbname=name)
            return connect_to_look(replace(endpoint, alias=name, conninfo=conninfo))

        return survey(
            connection,
            connect_to,
            wanted=names,
            plain_views=plain_views,
            managed={view.relation for view in place.config.views_of(place.alias).values()},
        )


def _as_json(
    texts: Mapping[Path, str], views: Sequence[Described], found: Survey, *, dry_run: bool
) -> dict[str, object]:
    return {
        "views": [{"view": view.name, "relation": str(view.relation)} for view in views],
        "written": [] if dry_run else [str(path) for path in texts],
        "files": {str(path): text for path, text in texts.items()},
        "notes": _notes(views, found),
    }


def _notes(views: Sequence[Described], found: Survey) -> list[str]:
    return [
        *found.problems,
        *(f"{name} is managed already" for name in found.managed),
        *(f"{view.name}: {note}" for view in views for note in view.notes),
    ]


def _tell_written(texts: Mapping[Path, str], views: Sequence[Described]) -> None:
    if not views:
        render.say("nothing to import")
    for path in texts:
        render.say(f"wrote {path}")


def _tell_next(place: _Place, views: Sequence[Described]) -> None:
    """Read what was written as every command will, and say what is left to do."""
    environment = {**os.environ, _VARIABLE: "dbname=imported"} if place.is_new else os.environ
    config = load_config(place.config.path, environment)
    if not config.views.keys() >= {view.name for view in views}:
        render.tell(f"now add to {place.config.path}: include: [views/*.yaml]")
    first = f"set {_VARIABLE} to the database, then " if place.is_new else ""
    render.tell(f"next: {first}`refresher plan`, which should find no changes")
