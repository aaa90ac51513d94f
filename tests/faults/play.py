"""Playing kinds of faults on one stage, under observation, one after the other."""

import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from refresher.config.model import Config
from refresher.postgres.sessions import connect
from refresher.store.migrate import migrate
from refresher.store.presence import DEAD_AFTER
from tests.faults import observer, scenario
from tests.faults.daemons import Daemons
from tests.faults.history import Chapter, Observations, Record
from tests.faults.kind import Kind, P
from tests.faults.observer import Observer
from tests.faults.places import Place
from tests.faults.sources import Writer, reloader, updater
from tests.faults.stage import Stage
from tests.servers import endpoint_of

REPLICAS = 3
_QUIET_SECONDS = DEAD_AFTER.total_seconds() + 5.0
"""Longer than a dead process's open run may stand."""


def play(
    parts: Sequence[tuple[Kind[P], int]],
    make: AbstractContextManager[P],
    at: Path,
    seed: int,
    tell: Callable[[Chapter], None] = lambda _: None,
) -> Observations:
    """Inject every kind so many times at one place, and return everything that was seen.

    Args:
        parts: the kinds, and how often each is injected.
        make: makes the place.
        at: a folder that is not there yet.
        seed: all chance comes from it.
        tell: is told of each kind that is done with.
    """
    with make as place:
        config_path, config = _furnish(place, at)
        record = Record()
        chance = random.Random(seed)  # noqa: S311 - faults to be repeated, no secret
        writers = {
            "orders": updater(place.superuser),
            "reloads": reloader(place.superuser, random.Random(seed)),  # noqa: S311 - the same
        }
        stage = Stage(
            place=place,
            folder=at,
            config_path=config_path,
            config=config,
            chance=chance,
            daemons=Daemons(
                config_path, place.daemon, record, count=REPLICAS, prefixes=place.prefixes
            ),
            record=record,
            writers=writers.values(),
        )
        with connect(endpoint_of(place.superuser)) as connection:
            scenario.install_witness(connection)
            before = _Before(
                as_of=observer.read_as_of(connection),
                lineage=observer.read_lineage(connection),
                misfires=observer.read_misfires(connection),
                newest_run=observer.read_newest_run(connection),
            )
        watching = Observer(place.superuser)
        with contextlib.ExitStack() as stack:
            for writer in writers.values():
                stack.enter_context(writer.writing())
            stack.enter_context(watching.looking())
            with stage.daemons.running():
                stage.daemons.wait_up()
                stage.wait_refreshed()
                for kind, times in parts:
                    tell(_inject(stage, kind, times))
                stage.rest(_QUIET_SECONDS)
                ended_at = datetime.now(UTC)
        failures = [writer.failure for writer in writers.values()] + [watching.failure]
        assert failures == [None] * len(failures)
        return _gather(stage, before, watching, writers, ended_at)


def _furnish(place: Place, at: Path) -> tuple[Path, Config]:
    path = scenario.write_config(at)
    with connect(endpoint_of(place.superuser)) as connection:
        scenario.create_sources(connection)
    with connect(endpoint_of(place.daemon)) as connection:
        migrate(connection)
    return path, scenario.create_views(path, place.daemon)


def _inject(stage: Stage[P], kind: Kind[P], times: int) -> Chapter:
    """One kind; the next one finds the stage recovered."""
    began_at, trouble = datetime.now(UTC), None
    stage.kind = kind.name
    try:
        kind.inject(stage, times)
        stage.wait_refreshed()
    except AssertionError as error:
        trouble = str(error) or "an assertion without a message"
    chapter = Chapter(
        kind=kind.name,
        times=times,
        began_at=began_at,
        ended_at=datetime.now(UTC),
        excused=kind.excused,
        trouble=trouble,
    )
    stage.record.chapters.append(chapter)
    return chapter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What the store knew before the first daemon was started."""

    as_of: Mapping[str, datetime]
    lineage: str | None
    misfires: Mapping[str, int]
    newest_run: int


def _gather(
    stage: Stage[P],
    before: _Before,
    watching: Observer,
    writers: Mapping[str, Writer],
    ended_at: datetime,
) -> Observations:
    record = stage.record
    foreign: dict[str, set[int]] = defaultdict(set)
    for each in record.foreign:
        foreign[each.view].add(each.made_by)
    with stage.connect() as connection:
        misfires = observer.read_misfires(connection)
        return Observations(
            subjects=scenario.subjects(stage.config),
            plain_views=scenario.plain_views(),
            began_as_of=before.as_of,
            began_lineage=before.lineage,
            ended_at=ended_at,
            successes=observer.read_successes(connection),
            runs=observer.read_runs(connection, after=before.newest_run),
            misfires={
                view: misfires.get(view, 0) - before.misfires.get(view, 0) for view in before.as_of
            },
            samples=tuple(watching.samples),
            readings=tuple(watching.readings),
            holders=tuple(watching.holders),
            commits={source: tuple(writer.commits) for source, writer in writers.items()},
            kills=tuple(record.kills),
            exits=tuple(record.exits),
            injections=tuple(record.injections),
            measurements=tuple(record.measurements),
            foreign={view: frozenset(made) for view, made in foreign.items()},
            chapters=tuple(record.chapters),
        )
