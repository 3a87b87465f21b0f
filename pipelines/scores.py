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
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from stepforge.builders.opinion_tables import SOLUTION_SCORES, STEP_SCORES
from stepforge.builders.parquet import BATCH_ROWS, batched, table_writer
from stepforge.builders.sql import query_rows
from stepforge.builders.tables import content_id
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


class Reading(NamedTuple):
    """A solution in steps and their scores: none of an empty solution, null of one too long for the model."""

    solution_id: str
    problem_id: str
    steps: list[str]
    scores: list[float] | None


def score(folder: Path, model: str, revision: str | None, device: str, tell: Tell) -> Scored:
    """Score the solutions of a run that this model has not scored yet, and write the tables anew.

    Raises:
        UserError: there is no such run or model, the run has no solutions yet, or another process works in it.
    """
    run = read_run(folder)
    scorer = scorer_of(run.recipe, model, revision)
    place, work = scores_path(folder, scorer.scorer_id), work_path(folder, f"score-{scorer.scorer_id}")
    total = without = 0
    with locked(folder), closing(Journal(journal_path(folder, "scored", scorer.scorer_id))) as journal:
        known = len(journal)
        with run.duckdb("solutions") as connection:
            count = next(query_rows(connection, COUNT_SQL))["n"]
        readings = _readings(journal, run, scorer, revision, device, RankProgress(work, 0))
        with (tell(work, "score", count),
              table_writer(place / "solution_scores.parquet", SOLUTION_SCORES.schema) as write_solutions,
              table_writer(place / "step_scores.parquet", STEP_SCORES.schema) as write_steps):
            for batch in batched(readings, BATCH_ROWS):
                write_solutions([_solution_row(scorer, row) for row in batch])
                write_steps([step for row in batch for step in _step_rows(scorer, row)])
                total += len(batch)
                without += sum(not row.scores for row in batch)
        return Scored(place, total, len(journal) - known, without)


def scorer_of(recipe: Recipe, model: str, revision: str | None) -> Scorer:
    """The model with prompt and steps of the run's annotation; without one, of its first generator."""
    annotate = recipe.annotate
    writer = recipe.generator(annotate.policy) if annotate else recipe.generators[0]
    cutting = annotate or Annotate(policy=writer.name)
    return Scorer(model, model_revision(model, revision), writer, cutting.splitter, cutting.max_steps)


def _readings(journal: Journal, run: Run, scorer: Scorer, revision: str | None, device: str, progress: RankProgress
              ) -> Iterator[Reading]:
    """Every solution of the run. What the journal does not hold is scored now and written to it."""
    with run.duckdb("solutions", "problems") as connection:
        rows = query_rows(connection, SOLUTIONS_SQL)
        for (problem_id, problem), solutions in groupby(rows, itemgetter("problem_id", "problem")):
            prompt = render(scorer.writer.prompt, problem, scorer.writer.model)
            for row in solutions:
                steps, key = scorer.steps(row["solution"]), content_id("score", prompt, row["solution"])
                if key not in journal:
                    scores = score_steps(scorer.model, revision, prompt, steps, device) if steps else []
                    journal.append(key, problem_id, {"scores": scores})
                record = journal.get(key)
                assert record is not None
                yield Reading(row["solution_id"], problem_id, steps, record["scores"])
                progress.count({"documents": 1})


def _solution_row(scorer: Scorer, row: Reading) -> dict[str, Any]:
    return {"scorer_id": scorer.scorer_id, "solution_id": row.solution_id, "problem_id": row.problem_id,
            "model": scorer.model, "revision": scorer.revision, "steps": len(row.steps),
            **{f"score_{name}": rule(row.scores) if row.scores else None for name, rule in OF_STEPS.items()},
            "reason": None if row.scores else "too_long" if row.scores is None else "no_steps"}


def _step_rows(scorer: Scorer, row: Reading) -> Iterator[dict[str, Any]]:
    ends = [0, *accumulate(map(len, row.steps))]
    for index, score in enumerate(row.scores or ()):
        yield {"scorer_id": scorer.scorer_id, "solution_id": row.solution_id, "step_index": index,
               "start": ends[index], "end": ends[index + 1], "score": score}
