"""Sentences: the value that one sentence arrives at, such as 3 in `so there are 3 of them`.

A sentence goes in, a `Guess` comes out. A bold value is preferred, then what follows `is`, `are` or `=`, then the
result of the last equation before, then the last value that does not only say when or how long. Values that the
sentence denies (`15 is not a solution`) or only compares with (`more than 5`) are left out, and so are lone variables.
"""

import re
from typing import NamedTuple

from stepforge.pipelines.answers import wording
from stepforge.pipelines.answers.doubts import is_doubted
from stepforge.pipelines.answers.foreign_numbers import is_spoken_elsewhere, joined, with_points
from stepforge.pipelines.answers.normalize import ascii_math
from stepforge.pipelines.answers.number_words import NUMBER_WORD, leading_number
from stepforge.pipelines.answers.terms import Term, term_at
from stepforge.pipelines.answers.units import unit_of
from stepforge.pipelines.answers.values import skip, value_at

MAX_SENTENCE = 600   # characters of one sentence, from its end
BEFORE = 60          # characters before a value that may deny it ...
NEAR = 40            # ... lead to it, or name what it numbers


class Guess(NamedTuple):
    """sure: the last sentence offers no other value. to_end: the value runs to the end of the text.

    doubted: a match proves nothing, because the words around the value leave it open.
    """

    answer: str
    sure: bool
    to_end: bool = False
    formula: bool = False
    bold: bool = False
    doubted: bool = False


MARKUP = re.compile(r"(?<![\w)}*])(?:\*\*|__)(?!\s)|(?<!\s)(?:\*\*|__)(?![\w(*])|`+"
                    r"|</?[a-zA-Z][a-zA-Z0-9_ ]{0,20}/?>|<\|[a-zA-Z_]{1,30}\|>")
_STYLE = re.compile(r"\\(?:textcolor|color)\s*\{[a-z]+\}"
                    r"|\\(?:tiny|small|large|Large|LARGE|huge|Huge|bf|it)(?![a-zA-Z])")
_BOLDED = re.compile(r"(?<![\w*])\*\*(?!\s)([^*\n]{1,80}?)[.:]?\*\*(?![\w*])")
MARKER = re.compile(r"(?:[-*+•>]|#+|\d{1,2}[.)]|\([a-z0-9]\)|\|)\s+")
_RESTATED = re.compile(r"^(?:The|This) (?:inequality|equation|expression|condition|relation|function)\s*[$\\(]*$")
_START = re.compile(
    r"(?-i:(?<![^\s(\[{\"'“:=,;>|*≈~\x80-\U0010ffff]))(?=[-+]?[\d.$\\(\[{€£¥₹]|[-+]?[a-z](?![a-z])|"
    + wording.phrases("""(?:negative|minus|square|positive|principal|cube|half|one half|twice|double|triple|three times
|reciprocal|inverse|less|fewer|smaller|lower|more|greater|larger|bigger|higher|at|no|up|under|below|over|above|between
|strictly|much|slightly|well|just|infinity|sqrt|pi|sin|cos|tan|log|ln|exp)(?![a-z])""") + ")", re.IGNORECASE)
_BOUND = re.compile(r"^x\\[lg]e (?=[\d$\\])")                           # in a sentence, `at least 7` means 7
_COMPARISON = re.compile(r"x[<>]|.*\\ne(?:q)?(?![a-z])")
_VARIABLE = re.compile(r"(?:\\(?!text|math|operatorname))?[a-zA-Z]+(?:_\{?\w+\}?)?'*(?:\([a-zA-Z, ]*\))?")
_EXPRESSION = re.compile(r"\d[a-z](?![a-z])|[a-z)]\s*[-+*/^]|[-+*/]\s*[a-z](?![a-z])|=.*=|[a-z]{2}.*=", re.IGNORECASE)
_RESULT = re.compile(r"(?:=|≈|\\approx)\s*\\?[$€£]?\s*(-?\d[\d,]*(?:\.\d+)?)")
_DIGITS = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_OUT_OF = re.compile(r"\b(?:out of|from)\s+(?:the |all |these )?$", re.IGNORECASE)
_IN_WORDS = re.compile(rf"(?<![\w'’-])(?:(?:negative|minus|half an?|an?)\s+)?(?:{NUMBER_WORD}|dozen)(?![\w'’])",
                       re.IGNORECASE)
