"""Gold answers of problems: which of them are the same, and what a reference solution states.

In: rows of problems, one after another. Out: for each whether it is new, a duplicate, or in conflict with one before.
Two golds of one text are the same where a verifier says so (31 and 31.0). Where they differ, nobody can say which gold
is right, and none of the rows is used: a model reads the text alone, whatever the ids of the source tell apart.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from stepforge.builders.sources.mapping import normal
from stepforge.builders.sources.records import Drop
from stepforge.builders.tables import content_id
from stepforge.pipelines.answers import Claim, answer_key, extract_answer
from stepforge.pipelines.answers.extract import EXPLICIT
from stepforge.pipelines.answers.verifier import shared_verifier

SAME, WITH_GOLD = "the same problem as ", ", which has a gold answer"


STRICT = ("train", "validation", "test")     # a duplicate in a later one of these decides


class Known(NamedTuple):
    """A problem that came before: its id, its gold (null: none), where it stood, its split, and whether it was new."""

    problem_id: str
    answer: str | None
    where: str
    split: str
    kept: bool = True


class Golds:
    """Problems by their texts; memory grows with their number, by about 500 bytes each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Known, ...]] = {}
        self.refused: dict[str, Drop] = {}  # by problem_id: problems that were new, and may not stay
        self.splits: dict[str, str] = {}    # by problem_id: the stricter split of a duplicate

    def place(self, row: Mapping[str, Any]) -> Drop | None:
        """Why a row is dropped, or null for a new problem; what came before may be refused because of it."""
        this = Known(row["problem_id"], row["answer"], f"{row['source']}:{row['source_id']}", row["split"])
        key = content_id(normal(row["problem"]))
        earlier = self._known.get(key, ())
        rivals = []
        for other in earlier:
            if other.answer is None and this.answer is not None:
                self.refused[other.problem_id] = Drop(other.where, "duplicate", f"{SAME}{this.where}{WITH_GOLD}")
                self._share(this, self.splits.get(other.problem_id, other.split))
            elif this.answer is None or same_gold(str(other.answer), this.answer):
                self._share(other, this.split)
                return Drop(this.where, "duplicate", f"{SAME}{other.where}")
            else:
                rivals.append(other)
        self._known[key] = (*earlier, this._replace(kept=not rivals))
        for other in rivals:
            if other.kept:
                self.refused.setdefault(other.problem_id, _two_golds(other, this))
        return _two_golds(this, rivals[0]) if rivals else None


    def _share(self, kept: Known, split: str) -> None:
        """A problem that is for testing in one place is for testing in all."""
        own = self.splits.get(kept.problem_id, kept.split)
        if STRICT.index(split) > STRICT.index(own):
            self.splits[kept.problem_id] = split


def _two_golds(one: Known, other: Known) -> Drop:
    return Drop(one.where, "two_golds", f"its gold is {one.answer!r}, and that of {other.where}, of the same text, is "
                f"{other.answer!r}; take the wrong one out, or write what tells the two apart into the problem")


def original_of(detail: str) -> str | None:
    """The row that stayed, from the detail of a duplicate's drop; null for other details."""
    return detail.removeprefix(SAME).removesuffix(WITH_GOLD) if detail.startswith(SAME) else None


def same_gold(one: str, other: str) -> bool:
    """Whether two gold answers are one in other forms."""
    if one == other or answer_key(one) == answer_key(other):
        return True
    return shared_verifier().verify(Claim(one, f"\\boxed{{{other}}}")).verdict == "correct"


def with_stated_answer(row: dict | Drop, required: bool) -> dict | Drop:
    """The problem with the answer that its reference solution states."""
    if isinstance(row, Drop):
        return row
    stated = extract_answer(row["reference_solution"] or "")
    if stated.answer is not None and stated.how in EXPLICIT:
        return row | {"answer": stated.answer}
    return Drop(row["source_id"], "no_gold", "its reference solution states no answer") if required else row
