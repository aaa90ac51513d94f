"""The incident: a list that its readers can't read, while its count says that all is well."""

import time
from contextlib import closing
from dataclasses import dataclass

import psycopg
from psycopg import sql

from refresher.config.model import Secret
from refresher.demo.interrupts import postponed
from refresher.demo.packaged import packaged
from refresher.demo.place import AUTHENTICATOR, SERVICE_ROLE, Place

PAGE_SQL = "SELECT * FROM customers_crm_v ORDER BY last_order_date DESC NULLS LAST LIMIT 50"
COUNT_SQL = "SELECT count(*) FROM customers_crm_v"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One read of the list, as it went: seconds on the wall, rows or what ended it."""

    role: str
    seconds: float
    rows: int | None = None
    sqlstate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """How the list reads: its first page as the API, and its count as people see it."""

    page: Reading
    count: Reading


def create_view(owner: Secret) -> None:
    """Create customers_crm_v as it was before the fix."""
    _execute(owner, packaged("incident.sql"))


def read_page(place: Place) -> Reading:
    """Read the list's first page as the API reads it; a statement timeout is an outcome here."""
    with closing(_login(place, AUTHENTICATOR)) as connection:
        began = time.perf_counter()
        try:
            rows = len(connection.execute(PAGE_SQL).fetchall())
        except psycopg.errors.QueryCanceled as error:
            seconds = time.perf_counter() - began
            return Reading(role=AUTHENTICATOR, seconds=seconds, sqlstate=error.sqlstate)
        return Reading(role=AUTHENTICATOR, seconds=time.perf_counter() - began, rows=rows)


def count_rows(place: Place) -> Reading:
    """Count the list as people did who looked into the incident."""
    with closing(_login(place, SERVICE_ROLE)) as connection:
        began = time.perf_counter()
        ((rows,),) = connection.execute(COUNT_SQL).fetchall()
        return Reading(role=SERVICE_ROLE, seconds=time.perf_counter() - began, rows=rows)


def _login(place: Place, role: str) -> psycopg.Connection:
    """A session that really logged in as the role: SET ROLE would not apply its settings.

    It is only to be closed: there is nothing to roll back, and psycopg warns where it can't because
    a signal came between the sending of a statement and its answer.
    """
    connection = None
    try:
        with postponed():  # a session that nobody has yet could not be closed
            connection = psycopg.connect(
                place.readers[role].reveal(), autocommit=True, prepare_threshold=None
            )
    except KeyboardInterrupt:
        if connection is not None:
            connection.close()
        raise
    return connection


def _execute(owner: Secret, statements: sql.SQL) -> None:
    with psycopg.connect(owner.reveal(), prepare_threshold=None) as connection:
        connection.execute(statements)
