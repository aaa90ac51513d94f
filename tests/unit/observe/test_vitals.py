import time

import pytest

from refresher.events import (
    ConfigCurrent,
    ConfigOutdated,
    ConfigRejected,
    ConfigReloaded,
    DatabaseUp,
)
from refresher.observe.vitals import Vitals


def test_the_configuration_a_daemon_starts_with_is_in_force() -> None:
    began = time.time()
    vitals = Vitals()

    assert vitals.config_reload_succeeded
    assert began <= vitals.config_reloaded_at <= time.time()
    assert vitals.scheduler_last_tick is None


def test_a_rejected_reload_shows_until_one_succeeds() -> None:
    vitals = Vitals()
    begun_at = vitals.config_reloaded_at
    vitals.listen(ConfigRejected(error="line 1"))
    vitals.listen(DatabaseUp(database="crm"))
    rejected = vitals.config_reload_succeeded, vitals.config_reloaded_at

    vitals.listen(ConfigReloaded(views=1))

    assert rejected == (False, begun_at)
    assert vitals.config_reload_succeeded
    assert vitals.config_reloaded_at > begun_at


def test_what_is_left_to_others_is_so_until_it_is_not() -> None:
    vitals = Vitals()
    vitals.keep_databases(["crm"])
    vitals.listen(ConfigOutdated(database="crm", views=2, newer="w"))
    vitals.listen(ConfigOutdated(database="gone", views=1, newer="w"))
    assert vitals.of("crm").views_left == 2
    vitals.listen(ConfigCurrent(database="crm"))
    vitals.listen(ConfigCurrent(database="gone"))
    assert vitals.of("crm").views_left == 0


def test_databases_come_and_go_with_the_configuration() -> None:
    vitals = Vitals()
    vitals.keep_databases(["crm", "shop"])
    vitals.of("crm").workers_busy = 3

    vitals.keep_databases(["crm", "stock"])

    assert list(vitals.databases()) == ["crm", "stock"]
    assert vitals.of("crm").workers_busy == 3
    with pytest.raises(KeyError):
        vitals.of("shop")
