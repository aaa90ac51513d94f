"""The demo's own files: the incident's SQL and the config that cures it."""

from importlib.resources import files

from psycopg import sql


def packaged(*path: str) -> sql.SQL:
    """The text of a file that ships with the demo, and so is trusted."""
    text = files("refresher.demo").joinpath(*path).read_text(encoding="utf-8")
    return sql.SQL(text)