_WORDS = re.compile(r"[a-zA-Z\s-]+")
_OF_MANY = re.compile(r"\s+of\s+(?:the|them|these|those|his|her|its|their)\b")
_ALL_BOLD = re.compile(r"\b(?:solutions|values|roots|answers)\b[^*\n]*\*\*[^*\n]{1,40}\*\*"
                       r"(?:\s*(?:,|,?\s*and)\s*\*\*[^*\n]{1,40}\*\*)+[\s.]*$", re.IGNORECASE)
_BROKEN_DOWN = re.compile(r"(?<![\w:])\d[\d,.]*[^:.!?\d]{0,40}:\s+(?=\d+\b[^.!?=]*\b(?:plus|and)\s+\d[^=]*$)")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}\.\d{3}\b").match
_MORE_THAN = re.compile(r"(?: \w+)? (?:more|less|fewer|older|younger|taller|longer|shorter) than\b")
_OF_WHICH = re.compile(r"\d[^.!?]*\bof (?:which|whom)\b[^.!?]*").search
_SUPPOSED = re.compile(r"(?:^|[.,;:!?]\s)\W*(?:(?:now|next|so|then|and|first|let us|let me|let['’]s)\W+){0,2}"
                       r"(?:let|consider|try|check|test|with|when|for|set|take)\s+(?:the case\s+)?[$\\(\s]*$",
                       re.IGNORECASE)
_COMPUTED = re.compile(r"(?:[^=a-zA-Z\\]|\\(?:frac|cdot|times|div|text)|[a-z]{3})*=\s*[-+\\$€£\d.][^=]*").fullmatch
_BUT = re.compile(r"\b(?:but|however|yet)\b")
_OPERATOR = re.compile(r"[\w%)]\s+(?:x|[*/+])\s*$")
_CARRIES_ON = re.compile(r"\s*(?:\\(?:times|cdot|div)(?![a-z])|[*x·÷/])\s*"
                         r"[\d$\\(][^=\n;!?]{0,60}(?:=|≈|\\approx)\s*(?=[\d$\\])")
_CHAINED = re.compile(r"(?:\s+\w+){0,3}\s+(?:x|[-*/+])\s+").fullmatch
_COUNTS = re.compile(r"\b(?:is|are|equals|exactly|be)\s*$")


def without_markup(text: str) -> str:
    """A text without bold, code, tags and control tokens."""
    text = _STYLE.sub("", text) if "\\" in text else text
    return MARKUP.sub("", text) if "**" in text or "__" in text or "`" in text or "<" in text else text


