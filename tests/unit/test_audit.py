"""When a refresh is audited."""

from datetime import UTC, datetime, timedelta

import pytest

from refresher.config.model import Audit
from refresher.refresh.audit import is_due, key_in_words

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAILY = Audit(every=timedelta(hours=24))


@pytest.mark.parametrize(
    ("audited_at", "due"),
    [
        (None, True),
        (NOON - timedelta(hours=24), True),
        (NOON - timedelta(hours=23, minutes=59), False),
        (NOON + timedelta(hours=1), False),
    ],
    ids=["never", "an interval ago", "less than that", "the clock went back"],
)
def test_an_audit_is_due_once_an_interval_has_passed(
    audited_at: datetime | None, *, due: bool
) -> None:
    assert is_due(DAILY, audited_at, NOON) is due


def test_a_key_is_shown_with_its_columns() -> None:
    assert key_in_words({"id": "7", "region": None}) == "id=7, region=null"
    assert len(key_in_words({"note": "x" * 10_000})) < 200
