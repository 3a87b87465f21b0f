"""Killed or interrupted at any moment, a run goes on where it stopped: nothing twice, nothing lost, the same texts."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from helpers.runs import SMALL, rows

from stepforge.builders.tables import TABLES

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "stepforge.pipelines.cli", "run"]


def start(folder):
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(SMALL | {"executor": {"tasks": 2, "workers": 2}}))
    return subprocess.Popen([*COMMAND, str(recipe), "--out", str(folder)], cwd=folder, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lines(folder, kind):
    journals = sorted((folder / "small" / kind).glob("*/*.jsonl"))
    return [line for path in journals for line in path.read_bytes().splitlines()]


def wait_for(process, folder, kind, count):
    """Until a journal holds `count` lines; False when the run ended before."""
    while process.poll() is None:
        if len(lines(folder, kind)) >= count:
            return True
        time.sleep(0.02)
    return False


def told(folder, table):
    ignored = {"cached_prompt_tokens"}  # depends on what the engine had in its cache
    return [{name: value for name, value in row.items() if name not in ignored} for row in rows(folder, table)]


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
        assert told(small_run, name) == told(tmp_path / "small", name), name
    keys = [line[:50] for kind in ("generated", "rollouts") for line in lines(tmp_path, kind)]
    assert len(set(keys)) == len(keys), "a completion was paid for twice"


@pytest.mark.timeout(1500)
def test_many_kills_of_one_annotation(tmp_path, small_run):
    """kill -9 at random moments, eight times or until the run is too quick; each key exactly once in the end."""
    draw = random.Random(7)
    kills = 0
    for _ in range(20):
        process = start(tmp_path)
        before = len(lines(tmp_path, "rollouts"))
        if kills < 8 and wait_for(process, tmp_path, "generated", 72):
            if wait_for(process, tmp_path, "rollouts", before + draw.randint(1, 12)):
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        process.communicate(timeout=600)
        if process.returncode == 0:
            break
    assert process.returncode == 0 and kills >= 2
    found = told(tmp_path / "small", "rollouts")
    assert found == told(small_run, "rollouts") and told(tmp_path / "small", "steps") == told(small_run, "steps")
    assert len({row["rollout_id"] for row in found}) == len({row["seed"] for row in found}) == len(found)
