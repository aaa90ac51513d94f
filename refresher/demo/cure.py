"""The cure: the configuration that ships with the demo, applied to the CRM."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.resources import as_file, files

from rich.text import Text

from refresher.config.load import load_config
from refresher.config.model import Config
from refresher.definitions.apply import Applied, apply
from refresher.definitions.populate import Populator
from refresher.demo import incident
from refresher.demo.crm import CUSTOMERS
from refresher.demo.place import Place
from refresher.demo.report import line
from refresher.demo.stage import Stage
from refresher.errors import RefresherError
from refresher.postgres.sessions import Endpoint
from refresher.refresh.session import Session
from refresher.store.migrate import migrate
from refresher.store.presence import worker_name

ALIAS = "crm"
"""What the configuration calls the database."""
REFRESH_EVERY = timedelta(seconds=5)
"""Long enough to see staleness grow, short enough to wait for."""

_MIN_ROWS = 15_000
"""What the configuration demands of customer_sources at the incident's own size."""


def demo_config(place: Place, customers: int) -> Config:
    """The configuration that ships with the demo, for this place and this many customers."""
    environment = {
        "DATABASE_URL": place.owner.reveal(),
        "REFRESH_EVERY": f"{REFRESH_EVERY.total_seconds():g}s",
        "MIN_CUSTOMERS": str(_MIN_ROWS * customers // CUSTOMERS),
    }
    with as_file(files("refresher.demo")) as folder:
        return load_config(folder / "config.yaml", environment)


def demo_endpoint(config: Config) -> Endpoint:
    """How the database of that configuration is reached."""
    database = config.databases[ALIAS]
    return Endpoint(alias=ALIAS, conninfo=database.conninfo.reveal(), session=database.session)


def cure(place: Place, config: Config, stage: Stage) -> None:
    """Put a list that joins what it used to search for in the place of the one that died.

    Raises:
        RefresherError: the configuration can't be applied here.
    """
    stage.begin(
        "The cure",
        "customer_sources, a materialized view, searches once for all; the list joins it.",
    )
    # apply would not touch what stands in its way; this list is the demo's own.
    incident.drop_view(place.owner)
    with stage.working("Applying config.yaml") as on_step:
        applied = _apply(config, lambda view, step: on_step(f"{view}, {step}"))
    _require_complete(applied)
    for result in applied:
        if "created" in result.done:
            stage.say(line(result.view, Text(_in_short(result.done))))


def _apply(config: Config, tell: Callable[[str, str], None]) -> list[Applied]:
    session = Session(demo_endpoint(config), worker=worker_name())
    try:
        migrate(session.connection())
        populator = Populator(
            session=session,
            database=config.databases[ALIAS],
            views=config.views_of(ALIAS),
            emit=lambda _event: None,
            began=lambda _discharge: None,
        )
        return apply(populator, tell=tell)
    finally:
        session.discard()


def _in_short(done: Sequence[str]) -> str:
    """What was done, with the indexes counted instead of named."""
    named = [step for step in done if step.startswith("index ")]
    steps = [step for step in done if step not in named]
    if named:
        steps.append("1 index" if len(named) == 1 else f"{len(named)} indexes")
    return ", ".join(steps)


def _require_complete(applied: Sequence[Applied]) -> None:
    for result in applied:
        problem = result.error or "; ".join(drift.message for drift in result.drift)
        if problem:
            message = f"the demo can't apply its view {result.view!r} here: {problem}"
            raise RefresherError(message)
