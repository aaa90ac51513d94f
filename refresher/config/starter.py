"""The configuration `refresher init` writes: a commented example that works on any server."""

from importlib.resources import files

STARTER_QUERY_FILE = "sql/relation_sizes.sql"
"""Where the example's query belongs, beside its configuration file."""


def starter_text() -> str:
    """The text of an example `config.yaml`; it needs DATABASE_URL in the environment."""
    return files(__package__).joinpath("starter.yaml").read_text(encoding="utf-8")


def starter_query() -> str:
    """The text of the example's query file."""
    return files(__package__).joinpath("starter.sql").read_text(encoding="utf-8")
