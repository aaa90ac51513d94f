import psycopg

from refresher.demo import crm, incident
from refresher.demo.place import Place


def test_a_read_is_cancelled_by_the_limit_of_the_role_that_reads(place: Place) -> None:
    crm.load(place.owner, customers=crm.customers_at(0.05), on_step=lambda _: None)
    incident.create_view(place.owner)
    survived = incident.read_page(place)
    with psycopg.connect(place.owner.reveal()) as connection:
        connection.execute("ALTER ROLE authenticator SET statement_timeout = '100ms'")
        connection.execute("ALTER ROLE service_role SET statement_timeout = '5s'")
    died, counted = incident.read_page(place), incident.count_rows(place)
    assert (survived.rows, survived.sqlstate) == (50, None)
    assert (died.role, died.rows, died.sqlstate) == ("authenticator", None, "57014")
    assert died.seconds >= 0.1
    assert (counted.role, counted.rows) == ("service_role", crm.customers_at(0.05))


def test_loading_names_each_step_as_it_begins(place: Place) -> None:
    begun: list[str] = []
    crm.load(place.owner, customers=1, on_step=begun.append)
    assert tuple(begun) == crm.LOADING_STEPS
