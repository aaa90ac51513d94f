"""The cure: the configuration that ships with the demo, applied to the CRM."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from importlib.resources import as_file, files

from rich.text import Text

from refresher.config.load import load_config
from refresher.config.model import Config
from refresher.definitions.apply import Applied, apply
from refresher.definitions.populate import Populator
from refresher.definitions.result import StepOutcome
from refresher.definitions.step import Create, CreateIndex, Populate, Replace
from refresher.definitions.wording import title
from refresher.demo.crm import CUSTOMERS
from refresher.demo.place import Place
from refresher.demo.report import line
from refresher.demo.stage import Stage
from refresher.demo.writer import Writer
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


def cure(config: Config, writer: Writer, stage: Stage) -> None:
    """Put a list that reads what it used to search for in the place of the one that died.

    The shop writes to the table that is filled all the while.

    Raises:
        RefresherError: the configuration can't be applied here.
    """
    stage.begin(
        "The cure",
        "customer_sources searches once for all customers; customer_metrics writes what it finds"
        " into the table that the list reads.",
    )
    with stage.working("Applying config.yaml") as on_step:
        applied = _apply(config, on_step)
    _require_complete(applied)
    for view, done in _in_short(applied).items():
        stage.say(line(view, Text(done)))
    failed = writer.failed or "none"
    stage.say(line("orders meanwhile", Text(f"{writer.orders:,} placed, {failed} failed")))


def _apply(config: Config, tell: Callable[[str], None]) -> Applied:
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


def _in_short(applied: Applied) -> dict[str, str]:
    """What became of each view, with the indexes counted instead of named."""
    done: defaultdict[str, list[str]] = defaultdict(list)
    indexes: Counter[str] = Counter()
    for result in applied.steps:
        view = result.step.views[0]
        match result.step:
            case Create():
                done[view].append("created")
            case Replace():
                done[view].append("replaced under its readers")
            case Populate():
                done[view].append(f"populated: {result.detail}")
            case CreateIndex():
                indexes[view] += 1
            case _:
                pass  # a comment, say: no part of the story
    for view, number in indexes.items():
        done[view].append("1 index" if number == 1 else f"{number} indexes")
    return {view: ", ".join(words) for view, words in done.items()}


def _require_complete(applied: Applied) -> None:
    for result in applied.steps:
        if result.outcome is StepOutcome.FAILED:
            message = f"the demo can't {title(result.step)} here: {result.detail}"
            raise RefresherError(message)
