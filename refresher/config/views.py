"""Reading views: what the configuration says about each, and the file with its query."""

from dataclasses import dataclass, field
from pathlib import Path

from refresher.config.faults import Faults, Place, suggest
from refresher.config.files import UnreadableError, read_text
from refresher.config.lexer import SqlError
from refresher.config.misfits import refuse_misfits
from refresher.config.model import View
from refresher.config.nodes import Entries, Scalar, Spot
from refresher.config.parsing import check_handle
from refresher.config.query import check_query
from refresher.config.resolve import Shared, resolve_view
from refresher.config.sections import ViewSection
from refresher.config.validation import read_section


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewReader:
    """Reads views, one by one, against what the rest of the configuration says."""

    folder: Path
    """Where relative query files are."""
    aliases: tuple[str, ...]
    defaults: Shared
    faults: Faults
    files: list[Path] = field(default_factory=list)
    """The query files read so far."""

    def read(self, name: str, spot: Spot) -> View | None:
        """A view, or None if it has faults. Its query is judged even if the rest is wrong."""
        if self.faults.enough or not check_key(name, spot, self.faults):
            return None
        section = read_section(ViewSection, spot, self.faults)
        refuse_misfits(spot, self.faults)
        query = self._read_query(name, spot)
        database = self._database(section, spot) if section else None
        if section is None or query is None or database is None:
            return None
        path, text = query
        return resolve_view(
            name,
            section,
            database=database,
            query=text,
            query_path=path,
            defaults=self.defaults,
            spot=spot,
            faults=self.faults,
        )

    def _database(self, section: ViewSection, spot: Spot) -> str | None:
        match section.database, self.aliases:
            case None, [alias]:
                return alias
            case None, [_, *_]:
                problem = f"database is missing; {suggest('', self.aliases)}"
                self.faults.add(spot.place(), spot.path, problem)
            case str(alias), [_, *_] if alias not in self.aliases:
                where = spot.below(("database",))
                problem = f"no such database is configured; {suggest(alias, self.aliases)}"
                self.faults.add(where.place(), where.path, problem)
        return section.database

    def _read_query(self, name: str, spot: Spot) -> tuple[Path, str] | None:
        shown = _query_file(name, spot)
        if shown is None:
            return None
        where, value, raw = shown
        path = self.folder / value
        self.files.append(path)
        try:
            return path, check_query(read_text(path))
        except (UnreadableError, SqlError) as error:
            if error.line is None:
                problem = f"the query file {raw} {error}"
                self.faults.add(where.place(), where.path, problem)
            else:
                place = Place(file=self.folder / raw, line=error.line)
                self.faults.add(place, spot.path, str(error))
        return None


def _query_file(name: str, spot: Spot) -> tuple[Spot, str, str] | None:
    """Where a view's query file is named, its name, and how to show it.

    A name out of a variable is shown as it is written: it may be a secret put in the wrong place.
    """
    match spot.node:
        case Entries(entries={"sql": Scalar(broken=False, value=str(value), raw=raw)}) if value:
            return spot.below(("sql",)), value, raw
        case Entries(entries=entries) if "sql" not in entries:
            return spot, f"sql/{name}.sql", f"sql/{name}.sql"
        case _:
            return None  # reading the section says what is wrong


def check_key(name: str, spot: Spot, faults: Faults) -> bool:
    """Whether a view or database may have its name; a fault is noted if not."""
    try:
        check_handle(name)
    except ValueError as error:
        faults.add(spot.place(), spot.path[:-1], str(error))
        return False
    return True
