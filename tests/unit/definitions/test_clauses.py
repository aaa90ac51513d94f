import pytest

from refresher.config.lexer import scan
from refresher.definitions.clauses import identifier, in_from_lists, is_alias


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("SELECT a FROM b", "b"),
        ("SELECT a FROM b x, LATERAL (SELECT c FROM d) y WHERE e", "b x d y"),
        ("SELECT a FROM b JOIN c ON d = e JOIN f USING (g)", "b c f"),
        ("SELECT a FROM b JOIN c ON d = ARRAY[e, f][1], g", "b c g"),
        ("SELECT a FROM (b JOIN c ON d) x", "b c x"),
        ("SELECT a IS DISTINCT FROM b FROM c", "c"),
        ("SELECT a IS NOT DISTINCT FROM b FROM c", "c"),
        ("SELECT extract(a FROM b), trim(c FROM d) FROM e", "e"),
        ("SELECT percentile_cont(a) WITHIN GROUP (ORDER BY b) FROM c", "c"),
        ('SELECT a AS from, b.from FROM "C"', '"C"'),
        ("SELECT a FROM b UNION SELECT c FROM d ORDER BY e", "b d"),
        ("WITH a AS (TABLE b) SELECT c FROM a LIMIT d", "b a"),
        ("SELECT a FROM f(b, c) AS d (e)", "f d"),
        ("SELECT a FROM b) c, d", "b"),
        ("", ""),
    ],
)
def test_from_lists_end_where_conditions_and_clauses_begin(text: str, listed: str) -> None:
    tokens = list(scan(text))
    found = [
        token.text
        for token, here in zip(tokens, in_from_lists(tokens), strict=True)
        if here and token.text not in {"AS", "("} and is_alias(token)
    ]

    assert found == listed.split()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Paid", "paid"),
        ('"Paid"', "Paid"),
        ('"a""b"', 'a"b'),
        ("É", "É"),
        ("'paid'", None),
        ('U&"paid"', None),
        ("$$paid$$", None),
        ("1", None),
        ('""', None),
        ("x" * 64, None),
    ],
)
def test_names_are_read_as_postgresql_reads_them(text: str, name: str | None) -> None:
    (token,) = scan(text)

    assert identifier(token) == name


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("p", True),
        ('"where"', True),
        ("position", True),
        ("where", False),
        ("LEFT", False),
        ("'p'", False),
        (",", False),
    ],
)
def test_keywords_are_no_aliases_but_those_that_may_name_columns(text: str, alias: bool) -> None:  # noqa: FBT001 - the expected value
    (token,) = scan(text)

    assert is_alias(token) is alias
