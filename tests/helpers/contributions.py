"""What somebody adds who follows CONTRIBUTING.md: one thing of each kind, as the files that it touches.

A file is either new (its text) or changed (pairs of an old text that stands in it once, and the new one).
"""

from pathlib import Path

Change = str | list[tuple[str, str]]

SOURCE: dict[str, Change] = {
    "builders/sources/sums.py": '''"""Sums of two numbers."""

from collections.abc import Iterator

VERSION = 1


def generate(limit: int, split: str) -> Iterator[dict]:
    for index in range(limit):
        one, two = 2 + index, 3 * index + 1
        yield {"problem": f"How much is {one} + {two}?", "answer": str(one + two), "reference_solution": None,
               "source": "sums", "source_id": str(index), "subject": None, "level": None, "split": split,
               "group_id": f"sums-{index}", "license": "apache-2.0", "generator": None}
''',
    "pipelines/options/sources.py": [
        ("Source = Annotated[", '''class SumsSource(Options):
    source: Literal["sums"] = Field(description="Kind of the source.")
    limit: int = Field(20, ge=1, description="How many problems.")
    split: Split = Field("train", description="Split that the problems belong to.")


Source = Annotated[SumsSource | ''')],
    "pipelines/stages/problems/__init__.py": [
        ("from stepforge.builders.sources import ", "from stepforge.builders.sources import sums, "),
        ("    StarGraphSource,\n", "    StarGraphSource,\n    SumsSource,\n"),
        ("        case FilesSource():\n", '''        case SumsSource():
            rows = sums.generate(source.limit, source.split)
        case FilesSource():
'''),
        ("versions = [", "versions = [sums.VERSION, ")],
}

SPLITTER: dict[str, Change] = {
    "pipelines/credit/split.py": [
        ("SPLITTERS: dict", '''def semicolon(text: str) -> Iterator[int]:
    """One step per clause; the semicolon belongs to the clause that it ends."""
    return (m.end() for m in re.finditer(r";\\s*", text))


SPLITTERS: dict'''),
    ],
    "pipelines/options/base.py": [("Splitter = Literal[", 'Splitter = Literal["semicolon", ')],
}

PIT_RULE: dict[str, Change] = {
    "pipelines/credit/advantages.py": [
        ("def largest_drop(", '''def last_success(values: Sequence[StepValue]) -> int | None:
    """The step behind the last one after which a rollout succeeded; the first step where none did."""
    hopeful = [i for i, value in enumerate(values) if value.successes]
    at = hopeful[-1] + 1 if hopeful else 0
    return at if at < len(values) else None


def largest_drop(''')],
    "pipelines/credit/base.py": [
        ("    largest_drop,\n", "    largest_drop,\n    last_success,\n"),
        ("        return largest_drop(values)", '''        if self.settings.pit == "last_success":
            return last_success(values)
        return largest_drop(values)''')],
    "pipelines/options/base.py": [("PitRule = Literal[", 'PitRule = Literal["last_success", ')],
}

PROMPT_SET: dict[str, Change] = {
    "pipelines/inference/prompt_sets/sums_1shot.yaml": '''# One worked sum.
stop: ["\\n\\nSum:"]
template: |
  {% for shot in shots %}
  Sum: {{ shot.problem }}
  {{ shot.solution }}

  {% endfor %}
  Sum: {{ problem }}
shots:
  - {problem: "How much is 1 + 1?", solution: "1 + 1 = 2; The answer is 2.", answer: "2"}
''',
}

CONFIG: dict[str, Change] = {
    "builders/configs/shortest.py": '''"""The shortest correct solution of each problem."""

from stepforge.builders.configs.base import COMPLETION, PROBLEM, PROMPT, SOLUTION, Config

CONFIG = Config("shortest", 13, ("problem_id",), "the shortest correct solution of each problem; SFT on short texts",
                (PROBLEM, SOLUTION, PROMPT, COMPLETION), solutions={"solution_id": "correct"},
                texts=("prompt", "completion"), asked=True)
''',
    "builders/configs/shortest.sql": '''SELECT problem_id, solution_id, prompt, solution AS completion, split
FROM positive
QUALIFY row_number() OVER (PARTITION BY problem_id ORDER BY length(solution), solution_id) = 1
ORDER BY position
''',
}