def guess_in(sentence: str, before: str = "") -> Guess | None:
    """The value that one sentence arrives at; `before` is the text whose last equations may tell which."""
    sentence = sentence[-MAX_SENTENCE:]
    if bold := _bold(sentence):
        several = len(bold) > 1 and _ALL_BOLD.search(sentence)
        return Guess(", ".join(bold) if several else bold[-1], bool(several) or len(set(bold)) == 1, bold=True)
    line = joined(without_markup(ascii_math(sentence)))
    elsewhere = is_spoken_elsewhere(line)
    line = with_points(line) if elsewhere else line            # 1.200 may be 1200
    marker = MARKER.match(line)
    values, left_out = _values(line, marker.end() if marker else 0)
    if not values:
        return _spelled(line)
    plain = [value for value in values if not _is_aside(line, value)]
    offered = plain or values
    if len(hedged := {value.text for value in offered if _follows(wording.HEDGE, line, value.start)}) > 1:
        return Guess(" or ".join(sorted(hedged)), True)
    led = [value for value in offered if _follows(wording.LEADS, line, value.start)]
    computed = [value for value in offered if _COMPUTED(value.text)]
    main = led or [value for value in offered if not (_follows(wording.CIRCUMSTANCE, line, value.start, BEFORE)
                                                     or _follows(wording.PURPOSE, line, value.start, 3 * BEFORE))]
    if not plain and left_out.issuperset(value.text for value in values):
        return None                                             # denied, and named once more in the reason why
    chosen = max(led + computed) if led or computed else _result(main or offered, before) or (main or offered)[-1]
    if (turn := _BUT.search(line, chosen.end)) and (later := [value for value in offered if value.start > turn.end()]):
        chosen, led = later[-1], []
    while (further := _CARRIES_ON.match(line, chosen.end)) and (value := value_at(line, skip(line, further.end()))):
        chosen = value                                         # 20 m/s x 15 s = 300 m
        main = led = [chosen]
    alone = len({value.text.replace(" ", "") for value in values}) == 1 \
        or len(main) == 1 and (chosen is main[0] and (chosen.many == 1 or chosen in led)
                               or chosen in computed and _CHAINED(line, main[0].end, chosen.start) is not None)
    planned = not (chosen in led or "=" in chosen.text) and wording.PLAN.search(line) is not None
    alone = alone and (chosen in led or not _OF_MANY.match(line, chosen.end)) and not planned
    planned = planned or _OF_WHICH(line) is not None \
        or "=" in chosen.text and _SUPPOSED.search(line, 0, chosen.start) is not None \
        or "would" in line and wording.UNREAL.search(line) is not None
    whole = chosen.end - chosen.start > len(line) // 2
    stated = whole or chosen in led or chosen.many > 1 or not _EXPRESSION.search(chosen.text)
    carried = chosen in computed and _OPERATOR.search(line, 0, chosen.start) is not None
    result = chosen.text.rpartition("=")[2] if carried else chosen.text          # 16 pandas / 2 = 8 couples
    if "=" in chosen.text and (measure := _measure(line, chosen)):
        result, chosen = measure.text, chosen._replace(end=measure.end)
    alone = alone and not (elsewhere and _THOUSANDS(result.strip()))
    return Guess(result.strip(), bool(plain) and alone and stated and not _OF_WHICH(line), chosen.end == len(line),
                 chosen.kind == "formula", doubted=planned or is_doubted(line, 0, chosen.start, chosen.end))


def _measure(line: str, computed: Term) -> Term | None:
    """The result of a computation with the known unit behind it: 12 cm of `3 + 4 + 5 = 12 cm`."""
    result = computed.text.rpartition("=")[2].strip()
    at = line.rfind(result, computed.start, computed.end)
    if not _DIGITS.fullmatch(result) or at < 0 or (term := term_at(line, at)) is None or term.kind != "number":
        return None
    unit = unit_of(term.text[len(result):]) if term.text.startswith(result) and term.end > computed.end else None
    return term if unit and unit.dimension and not unit.nouns else None


def _follows(words: re.Pattern[str], line: str, at: int, reach: int = NEAR) -> bool:
    """Whether a position stands right behind words of a pattern."""
    return words.search(line, max(0, at - reach), at) is not None


def _values(line: str, at: int) -> tuple[list[Term], set[str]]:
    """The values of a line from a position on that it neither denies nor only compares with, and the others."""
    values: list[Term] = []
    others: set[str] = set()
    while start := _START.search(line, at):
        value = value_at(line, start.end())
        if value is not None and value.many > 1 and _follows(_OUT_OF, line, start.end()):
            value = term_at(line, start.end())                  # out of 10 eggs, 3 broke
        at = max(value.end if value else 0, start.end() + 1)
        if value is not None and _may_answer(line, value):
            if _stands(line, value):
                values.append(value._replace(text=_BOUND.sub("", value.text)))
            else:
                others.add(value.text)
    return values, others


