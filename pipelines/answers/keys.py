"""Canonical keys of answers, for votes: an answer goes in, a string that all its spellings share comes out.

`0.5`, `1/2` and `\\frac{1}{2}` count as one. A key depends on the answer alone, never on the reference.
"""

import hashlib
from functools import lru_cache

from stepforge.pipelines.answers.algebra import algebraic_key
from stepforge.pipelines.answers.equivalence import as_word, assignment_value, within_bounds
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.quantity import quantity
from stepforge.pipelines.answers.structure import structure

MAX_KEY = 200          # longer keys are replaced by a hash


def answer_key(answer: str) -> str:
    """The key of an answer as written: an exact fraction for numbers, a spelling without spaces for the rest."""
    if len(answer) > MAX_KEY * 5:
        return _hashed(answer)
    return _key(answer)


@lru_cache(maxsize=16384)
def _key(answer: str) -> str:
    key = _spelling(canonical(answer))
    return key if len(key) <= MAX_KEY else _hashed(key)


def _spelling(text: str) -> str:
    text = assignment_value(text)
    if (parts := structure(text)) is not None and parts.parts:
        keys = [_spelling(part) for part in parts.parts]
        if parts.kind in ("list", "set", "union"):
            return "{" + ",".join(sorted(keys)) + "}"
        brackets = parts.shape if parts.kind == "tuple" else "()"
        return brackets[0] + ",".join(keys) + brackets[1]
    try:
        number = quantity(text)
    except ValueError:
        number = None
    if number is not None and number.form != "based":
        size = number.value.numerator.bit_length() + number.value.denominator.bit_length()
        return str(number.value) if size < 512 else f"{number.value.numerator:x}/{number.value.denominator:x}"
    word = as_word(text)
    if word is not None:
        return word.casefold() if len(word) > 1 else word
    return (within_bounds(text) and algebraic_key(text)) or text.replace(" ", "")


def _hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=4096)
def is_choice(gold: str) -> bool:
    """Whether a reference is a choice letter: `C`, `(C)`, `\\text{(C)}`, A to H."""
    if len(gold) > 40:
        return False
    word = as_word(canonical(gold))
    return word is not None and len(word) == 1 and word in "ABCDEFGH"
