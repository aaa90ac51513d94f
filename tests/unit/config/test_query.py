r"""What a definition may hold, judged as PostgreSQL's own scanner would.

The verdicts were taken from PostgreSQL 18, which parsed each of these texts.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.config.lexer import SqlError, scan
from refresher.config.query import check_expression, check_index_definition, check_query

VALID = [
    "SELECT 1",
    "select 1",
    "SELECT",
    "SELECT FROM t",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "VALUES (1), (2)",
    "TABLE customers",
    "(SELECT 1) UNION (SELECT 2)",
    "((SELECT 1))",
    "/* ; */ SELECT 1",
    "-- ;\nSELECT 1",
    "SELECT ';'",
    "SELECT 'it''s; fine'",
    r"SELECT '\'",
    r"SELECT E'\';'",
    r"SELECT e'\\'",
    r"SELECT E'a''\';'",
    "SELECT E'a'\n'b\\';'",
    "SELECT E'a' -- c\n -- d\n\t'b\\';'",
    "SELECT 'a'\n';b'",
    r"SELECT U&'d\0061t;'",
    "SELECT U&'d!0061;' UESCAPE '!'",
    r'SELECT 1 AS U&"d\0061;"',
    'SELECT 1 AS "a;""b"',
    "SELECT B'01', x'1F', N'n;'",
    "SELECT $$;$$",
    "SELECT $a$ $b$ ; $a$",
    "SELECT $A$ $a$ ; $A$",
    "SELECT $é_1$;$é_1$",
    "SELECT a$b$c FROM t",
    "SELECT a$$b FROM t",
    "SELECT 1 /* /* ; */ ; */",
    "SELECT 1 */* c ; */ 2",
    "SELECT 1 +-- c ;\n 2",
    "SELECT 1 - -1",
    "SELECT 1 --\r+ 1",
    "SELECT a[1:2], b->>'c', d #>> '{e,f}', g @? '$.h' FROM t",
    "SELECT 1_000, 0x1F, 1e5, .5, 5.",
    "SELECT 1 AS into",
    "SELECT t.into FROM t",
    "SELECT 'a' AS \"into\"",
    "SELECT (1, 2), ARRAY[1, 2]",
    "SELECT count(*) FILTER (WHERE a), b FROM t GROUP BY b",
    "SELECT '{}'::jsonb, '\\'",
    "SELECT \u00a0x FROM t AS \u00a0t(\u00a0x)",
]


@pytest.mark.parametrize("query", VALID)
@pytest.mark.parametrize("end", ["", ";", " ;; ;", "; -- done", "\n/* ; */;\n/* end */", "--"])
def test_what_postgresql_accepts_is_accepted_whole(query: str, end: str) -> None:
    bare = check_query(query)
    assert query.startswith(bare)
    assert check_query(f"{query}\n{end}") == bare


@pytest.mark.parametrize(
    ("query", "line", "problem"),
    [
        ("", 1, "has no query"),
        ("\n-- nothing\n", 1, "has no query"),
        (";", 1, "has no query"),
        ("SELECT 1;\nSELECT 2", 2, "has a second statement"),
        ("SELECT 1; /* x */\n\n;DROP TABLE t;", 3, "has a second statement"),
        ("SELECT E'a'\n'b\\' || '; DROP TABLE t; --'", 2, "has a second statement"),
        (r"SELECT '\'; DROP TABLE t; --'", 1, "has a second statement"),
        ("SELECT 1 --\n; DROP TABLE t", 2, "has a second statement"),
        ("SELECT $a$; $b$; DROP TABLE t", 1, "the quote $a$ is not closed"),
        ("\nDROP TABLE t", 2, "begins with 'DROP'"),
        ("CREATE VIEW v AS SELECT 1", 1, "begins with 'CREATE'"),
        ("INSERT INTO t VALUES (1)", 1, "begins with 'INSERT'"),
        ("EXPLAIN SELECT 1", 1, "begins with 'EXPLAIN'"),
        ("'SELECT 1'", 1, "begins with \"'SELECT 1'\""),
        ("((", 1, "begins with '('"),
        ("SELECTED", 1, "begins with 'SELECTED'"),
        ("SELECT 1\nINTO t", 2, "has INTO"),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING *) TABLE x", 1, "has INTO"),
        ("SELECT\n'a", 2, "the quote ' is not closed"),
        ('SELECT "a', 1, 'the quote " is not closed'),
        (r"SELECT E'a\'", 1, "the quote E' is not closed"),
        ("SELECT 1 /* /* */", 1, "the comment /* is not closed"),
        ("SELECT (1", 1, "has a ( that is not closed"),
        ("SELECT (1]", 1, "has a ] that closes nothing"),
        ("SELECT 1)", 1, "has a ) that closes nothing"),
        ("SELECT a,\nFROM t", 1, "has a comma with nothing after it"),
        ("SELECT a,, b", 1, "has a comma with nothing after it"),
        ("SELECT f(a,)", 1, "has a comma with nothing after it"),
        ("SELECT a,", 1, "has a comma with nothing after it"),
        ("SELECT a FROM {{ ref('t') }}", 1, "has a { outside quotes"),
        ("SELECT 1 \\gx", 1, "has a \\ outside quotes"),
    ],
)
def test_what_is_no_query_is_refused_with_its_line(query: str, line: int, problem: str) -> None:
    with pytest.raises(SqlError) as caught:
        check_query(query)
    assert str(caught.value).startswith(problem)
    assert "; " in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("lower(email)", "lower(email)"),
        (" a  IS NOT NULL -- why", "a  IS NOT NULL"),
        ("/* c */ ';' || \"a;b\"", "';' || \"a;b\""),
        ("a) OR (b", None),
        ("a; b", None),
        ("", None),
        ("-- a", None),
        ("'a", None),
        ("f(a,)", None),
    ],
)
def test_expressions(text: str, expression: str | None) -> None:
    if expression is not None:
        assert check_expression(text) == expression
        return
    with pytest.raises(SqlError):
        check_expression(text)


@pytest.mark.parametrize(
    ("text", "definition"),
    [
        ("USING gin (a)", "USING gin (a)"),
        (
            "-- why\nusing btree (lower(a)) WHERE (b = ';') --",
            "using btree (lower(a)) WHERE (b = ';')",
        ),
        ("gin (a)", None),
        ('"using" (a)', None),
        ("USING gin (a); DROP TABLE b", None),
        ("USING gin (a", None),
        ("", None),
    ],
)
def test_index_definitions(text: str, definition: str | None) -> None:
    if definition is not None:
        assert check_index_definition(text) == definition
        return
    with pytest.raises(SqlError):
        check_index_definition(text)


@given(st.text(st.sampled_from("aE$'\"\\/*-;()[],\n\r é1{}U&"), max_size=60))
def test_tokens_cover_the_text_in_order(text: str) -> None:
    try:
        tokens = list(scan(text))
    except SqlError as error:
        tokens = []
        line = error.line
    else:
        line = 1
    assert 1 <= line <= text.count("\n") + 1
    position = 0
    for token in tokens:
        assert token.start >= position
        assert text[token.start : token.end] == token.text
        position = token.end


@given(st.text(st.sampled_from("aE$'\"\\/*-;()[],\n\r é1U&"), max_size=40))
def test_an_accepted_query_can_be_embedded(text: str) -> None:
    try:
        query = check_query(f"SELECT {text}")
    except SqlError:
        return
    assert check_query(query) == query
    assert check_query(f"SELECT * FROM ({query}) AS q").endswith(") AS q")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(" * 200_000, "begins with '('"),
        ("SELECT " + "(" * 200_000, "has a ( that is not closed"),
        ("/*" * 200_000, "the comment /* is not closed"),
        ("SELECT '" + "''" * 200_000, "the quote ' is not closed"),
        ("SELECT E'" + "\\'" * 200_000, "the quote E' is not closed"),
        ("SELECT " + "$a$ " * 100_001, "the quote $a$ is not closed"),
        ("SELECT " + "E'a'\n" * 100_000 + ";;a", "has a second statement"),
        ("SELECT E'a'" + "\n-- b" * 100_000 + "\n'", "the quote ' is not closed"),
        ("x" * 1_000_000, "begins with 'xxx"),
    ],
    ids=range(9),
)
def test_hostile_texts_are_judged_like_any_other(text: str, problem: str) -> None:
    with pytest.raises(SqlError) as caught:
        check_query(text)
    assert str(caught.value).startswith(problem)
    assert len(str(caught.value)) < 200
