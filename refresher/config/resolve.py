"""From what the user wrote to the records the rest of refresher reads: every default filled in."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict
from zoneinfo import ZoneInfo

from refresher import nominal
from refresher.config.crontab import shortest_gap
from refresher.config.faults import Faults
from refresher.config.files import UnreadableError, require_file
from refresher.config.model import (
    AfterUpstream,
    Audit,
    Checks,
    Cron,
    Database,
    Every,
    Fills,
    Index,
    Kind,
    Manual,
    MaxStaleness,
    Retry,
    Schedule,
    Server,
    StrategyChoice,
    TargetLag,
    Throttle,
    Timeouts,
    View,
)
from refresher.config.nodes import Spot
from refresher.config.sections import (
    ChecksSection,
    DatabaseSection,
    IndexSection,
    ScheduleSection,
    Section,
    ServerSection,
    SharedSection,
    ViewSection,
)
from refresher.durations import format_duration
from refresher.names import RelationName, columns_query_name
from refresher.runs import Strategy
from refresher.windows import Windows

_UTC = ZoneInfo("UTC")


class Shared(TypedDict, total=False):
    """What `defaults` can hold, as `View` takes it; only what is given."""

    owner: str
    grants: Mapping[str, tuple[str, ...]]
    strategy: StrategyChoice
    allow_blocking: bool
    schedule: Schedule
    max_staleness: MaxStaleness
    timeouts: Timeouts
    retry: Retry
    vacuum: bool


def resolve_shared(section: SharedSection, spot: Spot, faults: Faults) -> Shared:
    """The values given in `defaults`, or in a view where a default could be."""
    shared = Shared()
    if section.owner is not None:
        shared["owner"] = section.owner
    if section.grants is not None:
        shared["grants"] = {role: tuple(names) for role, names in section.grants.items()}
    if section.strategy is not None:
        auto = section.strategy == "auto"
        shared["strategy"] = "auto" if auto else Strategy(section.strategy)
    if section.allow_blocking is not None:
        shared["allow_blocking"] = section.allow_blocking
    if section.schedule is not None:
        shared["schedule"] = _schedule(section.schedule, spot.below(("schedule",)), faults)
    if section.max_staleness is not None:
        limit = section.max_staleness
        shared["max_staleness"] = limit if isinstance(limit, timedelta) else None
    if section.timeouts is not None:
        shared["timeouts"] = Timeouts(**_given(section.timeouts))
    if section.retry is not None:
        shared["retry"] = _retry(Retry(**_given(section.retry)), spot.below(("retry",)), faults)
    if section.vacuum is not None:
        shared["vacuum"] = section.vacuum == "auto"
    return shared


def resolve_view(
    name: str,
    section: ViewSection,
    *,
    database: str,
    query: str,
    query_path: Path,
    defaults: Shared,
    spot: Spot,
    faults: Faults,
) -> View:
    """A view with everything it takes from `defaults`, which is not all of it for a plain view."""
    own = resolve_shared(section, spot, faults)
    match section.kind:
        case Kind.VIEW:
            defaults = _for_plain_views(defaults)
        case Kind.TABLE:
            defaults = _for_tables(defaults)
        case Kind.COLUMNS:
            defaults = _for_columns(defaults)
            own["vacuum"] = False
    return View(
        name=name,
        database=database,
        relation=_relation(name, section),
        kind=section.kind,
        query=query,
        query_path=query_path,
        key=tuple(section.key or ()),
        fills=_fills(section, spot, faults),
        indexes=tuple(_index(index) for index in section.indexes or ()),
        comment=section.comment,
        options=section.options,
        renamed_from=section.renamed_from,
        tags=tuple(section.tags or ()),
        group=section.group,
        checks=_checks(section.checks) if section.checks else Checks(),
        audit=Audit(**_given(section.audit)) if section.audit else None,
        **(defaults | own),
    )


def _relation(name: str, section: ViewSection) -> RelationName:
    if section.kind is Kind.COLUMNS:
        return columns_query_name(name)
    return section.relation or RelationName("public", name)


def _fills(section: ViewSection, spot: Spot, faults: Faults) -> Fills | None:
    if section.kind is not Kind.COLUMNS or section.table is None or section.columns is None:
        return None
    for position, column in enumerate(section.columns):
        if column in (section.key or ()):
            where = spot.below(("columns", position))
            problem = "is in the key, by which rows are found; remove it from one of the two"
            faults.add(where.place(), where.path, problem)
    return Fills(
        table=section.table,
        columns=tuple(section.columns),
        max_rows_per_second=section.max_rows_per_second,
    )


def resolve_database(alias: str, section: DatabaseSection) -> Database:
    """A database."""
    given = _given(section)
    if section.throttle is not None:
        given["throttle"] = Throttle(**_given(section.throttle))
    return Database(alias=alias, **given)


def resolve_server(section: ServerSection, folder: Path, spot: Spot, faults: Faults) -> Server:
    """The server, with its files found beside the configuration."""
    given = _given(section)
    address = given.pop("listen", None)
    files = {name: folder / given[name] for name in given}
    for name, path in files.items():
        try:
            require_file(path)
        except UnreadableError as error:
            # The path is not shown: it may have come out of a variable.
            where = spot.below((name,))
            faults.add(where.place(), where.path, f"the file {error}")
    if address is None:
        return Server(**files)
    return Server(host=address.host, port=address.port, **files)


def _given(section: Section) -> dict[str, Any]:
    values = {name: getattr(section, name) for name in section.model_fields_set}
    return {name: value for name, value in values.items() if value is not None}


def _for_plain_views(shared: Shared) -> Shared:
    """All but what is about refreshing; their checks have timeouts, too."""
    kept = Shared()
    if "owner" in shared:
        kept["owner"] = shared["owner"]
    if "grants" in shared:
        kept["grants"] = shared["grants"]
    if "timeouts" in shared:
        kept["timeouts"] = shared["timeouts"]
    return kept


def _for_tables(shared: Shared) -> Shared:
    """All but how it is refreshed: that is one way only, and blocks nobody."""
    kept = shared.copy()
    kept.pop("strategy", None)
    kept.pop("allow_blocking", None)
    return kept


def _for_columns(shared: Shared) -> Shared:
    """When it is refreshed and for how long: the table is somebody else's."""
    kept = _for_tables(shared)
    kept.pop("owner", None)
    kept.pop("grants", None)
    return kept


