import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from refresher.cli import render


class Terminal:
    """A terminal of some width, which keeps what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


ROWS = [["customer_sources", "stale", "26h 3m"], ["a", "", "1s"]]


def test_a_table_in_a_pipe_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_table(["view", "state", "staleness"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "view              state  staleness",
        "customer_sources  stale  26h 3m",
        "a                 -      1s",
    ]


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_a_table_on_a_terminal_fits_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    render.print_table(["view", "state", "staleness"], ROWS)
    text = re.sub("\x1b\\[[0-9;]*m", "", terminal.text)
    assert max(map(len, text.splitlines())) <= columns
    wanted = Counter("".join("".join(row) for row in ROWS).replace(" ", ""))
    assert wanted <= Counter(text)


def test_a_terminal_shows_states_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    render.print_table(["view", "state", "staleness"], ROWS)
    assert "\x1b[31mstale" in terminal.text


def test_nothing_shown_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_table(["view"], [["a\x1b[2J\nb"]])
    render.say("\x1b]0;title\x07")
    render.complain("one\x1b\ntwo")
    captured = capsys.readouterr()
    assert captured.out == "view\na\\x1b[2J\\nb\n\\x1b]0;title\\x07\n"
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
