import re
import sys
from collections import Counter

import pytest

from refresher.cli.table import fit, print_table


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
    print_table(["view", "state", "staleness"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "view              state  staleness",
        "customer_sources  stale  26h 3m",
        "a                 -      1s",
    ]


def test_what_is_indented_keeps_its_words_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    print_table(["reads", "notes"], [["            public.customers", "one two three four"]])
    assert "public.customers" in terminal.text


@pytest.mark.parametrize("columns", [34, 40, 200])
def test_a_table_on_a_terminal_fits_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    print_table(["view", "state", "staleness"], ROWS)
    text = re.sub("\x1b\\[[0-9;]*m", "", terminal.text)
    assert max(map(len, text.splitlines())) <= columns
    wanted = Counter("".join("".join(row) for row in ROWS).replace(" ", ""))
    assert wanted <= Counter(text)


def test_a_terminal_too_narrow_for_whole_words_gets_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "33")
    print_table(["view", "state", "staleness"], ROWS)
    assert terminal.text.splitlines() == [
        "view       customer_sources",
        "state      stale",
        "staleness  26h 3m",
        "",
        "view       a",
        "state      -",
        "staleness  1s",
    ]


def test_a_terminal_shows_states_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_table(["view", "state", "staleness"], ROWS)
    assert "\x1b[31mstale" in terminal.text


def test_nothing_in_a_table_can_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["view"], [["a\x1b[2J\nb"]])
    assert capsys.readouterr().out == "view\na\\x1b[2J\\nb\n"


@pytest.mark.parametrize(
    ("natural", "least", "room", "widths"),
    [
        ([10, 20], [5, 5], 32, [10, 20]),
        ([10, 20], [5, 5], 31, [10, 19]),
        ([10, 20], [5, 5], 20, [9, 9]),
        ([10, 20], [10, 5], 20, [10, 8]),
        ([10, 20], [5, 5], 12, [5, 5]),
        ([10, 20], [5, 5], 11, None),
    ],
)
def test_the_widest_columns_give_way(
    natural: list[int], least: list[int], room: int, widths: list[int] | None
) -> None:
    assert fit(natural, least, room) == widths
