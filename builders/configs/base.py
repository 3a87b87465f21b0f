"""What is known of a release config: one record, which building, checking, comparing and the card read.

A config is a module of this package with a `CONFIG`, and the statement `NAME.sql` beside it that makes its rows out of
the views of `pool.sql`. Whoever needs to know something of a config reads its record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import pyarrow as pa

from stepforge.builders.parquet import Finish
from stepforge.builders.tables import BOOL, TEXT, column

if TYPE_CHECKING:
    import duckdb  # slow to import, and every command reads the records

Wanted = Literal["correct", "incorrect", "any"]
CHAT = "_chat"
A_PIT_WITHOUT_A_FALL = "a pit without a fall"  # what a recipe may ask for
MESSAGES = pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))


class RowTest(NamedTuple):
    """A statement that finds bad rows of a config as (config, id), over the views and columns that it needs."""

    says: str
    needs: tuple[str, ...]
    sql: str


class MadeOf(NamedTuple):
    """What a config is made of: a statement that counts it, over the columns of other configs that it needs.

    These are solutions, pairs of a negative by rule or mode, or problems. Each of them is a row, or is left out for a
    reason that the manifest counts. Rows out of rollouts are not among them.
    """

    needs: tuple[str, ...]
    sql: str


class Training(NamedTuple):
    """How a program takes a config: its title, the rows it keeps, and TRL's method with the columns that it reads.

    `keep` is a Python expression over `row`. Without a method the program ends with the rows.
    """

    title: str
    keep: str
    method: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """One config of a release.

    `rank` orders the configs of a card, and the first one there is what `load_dataset(repo)` gives. `key` identifies
    a row. `solutions` says of each column that names a solution which verdict it must have; in a config that `trains`
    none may be undecided. `texts` are the columns that a trainer reads as text: none is empty, and chosen and rejected
    differ; `turns` are those that a conversation has for messages, if not all. `chat` says which columns must not be
    false in rows whose texts are finished turns; without it there is no variant as messages. `sampled` configs show a
    row in the card. A config that is `asked` for is built only where the recipe names it. Without annotated solutions
    an `annotated` config has no rows. `whole` makes what finishes the rows of buckets, block by block in their order,
    where they need something of the whole run: its connection sees `weighed`, `candidates` and the config. `made_of`
    counts what becomes a row or is left out.
    """

    name: str
    rank: int
    key: tuple[str, ...]
    purpose: str
    fields: tuple[pa.Field, ...]
    solutions: Mapping[str, Wanted] = field(default_factory=dict)
    trains: bool = True
    texts: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()
    chat: tuple[str, ...] | None = None
    sampled: bool = False
    asked: bool = False
    annotated: bool = False
    training: Training | None = None
    tests: tuple[RowTest, ...] = ()
    whole: "Callable[[duckdb.DuckDBPyConnection], Finish] | None" = None
    made_of: MadeOf | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows; `split` becomes part of the file's name."""
        return pa.schema([*self.fields, column("split", TEXT, "Split of the release.")])

    @property
    def plain(self) -> str:
        """Name of the config that this one shows as messages, or its own."""
        return self.name.removesuffix(CHAT)

    @property
    def is_chat(self) -> bool:
        return self.name.endswith(CHAT)


def chat_variant(config: Config) -> Config:
    """The same rows as messages, for trainers that apply a chat template."""
    turns = config.turns or config.texts
    return Config(
        f"{config.name}{CHAT}", 100 + config.rank, config.key, f"`{config.name}` as messages; complete solutions only",
        tuple(_as_message(field) if field.name in turns else field for field in config.fields),
        config.solutions, config.trains, config.texts, asked=True, annotated=config.annotated, whole=config.whole,
        made_of=config.made_of)


def _as_message(text: pa.Field) -> pa.Field:
    who = "user" if text.name == "prompt" else "assistant"
    return column(text.name, MESSAGES, f"Message of the {who}: the plain text without its final line break.")


# Each negative gives two pairs: by two rules, or in two modes.
NEGATIVES = MadeOf(("negatives.origin",), "SELECT 2 * count(*) FROM negatives WHERE origin = 'sample'")
ANNOTATED = MadeOf(("steps.solution_id",), "SELECT count(DISTINCT solution_id) FROM steps")
TASKS = MadeOf(("problems.problem_id",), "SELECT count(*) FROM problems")


def solutions_with(verdicts: str) -> MadeOf:
    """The solutions with one of some verdicts, a list in SQL."""
    return MadeOf(("solutions.verdict",), f"SELECT count(*) FROM solutions WHERE verdict IN ({verdicts})")


def optional(name: str, kind: pa.DataType, doc: str) -> pa.Field:
    return column(name, kind, doc, nullable=True)


PROBLEM = column("problem_id", TEXT, "Id of the problem; joins with every other config.")
SOLUTION = column("solution_id", TEXT, "Id of the solution; joins with `solutions` and `steps`.")
GENERATOR = column("generator", TEXT, "Name of the generator.")
PROMPT = column("prompt", TEXT, "The problem in the generator's prompt; for recorded samples, in the recipe's.")
COMPLETION = column("completion", TEXT, "The solution; prompt and completion joined are one text.")
COMPLETE = optional("complete", BOOL, "Whether the model ended the solution itself, so that an end-of-text token "
                                      "follows; null if unknown and the solution states an answer.")
SOUNDNESS = column("soundness", TEXT, "Soundness of the reasoning: sound, unsound or unchecked.")
CHECKED_BY = optional("checked_by", TEXT, "Source of the soundness: equations, or the name of the judge.")
ORIGIN = column("origin", TEXT, "sample, or rollout for a verified continuation of another solution's prefix, which "
                              "is no independent sample; solution_id is then a rollout_id.")
CHOSEN_SOUNDNESS = column("chosen_soundness", TEXT, "Soundness of the reasoning of `chosen`: sound, unsound or "
                                                    "unchecked.")
CHOSEN_CHECKED_BY = optional("chosen_checked_by", TEXT, "Source of the soundness of `chosen`: equations, or the name "
                                                        "of the judge.")
CHOSEN_GENERATOR = column("chosen_generator", TEXT, "Name of the generator of `chosen`.")
REJECTED_GENERATOR = column("rejected_generator", TEXT, "Name of the generator of `rejected`.")
