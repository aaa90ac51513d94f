from datetime import timedelta

from refresher.events import DatabaseDown, DatabaseUp
from refresher.observe.latest import Latest
from tests.snapshots import make_snapshot


def test_a_database_that_is_found_gone_is_down_at_once() -> None:
    latest = Latest()
    latest.keep_databases(["crm"])
    latest.publish(make_snapshot([]))
    assert latest.readings()["crm"].up

    latest.listen(DatabaseDown(database="crm", error="no", retry_in=timedelta()))
    latest.listen(DatabaseDown(database="gone", error="no", retry_in=timedelta()))

    assert not latest.readings()["crm"].up
    assert latest.readings()["crm"].errors == 0
    assert "gone" not in latest.readings()


def test_a_database_that_gives_no_answer_is_down_until_it_does_though_it_can_be_read() -> None:
    latest = Latest()
    latest.keep_databases(["crm"])
    latest.listen(DatabaseDown(database="crm", error="no answer", retry_in=None))
    latest.publish(make_snapshot([]))
    assert not latest.readings()["crm"].up

    latest.listen(DatabaseUp(database="crm"))

    assert latest.readings()["crm"].up
