"""Chains of operations modulo a number, with a teacher who is always right and sometimes does two steps in one line.

In: a count, a seed, a split, and the dials; problem i is a pure function of those and i. Out: dicts in the columns of
the table `problems` (but for its id). Operations are worked from left to right. The teacher writes one line an
operation, but with probability `double` it does two operations in one line: right, and hard to follow for a model that
knows single operations only. The problems do not depend on `double`, and a larger `double` turns single lines into
double ones and none back.

    {"problem": "Work from left to right modulo 11: 3 + 7 * 2 - 5", "answer": "4",
     "reference_solution": "3 + 7 ≡ 10\\n10 * 2 - 5 ≡ 4\\n#### 4", "level": "3", ...}

Lines use `≡`, because `10 * 2 = 9` is false as an equation and right modulo 11.
"""

import random
import re
from collections.abc import Iterator

from stepforge.builders.errors import SourceError
from stepforge.builders.sources.arithmetic import SPLITS
from stepforge.builders.tables import content_id, derive_seed

VERSION = 1      # raised when any draw changes: it is part of every source_id
SIGNS = "+-*"
TRIES = 1000     # draws before a split is called empty: with few numbers and operations it may have no problem
LINE = re.compile(r"(\d+)((?: [-+*] \d+)+) ≡ (\d+)")


def generate(count: int, seed: int, split: str, operations: int = 3, modulus: int = 11, double: float = 0.6,
             offset: int = 0) -> Iterator[dict]:
    """Yields problems `offset` to `offset + count` of one endless, fixed sequence; no problem is in two splits.

    Raises SourceError for values that are not allowed.
    """
    if split not in SPLITS:
        raise SourceError(f"terse_teacher: split {split!r} is unknown; allowed: {', '.join(SPLITS)}")
    if count < 0 or offset < 0 or operations < 1 or modulus < 2 or not 0 <= double <= 1:
        raise SourceError(
            f"terse_teacher: count {count}, offset {offset}, operations {operations}, modulus {modulus}, double "
            f"{double}; allowed: count and offset >= 0, operations >= 1, modulus >= 2, double from 0 to 1")
    for index in range(offset, offset + count):
        yield _make(seed, split, operations, modulus, double, index)


def _make(seed: int, split: str, operations: int, modulus: int, double: float, index: int) -> dict:
    name = f"terse_teacher-{VERSION}:seed={seed}:split={split}:operations={operations}:modulus={modulus}"
    for attempt in range(TRIES):
        rng = random.Random(derive_seed(name, index, attempt))
        numbers = [rng.randrange(modulus) for _ in range(operations + 1)]
        signs = [rng.choice(SIGNS) for _ in range(operations)]
        chain = str(numbers[0]) + "".join(f" {s} {n}" for s, n in zip(signs, numbers[1:], strict=True))
        group_id = content_id("terse_teacher", chain, modulus)[:16]
        if int(group_id, 16) % 100 in SPLITS[split]:
            break
    else:
        raise SourceError(f"terse_teacher: operations {operations}, modulus {modulus}, and no such problem falls into "
                          f"{split}; allowed: larger numbers, so that there are more problems")
    solution = teach(numbers, signs, modulus, double, rng)
    return {"problem": f"Work from left to right modulo {modulus}: {chain}", "answer": solution.rsplit(" ", 1)[1],
            "reference_solution": solution, "source": "terse_teacher",
            "source_id": f"{name}:double={double}:index={index}", "subject": "modular arithmetic",
            "level": str(operations), "split": split, "group_id": group_id, "license": "Apache-2.0", "generator": None}


def teach(numbers: list[int], signs: list[str], modulus: int, double: float, rng: random.Random) -> str:
    """The teacher's solution: of each line, two operations with probability `double` where two are left."""
    lines, total, at = [], numbers[0], 0
    draws = [rng.random() for _ in signs]
    while at < len(signs):
        size = 2 if draws[at] < double and at + 2 <= len(signs) else 1
        left, work = total, ""
        for sign, number in zip(signs[at:at + size], numbers[at + 1:at + 1 + size], strict=True):
            total = operate(total, sign, number, modulus)
            work += f" {sign} {number}"
        lines.append(f"{left}{work} ≡ {total}")
        at += size
    return "\n".join([*lines, f"#### {total}"])


def operate(left: int, sign: str, right: int, modulus: int) -> int:
    return {"+": left + right, "-": left - right, "*": left * right}[sign] % modulus


def double_lines(solution: str) -> int:
    """How many lines of a solution do more than one operation."""
    return sum(len(match[2].split()) > 2 for match in LINE.finditer(solution))


def false_lines(solution: str, modulus: int = 11) -> int:
    """How many lines state a result that is wrong."""
    wrong = 0
    for match in LINE.finditer(solution):
        total, rest = int(match[1]), match[2].split()
        for sign, number in zip(rest[::2], rest[1::2], strict=True):
            total = operate(total, sign, int(number), modulus)
        wrong += total != int(match[3])
    return wrong
