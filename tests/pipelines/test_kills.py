"""A stage that is killed at many moments resumes: it repeats nothing, loses nothing, and gives the same texts."""

import os
import random
import shutil
import signal
import time

import pytest
from helpers.kills import comparable, lines, start, wait_for
from helpers.runs import SMALL, execute

from stepforge.pipelines.plan import read_state, write_state

pytestmark = pytest.mark.slow


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
    rollouts = comparable(tmp_path / "small", "rollouts")
    places = [(row["problem_id"], row["solution_id"], row["step_index"], row["index"]) for row in rollouts
              if row["origin"] == "prefix"]
    assert len(set(places)) == len(places) > 300
    assert len({row["seed"] for row in rollouts}) == len({row["rollout_id"] for row in rollouts}) == len(rollouts)
    for name in ("rollouts", "steps", "alternatives"):
        assert comparable(tmp_path / "undisturbed", name) == comparable(tmp_path / "small", name), name
    keys = [line[:50] for line in lines(tmp_path, "rollouts")]
    assert len(set(keys)) == len(keys), "a rollout was paid for twice"