STAGE: dict[str, Change] = {
    "pipelines/stages/lengths.py": '''"""Lengths: how long every solution is.

In: `solutions`. Out: `lengths`, one row for each solution.
"""

from typing import Any

from stepforge.builders.tables import LENGTHS
from stepforge.pipelines.recipe import Recipe
from stepforge.pipelines.stages.base import Account, Context, Stage

SQL = "SELECT solution_id, length(solution)::BIGINT AS characters FROM solutions ORDER BY solution_id"


def settings(recipe: Recipe) -> Any:
    return []


def run(context: Context) -> Account:
    tables = {"solutions": context.table("solutions")}
    rows = context.query_to_table(SQL, tables, context.table("lengths"), LENGTHS.schema)
    return Account.kept(rows)


STAGE = Stage("lengths", 1, ("generate",), settings, run, ("lengths",))
''',
    "pipelines/options/executor.py": [('"generate", "verify", ', '"generate", "lengths", "verify", ')],
    "builders/tables.py": [
        ("DROPS = make_table(", '''LENGTHS = make_table(
    "lengths", ("solution_id",),
    column("solution_id", TEXT, "The solution."),
    column("characters", INT, "Its length in characters."),
)

DROPS = make_table('''),
        ("_ALL = (PROBLEMS,", "_ALL = (LENGTHS, PROBLEMS,")],
}

ENGINE: dict[str, Change] = {
    "pipelines/options/generators.py": [
        ("Writer = EmbeddedGenerator", '''class AbacusGenerator(Sampler):
    engine: Literal["abacus"] = Field(description="Kind of the engine.")
    model: str = Field("abacus-1", description="The abacus, by name.")


Writer = AbacusGenerator | EmbeddedGenerator''')],
    "pipelines/inference/abacus.py": '''"""An engine that adds, and is wrong by one if the seed is odd."""

import asyncio
import re
from typing import Any

from datatrove.pipeline.inference.servers import InferenceServer


class AbacusServer(InferenceServer):
    async def start_server(self) -> None:
        """There is nothing to start."""

    async def is_ready(self) -> bool:
        return True

    async def monitor_health(self) -> None:
        await asyncio.Event().wait()

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        one, two = re.findall(r"How much is (\\d+) . (\\d+)", payload["prompt"])[-1]
        total = int(one) + int(two) + payload["seed"] % 2
        written = payload["prompt"].rpartition("?")[2].strip()
        text = "" if "answer" in written else f"The answer is {total}." if "=" in written else (
            f" {one} + {two} = {total}; The answer is {total}.")
        return {"choices": [{"text": text, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 9}}
''',
    "pipelines/inference/engines.py": [
        ("from stepforge.pipelines.inference.embedded import",
         "from stepforge.pipelines.inference.abacus import AbacusServer\n"
         "from stepforge.pipelines.inference.embedded import"),
        ("    BatchGenerator,\n    Emb", "    AbacusGenerator,\n    BatchGenerator,\n    Emb"),
        ("    if isinstance(generator, EmbeddedGenerator):\n        return EmbeddedServer",
         '''    if isinstance(generator, AbacusGenerator):
        return AbacusServer(config, rank)
    if isinstance(generator, EmbeddedGenerator):
        return EmbeddedServer'''),
        ("    template = template_text(generator.prompt, generator.model)\n",
         '''    template = template_text(generator.prompt, generator.model)
    if isinstance(generator, AbacusGenerator):
        return content_id("abacus", generator.model, template, sampling_of(generator))
'''),
        ("    if isinstance(generator, HostedModel):\n        return generator.revision",
         '''    if isinstance(generator, AbacusGenerator):
        return generator.model
    if isinstance(generator, HostedModel):
        return generator.revision''')],
}