def _schedule(section: ScheduleSection | str, spot: Spot, faults: Faults) -> Schedule:
    if isinstance(section, str):
        return Manual()
    jitter = section.jitter or timedelta()
    zone = section.timezone or _UTC
    only = None if section.only is None else Windows(section.only, zone)
    gap: timedelta | None = None
    schedule: Schedule = AfterUpstream(jitter=jitter, only=only)
    if section.every is not None:
        gap = section.every
        schedule = Every(every=gap, jitter=jitter, only=only)
    elif section.cron is not None:
        gap = shortest_gap(section.cron)
        schedule = Cron(cron=section.cron, timezone=zone, jitter=jitter, only=only)
    elif section.target_lag is not None:
        gap = section.target_lag
        schedule = TargetLag(target=gap, jitter=jitter, only=only)
    if (problem := _misses_its_windows(schedule)) is not None:
        where = spot.below(("only",))
        faults.add(where.place(), where.path, problem)
    if gap is not None and jitter >= gap:
        where = spot.below(("jitter",))
        problem = "must be shorter than the time between two due instants; shorten it"
        faults.add(where.place(), where.path, problem)
    return schedule


def _misses_its_windows(schedule: Schedule) -> str | None:
    """Why a schedule may have no due instant in some window, or none in any."""
    match schedule:
        case Every(every=every, only=Windows(hours=hours)) if every > hours.shortest:
            shortest = format_duration(hours.shortest)
            return (
                f"is open for {shortest} at a time, shorter than every, so that a due instant may"
                " miss it; shorten every, or use cron"
            )
        case Cron(cron=expression, timezone=zone, only=Windows() as only):
            if nominal.of_cron(expression, zone, only) is None:
                return "has no due instant of cron in it; correct one of the two"
    return None


def _retry(retry: Retry, spot: Spot, faults: Faults) -> Retry:
    if retry.max_backoff < retry.backoff:
        default = Retry()
        hint = " (its default)" if retry.max_backoff == default.max_backoff else ""
        problem = f"max_backoff{hint} is shorter than backoff; lengthen it"
        faults.add(spot.place(), spot.path, problem)
    return retry


def _checks(section: ChecksSection) -> Checks:
    given = _given(section)
    for name in ("columns", "not_null"):
        if name in given:
            given[name] = tuple(given[name])
    if "unique" in given:
        given["unique"] = tuple(map(tuple, given["unique"]))
    return Checks(**given)


def _index(section: IndexSection) -> Index:
    given = _given(section)
    for name in ("columns", "include"):
        if name in given:
            given[name] = tuple(given[name])
    return Index(**given)
