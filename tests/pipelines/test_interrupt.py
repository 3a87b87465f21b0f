"""A run that is killed or interrupted resumes: it repeats nothing, loses nothing, and gives the same texts."""

import os
import signal

import pytest
from helpers.kills import comparable, lines, start, wait_for

from stepforge.builders.tables import TABLES

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_interrupted_run_ends_like_one_that_was_not(tmp_path, small_run, signal_number, code):
    for kind, total in (("generated", 72), ("rollouts", 300)):
        process = start(tmp_path)
        assert wait_for(process, tmp_path, kind, total // 4), process.communicate()[0]
        os.kill(process.pid, signal_number)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == code, output
        assert "Traceback" not in output
    process = start(tmp_path)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    for name in TABLES.keys() - {"drops"}:
        assert comparable(small_run, name) == comparable(tmp_path / "small", name), name
    keys = [line[:50] for kind in ("generated", "rollouts") for line in lines(tmp_path, kind)]
    assert len(set(keys)) == len(keys), "a completion was paid for twice"
