"""Killed or interrupted at any moment, a run goes on where it stopped: nothing twice, nothing lost, the same texts."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from helpers.runs import SMALL, execute, rows

from stepforge.builders.tables import TABLES
from stepforge.pipelines.plan import read_state, write_state

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "stepforge.pipelines.cli", "run"]


def start(folder, recipe_of_run=SMALL):
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(recipe_of_run | {"executor": {"tasks": 2, "workers": 2}}))
    return subprocess.Popen([*COMMAND, str(recipe), "--out", str(folder)], cwd=folder, start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's & ignores it


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
    return [{name: value for name, value in row.items() if name not in ignored} for row in rows(folder, table)
            if not str(row.get("measure")).endswith("cached_prompt_tokens")]


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
def test_twenty_kills_of_one_annotation(tmp_path):
    """kill -9 of the whole run at twenty random moments: before, while and after its first new rollouts are told."""
    wanted = SMALL | {"judge": None, "annotate": SMALL["annotate"] | {"rollouts": 12}}
    execute(wanted, tmp_path / "undisturbed")
    shutil.copytree(tmp_path / "undisturbed", tmp_path / "small")
    shutil.rmtree(tmp_path / "small" / "rollouts")
    state = read_state(tmp_path / "small")
    write_state(tmp_path / "small", {name: entry for name, entry in state.items() if name != "annotate"})
    draw = random.Random(7)
    for _ in range(20):
        process = start(tmp_path, wanted)
        told_before = len(lines(tmp_path, "rollouts"))
        assert wait_for(process, tmp_path, "rollouts", told_before + draw.randint(1, 12)), process.communicate()[0]
        time.sleep(draw.uniform(0, 0.1))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    process = start(tmp_path, wanted)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    found = told(tmp_path / "small", "rollouts")
    places = [(row["problem_id"], row["solution_id"], row["step_index"], row["index"]) for row in found
              if row["origin"] == "prefix"]
    assert len(set(places)) == len(places) > 300
    assert len({row["seed"] for row in found}) == len({row["rollout_id"] for row in found}) == len(found)
    for name in ("rollouts", "steps", "alternatives"):
        assert told(tmp_path / "undisturbed", name) == told(tmp_path / "small", name), name
    keys = [line[:50] for line in lines(tmp_path, "rollouts")]
    assert len(set(keys)) == len(keys), "a rollout was paid for twice"
