"""`refresher`, but that the thread that keeps its wake-ups raises when SIGUSR1 tells it to.

python -m tests.faults.instruments.mortal --config config.yaml run
"""

import signal
import threading
from types import FrameType

from apscheduler.schedulers.base import BaseScheduler

from refresher.cli.main import main

_doomed = threading.Event()
_process_jobs = BaseScheduler._process_jobs


def _process_jobs_or_die(scheduler: BaseScheduler) -> float | None:
    if _doomed.is_set():
        message = "the thread that keeps wake-ups was told to die"
        raise RuntimeError(message)
    wait: float | None = _process_jobs(scheduler)
    return wait


def _doom(_number: int, _frame: FrameType | None) -> None:
    _doomed.set()


if __name__ == "__main__":
    BaseScheduler._process_jobs = _process_jobs_or_die
    signal.signal(signal.SIGUSR1, _doom)
    main()
