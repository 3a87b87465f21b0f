"""Multi-step word problems of our own, made by rule.

In: a count, a seed, a split, the number of steps and the size of the operands; problem i is a pure function of those
and i. Out: dicts in the columns of the table `problems` (but for its id), each with an exact answer and a reference
solution of one equation a line. They exist so that the pipeline, its tests and its studies run on problems whose
difficulty is a dial, whose answers are certain, and whose test set cannot have leaked.

    {"problem": "Felix has 15 shells in a tin. He finds 3 tins of 6 shells each. Leo takes 9 of them. How many ...?",
     "reference_solution": "That is 3 * 6 = 18 in all.\\nThat makes 15 + 18 = 33.\\n...\\nThe answer is 24.",
     "answer": "24", "level": "3", "subject": "collection", "split": "train", "source": "arithmetic",
     "source_id": "arithmetic-1:seed=0:split=train:steps=3-6:max=50:index=7", "group_id": "5e1f...", ...}

A *group* is a wording: the text with names and numbers masked. Groups, not problems, are hashed into splits, so no
wording of the test split is ever trained on, and `variant` (the same wording, new numbers) stays in its group.
"""

import hashlib
import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.stories import ENDINGS, LINES, NAMES, THEMES

VERSION = 1  # raise when any draw or any wording changes: it is part of every source_id
SPLITS = {"train": range(0, 80), "validation": range(80, 90), "test": range(90, 100)}  # hundredths of all groups
COST = {"gain_packs": 2, "loss_packs": 2, "more_together": 2, "times_together": 2}  # equations an event needs, else 1
MAX_STEPS = 10
SOURCE_ID = re.compile(
    r"arithmetic-(\d+):seed=(-?\d+):split=(\w+):steps=(\d+)-(\d+):max=(\d+):index=(\d+)(?::variant=(-?\d+))?"
)


class Equation(NamedTuple):
    """One step: what kind of line it is worded by, and `left operator right = result`."""

    kind: str
    left: int
    operator: str
    right: int
    result: int

    def exact(self) -> bool:
        return self.operator != "/" or self.left == self.right * self.result


@dataclass(frozen=True)
class Story:
    """A problem before it has numbers: who, what, and the events as (kind, sentence with {a} and {b} open)."""

    theme: str
    words: dict[str, str]
    opening: str
    events: tuple[tuple[str, str], ...]
    question: str

    def text(self, numbers: list[dict[str, str]], words: dict[str, str]) -> str:
        """The problem's text; `numbers` holds the opening's numbers, then one dict for each event."""
        sentences = [self.opening, *(sentence for _, sentence in self.events)]
        lines = [sentence.format(**words, **filled) for sentence, filled in zip(sentences, numbers, strict=True)]
        return " ".join([*lines, self.question.format(**words)])

    def group_id(self) -> str:
        """Hash of the wording with names and numbers masked, and of the kinds of its events."""
        masked_words = dict.fromkeys(self.words, "@") | {"items": self.words["items"]}
        masked = self.text([{"a": "#", "b": "#"}] * (1 + len(self.events)), masked_words)
        kinds = ",".join(kind for kind, _ in self.events)
        return hashlib.sha256(f"{kinds}|{masked}".encode()).hexdigest()[:16]

    def in_split(self, split: str) -> bool:
        return int(self.group_id(), 16) % 100 in SPLITS[split]


def generate(
    count: int,
    seed: int,
    split: str,
    steps: tuple[int, int] = (3, 6),
    max_operand: int = 50,
    offset: int = 0,
) -> Iterator[dict]:
    """Yields problems `offset` to `offset + count` of one endless, fixed sequence.

    `steps` is the least and the greatest number of equations; `max_operand` bounds the numbers of the text (products
    and totals stay below ten times as much, multipliers below 10). Raises SourceError for values that are not allowed.
    """
    _check(count, split, steps, max_operand, offset)
    for index in range(offset, offset + count):
        yield _make(seed, split, steps, max_operand, index)


def remake(source_id: str) -> dict:
    """The problem of a `source_id`, as it was first made; SourceError for an id that this source did not make."""
    seed, split, steps, max_operand, index, variant_seed = _parse(source_id)
    return _make(seed, split, steps, max_operand, index, variant_seed)


def variant(source_id: str, seed: int) -> dict:
    """The same wording with new numbers drawn from `seed`: same group, split and level, mostly another answer."""
    base_seed, split, steps, max_operand, index, _ = _parse(source_id)
    return _make(base_seed, split, steps, max_operand, index, seed)


def _make(
    seed: int, split: str, steps: tuple[int, int], max_operand: int, index: int, variant_seed: int | None = None
) -> dict:
    dials = f"seed={seed}:split={split}:steps={steps[0]}-{steps[1]}:max={max_operand}"
    source_id = f"arithmetic-{VERSION}:{dials}:index={index}"
    for attempt in itertools.count():  # most wordings belong to another split, a few admit no numbers: draw again
        rng = _rng(source_id, attempt)
        level = rng.randint(*steps)
        story = _story(rng, level)
        drawn = _numbers(rng, story, max_operand) if story.in_split(split) else None
        if drawn:
            break
    if variant_seed is not None:
        source_id += f":variant={variant_seed}"
        rng, drawn = _rng(source_id), None
    while drawn is None:
        drawn = _numbers(rng, story, max_operand)  # the problem that this varies shows that some exist
    numbers, equations = drawn
    answer = equations[-1].result
    return {
        "problem": story.text([{key: str(n) for key, n in filled.items()} for filled in numbers], story.words),
        "answer": str(answer),
        "reference_solution": "\n".join([*_lines(rng, equations), f"The answer is {answer}."]),
        "source": "arithmetic",
        "source_id": source_id,
        "subject": story.theme,
        "level": str(level),
        "split": split,
        "group_id": story.group_id(),
        "license": "Apache-2.0",
        "generator": None,
    }


