"""A folder with a configuration in it, loaded as the commands load theirs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from refresher.config.load import load_config
from refresher.config.model import Config, View
from refresher.errors import ConfigError

ONE_DATABASE = "databases: {crm: {conninfo: embedded}}\n"


@dataclass
class Project:
    """What a user has: a folder, files in it, an environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def config(self, text: str) -> None:
        """Write the main file."""
        self.write("config.yaml", dedent(text))

    def views(self, text: str, queries: Mapping[str, str] | None = None) -> None:
        """Write a main file with one database and these views, and their queries."""
        self.write("config.yaml", ONE_DATABASE + dedent(text))
        for name, query in (queries or {"v": "SELECT 1 AS id"}).items():
            self.write(f"sql/{name}.sql", query)

    def load(self) -> Config:
        return load_config(self.folder / "config.yaml", self.environment)

    def view(self, keys: str, *, kind: str = "materialized_view") -> View:
        """The view that has these keys."""
        self.views(f"views: {{v: {{kind: {kind}, {keys}}}}}")
        return self.load().views["v"]

    def faults(self) -> list[str]:
        """What loading complains about, a line each, without the folder's name."""
        with pytest.raises(ConfigError) as caught:
            self.load()
        return str(caught.value).replace(f"{self.folder}/", "").split("\n")

    def fault_in_view(self, keys: str, *, kind: str = "materialized_view") -> str:
        """The one thing wrong with a view that has these keys, after its place and path."""
        self.views(f"views: {{v: {{kind: {kind}, {keys}}}}}")
        [fault] = self.faults()
        where, _, problem = fault.partition(": views.v")
        assert where == "config.yaml:2"
        return problem


def messages(name: str) -> list[tuple[str, str]]:
    """Pairs of something wrong and what is said about it, indented, from a text file."""
    text = Path(__file__).with_name("messages").joinpath(f"{name}.txt").read_text()
    pairs = [pair.split("\n    ") for pair in text.removesuffix("\n").split("\n\n")]
    return [(wrong, said) for wrong, said in pairs]
