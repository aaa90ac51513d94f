"""What the demo shows while it works: lines for everybody, moving progress on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

OnStep = Callable[[str], None]


class Stage:
    """A console for people; what programs read never goes through it."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        """`quiet` leaves the story out and keeps the progress."""
        self._console = console
        self._quiet = quiet

    def say(self, line: RenderableType = "") -> None:
        """Tell the next part of the story."""
        if not self._quiet:
            self._console.print(line, highlight=False)

    @contextmanager
    def working(self, what: str, *, steps: int | None = None) -> Iterator[OnStep]:
        """Show that something goes on; call what it yields with the name of each step."""
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        with progress:
            task = progress.add_task(what, total=steps)
            begun = 0

            def on_step(name: str) -> None:
                nonlocal begun
                progress.update(task, completed=begun, description=f"{what}: {name}")
                begun += 1

            yield on_step
