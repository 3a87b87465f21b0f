"""Scores of a process reward model for every solution of a run: `stepforge score RUN --model PRM`.

In: the solutions of a run and a model such as `train prm` makes. Out: RUN/scores/ID with the tables `solution_scores`
and `step_scores`, where ID stands for the model's weights, the prompt and the splitter, so that several models' scores
lie beside each other. Prompt and steps are those of the run's `annotate`, so that a row joins with `steps` by
solution_id and step_index. Every score is written to a journal before the next one is computed: a command that was
stopped resumes, and later samples of the run are all that the next call scores. Memory holds about 200 bytes for each
solution.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.parquet import write_rows
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import SOLUTION_SCORES, STEP_SCORES, content_id
from stepforge.pipelines.credit import split as splitting
from stepforge.pipelines.inference.journal import Journal
from stepforge.pipelines.inference.models import model_revision
from stepforge.pipelines.inference.prompts import render, template_text
from stepforge.pipelines.inference.step_scores import OF_STEPS, score_steps
from stepforge.pipelines.options.generators import Generator
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.plan import locked
from stepforge.pipelines.progress import RankProgress
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.run_folder import Run, journal_path, read_run, scores_path, work_path
from stepforge.pipelines.stages.base import Tell

SOLUTIONS_SQL = """
SELECT solution_id, problem_id, problem, solution FROM solutions JOIN problems USING (problem_id)
ORDER BY problem_id, solution_id
"""
COUNT_SQL = "SELECT count(*)::BIGINT AS n FROM solutions"


class Scorer(NamedTuple):
    """A reward model with what it reads: the prompt of `writer`, and steps as `splitter` and `max_steps` cut them."""

    model: str
    revision: str
    writer: Generator
    splitter: str
    max_steps: int | None

    @property
    def scorer_id(self) -> str:
        """What the scores depend on, beside the solution."""
        template = template_text(self.writer.prompt, self.writer.model)
        return content_id("scorer", self.revision, template, self.splitter, self.max_steps, splitting.VERSION)[:16]

    def steps(self, solution: str) -> list[str]:
        return splitting.split(self.splitter, solution, max_steps=self.max_steps)


class Scored(NamedTuple):
    """Where the tables lie, the solutions in them, the texts that were scored now, the solutions without scores."""

    folder: Path
    solutions: int
    scored: int
    without: int


def score(folder: Path, model: str, revision: str | None, device: str, tell: Tell) -> Scored:
    """Score the solutions of a run that this model has not scored yet, and write the tables anew.

    Raises:
        UserError: there is no such run or model, the run has no solutions yet, or another process works in it.
    """
    run = read_run(folder)
    scorer = scorer_of(run.recipe, model, revision)
    place, work = scores_path(folder, scorer.scorer_id), work_path(folder, f"score-{scorer.scorer_id}")
    with locked(folder), closing(Journal(journal_path(folder, "scored", scorer.scorer_id))) as journal:
        with run.duckdb("solutions") as connection:
            count = next(query_rows(connection, COUNT_SQL))["n"]
        with tell(work, "score", count):
            scored = _fill(journal, run, scorer, revision, device, RankProgress(work, 0))
        total = write_rows(place / "solution_scores.parquet", _solution_rows(journal, run, scorer),
                           SOLUTION_SCORES.schema)
        write_rows(place / "step_scores.parquet", _step_rows(journal, run, scorer), STEP_SCORES.schema)
        without = sum(not scores for *_, scores in _scored(journal, run, scorer))
    return Scored(place, total, scored, without)


def scorer_of(recipe: Recipe, model: str, revision: str | None) -> Scorer:
    """The model with prompt and steps of the run's annotation; without one, of its first generator."""
    annotate = recipe.annotate
    writer = recipe.generator(annotate.policy) if annotate else recipe.generators[0]
    cutting = annotate or Annotate(policy=writer.name)
    return Scorer(model, model_revision(model, revision), writer, cutting.splitter, cutting.max_steps)


def _fill(journal: Journal, run: Run, scorer: Scorer, revision: str | None, device: str, progress: RankProgress
          ) -> int:
    """Score what the journal does not hold; returns how many texts that were."""
    scored = 0
    for row, prompt, key in _keyed(run, scorer):
        if key not in journal:
            steps = scorer.steps(row["solution"])
            scores = score_steps(scorer.model, revision, prompt, steps, device) if steps else []
            journal.append(key, row["problem_id"], {"scores": scores})
            scored += 1
        progress.count({"documents": 1})
    return scored


def _keyed(run: Run, scorer: Scorer) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every solution of the run with the prompt before it and its key in the journal."""
    with run.duckdb("solutions", "problems") as connection:
        for row in query_rows(connection, SOLUTIONS_SQL):
            prompt = render(scorer.writer.prompt, row["problem"], scorer.writer.model)
            yield row, prompt, content_id("score", prompt, row["solution"])


def _scored(journal: Journal, run: Run, scorer: Scorer) -> Iterator[tuple[dict[str, Any], list[float] | None]]:
    """Every solution of the run with its steps' scores: none of an empty solution, None of one that is too long."""
    for row, _, key in _keyed(run, scorer):
        record = journal.get(key)
        assert record is not None  # _fill has written it
        yield row, record["scores"]


def _solution_rows(journal: Journal, run: Run, scorer: Scorer) -> Iterator[dict[str, Any]]:
    for row, scores in _scored(journal, run, scorer):
        yield {"scorer_id": scorer.scorer_id, "solution_id": row["solution_id"], "problem_id": row["problem_id"],
               "model": scorer.model, "revision": scorer.revision, "steps": len(scorer.steps(row["solution"])),
               **{f"score_{name}": rule(scores) if scores else None for name, rule in OF_STEPS.items()},
               "reason": None if scores else "too_long" if scores is None else "no_steps"}


def _step_rows(journal: Journal, run: Run, scorer: Scorer) -> Iterator[dict[str, Any]]:
    for row, scores in _scored(journal, run, scorer):
        steps = scorer.steps(row["solution"])
        ends = [0, *accumulate(map(len, steps))]
        for index, value in enumerate(scores or ()):
            yield {"scorer_id": scorer.scorer_id, "solution_id": row["solution_id"], "step_index": index,
                   "start": ends[index], "end": ends[index + 1], "score": value}
