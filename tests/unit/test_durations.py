import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("0s", timedelta()),
        ("30s", timedelta(seconds=30)),
        ("0.5s", timedelta(milliseconds=500)),
        ("5m", timedelta(minutes=5)),
        ("1.5h", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("1m500ms", timedelta(minutes=1, milliseconds=500)),
        ("26h", timedelta(hours=26)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(days=14)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "5 m",
        "-5m",
        "+5m",
        "5M",
        "5min",
        "1e3s",
        ".5s",
        "5.s",
        "٣s",
        "5m\n",
        "inf",
        "750",
    ],
)
def test_what_is_not_a_duration_is_refused_with_the_form_to_use(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("write it like 500ms, 30s, 5m, 1h30m or 7d")):
        parse_duration(text)


def test_a_unit_stands_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_duration("1h1h")


@pytest.mark.parametrize("text", ["36501d", "999999999w", "999999999d999999999h"])
def test_a_duration_no_clock_could_add_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the longest duration is 36500d"):
        parse_duration(text)


@given(st.text("0123456789.hmsdw", max_size=12))
def test_any_text_is_a_duration_or_a_clear_refusal(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert timedelta() <= duration <= timedelta(days=36_500)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0412, "41ms"),
        (0.9996, "1.0s"),
        (3.21, "3.2s"),
        (59.94, "59.9s"),
        (59.96, "1m"),
        (61, "1m 1s"),
        (3599.6, "1h"),
        (3900, "1h 5m"),
        (3905, "1h 5m"),
        (86_399.9, "1d"),
        (93_600, "1d 2h"),
        (86_430, "1d"),
        (-3900, "-1h 5m"),
    ],
)
def test_a_duration_is_written_for_people(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.timedeltas(timedelta(), timedelta(days=36_500)))
def test_what_is_written_reads_back_within_its_precision(duration: timedelta) -> None:
    read = parse_duration(format_duration(duration).replace(" ", ""))
    assert abs(read - duration) <= max(timedelta(milliseconds=50), duration / 20)
