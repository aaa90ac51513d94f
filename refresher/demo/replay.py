"""The incident as it went: load the CRM, read the list as people did, see it die."""

import time
from dataclasses import dataclass
from datetime import timedelta

from refresher.demo import crm, incident
from refresher.demo.incident import Reading
from refresher.demo.place import AUTHENTICATOR, SERVICE_ROLE, Place
from refresher.demo.report import outcome
from refresher.demo.stage import Stage
from refresher.durations import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How the list read before the cure."""

    before: Reading
    count: Reading


def load_crm(place: Place, customers: int, stage: Stage) -> None:
    """Load the CRM."""
    began = time.perf_counter()
    with stage.working("Loading the CRM", steps=len(crm.LOADING_STEPS)) as on_step:
        crm.load(place.owner, customers=customers, on_step=on_step)
    took = format_duration(timedelta(seconds=time.perf_counter() - began))
    stage.say(f"Loaded {customers:,} customers and {4 * customers:,} orders in {took}.")


def replay(place: Place, stage: Stage) -> Replayed:
    """Read the list as it was before the fix, as the API and as the people who looked into it."""
    incident.create_view(place.owner)
    stage.say()
    stage.say("The incident: customers_crm_v asks customer_orders_v twice for every customer.")
    with stage.working(f"Reading the list as {AUTHENTICATOR}"):
        before = incident.read_page(place)
    stage.say(f"  first page as {before.role}: {outcome(before)}")
    with stage.working(f"Counting the list as {SERVICE_ROLE}"):
        count = incident.count_rows(place)
    stage.say(f"  count(*) as {count.role}: {outcome(count)}")
    if before.sqlstate is None:
        stage.say("  At this scale the old list does not die; --scale 1 is the incident's own.")
    return Replayed(before=before, count=count)
