import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from refresher.cli import render


def test_nothing_shown_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.say("\x1b]0;title\x07")
    render.complain("one\x1b\ntwo")
    captured = capsys.readouterr()
    assert captured.out == "\\x1b]0;title\\x07\n"
    assert captured.err == "refresher: one\\x1b\ntwo\n"


def test_a_document_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"view": "größe\x1b", "rows": [1, None, True]}
    render.print_json(document)
    assert json.loads(capsys.readouterr().out) == document


@pytest.mark.parametrize("output", ["render.say('x')", "render.print_json([])", "render.tell('x')"])
def test_a_reader_that_goes_away_is_no_failure(output: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    script = f"from refresher.cli import render; {output}; {output}; raise SystemExit(7)"
    try:
        ended = subprocess.run(
            [sys.executable, "-c", script], stdout=writer, stderr=writer, check=False
        )
    finally:
        os.close(writer)
    assert ended.returncode == 7


def test_an_instant_shows_its_distance_from_utc() -> None:
    instant = datetime(2026, 5, 5, 12, 0, 0, 999_999, tzinfo=UTC)
    shown = render.moment(instant)
    assert datetime.fromisoformat(shown) == instant.replace(microsecond=0)
    assert render.moment(None) == ""


def test_lengths_and_counts_are_for_people() -> None:
    assert render.length(timedelta(minutes=90)) == "1h 30m"
    assert render.length(0.3) == "300ms"
    assert render.length(None) == ""
    assert render.count(1, "view") == "1 view"
    assert render.count(15_549, "row") == "15,549 rows"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 kB"),
        (3_565_158, "3.4 MB"),
        (5 << 30, "5.0 GB"),
        (3 << 50, "3072.0 TB"),
    ],
)
def test_sizes_are_in_the_units_of_postgresql(number: int, shown: str) -> None:
    assert render.size(number) == shown
