"""What moves while work goes on: on stderr, and only if that is a terminal."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refresher.cli import render
from refresher.cli.manual import Job
from refresher.config.faults import printable

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status


class Display:
    """A display that does not move."""

    def show(self) -> None:
        """Bring it up to date."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make room for lines that are to stay."""
        yield


class _JobsDisplay(Display):
    """Jobs at work, each with what it does and for how long."""

    def __init__(self, jobs: Sequence[Job], progress: "Progress") -> None:
        self._jobs = jobs
        self._progress = progress
        self._tasks = [
            progress.add_task("", total=job.usual_seconds, visible=False, took="") for job in jobs
        ]

    def show(self) -> None:
        now = time.monotonic()
        for job, task in zip(self._jobs, self._tasks, strict=True):
            elapsed = 0.0 if job.began is None else now - job.began
            self._progress.update(
                task,
                visible=job.at_work,
                description=printable(f"{job.view.name}: {job.activity}"),
                completed=min(elapsed, job.usual_seconds or 0.0),
                took=_took(elapsed, job.usual_seconds),
            )

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._progress.stop()
        yield
        self._progress.start()


@contextmanager
def show_jobs(jobs: Sequence[Job]) -> Iterator[Display]:
    """Show jobs while they are at work."""
    if not sys.stderr.isatty():
        yield Display()
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe does without
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[took]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with progress:
        yield _JobsDisplay(jobs, progress)


class ActivityDisplay:
    """What is under way, in a line; on what is no terminal nothing is shown."""

    def show(self, activity: str) -> None:
        """Show what is under way now."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make room for lines that are to stay."""
        yield


class _Spinner(ActivityDisplay):
    def __init__(self, status: "Status") -> None:
        self._status = status
        self._activity = ""

    def show(self, activity: str) -> None:
        from rich.text import Text  # noqa: PLC0415 - a pipe does without

        if activity != self._activity:
            self._activity = activity
            self._status.update(Text(printable(activity), no_wrap=True, overflow="ellipsis"))

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._status.stop()
        yield
        self._status.start()


@contextmanager
def show_activity() -> Iterator[ActivityDisplay]:
    """Show what is under way while the context lasts."""
    if not sys.stderr.isatty():
        yield ActivityDisplay()
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe does without

    with Console(stderr=True).status("") as status:
        yield _Spinner(status)


def _took(elapsed: float, usual: float | None) -> str:
    took = render.length(elapsed)
    return took if usual is None else f"{took} of usually {render.length(usual)}"
