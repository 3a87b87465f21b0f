"""CONTRIBUTING.md, followed: one thing of each kind is added to a copy of the repository, and a run uses them all."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers.contributions import THINGS, apply

ROOT = Path(__file__).parents[1]
FOLDERS = ("builders", "pipelines", "cards", "train")
MOST = {"an engine": 4}
RECIPE = {
    "name": "sums", "problems": [{"source": "sums", "limit": 12}],
    "generators": [{"name": "abacus", "engine": "abacus", "prompt": "sums_1shot", "samples": 6, "max_tokens": 32}],
    "verify": {"verifier": "last_number"}, "deduplicate": {"near_problems": None},
    "annotate": {"policy": "abacus", "splitter": "semicolon", "pit": "last_success", "pit_fall": -1, "rollouts": 8},
    "release": {"configs": ["positives", "steps", "shortest"], "splits": {"test": 0}, "to": "local:releases/sums"},
    "executor": {"tasks": 1, "workers": 1},
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository with everything that `THINGS` adds, and the folder that Python finds it in."""
    root = tmp_path_factory.mktemp("copy")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("results"))
    for changes in THINGS.values():
        apply(changes, root)
    package = root / "src/stepforge"
    package.mkdir(parents=True)
    (package / "__init__.py").symlink_to(root / "pipelines/api/__init__.py")
    for folder in FOLDERS:
        (package / folder).symlink_to(root / folder)
    return root


def python(copy, program, *arguments):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), *arguments], cwd=copy, text=True,
                          capture_output=True, check=False, env=os.environ | {"PYTHONPATH": str(copy / "src")})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def facts(copy):
    program = """
        import json, sys
        import stepforge
        assert stepforge.__file__.startswith(sys.argv[2]), stepforge.__file__
        run = stepforge.run(json.loads(sys.argv[1]), progress=False)
        release = stepforge.open_release(run.folder / "release")
        frame = lambda rows: rows.collect().to_dicts()
        print(json.dumps({"solutions": frame(run.solutions), "verdicts": frame(run.verdicts),
                          "steps": frame(run.steps),
                          "lengths": frame(run.lengths), "problems": frame(run.problems),
                          "shortest": frame(release.frame("shortest")), "accounts": list(run.accounts)}))
    """
    return json.loads(python(copy, program, json.dumps(RECIPE), str(copy)).splitlines()[-1])


@pytest.mark.parametrize("thing", THINGS)
def test_recipe_names_the_few_files_that_it_touches(thing):
    """A test of the new thing comes on top."""
    changes = THINGS[thing]
    assert len(changes) <= MOST.get(thing, 3), list(changes)
    section = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"Add {thing}\n")]
    for name in changes:
        path = Path(name)
        new = not (ROOT / name).exists()
        stem = path.stem.partition("_")[0] + "_NAME" if path.stem.startswith("tiny_") else "NAME"
        shown = path.with_name(stem + path.suffix).as_posix() if new else name
        assert shown in text, f"`Add {thing}` does not name {shown}"
    assert "tests/" in text, f"`Add {thing}` names no test"


def test_source_engine_and_prompt_set_give_solutions(facts):
    assert len(facts["problems"]) == 12 and {row["source"] for row in facts["problems"]} == {"sums"}
    assert len(facts["solutions"]) == 72
    assert all(re.fullmatch(r" ?\d+ \+ \d+ = \d+; The answer is \d+\.", row["solution"]) for row in facts["solutions"])


def test_verifier_judges(facts):
    assert {row["method"] for row in facts["verdicts"]} == {"last_number"}
    assert {row["verdict"] for row in facts["verdicts"]} == {"correct", "incorrect"}


def test_splitter_and_pit_rule_make_steps(facts):
    assert facts["steps"] and {row["step_index"] for row in facts["steps"]} == {0, 1}
    assert all(row["step"].rstrip().endswith(";") for row in facts["steps"] if row["step_index"] == 0)
    pits = {row["step_index"] for row in facts["steps"] if row["is_pit"]}
    assert pits, "a wrong sum is repeated by every rollout, so its first step is the pit"


def test_stage_and_config_write_rows(facts):
    assert facts["accounts"].index("lengths") == facts["accounts"].index("generate") + 1
    length = {row["solution_id"]: row["characters"] for row in facts["lengths"]}
    assert length == {row["solution_id"]: len(row["solution"]) for row in facts["solutions"]}
    correct = {row["solution_id"] for row in facts["verdicts"] if row["verdict"] == "correct"}
    solved = {row["problem_id"] for row in facts["solutions"] if row["solution_id"] in correct}
    assert {row["problem_id"] for row in facts["shortest"]} == solved and len(facts["shortest"]) == len(solved) > 0


@pytest.mark.slow
def test_training_method_trains(copy, facts):
    program = """
        import sys
        from stepforge.pipelines.cli import main
        sys.argv = ["stepforge", "train", "brief", "--config", "tiny_brief", "--model", "tiny",
                    "--dataset", "releases/sums/v1.0.0", "--output_dir", "build/brief", "--use_cpu"]
        main()
    """
    python(copy, program)
    record = json.loads((copy / "build/brief/stepforge_training.json").read_text(encoding="utf-8"))
    assert (record["method"], record["steps"]) == ("brief", 1) and record["rows"] > 0
    assert "Fine-tuning on short solutions" in (copy / "build/brief/README.md").read_text(encoding="utf-8")