def _may_answer(line: str, value: Term) -> bool:
    """A lone variable is no answer; other letters (`p - q`, `\\text{Evelyn}`) are where the sentence leads to them."""
    return value.kind != "name" or (_VARIABLE.fullmatch(value.text) is None
                                    and _follows(wording.LEADS, line, value.start))


def _stands(line: str, value: Term) -> bool:
    at = value.start
    clause = line[max(0, at - 3 * BEFORE):at].lower()
    clause = clause[max(map(clause.rfind, ",.!?\n")) + 1:]
    return not (denied_before(line, at) or wording.DENIED_AFTER.match(line, value.end)
                or _follows(wording.COMPARED, line, at)
                or " of " in clause[-NEAR:] and _follows(wording.OF_NUMBER, line, at)
                or _is_label(line, value) or wording.ORDINAL.match(line, value.end)
                or any(map(clause.__contains__, wording.MAY_SUPPOSE)) and wording.CONDITION.search(clause)
                or _COMPARISON.match(value.text) or _RESTATED.match(line[:at]))


def denied_before(line: str, at: int) -> bool:
    near = line[max(0, at - BEFORE):at].lower()
    return any(map(near.__contains__, wording.MAY_DENY)) and wording.DENIED_BEFORE.search(near) is not None


def _is_label(line: str, value: Term) -> bool:
    """Whether a value only numbers something, as in `step 3` and `year 2`, but not in `the year 2027`."""
    label = wording.LABEL.search(line, max(0, value.start - NEAR), value.start)
    return label is not None and not (label[0].casefold().startswith("year") and len(value.text.strip()) == 4)


def _is_aside(line: str, value: Term) -> bool:
    """Whether a value stands in parentheses or in a clause that gives a reason or a condition."""
    at = value.start
    if line[at - 1:at] == "(" and line[value.end:value.end + 1] == ")":
        return True
    if line[at - 2:at] == ", " and _MORE_THAN.match(line, value.end):
        return True
    if (parts := _BROKEN_DOWN.search(line)) and at >= parts.end():
        return True
    near = line[max(0, at - 3 * BEFORE):at].lower()
    return any(map(near.__contains__, wording.MAY_REASON)) and wording.REASON_BEFORE.search(near) is not None


def _bold(sentence: str) -> list[str]:
    """The values that are bold as a whole."""
    values = []
    for bold in _BOLDED.finditer(sentence) if "**" in sentence else ():
        content = ascii_math(bold[1])
        value = value_at(content, skip(content))
        if value is not None and value.kind != "name" and not content[value.end:].strip(" .") \
                and not wording.DENIED_AFTER.match(sentence, bold.end()) \
                and not denied_before(sentence, bold.start()):
            values.append(value.text.strip())
    return values


def _result(values: list[Term], before: str) -> Term | None:
    """The value that the last equations before the sentence came to."""
    by_digits = {digits[0].replace(",", ""): value for value in values
                 if value.many == 1 and (digits := _DIGITS.search(value.text))}
    for result in reversed(_RESULT.findall(before[-600:])):
        if (value := by_digits.get(result.replace(",", ""))) is not None:
            return value
    return None


def _spelled(line: str) -> Guess | None:
    """A number in words, such as `There are twenty-five of them`."""
    numbers: list[tuple[int, str, str]] = []                     # where it begins, its digits, what follows it
    at = 0
    while word := _IN_WORDS.search(line, at):
        words = _WORDS.match(line, word.start())[0]             # type: ignore[index]
        number, rest = leading_number(words) or (word[0], "")
        at = max(word.end(), word.start() + len(words.rstrip()) - len(rest))
        alone = line[word.start():at].strip().casefold() == "one"              # that one: a pronoun
        if number[-1:].isdigit() and not alone and not denied_before(line, word.start()):
            numbers.append((word.start(), number, line[at:]))
    if not numbers:
        return None
    start, number, rest = numbers[-1]
    counted = len(number) > 1 and _COUNTS.search(line[:start]) is not None     # there are two ways to look at it
    return Guess(number, len(numbers) == 1 and (counted or not (line[:start] + rest).strip(" .")))
