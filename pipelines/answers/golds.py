"""Golds: the bare answer of a reference as data sets write it, or that there is none.

A reference goes in: a bare answer, a whole solution (`… #### 72`, `\\boxed{72}`, `A: 24`) or a sentence with one
value. Its answer comes out; None for a placeholder (`proof`, `notfound`, `nan`) and for prose that states no answer,
so that every solution of such a problem stays undecided.
"""

import re

from stepforge.builders.outcomes import NO_GOLD
from stepforge.pipelines.answers.clauses import bare_answer
from stepforge.pipelines.answers.extract import EXPLICIT, extract_answer
from stepforge.pipelines.answers.normalize import unwrap
from stepforge.pipelines.answers.units import unit_of

# Beside NO_GOLD, for which a source drops the problem: these leave its solutions undecided.
PLACEHOLDERS = frozenset("""none nil #n/a na n.a n.a. proven undetermined empty _ . .. ... … answer solution omitted
    error unavailable {} "" ''""".split()) | frozenset(" ".join(words.split()) for words in """no answer|not available
    |not applicable|not provided|not given|not specified|see solution|see above|see below|see explanation
    |answer not found|no answer found|no answer provided|no final answer|no solution provided
    |to be determined""".split("|"))
MIN_PROSE = 6        # words without a value that make a sentence no answer
_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}").fullmatch
_HASH_LINE = re.compile(r"#{1,6}\s*(?=\S)")
_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-zA-Z]{2,}(?:['’-][a-zA-Z]+)*(?![a-zA-Z}])")
_HAS_VALUE = re.compile(r"[\d$]|\\[(\[a-zA-Z]")
_VERB = re.compile(r"\b(?:is|are|was|were|equals?|has|have|had|makes?|gets?|gives?|needs?|costs?|takes?|leaves?|will"
                   r"|can|must|there)\b", re.IGNORECASE)
_MATH_AND_UNIT = re.compile(r"(?:\$[^$]+\$|\\\(.+?\\\))\s*[a-z]{3,}(?: [a-z]+){0,2}").fullmatch
_NAMES_ANSWER = re.compile(r"(?:a\s*:|ans\s*[:.])|(?s:.*)answer", re.IGNORECASE)
_PROOF = re.compile(r"(?:to )?(?:be )?(?:proved?|proven|proof|shown)\b"
                    r"|see (?:the )?(?:proof|solution|text|figure|explanation)\b|(?:the|a|this) proof\b"
                    r"|(?:is )?left (?:to|as)\b|(?:solved|done|shown) in (?:the )?(?:class|text|book)")
_TITLED = re.compile(r"[A-Z][a-z]+(?: [a-z]+){0,3}:\s*([-+]?[\d$\\(](?:(?![a-z]\s*:).)*)").fullmatch     # Total: 42
_COUNTED = re.compile(r"(-?[\d,./]*\d) \(([a-z][a-z /-]{1,40})\)").fullmatch      # 24 (pages)
_LED = re.compile(r"(?:So|Thus|Hence|Therefore|Then|We|It|She|He|They|This|That|There)\b,?\s").match
_BARE_MARK = re.compile(r"(?<!#)####(?!#)\s*(\S[^\n]*)")


def reference_answer(gold: str) -> str | None:
    """The bare answer that a reference states, None where it states none."""
    answer = None if NO_GOLD.fullmatch(gold.strip()) else _stated(gold.strip())       # #REF! is no heading
    return None if answer is None or is_placeholder(answer) else answer


def is_placeholder(answer: str) -> bool:
    """Whether a text stands for an answer that nobody wrote down."""
    plain = unwrap(answer.strip())
    if text := _TEXT(plain):
        plain = text[1].strip()
    plain = plain.strip("()[]<> ")
    bare = plain.rstrip(".!")
    return not bare or bool(NO_GOLD.fullmatch(bare)) or bool(_PROOF.match(plain.casefold())) \
        or not PLACEHOLDERS.isdisjoint((plain.casefold(), bare.casefold()))


def _stated(gold: str) -> str | None:
    if marks := _BARE_MARK.findall(gold):
        return bare_answer(marks[-1].strip(), True) or marks[-1].strip()
    if mark := _HASH_LINE.match(gold):
        gold = gold[mark.end():]
    if "\\boxed" in gold or "\\fbox" in gold:
        return extract_answer(gold).answer
    if counted := _COUNTED(gold):
        unit = unit_of(counted[2])
        return f"{counted[1]} {counted[2]}" if unit and (unit.dimension or unit.marks) else counted[1]
    if titled := _TITLED(gold):
        return titled[1]
    if not _is_prose(gold):
        return bare_answer(gold) or gold if _MATH_AND_UNIT(gold) else gold
    stated = extract_answer(gold)
    if stated.answer is None or stated.how in EXPLICIT or stated.sure:
        return stated.answer
    return stated.answer if "=" in stated.answer and gold.rstrip(" .!").endswith(stated.answer) else None


def _is_prose(gold: str) -> bool:
    """Whether a reference is text that has its answer somewhere, not the answer itself."""
    if _NAMES_ANSWER.match(gold):
        return True
    if "\\begin{" in gold:
        return False
    words = len(_WORD.findall(gold))
    sentence = words >= 3 and (gold[-1:] in ".!" or bool(_VERB.search(gold)))
    if _HAS_VALUE.search(gold):
        if _LED(gold):
            return True
        return words >= 2 and "\n" in gold or sentence and gold[:1].isupper() or words > 12
    return words >= MIN_PROSE and (gold[-1:] in ".!" or words > 12)
