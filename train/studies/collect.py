"""What the arms of a study train on: rows of a release that the product's own functions make of a model's samples.

In: a fine-tuned model and the problems that it was fine-tuned on. Out: rows of the release's configs. The model
samples and the verifier judges; `deduplicate`, `annotate` and `build` then run as in a recipe (their SQL, their
search, their rollouts), but the rollouts of all problems are sampled together. Every arm of one size and seed shares
the same samples and step values; the arms differ in the config that they train on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datatrove.data import Document

from stepforge.builders.configs import build_configs
from stepforge.builders.parquet import read_rows, write_rows
from stepforge.builders.sql import load_sql, open_duckdb, query_rows
from stepforge.builders.tables import TABLES, content_id, derive_seed
from stepforge.pipelines.answers import Claim
from stepforge.pipelines.credit.rollouts import Policy as Continuer
from stepforge.pipelines.inference.engines import generator_id
from stepforge.pipelines.inference.runner import Completion, Generate, Request
from stepforge.pipelines.options.generators import EmbeddedGenerator
from stepforge.pipelines.options.stages import Annotate
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages import annotate, build, deduplicate
from stepforge.pipelines.stages.annotate import choice
from stepforge.pipelines.stages.shares import Query
from stepforge.pipelines.stages.verify import reasoning_of
from stepforge.train.studies.sampling import Policy, Text
from stepforge.train.studies.world import Task

Row = dict[str, Any]
Answer = asyncio.Future[list[Completion]]
NAME, MEMORY = "policy", "2GiB"


@dataclass
class Collection:
    """The tables of one model on its problems, in `folder`; `samples` must come before `annotate` and `rows`."""

    folder: Path
    policy: Policy
    task: Task
    problems: list[Row]
    temperature: float
    seed: int

    def __post_init__(self) -> None:
        self.generator = EmbeddedGenerator(name=NAME, engine="embedded", model=str(self.policy.folder),
                                           temperature=self.temperature, max_tokens=self.policy.max_tokens)
        self.id = generator_id(self.generator)
        for name in build.INPUTS:
            self._write(name, [])

    def sample(self, samples: int) -> list[Row]:
        """Solutions with their verdicts, `samples` for each problem, in the order of the problems."""
        asked = [(row, index) for row in self.problems for index in range(samples)]
        texts = self.policy.complete([row["prompt"] for row, _ in asked], self.temperature,
                                     derive_seed(self.seed, "samples"))
        with self.task.verifier() as verifier:
            verdicts = list(verifier.verify_many(
                Claim(row["answer"], *text) for (row, _), text in zip(asked, texts, strict=True)))
        solutions = [
            {"solution_id": content_id(row["problem_id"], self.id, index, text.text), "problem_id": row["problem_id"],
             "generator": NAME, "generator_id": self.id, "sample_index": index, "solution": text.text,
             "finish_reason": finish_reason(text), "complete": text.complete}
            for (row, index), text in zip(asked, texts, strict=True)]
        judged = [{"solution_id": row["solution_id"], **verdict._asdict(),
                   **reasoning_of(row["solution"], verdict.verdict)}
                  for row, verdict in zip(solutions, verdicts, strict=True)]
        self._write("problems", [
            {"problem_id": row["problem_id"], "problem": row["prompt"].removesuffix("\n"), "answer": row["answer"],
             "source": self.task.name, "source_id": row["problem_id"], "split": "train",
             "group_id": row["problem_id"], "license": "Apache-2.0"} for row in self.problems])
        self._write("solutions", solutions)
        self._write("verdicts", judged)
        with open_duckdb(MEMORY, self.folder, self._tables("solutions", "verdicts")) as connection:
            connection.execute(load_sql(deduplicate.__package__, "samples"))
            rule = self._recipe().deduplicate.model_dump(include={"by", "keep"})
            deduplicate.find_duplicates(connection, rule, self._tables("duplicates")["duplicates"])
        return [row | verdict for row, verdict in zip(solutions, judged, strict=True)]

    def annotate(self, **options: Any) -> None:
        """Value the steps of solutions by rollouts of the model; `options` are those of the recipe's `annotate`."""
        chosen = self._recipe(options).annotate
        assert chosen is not None
        parameters = {"seed": str(self.seed), "policy": self.id, "positives": chosen.positives_per_problem,
                      "negatives": chosen.negatives_per_problem}
        problems = Query(load_sql(annotate.__name__, "annotate"), self._tables(*build.INPUTS), parameters)
        with open_duckdb(MEMORY, self.folder, problems.tables) as asked:
            numbers = choice.drawn(problems)
            choices = choice.choose(query_rows(asked, numbers.sql, numbers.parameters), pilot=0)
            taken = choice.chosen(problems, choices)
            rows = list(query_rows(asked, taken.sql, taken.parameters))
        with self.task.verifier() as verifier:
            made = asyncio.run(self._annotated(rows, chosen, verifier))
        for name in annotate.TABLES:
            self._write(name, [row for tables in made for row in tables[name]])

    async def _annotated(self, rows: list[Row], chosen: Annotate, verifier: Any) -> list[dict[str, list[Row]]]:
        continuer = Continuer(self.generator, self.id, self.seed, verifier, asyncio.Lock())

        def work(row: Row) -> Callable[[Generate], Awaitable[dict[str, list[Row]]]]:
            document = Document(text="", id=row["problem_id"], metadata=row)
            return lambda generate: annotate.annotate_problem(document, generate, policy=continuer, settings=chosen,
                                                              chain=None, no_model_fits=False)

        return await Together(self.policy, self.temperature, self.seed).run([work(row) for row in rows])

    def rows(self, config: str, **options: Any) -> list[Row]:
        """Rows of a config of the release; `options` are those of the recipe's `release`."""
        prompts = [{"generator": NAME, "problem_id": row["problem_id"], "prompt": row["prompt"], "split": "train"}
                   for row in self.problems]
        write_rows(self.folder / "prompts.parquet", prompts, build.PROMPTS)
        tails = self.folder / "tails.parquet"
        with open_duckdb(MEMORY, self.folder, self._tables("solutions", "verdicts")) as connection:
            write_rows(tails, build.tails(connection), build.TAILS)
        inputs = self._tables(*build.INPUTS) | {"prompts": self.folder / "prompts.parquet", "tails": tails}
        settings = build.options(self._recipe({}, options))
        build_configs([config], inputs, settings, self.folder / "configs", MEMORY)
        return list(read_rows(self.folder / "configs" / f"{config}.parquet"))

    def _recipe(self, annotate: Row | None = None, release: Row | None = None) -> Recipe:
        """The recipe whose run makes the same tables of the same samples."""
        steps = {"policy": NAME, "splitter": self.task.splitter, "search": "exhaustive",
                 "pilot": 0, **(annotate or {})}
        return Recipe.model_validate({
            "name": "study", "seed": self.seed, "problems": [{"source": self.task.name}],
            "generators": [self.generator], "annotate": steps, "release": release or {}})

    def table(self, name: str) -> list[Row]:
        return list(read_rows(self._tables(name)[name]))

    def _tables(self, *names: str) -> dict[str, Path]:
        return {name: self.folder / f"{name}.parquet" for name in names}

    def _write(self, name: str, rows: list[Row]) -> None:
        write_rows(self._tables(name)[name], rows, TABLES[name].schema)


