"""The incident as it went: load the CRM, read the list as people did, see it die."""

import time

from refresher.demo import crm, incident
from refresher.demo.incident import Reading, Readings
from refresher.demo.place import AUTHENTICATOR, SERVICE_ROLE, Place
from refresher.demo.report import comparison, count_name, length, line, outcome, page_name
from refresher.demo.stage import Stage


def load_crm(place: Place, customers: int, stage: Stage) -> None:
    """Load the CRM."""
    began = time.perf_counter()
    with stage.working("Loading the CRM", steps=len(crm.LOADING_STEPS)) as on_step:
        crm.load(place.owner, customers=customers, on_step=on_step)
    took = length(time.perf_counter() - began)
    stage.say(f"Loaded {customers:,} customers and {4 * customers:,} orders in {took}.")


def replay(place: Place, stage: Stage) -> Readings:
    """Read the list as it was before the fix, as the API and as the people who looked into it."""
    incident.create_view(place.owner)
    stage.begin("The incident", "The customer list searches all orders twice for every customer.")
    with stage.working(f"Reading the list as {AUTHENTICATOR}"):
        page = incident.read_page(place)
    stage.say(line(page_name(page), outcome(page)))
    with stage.working(f"Counting the list as {SERVICE_ROLE}"):
        count = incident.count_rows(place)
    stage.say(line(count_name(count), outcome(count)))
    stage.say(_moral(page))
    return Readings(page=page, count=count)


def read_again(place: Place, before: Readings, stage: Stage) -> Readings:
    """Read the cured list in the same two ways, and show both times side by side."""
    with stage.working("Reading the list again"):
        after = Readings(page=incident.read_page(place), count=incident.count_rows(place))
    stage.say()
    stage.say(comparison(before, after))
    return after


def _moral(page: Reading) -> str:
    if page.sqlstate is None:
        return "At this scale the old list does not die; --scale 1 is the incident's own."
    return (
        f"{page.sqlstate} is the statement timeout; count(*) computes no columns and looks healthy."
    )
