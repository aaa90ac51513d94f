from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.store.standing import Configured, newer_than
from tests.unit.builders import MINUTE, NOON

OLD = Configured("old/1", "old", NOON)
NEW = Configured("new/1", "new", NOON + MINUTE)
AGAIN = Configured("old/2", "old", NOON + 2 * MINUTE)

daemons = st.builds(
    Configured,
    st.text(st.sampled_from("abc"), min_size=1, max_size=3),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 4).map(lambda minutes: NOON + minutes * MINUTE),
)


@pytest.mark.parametrize(
    ("configuration", "living", "newer"),
    [
        ("old", {OLD}, set()),
        ("old", {OLD, NEW}, {NEW}),
        ("new", {OLD, NEW}, set()),
        # whoever restarts with the old one puts it in force again, for all who have it
        ("old", {OLD, NEW, AGAIN}, set()),
        ("new", {OLD, NEW, AGAIN}, {OLD, AGAIN}),
        # a command has what no daemon has, or what some have
        ("other", {OLD, NEW}, {OLD, NEW}),
        ("other", set(), set()),
    ],
)
def test_the_configuration_that_came_last_is_the_newest(
    configuration: str, living: set[Configured], newer: set[Configured]
) -> None:
    assert newer_than(configuration, living) == newer


@given(living=st.sets(daemons, max_size=8))
def test_all_agree_on_one_order(living: set[Configured]) -> None:
    configurations = {daemon.configuration for daemon in living}
    newer = {each: {d.configuration for d in newer_than(each, living)} for each in configurations}
    assert sorted(map(len, newer.values())) == list(range(len(configurations)))
    for one in configurations:
        assert one not in newer[one]
        assert all((two in newer[one]) != (one in newer[two]) for two in configurations - {one})


@given(living=st.sets(daemons, min_size=1, max_size=8))
def test_nobody_is_newer_than_the_last_one_configured(living: set[Configured]) -> None:
    def configured(daemon: Configured) -> tuple[datetime, str]:
        return daemon.configured_at, daemon.configuration

    newest = max(living, key=configured)
    assert newer_than(newest.configuration, living) == set()