class Together:
    """Answers the requests of many problems in few calls of the model: one whenever every problem waits for some."""

    def __init__(self, policy: Policy, temperature: float, seed: int) -> None:
        self.policy, self.temperature, self.seed = policy, temperature, seed
        self.asked: list[list[tuple[Request, Answer]]] = []
        self.working = self.calls = 0

    async def run(self, works: Sequence[Callable[[Generate], Awaitable[Any]]]) -> list[Any]:
        """What each of `works` returns, in their order; each is given its `generate`."""
        self.asked, self.working = [[] for _ in works], len(works)
        return list(await asyncio.gather(*(self._one(place, work) for place, work in enumerate(works))))

    async def _one(self, place: int, work: Callable[[Generate], Awaitable[Any]]) -> Any:
        async def generate(request: Request) -> list[Completion]:
            answer: Answer = asyncio.get_running_loop().create_future()
            self.asked[place].append((request, answer))
            if len(self.asked[place]) == 1:
                self._rests()
            return await answer

        try:
            return await work(generate)
        finally:
            self._rests()

    def _rests(self) -> None:
        """A problem waits or is done; the last of them has the model answer, after all that is being asked for."""
        self.working -= 1
        if not self.working and any(self.asked):
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        waiting = sorted((pair for pairs in self.asked for pair in pairs), key=lambda pair: pair[0].key)
        self.working = sum(map(bool, self.asked))
        for pairs in self.asked:
            pairs.clear()
        self.calls += 1
        texts = self.policy.complete([request.payload["prompt"] for request, _ in waiting], self.temperature,
                                     derive_seed(self.seed, "rollouts", self.calls))
        for (_, answer), text in zip(waiting, texts, strict=True):
            answer.set_result([Completion(text.text, finish_reason(text), 0, 0, 0)])


def finish_reason(text: Text) -> str:
    return "stop" if text.complete else "length"


def roll_out(
    policy: Policy, task: Task, prefixes: Sequence[tuple[Row, str]], rollouts: int, temperature: float, seed: int
) -> list[list[bool]]:
    """Of every (problem, prefix), for each of its continuations whether the two together are correct."""
    asked = [(row, prefix) for row, prefix in prefixes for _ in range(rollouts)]
    texts = policy.complete([row["prompt"] + prefix for row, prefix in asked], temperature, seed)
    whole = [Text(prefix + text.text, text.complete) for (_, prefix), text in zip(asked, texts, strict=True)]
    good = task.correct([row for row, _ in asked], whole)
    return [good[at:at + rollouts] for at in range(0, len(good), rollouts)]
