"""What the demo shows while it works: lines for everybody, moving pictures on a terminal only."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

OnStep = Callable[[str], None]

_A_SECOND = 4
"""How often a picture is drawn anew."""
_NARROWEST_PIPE = 100
"""Columns; what reads a pipe has no width, and cutting lines would only lose something."""


class Stage:
    """Where the story is told to people."""

    def __init__(self, stream: TextIO) -> None:
        self.moving = stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
        """Whether what is drawn can be drawn over."""
        self._console = _Console(
            file=stream,
            width=None if stream.isatty() else _NARROWEST_PIPE,
            force_terminal=self.moving,
            highlight=False,
        )

    @property
    def width(self) -> int:
        """In columns, as it is now."""
        return self._console.width

    def say(self, part: RenderableType = "") -> None:
        """Tell the next part of the story."""
        self._console.print(Text(part) if isinstance(part, str) else part)

    def begin(self, title: str, summary: str) -> None:
        """Begin a chapter of the story."""
        self.say()
        self.say(Text(title, style="bold"))
        self.say(summary)

    @contextmanager
    def working(self, what: str, *, steps: int | None = None) -> Iterator[OnStep]:
        """Show that something goes on; call what it yields with the name of each step."""
        progress = Progress(
            SpinnerColumn("dots" if self._console.encoding.startswith("utf") else "line"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self.moving,
        )
        with progress:
            task = progress.add_task(what, total=steps)
            begun = 0

            def on_step(name: str) -> None:
                nonlocal begun
                progress.update(task, completed=begun, description=f"{what}: {name}")
                begun += 1

            yield on_step

    @contextmanager
    def showing(self, picture: Callable[[], RenderableType]) -> Iterator[None]:
        """Draw a picture again and again, below what is said meanwhile; its last state stays."""
        if not self.moving:
            yield
            return
        with Live(
            get_renderable=picture,
            console=self._console,
            refresh_per_second=_A_SECOND,
            vertical_overflow="crop",
        ):
            yield


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Whoever read the story has gone, and so the demo ends; rich would exit on its own."""
        with suppress(SystemExit):
            super().on_broken_pipe()
        raise BrokenPipeError
