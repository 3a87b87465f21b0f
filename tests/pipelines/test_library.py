"""What one imports: names that cost nothing until they are used, runs and releases as frames."""

import asyncio
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
import yaml
from helpers.runs import SMALL

import stepforge
from stepforge.builders.errors import UserError
from stepforge.pipelines import plan as planning
from stepforge.pipelines.recipe import make_recipe
from stepforge.pipelines.views import show


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
    assert run.drops.collect().is_empty()
    with pytest.raises(UserError, match="there is no such folder; give the folder of a run"):
        show.annotated_table(small_run / "nosuch")


def test_drops_of_all_stages_are_one_frame(tmp_path):
    lines = [{"problem": "1 + 1?", "answer": "2", "solution": "The answer is 2."}, {"problem": "", "answer": "3"}]
    options = {"name": "own", "deduplicate": {"near_problems": None}, "executor": {"tasks": 1, "workers": 1}}
    pl.DataFrame(lines).write_parquet(tmp_path / "p.parquet")
    pl.DataFrame(lines).write_ndjson(tmp_path / "s.jsonl")
    recipe = make_recipe(options | {
        "problems": [{"source": "files", "paths": [str(tmp_path / "p.parquet")]}],
        "generators": [{"name": "me", "engine": "recorded", "paths": [str(tmp_path / "s.jsonl")]}]})
    planning.run(recipe, tmp_path / "own", planning.silent, lambda planned, account: None, last="generate")
    drops = stepforge.open_run(tmp_path / "own").drops.select("stage", "row_id").collect()
    assert drops.rows() == [("generate", "s.jsonl:2:0"), ("problems", "p.parquet:1")]


def test_other_options_under_the_name_of_a_run_are_warned_of(tmp_path, capsys, monkeypatch):
    """As the command line warns of another recipe file; not of the same options again."""
    monkeypatch.setattr(planning, "STAGES", ())  # nothing runs
    for name in ("small", "another"):
        (tmp_path / name).mkdir()
        planning.write_state(tmp_path / name, {})
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))

    def warned(recipe, **overrides):
        stepforge.run(recipe, out=tmp_path, progress=False, **overrides)
        return "has the same `name`" in capsys.readouterr().err

    assert not warned(file) and not warned(file) and not warned(SMALL)
    assert not warned(file) and warned(file, seed=1) and not warned(file, seed=1) and not warned(SMALL, seed=2)
    assert not warned(file, seed=3, name="another")
    assert warned(file)


def test_rollouts_join_steps_by_their_prefix_as_the_documents_say(small_run):
    text = (Path(__file__).parents[2] / "cards/docs/concepts.md").read_text(encoding="utf-8")
    (sql,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    run = stepforge.open_run(small_run)
    with run.duckdb("steps", "rollouts") as connection:
        found = connection.sql(f"SELECT solution_id, step_index, count(*) FILTER (verdict = 'correct') AS successes "
                               f"FROM ({sql}) GROUP BY ALL").pl()
    known = run.steps.filter(pl.col("rollouts") > 0).select("solution_id", "step_index", "successes").collect()
    assert known.height > run.rollouts.select("solution_id", "step_index").unique().collect().height  # some share
    order = ["solution_id", "step_index"]
    assert found.sort(order).rows() == known.sort(order).rows()


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
