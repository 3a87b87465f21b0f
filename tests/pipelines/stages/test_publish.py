"""The last stage: the version that a recipe asks for, foreseen before anything is paid; who owns a run's folder."""

import json
from functools import partial
from pathlib import Path

import pytest
import yaml
from helpers.commands import command
from helpers.runs import execute

from stepforge.builders.errors import UserError
from stepforge.pipelines import plan
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import read_state


@pytest.fixture
def recipe(tmp_path: Path) -> dict:
    """Recorded solutions, so that no model runs."""
    lines = [{"problem": f"What is {a} + {a + 4}?", "answer": str(2 * a + 4),
              "solution": f"It is {2 * a + 4 + a % 2}.\n#### {2 * a + 4 + a % 2}"} for a in range(11, 19)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"name": "own", "problems": [{"source": "files", "paths": [str(tmp_path / "own.jsonl")]}],
            "generators": [{"name": "me", "engine": "recorded", "paths": [str(tmp_path / "own.jsonl")]}],
            "release": {"splits": {}, "configs": ["positives", "problems"], "to": f"local:{tmp_path / 'out'}"},
            "executor": {"tasks": 1, "workers": 1}}


def changed(recipe: dict, **release: object) -> dict:
    return recipe | {"release": recipe["release"] | release}


def test_the_change_chooses_the_version(recipe: dict, tmp_path: Path) -> None:
    run = tmp_path / "run"
    execute(recipe, run)
    assert read_state(run)["publish"]["facts"]["version"] == "1.0.0" and execute(recipe, run) == []
    wider = changed(recipe, configs=["positives", "problems", "negatives"])
    assert execute(wider, run)[-1] == "publish" and (tmp_path / "out/v1.1.0").is_dir()
    execute(wider | {"seed": 3}, run)  # the same rows under another recipe
    assert (tmp_path / "out/v1.1.1").is_dir() and not (tmp_path / "out/v1.2.0").exists()


def test_a_version_that_is_taken_stops_before_anything_runs(recipe: dict, tmp_path: Path) -> None:
    fixed, run = changed(recipe, version="1.0.0"), tmp_path / "run"
    execute(fixed, run)
    other = changed(fixed, max_positives_per_problem=1)
    before = read_state(run)
    with pytest.raises(UserError, match=r"nothing was run: .* has v1.0.0, made with other settings: "
                                        r"`release.max_positives_per_problem` \(4 before, 1 now\).*version: auto"):
        execute(other, run)
    assert read_state(run) == before
    loaded = Recipe.model_validate(other)
    assert "made with other settings" in plan.clash(loaded, run, plan.plan(loaded, run))
    assert execute(fixed, run) == [] and execute(changed(other, version="1.0.1"), run)[-1] == "publish"


def test_the_same_version_from_another_folder_is_no_clash(recipe: dict, tmp_path: Path) -> None:
    fixed = changed(recipe, version="1.0.0")
    execute(fixed, tmp_path / "run")
    assert "publish" in execute(fixed, tmp_path / "again") and len(list((tmp_path / "out").glob("v*"))) == 1


def test_commands_name_the_version_the_clash_and_the_other_owner(recipe: dict, tmp_path: Path) -> None:
    stepforge = partial(command, cwd=tmp_path)
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(changed(recipe, version="1.0.0", max_positives_per_problem=1)))
    first = stepforge("run", "a.yaml")
    assert first.returncode == 0 and "published   local:" in first.stdout and first.stdout.rstrip().endswith("v1.0.0")
    assert "warning" not in first.stderr + stepforge("plan", "a.yaml").stderr
    stderr = stepforge("plan", "b.yaml").stderr
    assert "warning: runs/own was made by" in stderr and "a.yaml, and b.yaml has the same `name`" in stderr
    assert "has v1.0.0, made with other settings" in stderr
    second = stepforge("run", "b.yaml")
    assert second.returncode == 2 and "nothing was run" in second.stderr and "was made by" in second.stderr