def _story(rng: random.Random, level: int) -> Story:
    """A story of exactly `level` equations: distinct events of one theme, then, mostly, an ending of its own kind."""
    theme = rng.choice(sorted(THEMES))
    parts = THEMES[theme]
    (name, she, her), (friend, *_) = rng.sample(NAMES, 2)
    words = {"name": name, "friend": friend, "she": she, "her": her, "She": she.title(), "Her": her.title()}
    words["items"] = rng.choice(parts["items"])
    ending = rng.choice([end for end in ENDINGS if COST.get(end[0], 1) <= level and theme not in end[3]])
    left = level - (COST.get(ending[0], 1) if ending[0] else 0)
    pool = [(kind, sentence) for kind in parts if kind not in ("items", "open", "ask") for sentence in parts[kind]]
    events: list[tuple[str, str]] = []
    for kind, sentence in rng.sample(pool, len(pool)):
        if COST.get(kind, 1) <= left:
            events.append((kind, sentence))
            left -= COST.get(kind, 1)
    if ending[0]:
        events.append((ending[0], ending[1]))
    return Story(theme, words, rng.choice(parts["open"]), tuple(events), ending[2] or rng.choice(parts["ask"]))


def _numbers(
    rng: random.Random, story: Story, max_operand: int
) -> tuple[list[dict[str, int]], list[Equation]] | None:
    """Numbers for each sentence and the equations; None if no draw of 200 keeps all quantities whole and in bounds."""
    for _ in range(200):
        total = rng.randint(max(4, max_operand // 5), max_operand)
        numbers, equations = [{"a": total}], list[Equation]()
        for kind, _ in story.events:
            drawn = {"a": rng.randint(2, max_operand), "b": rng.randint(2, min(12, max_operand))}
            if kind not in ("gain", "loss", "more_together", "goal"):
                drawn["a"] = rng.randint(2, 9)
            if kind == "goal":
                drawn["a"] += total
            numbers.append(drawn)
            equations += _equations(kind, total, drawn["a"], drawn["b"])
            total = equations[-1].result
            if not all(2 <= e.result <= 10 * max_operand and e.exact() for e in equations):
                break
        else:
            return numbers, equations
    return None


def _equations(kind: str, total: int, a: int, b: int) -> list[Equation]:
    """What one event does to the running total."""
    match kind:
        case "gain" | "loss":
            return [_equation(kind, total, "+" if kind == "gain" else "-", a)]
        case "gain_packs" | "loss_packs":
            return [_equation("packs", a, "*", b), *_equations(kind.removesuffix("_packs"), total, a * b, 0)]
        case "times" | "price":
            return [_equation(kind, total, "*", a)]
        case "share" | "half":
            return [_equation(kind, total, "/", a if kind == "share" else 2)]
        case "goal":
            return [_equation(kind, a, "-", total)]
        case "more_together" | "times_together":
            friend = _equation("friend", total, "+" if kind == "more_together" else "*", a)
            return [friend, _equation("together", total, "+", friend.result)]
    raise AssertionError(f"stories.py has an event of unknown kind {kind!r}")


def _equation(kind: str, left: int, operator: str, right: int) -> Equation:
    result = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[operator]
    return Equation(kind, left, operator, right, result)


def _lines(rng: random.Random, equations: list[Equation]) -> Iterator[str]:
    """One line an equation, worded by its kind; sums and products are turned round one time in four."""
    for kind, left, operator, right, result in equations:
        if operator in "+*" and rng.random() < 0.25:
            left, right = right, left
        yield rng.choice(LINES[kind]).format(e=f"{left} {operator} {right} = {result}")


def _rng(*key: object) -> random.Random:
    return random.Random(hashlib.sha256("|".join(map(str, key)).encode()).digest())


def _parse(source_id: str) -> tuple[int, str, tuple[int, int], int, int, int | None]:
    match = SOURCE_ID.fullmatch(source_id)
    if not match or int(match[1]) != VERSION:
        raise SourceError(
            f"source_id {source_id!r} was not made by version {VERSION} of the arithmetic source; "
            f"allowed is arithmetic-{VERSION}:seed=S:split=NAME:steps=A-B:max=M:index=I; take it from a problem's row"
        )
    seed, low, high, max_operand, index = (int(match[g]) for g in (2, 4, 5, 6, 7))
    _check(0, match[3], (low, high), max_operand, index)
    return seed, match[3], (low, high), max_operand, index, None if match[8] is None else int(match[8])


def _check(count: int, split: str, steps: tuple[int, int], max_operand: int, offset: int) -> None:
    if split not in SPLITS:
        raise SourceError(f"arithmetic: split is {split!r}; allowed are {', '.join(SPLITS)}")
    if not 1 <= steps[0] <= steps[1] <= MAX_STEPS:
        raise SourceError(f"arithmetic: steps is {tuple(steps)}; allowed is (least, greatest) within 1 to {MAX_STEPS}")
    if not 5 <= max_operand <= 100_000:
        raise SourceError(f"arithmetic: max_operand is {max_operand}; allowed is 5 to 100000")
    if count < 0 or offset < 0:
        raise SourceError(f"arithmetic: count is {count} and offset is {offset}; neither may be negative")
