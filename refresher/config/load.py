"""Loading a configuration: read every file, say everything that is wrong, or return it whole."""

from collections.abc import Mapping
from pathlib import Path

from refresher.config.claims import refuse_shared_names
from refresher.config.documents import Documents, read_documents
from refresher.config.faults import Faults
from refresher.config.groups import refuse_split_groups
from refresher.config.model import Config, Database, Server
from refresher.config.nodes import Entries, Scalar, Spot
from refresher.config.resolve import Shared, resolve_database, resolve_server, resolve_shared
from refresher.config.sections import DatabaseSection, DefaultsSection, ServerSection
from refresher.config.validation import read_entries, read_section
from refresher.config.variables import Variables
from refresher.config.views import ViewReader, check_key


def load_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read a configuration file, the files it includes and its queries.

    Relative paths in it count from the file's own folder. No database is asked.

    Args:
        path: the main file, `config.yaml`.
        environment: what `${NAME}` is replaced from, such as `os.environ`.

    Raises:
        ConfigError: anything is wrong; its message lists all that was found, a line each, as
            `file:line: path: problem; advice`. It quotes no variable's value and no conninfo.
    """
    faults = Faults(path)
    documents = read_documents(path, Variables(environment), faults)
    if documents is None:
        raise faults.error()
    config = _whole(path, documents, faults)
    if faults:
        raise faults.error()
    return config


def default_keys(path: Path, environment: Mapping[str, str]) -> frozenset[str]:
    """The keys that `defaults` has in a configuration that is valid: what applies unsaid."""
    documents = read_documents(path, Variables(environment), Faults(path))
    match documents and documents.top.get("defaults"):
        case Spot(node=Entries(entries=entries)):
            return frozenset(entries)
    return frozenset()


def _whole(path: Path, documents: Documents, faults: Faults) -> Config:
    aliases, databases = _databases(documents, faults)
    reader = ViewReader(
        folder=path.parent,
        aliases=aliases,
        defaults=_defaults(documents, faults),
        faults=faults,
    )
    read = {name: reader.read(name, spot) for name, spot in documents.views.items()}
    views = {name: view for name, view in read.items() if view is not None}
    refuse_shared_names(views, documents.views, faults)
    refuse_split_groups(views, documents.views, faults)
    return Config(
        path=path,
        files=tuple(dict.fromkeys([*documents.files, *reader.files])),
        databases=databases,
        views=views,
        server=_server(documents, path.parent, faults),
        prune=_prune(documents, faults),
    )


def _databases(documents: Documents, faults: Faults) -> tuple[tuple[str, ...], dict[str, Database]]:
    """All aliases, and the databases without faults."""
    spot = documents.top.get("databases", documents.root)
    if spot is documents.root or spot.node == Entries(line=spot.node.line):
        problem = "has no database; add one, such as databases: {crm: {conninfo: …}}"
        faults.add(spot.place(), spot.path, problem)
        return (), {}
    entries = read_entries(spot, faults)
    databases = {}
    for alias, entry in entries.items():
        section = read_section(DatabaseSection, entry, faults)
        if check_key(alias, entry, faults) and section is not None:
            databases[alias] = resolve_database(alias, section)
    return tuple(entries), databases


def _defaults(documents: Documents, faults: Faults) -> Shared:
    spot = documents.top.get("defaults")
    section = read_section(DefaultsSection, spot, faults) if spot else None
    return resolve_shared(section, spot, faults) if spot and section else Shared()


def _prune(documents: Documents, faults: Faults) -> bool:
    match documents.top.get("prune"):
        case None | Spot(node=Scalar(broken=True)):
            return False
        case Spot(node=Scalar(value=bool(prune))):
            return prune
        case spot:
            faults.add(spot.place(), spot.path, "must be true or false, without quotes")
            return False


def _server(documents: Documents, folder: Path, faults: Faults) -> Server:
    spot = documents.top.get("server")
    section = read_section(ServerSection, spot, faults) if spot else None
    return resolve_server(section, folder, spot, faults) if spot and section else Server()
