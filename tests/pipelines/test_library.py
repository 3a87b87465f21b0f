"""What one imports: names that cost nothing until they are used, runs and releases as frames."""

import asyncio
import subprocess
import sys
import textwrap

import polars as pl
import pytest
from helpers.runs import SMALL

import stepforge
from stepforge.builders.errors import UserError


def script(text, cwd):
    (cwd / "script.py").write_text(textwrap.dedent(text))
    return subprocess.run([sys.executable, "script.py"], cwd=cwd, text=True, capture_output=True, check=False)


def test_every_name_is_there_and_typed_as_its_home():
    for name in stepforge.__all__:
        assert getattr(stepforge, name) is not None
    assert set(stepforge.HOMES) < set(dir(stepforge))
    with pytest.raises(AttributeError, match="verify"):
        stepforge.verifi  # noqa: B018


def test_importing_loads_nothing_of_ours(tmp_path):
    done = script("import sys, stepforge\nprint([n for n in sys.modules if n.startswith('stepforge.')], "
                  "[n for n in ('pyarrow', 'polars', 'rich', 'pydantic') if n in sys.modules])", tmp_path)
    assert done.stdout.strip() == "[] []", done.stdout + done.stderr


def test_tables_of_a_run_are_frames(small_run):
    run = stepforge.open_run(small_run)
    solutions = run.solutions.collect()
    assert len(solutions) == run.accounts["generate"]["rows_out"] == len(run.dataset("solutions"))
    correct = run.verdicts.filter(pl.col("verdict") == "correct").join(run.solutions, on="solution_id").collect()
    assert 0 < len(correct) < len(solutions) and correct["solution"].null_count() == 0
    assert "generate" in repr(run) and "<table>" in run._repr_html_()
    with pytest.raises(AttributeError, match="solutions"):
        run.solution  # noqa: B018


def test_release_is_frames_that_join(small_run):
    release = stepforge.open_release(small_run / "release")
    positives = release.frame("positives").collect()
    rows = release.configs["positives"]
    assert len(positives) == sum(rows.values()) and set(positives["split"]) <= set(rows)
    assert len(release.dataset("positives", "train")) == rows["train"]
    joined = release.join("positives", "problems").collect()
    assert len(joined) == len(positives) and joined["answer"].null_count() == 0
    with pytest.raises(UserError, match="positives"):
        release.frame("positive")
    with pytest.raises(UserError, match="train"):
        release.frame("positives", "dev")


def test_a_folder_of_versions_gives_the_newest_or_the_one_named(make_versions):
    where = make_versions("1.0.0", "1.1.0")
    assert stepforge.open_release(where).version == "1.1.0"
    assert stepforge.open_release(where, "v1.0.0").version == "1.0.0"
    with pytest.raises(UserError, match="1.1.0"):
        stepforge.open_release(where, "2.0.0")
    assert stepforge.open_release(where / "v1.0.0", "1.0.0").version == "1.0.0"
    with pytest.raises(UserError, match="1.0.0, not 1.1.0"):
        stepforge.open_release(where / "v1.0.0", "1.1.0")
    for missing in (where / "none", str(where / "none"), "runs/none/release"):
        with pytest.raises(UserError, match="no folder .*none"):
            stepforge.open_release(missing)


@pytest.fixture
def make_versions(small_run, tmp_path):
    def make(*versions):
        for version in versions:
            stepforge.publish(small_run / "release", f"local:{tmp_path / 'published'}", version, any_version=True)
        return tmp_path / "published"

    return make


def test_overrides_change_what_they_name_and_keep_the_rest(tmp_path):
    planned = stepforge.plan(SMALL, out=tmp_path, seed=3, annotate={"rollouts": 2})
    assert planned["stage"][0] == "problems" and planned["reason"].null_count() == 0
    with pytest.raises(UserError, match="rollout"):
        stepforge.plan(SMALL, out=tmp_path, annotate={"rollout": 2})


def test_a_script_needs_no_guard_even_with_two_workers(tmp_path):
    done = script("""
        import json, pathlib, stepforge
        print("began")
        lines = [{"problem": f"{n} + 1?", "answer": n + 1, "solution": f"The answer is {m}."}
                 for n in range(4) for m in (n, n + 1)]
        pathlib.Path("own.jsonl").write_text("\\n".join(map(json.dumps, lines)))
        files = {"paths": ["own.jsonl"]}
        run = stepforge.run({"name": "mine", "problems": [{"source": "files", **files}],
                             "generators": [{"name": "me", "engine": "recorded", **files}],
                             "deduplicate": {"near_problems": None},
                             "release": {"splits": {}, "configs": ["positives"]},
                             "executor": {"tasks": 2, "workers": 2}}, progress=False)
        print("rows", len(run.solutions.collect()))
    """, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["began", "rows 8"]


def test_handful_of_solutions_is_annotated_in_memory_in_a_notebook_too(tmp_path):
    problem = "Sam has 3 apples. He buys 4 apples. How many apples does he have?"
    right, wrong = "Buying gives 3 + 4 = 7.\nThe answer is 7.", "Buying gives 3 + 4 = 8.\nThe answer is 8."

    async def cell():  # of a notebook, which runs under an event loop
        return stepforge.annotate(problem, [right, wrong, ""], "7", rollouts=2, out=tmp_path)

    with pytest.warns(UserWarning, match=r"1 of 3 solutions are not annotated \(from 0\): 2 \(empty\)"):
        steps = asyncio.run(cell())
    assert list(stepforge.open_run(tmp_path / "annotated").accounts)[-1] == "annotate"  # and no release is built
    assert steps.filter(pl.col("verdict") == "correct")["step"].to_list() == stepforge.split_steps(right)
    assert "".join(steps.filter(pl.col("sample_index") == 1)["step"]) == wrong
    assert steps.filter(pl.col("verdict") == "incorrect")["q"].to_list()[-1] == 0.0
