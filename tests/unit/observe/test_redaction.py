from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refresher.config.model import Database, Secret
from refresher.observe.redaction import masked, masked_field

SECRET = "s3cr3t-pässword"  # noqa: S105 - it opens nothing


@pytest.mark.parametrize(
    "text",
    [
        f"host=db password={SECRET} user=crm",
        f"host=db password = '{SECRET} with space' user=crm",
        f"host=db password='it\\'s {SECRET}'",
        f'password="{SECRET}"',
        f"PGPASSWORD={SECRET}",
        f"sslpassword={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"password: {SECRET}",
        f"connection to postgresql://crm:{SECRET}@db/crm failed",
        f"postgresql://crm:{SECRET}@with@at@db:5432/crm?sslmode=require",
        f"postgresql://crm:{SECRET}/with/slash@db/crm",
        f"postgresql://:{SECRET}@db/crm",
        f"?user=crm&password={SECRET}&host=db",
    ],
)
def test_passwords_in_text_are_masked(text: str) -> None:
    shown = masked(text)

    assert SECRET not in shown
    assert "…" in shown


def test_what_is_no_secret_stays() -> None:
    text = "permission denied for table orders; see https://wiki.example/a:b and user@example.org"

    assert masked(text) == text


def test_secrets_are_found_at_any_depth() -> None:
    shown = masked({"databases": [{"conninfo": Secret(SECRET), "alias": "crm"}, (Secret(SECRET),)]})

    assert shown == {"databases": [{"conninfo": "…", "alias": "crm"}, ["…"]]}


@pytest.mark.parametrize("name", ["password", "Token", "conninfo", "passfile", "credentials"])
def test_a_telling_name_masks_the_whole_value(name: str) -> None:
    assert masked_field(name, SECRET) == "…"


def test_an_absent_secret_is_not_made_to_look_present() -> None:
    assert masked_field("password", None) is None


def test_values_become_plain_data() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)

    assert masked(moment) == "2026-03-01T00:00:00+00:00"
    assert masked(timedelta(milliseconds=1500)) == 1.5
    assert masked(Path("/etc/refresher")) == "/etc/refresher"
    assert masked([1, 2.5, True, None]) == [1, 2.5, True, None]


def test_objects_that_hold_secrets_do_not_show_them() -> None:
    database = Database(alias="crm", conninfo=Secret(f"password={SECRET}"))

    assert SECRET not in masked(database)
    assert SECRET not in masked(ValueError(f"bad conninfo password={SECRET}"))
