"""Nothing of a server outlives what wanted it. The server here is a shell whose children ignore polite words."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from helpers.processes import assert_gone

from stepforge.pipelines.inference.server_process import LAUNCHER

# the parent of a launcher, whose command has a child that ignores SIGTERM and a grandchild of its own
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, sys.argv[1], str(os.getpid()), "sh", "-c", sys.argv[2]], start_new_session=True)
time.sleep(600)
"""
STUBBORN = "trap '' TERM; sh -c \"trap '' TERM; sleep 600\" & echo up; sleep 600 & wait; wait"


def tree(process: psutil.Process, count: int) -> list[psutil.Process]:
    """All descendants, once there are as many as expected."""
    deadline = time.monotonic() + 60
    while len(descendants := process.children(recursive=True)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(descendants) >= count, descendants
    return descendants


@pytest.fixture
def parent():
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(LAUNCHER), STUBBORN])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_nothing_is_left_when_the_parent_is_killed(parent):
    descendants = tree(parent, 4)
    parent.kill()
    assert_gone(descendants)


def test_nothing_is_left_when_the_launcher_is_told_to_end(parent):
    launcher, *rest = tree(parent, 4)
    launcher.terminate()
    assert_gone([launcher, *rest])


def test_rest_of_a_server_ends_with_it(parent):
    """What vLLM does not do: its engine lives on when its API server is killed."""
    launcher, server, *rest = tree(parent, 4)
    server.kill()
    assert_gone([launcher, server, *rest])


def test_server_dies_with_the_launcher(parent):
    launcher, server, *rest = tree(parent, 4)
    launcher.kill()
    assert_gone([launcher, server])
    os.killpg(launcher.pid, signal.SIGKILL)  # what ServerProcess.stop does for the rest
    assert_gone(rest)
