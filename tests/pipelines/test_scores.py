"""A reward model's scores of a run's solutions: of all of them, once, and of the steps that the run annotates."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.runs import SMALL, execute, rows
from typer.testing import CliRunner

from stepforge.builders.errors import UserError
from stepforge.builders.opinion_tables import SOLUTION_SCORES, STEP_SCORES
from stepforge.builders.parquet import read_rows
from stepforge.pipelines import plan, scores
from stepforge.pipelines.cli import app
from stepforge.pipelines.inference.models import SHIPPED, folder_revision
from stepforge.pipelines.recipe import Recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny model's body with a random head of two classes."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("prm")
    torch.manual_seed(0)
    transformers.AutoModelForTokenClassification.from_pretrained(SHIPPED, num_labels=2).save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(SHIPPED).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_run, tmp_path / "small")


def score(run: Path, model: str) -> scores.Scored:
    return scores.score(run, model, None, "cpu", plan.silent)


def written(done: scores.Scored) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    solutions, steps = (list(read_rows(done.folder / f"{name}_scores.parquet")) for name in ("solution", "step"))
    return solutions, steps


def test_every_solution_and_step_has_the_models_scores(run: Path, model: str) -> None:
    done = score(run, model)
    solutions, steps = written(done)
    texts = {row["solution_id"]: row for row in rows(run, "solutions")}
    problems = {row["problem_id"]: row["problem"] for row in rows(run, "problems")}
    assert [row["solution_id"] for row in solutions] == [
        row["solution_id"] for row in sorted(texts.values(), key=lambda row: (row["problem_id"], row["solution_id"]))]
    different = {(row["problem_id"], row["solution"]) for row in texts.values()}
    assert done == (done.folder, 72, len(different), 0)
    assert {(row["model"], row["revision"]) for row in solutions} == {(model, folder_revision(model))}
    assert set(solutions[0]) == set(SOLUTION_SCORES.schema.names)
    for row in solutions[::9]:
        text, own = texts[row["solution_id"]]["solution"], [s for s in steps if s["solution_id"] == row["solution_id"]]
        assert "".join(text[step["start"]:step["end"]] for step in own) == text and row["steps"] == len(own)
        prompt = problems[row["problem_id"]] + "\n"
        expected = scores.score_steps(model, None, prompt, [text[step["start"]:step["end"]] for step in own])
        assert [step["score"] for step in own] == pytest.approx(expected)
        assert (row["score_min"], row["score_last"]) == (min(expected), expected[-1]) and row["reason"] is None
        assert 0 < row["score_product"] <= row["score_min"]
    cut = {(row["solution_id"], row["step_index"]): (row["start"], row["end"]) for row in rows(run, "steps")}
    again = {(row["solution_id"], row["step_index"]): (row["start"], row["end"]) for row in steps}
    assert cut and cut.items() <= again.items(), "annotated steps are the scored ones"
    assert set(steps[0]) == set(STEP_SCORES.schema.names)


def test_a_stopped_command_resumes_and_new_samples_alone_are_scored(
    run: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = scores.score_steps

    def counted(name: str, revision: str | None, prompt: str, steps: Sequence[str], device: str) -> Any:
        if len(asked) == 20:
            raise KeyboardInterrupt
        asked.append(prompt + "".join(steps))
        return real(name, revision, prompt, steps, device)

    monkeypatch.setattr(scores, "score_steps", counted)
    with pytest.raises(KeyboardInterrupt):
        score(run, model)
    assert not list(run.glob("scores/*/*.parquet")), "no table is half of one"
    first = list(asked)
    asked.clear()

    def noted(*given: Any) -> Any:
        asked.append(given[2] + "".join(given[3]))
        return real(*given)

    monkeypatch.setattr(scores, "score_steps", noted)
    done = score(run, model)
    assert not set(first) & set(asked) and len(set(asked)) == len(asked) == done.scored > 20 and done.solutions == 72
    before = written(done)
    assert score(run, model)[1:] == (72, 0, 0) and written(done) == before
    asked.clear()
    monkeypatch.setattr(plan, "STAGES", plan.STAGES[:4])
    more = SMALL | {"generators": [SMALL["generators"][0] | {"samples": 7}]}
    execute(more, run)
    grown = score(run, model)
    assert (grown.folder, grown.solutions, grown.scored) == (done.folder, 84, len(asked))
    assert 0 < len(asked) <= 12 and {row["solution_id"] for row in before[0]} < {
        row["solution_id"] for row in written(grown)[0]}


def test_a_prompt_is_rendered_once_per_problem_and_a_solution_read_once(
    run: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, texts = [], []
    render, steps = scores.render, scores.Scorer.steps
    monkeypatch.setattr(scores, "render", lambda *given: prompts.append(given[1]) or render(*given))
    monkeypatch.setattr(scores.Scorer, "steps", lambda self, text: texts.append(text) or steps(self, text))
    monkeypatch.setattr(scores, "BATCH_ROWS", 5)
    monkeypatch.setattr(scores, "score_steps", lambda *given: [0.5] * len(given[3]))
    solutions, _ = written(score(run, model))
    assert sorted(prompts) == sorted(row["problem"] for row in rows(run, "problems"))
    assert len(texts) == 72 == len({row["solution_id"] for row in solutions})


def test_another_model_prompt_or_splitter_has_scores_of_its_own(model: str, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / "note.json").write_text("{}")
    plain = Recipe.model_validate(SMALL)

    def changed(**options: Any) -> Recipe:
        return Recipe.model_validate(SMALL | {"judge": None, "annotate": SMALL["annotate"] | options})

    prompted = SMALL | {"generators": [SMALL["generators"][0] | {"prompt": "Q: {{ problem }}\n"}]}
    ids = {scores.scorer_of(recipe, name, None).scorer_id for recipe, name in (
        (plain, model), (plain, str(other)), (changed(splitter="sentence"), model), (changed(max_steps=2), model),
        (Recipe.model_validate(prompted), model))}
    assert len(ids) == 5
    moved = shutil.copytree(model, tmp_path / "moved")
    assert scores.scorer_of(plain, str(moved), None).scorer_id in ids, "weights count, not where they lie"
    assert scores.scorer_of(changed(max_steps=3), model, None).steps("aa\nbb\ncc\ndd") == ["aa\nbb\n", "cc\ndd"]
    assert scores.scorer_of(Recipe.model_validate(SMALL | {"annotate": None}), model, None).scorer_id in ids


def test_what_has_no_scores_says_why(run: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "score_steps", lambda *_: None)
    monkeypatch.setattr(scores.Scorer, "steps", lambda self, text: [] if "4" in text else [text])
    done = score(run, model)
    solutions, steps = written(done)
    assert {row["reason"] for row in solutions} == {"too_long", "no_steps"} and steps == [] and done.without == 72
    assert {row["score_min"] for row in solutions} == {None} == {row["score_product"] for row in solutions}


def test_mistakes_are_told_before_anything_is_scored(run: Path, model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a run"):
        score(tmp_path, model)
    with pytest.raises(UserError, match="allowed is `tiny` or a folder with a model"):
        score(run, str(tmp_path))
    with plan.locked(run), pytest.raises(UserError, match="another process runs"):
        score(run, model)


def test_from_the_command_line(run: Path, model: str) -> None:
    done = CliRunner().invoke(app, ["score", str(run), "--model", model])
    assert done.exit_code == 0, done.output
    assert "72 solutions, " in done.output and " 0 without scores" in done.output and "step_scores" in done.output
    again = CliRunner().invoke(app, ["score", str(run), "--model", model])
    assert "72 solutions, 0 texts scored now" in again.output