VERIFIER: dict[str, Change] = {
    "pipelines/answers/last_number.py": '''"""A verifier that compares the last number of a solution with gold."""

import re
from collections.abc import Iterable, Iterator
from types import TracebackType

from stepforge.pipelines.answers.outcome import Claim, Verdict


class LastNumber:
    def __init__(self, workers: int = 1, timeout_s: float = 5.0, memory_mb: int = 1024) -> None:
        """It needs no workers: nothing in it can run away."""

    def verify_many(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        for claim in claims:
            stated = self.stated(claim.solution, claim.complete)
            if stated is None:
                yield Verdict(None, None, "undecided", "no_answer", "none")
            else:
                yield Verdict(*stated, "correct" if stated[1] == claim.gold else "incorrect", None, "last_number")

    def stated(self, solution: str, complete: bool | None) -> tuple[str, str] | None:
        numbers = re.findall(r"\\d+", solution)
        return (numbers[-1], numbers[-1]) if numbers else None

    def versions(self) -> dict[str, str]:
        return {"last_number": "1"}

    def close(self) -> None:
        pass

    def __enter__(self) -> "LastNumber":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        pass
''',
    "pipelines/answers/protocol.py": [
        ("from stepforge.pipelines.answers.outcome import Claim",
         "from stepforge.pipelines.answers.last_number import LastNumber\n"
         "from stepforge.pipelines.answers.outcome import Claim"),
        ('= {"math": Verifier', '= {"last_number": LastNumber, "math": Verifier')],
    "pipelines/options/stages.py": [('r"^(math|', 'r"^(math|last_number|')],
}

METHOD: dict[str, Change] = {
    "train/brief.py": '''"""Fine-tuning on short solutions: those of at most 60 characters.

    python -m stepforge.train.brief --config train/recipes/tiny_brief.yaml --dataset PATH --output_dir build/brief
"""

from typing import Any

from trl import SFTConfig, SFTTrainer

from stepforge.train.arguments import ReleaseArguments
from stepforge.train.script import start, user_errors
from stepforge.train.tokens import encode, labelled


def main(argv: list[str] | None = None) -> None:
    with user_errors("brief"):
        run = start("brief", argv, ReleaseArguments, SFTConfig, config="positives")

        def encode_row(row: dict[str, Any]) -> dict[str, Any]:
            return labelled(encode(run.tokenizer, row["prompt"], row["completion"], True))

        columns = {"prompt": "text", "completion": "text"}
        data = run.rows(columns, encode_row, lambda rows: rows.filter(lambda row: len(row["completion"]) <= 60))
        run.fit(run.trainer(SFTTrainer, *data))


if __name__ == "__main__":
    main()
''',
    "train/recipes/tiny_brief.yaml": "max_steps: 1\nmax_length: 512\nbf16: false\nreport_to: none\n",
    "pipelines/cli.py": [('METHODS = ("sft", ', 'METHODS = ("brief", "sft", ')],
}

THINGS = {"a source": SOURCE, "a splitter": SPLITTER, "a verifier": VERIFIER, "a prompt set": PROMPT_SET,
          "a pit rule": PIT_RULE, "a release config": CONFIG, "a stage": STAGE, "an engine": ENGINE,
          "a training method": METHOD}


def apply(changes: dict[str, Change], root: Path) -> None:
    """Make the changes in a copy of the repository; an old text that is not there once is an error."""
    for name, change in changes.items():
        path = root / name
        if isinstance(change, str):
            assert not path.exists(), f"{name} exists already"
            path.write_text(change, encoding="utf-8")
            continue
        text = path.read_text(encoding="utf-8")
        for old, new in change:
            assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
