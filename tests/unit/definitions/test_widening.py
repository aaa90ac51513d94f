"""Which types hold all that others do, and are stored alike."""

import pytest

from refresher.definitions.widening import widens

WIDER = [
    ("character varying(10)", "character varying(11)"),
    ("character varying(10)", "character varying"),
    ("character varying(10)", "text"),
    ("character varying", "text"),
    ('character varying(10) COLLATE pg_catalog."C"', 'text COLLATE pg_catalog."C"'),
    ("numeric(10,2)", "numeric(12,2)"),
    ("numeric(10,2)", "numeric"),
    ("bit varying(3)", "bit varying(4)"),
    ("bit varying(3)", "bit varying"),
    ("timestamp(3) without time zone", "timestamp(4) without time zone"),
    ("timestamp(3) with time zone", "timestamp with time zone"),
    ("time(0) without time zone", "time without time zone"),
    ("interval(2)", "interval"),
]
OTHERS = [
    ("character varying(11)", "character varying(10)"),
    ("text", "character varying"),
    ("text", "character varying(10)"),
    ("character(3)", "text"),
    ("character varying(10)", 'text COLLATE pg_catalog."C"'),
    ("numeric(10,2)", "numeric(12,3)"),
    ("numeric", "numeric(12,3)"),
    ("numeric(10,2)", "numeric(9,2)"),
    ("integer", "bigint"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp with time zone", "timestamp(3) with time zone"),
    ("time(3) without time zone", "time(2) without time zone"),
    ("interval", "interval(2)"),
    ("jsonb", "text"),
    ("character varying(10)[]", "character varying(11)[]"),
    ("public.numeric(1,2)", "numeric"),
]


@pytest.mark.parametrize(("before", "after"), WIDER)
def test_wider_types(before: str, after: str) -> None:
    assert widens(before, after)
    assert widens(before, before)
    assert not widens(after, before)


@pytest.mark.parametrize(("before", "after"), OTHERS)
def test_others(before: str, after: str) -> None:
    assert not widens(before, after)
