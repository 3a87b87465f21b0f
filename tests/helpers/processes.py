"""Whether processes are gone."""

import time
from collections.abc import Sequence

import psutil


def assert_gone(processes: Sequence[psutil.Process], seconds: float = 60) -> None:
    """Wait for their end. A zombie counts as gone: some containers have nobody who takes note of it."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
