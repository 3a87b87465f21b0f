"""The final answer of a solution, as text: `\\boxed{18}`, `#### 18`, `The answer is 18`, else what its last words say.

A model's text goes in, an `Extraction` comes out. What counts is the last answer that the text states outright (a box,
`####`, an answer phrase or heading) outside its thoughts, unless the text takes it back. More than MAX_STATED
different answers are a list of guesses. Without a stated answer the value of the last sentence is a guess, and marked
so. Time is linear in the text and only bounded pieces of it are kept.
"""

import re
from typing import NamedTuple

from stepforge.pipelines.answers.boxes import boxes
from stepforge.pipelines.answers.choices import last_choice
from stepforge.pipelines.answers.clauses import MAX_CLAUSE
from stepforge.pipelines.answers.doubts import is_doubted, without_doubt
from stepforge.pipelines.answers.guesses import guess
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.refusals import refuses
from stepforge.pipelines.answers.run_ons import (
    COMPUTED,
    GIVEN,
    MARKED,
    PROBLEM,
    new_problems,
    turn_ends,
    without_turns,
)
from stepforge.pipelines.answers.sentence import without_markup
from stepforge.pipelines.answers.statements import How, Statement, rare_statements, statements
from stepforge.pipelines.answers.thoughts import without_thoughts
from stepforge.pipelines.answers.verbatim import same_text
from stepforge.pipelines.answers.wording import (
    ASKED,
    BUT,
    CLAIMED,
    CLOSES,
    CONCLUDING,
    CONFIRMED,
    CONTINUED,
    DECIMAL,
    EXACT,
    INTERRUPTED,
    MAY_RETRACT,
    MAY_TURN,
    OF_OTHERS,
    OWN_TURN,
    PLAUSIBLE,
    RETRACTED,
    SENTENCE_END,
    TAKEN_BACK,
    TURN,
    TURNED_TO,
)
from stepforge.pipelines.answers.words import LETTERS

MAX_STATED = 3       # honest solutions were seen to box at most two different values
CLOSING_CHARS = 200  # at the end of a text, where it may confirm its answer
NEAR = 40            # characters behind `answer` that may say it is a decimal
REST_OF_LINE = 200   # behind an answer, in its line
EXPLICIT = frozenset(("boxed", "hash", "phrase"))


class Extraction(NamedTuple):
    """answer: None where nothing was found. how: which rule found it. stated: number of different explicit answers.

    at_end: the answer runs up to the very end of the text, so a cut may have shortened it. sure: a mismatch says that
    the solution is wrong; not so for a guess where the last sentence offers other values. clause: the words, if few,
    that state the answer. doubted: a match does not say that the solution is right, because its words leave it open.
    whole: the formula of which the answer is the boxed part, `12\\pi` of `\\boxed{12}\\pi`.
    """

    answer: str | None
    how: How
    stated: int = 0
    at_end: bool = False
    sure: bool = True
    clause: str = ""
    doubted: bool = False
    whole: str = ""

    def says(self, words: str) -> bool:
        """Whether the clause of the answer is these words and nothing else: `Route 66` of `The answer is Route 66.`"""
        if not self.clause:
            return False
        said = self.clause.split("\n", 1)[0]
        return same_text(words, said) or same_text(words, SENTENCE_END.split(said)[0])


class Behind(NamedTuple):
    """characters: from the end of the answer's line to that of the text. runs_on: another problem is among them."""

    characters: int
    runs_on: bool


_OPTION = re.compile(r"(?:(?<=[Oo]ption )|(?<=[Cc]hoice )|(?<=for )"
                     r"|(?<![\w'’])(?=\(?[A-J](?:\)|:|\.|,| (?:is|was|would|has)\b)))\(?([A-J])(?![\w'’])")
_LONE_LETTER = re.compile(r"[(* ]*[A-J][)* ]*").fullmatch
_UNREAL = re.compile(r"\b(?:without|if|otherwise)\b", re.IGNORECASE)
_REFERS = re.compile(r"\W*(?:this|that|it|which)\b", re.IGNORECASE).match
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_FORMULA = re.compile(r".[^\n]*[-+*/^=\\]").match             # 18 + 18 may go on to 36
_WHOLE = re.compile(r"\s*(?:\$\$?[^$]{1,200}\$\$?|\\\[[^\[\]]{1,200}\\\]|\\\([^()]{1,200}\\\)|[A-Za-z]{1,30})[\s.]*"
                    ).fullmatch          # the text is its answer alone, be it one letter


def extract_answer(text: str, choices: bool = False, percent: bool = False) -> Extraction:
    """The answer that a solution states.

    choices: the reference is a choice letter, so without an explicit answer the last lone capital is taken.
    percent: the reference is a percentage, so a percent sign behind a box belongs to the answer.
    """
    visible = without_thoughts(text)
    if visible is None:
        return Extraction(None, "unclosed_thought")
    end, firm = _own_end(visible, choices)
    if end < len(visible):
        found = _extracted(visible[:end], choices, percent)._replace(at_end=False)
        return found if firm else found._replace(sure=False, doubted=True)
    return _extracted(visible, choices, percent)


def _extracted(text: str, choices: bool, percent: bool) -> Extraction:
    stated = statements(text, choices)
    if "box" in text:
        stated += boxes(text, percent)
    if not (stated or (stated := rare_statements(text, choices))):
        return _guessed(text, choices)
    decimal = ""
    if len(stated) > 1:
        stated.sort()
        if stated[-1].how == "phrase" and (kind := _says_again(text, stated[-2], stated[-1])):
            again = stated.pop()
            decimal = again.answer if kind == "decimal" else ""
    last = stated[0] if len(stated) == 1 else _last(stated)
    if len(stated) == 1 and last.to_end:                       # nothing can take it back
        doubted = not last.plain and _doubted(text, last)
        return Extraction(last.answer, last.how, 1, True, last.sure, last.clause, doubted)
    following = text[last.end:last.end + 200].removeprefix(last.answer)
    if any(map(following.__contains__, MAY_RETRACT)) and (retracted := _retracted(following, last.answer)):
        return _guessed(text[last.end + retracted:], choices)
    chosen = _chosen(stated, last)
    if decimal and not chosen.whole:
        chosen = chosen._replace(whole=decimal)                 # either may be the reference
    if _turned(text[last.end:], last.answer) or _closes_otherwise(text[last.end:], last.answer):
        return chosen._replace(sure=False, doubted=True)
    if last.how == "boxed" and (plain := without_doubt(last.answer)) != last.answer:
        return chosen._replace(answer=plain, doubted=True)
    return chosen._replace(doubted=_doubted(text, last))


def own_text(text: str) -> str:
    """A solution without thoughts, and without what stands behind its end: a new problem, another turn."""
    visible = without_thoughts(text) or ""
    return visible[:_own_end(visible, False)[0]]


def text_behind(text: str) -> Behind:
    """What stands behind the line in which the final answer is stated, white space at the end left out.

    Of a line that goes on for more than REST_OF_LINE characters, what stands behind the answer's sentence. Nothing
    where no answer is stated explicitly and no mark ends the turn: what is taken then stands at the end.
    """
    visible = without_thoughts(text) or ""
    own_end, _ = _own_end(visible, False)
    own = visible[:own_end]
    stated = statements(own, False) + (boxes(own) if "box" in own else [])
    stated_to = _last(stated).end if stated else own_end
    end = own.find("\n", stated_to)
    end = own_end if end < 0 else end
    if end - stated_to > REST_OF_LINE and (sentence := SENTENCE_END.search(own, stated_to, end)):
        end = sentence.start()
    characters = len(visible) - end if visible[end:].strip() else 0
    return Behind(characters, bool(characters and without_turns(visible[own_end:]).strip()))


def _own_end(text: str, choices: bool) -> tuple[int, bool]:
    """Where the first new problem or end of a turn behind an answer is, or the end of the text; whether it is firm.

    It is where the answer is explicit. Where a new problem follows another value, what stands before may only lead to
    the problem: unless it computes the value, or states it in other words, and no box comes behind. Without any answer
    the first end of a turn counts, unless the text begins with such a mark.
    """
    turns = turn_ends(text)
    for end in sorted({*new_problems(text), *turns}):
        before = text[:end]
        stated = statements(before, choices) + (boxes(before) if "box" in before else [])
        if any(not said.part for said in stated):
            return end, True
        if stated or not PROBLEM.match(text, end):
            continue
        marked = MARKED.search(text, end) is not None
        if rare_statements(before, choices):
            return end, not marked
        if (value := guess(before)) is not None:
            if COMPUTED.search(before):
                return end, not marked
            if value.sure and not GIVEN.match(before):
                return end, False
    return (turns[0] if turns and text[:turns[0]].strip() else len(text)), True


def _retracted(following: str, answer: str) -> int | None:
    """Where the words end that take an answer back; null where none do, such as those about another option."""
    for retracted in RETRACTED.finditer(following):
        sentences = SENTENCE_END.split(following[:retracted.end()])
        sentence = " ".join(sentences[-2:] if _REFERS(sentences[-1]) else sentences[-1:])
        letters = set(_OPTION.findall(sentence + following[retracted.end():retracted.end() + NEAR]))
        another = _LONE_LETTER(answer) and letters and answer.strip("()* ") not in letters
        if not OF_OTHERS.search(sentence) and (not another or OWN_TURN.search(sentence)):
            return retracted.end()
    return None


def _says_again(text: str, first: Statement, said: Statement) -> str:
    """Whether a sentence only says an exact answer as a `decimal`, or is a `remark` on it; empty where it is neither.
    """
    line = text[max(0, text.rfind("\n", 0, said.start), said.start - 200):said.start]
    sentence = SENTENCE_END.split(line)[-1] + text[said.start:said.start + NEAR]
    if EXACT.search(first.answer) and not EXACT.search(said.answer) and DECIMAL.search(sentence):
        return "decimal"
    boxed = first.how == "boxed" and (PLAUSIBLE.match(said.clause) or sentence.lstrip(" *_#(").startswith("Remark"))
    return "remark" if boxed or " would be" in sentence and _UNREAL.search(sentence) else ""


def _last(stated: list[Statement]) -> Statement:
    stated.sort()
    return next((item for item in reversed(stated) if item.firm), stated[-1])


def _turned(behind: str, answer: str) -> bool:
    """Whether the text behind a stated answer turns round and ends in a number that the answer does not have."""
    opening, ending = behind[:MAX_CLAUSE].lower(), behind[-MAX_CLAUSE:]
    other = None
    if any(map(opening.__contains__, MAY_TURN)) and (turn := TURN.search(opening)) is not None:
        other = TURNED_TO.search(ending, max(0, turn.start() - len(behind) + len(ending)))
    sentence = SENTENCE_END.split(opening, maxsplit=1)[0]
    if other is None and (turn := BUT.match(sentence)) is not None:
        other = TURNED_TO.search(sentence, turn.end())
    if other is None:
        other = INTERRUPTED.search(sentence[:80])
    if other is None and not _FORMULA(answer):
        other = CONTINUED.match(sentence)
    return other is not None and other[1].replace(",", "") not in _NUMBER.findall(answer.replace(",", ""))


def _closes_otherwise(behind: str, answer: str) -> bool:
    """Whether the text behind a stated number takes it back, or the question up, and closes with another number."""
    if not any(map(behind.__contains__, CLOSES)) or not _NUMBER.search(behind) or not (own := _NUMBER.findall(answer)):
        return False
    closing = behind.rstrip()[-MAX_CLAUSE:]
    sentences = [sentence for sentence in SENTENCE_END.split(closing) if sentence.strip()]
    opening = " ".join(SENTENCE_END.split(behind[:MAX_CLAUSE].strip(" .\n*"), maxsplit=2)[:2])
    turn = ASKED.search(closing) or TAKEN_BACK.search(opening) and CLAIMED.match(sentences[-1])
    if not turn or CONFIRMED.search(closing[-CLOSING_CHARS:]):
        return False
    value = guess(behind)
    found = _NUMBER.findall(value.answer.replace(",", "")) if value else []
    last = sentences[-1].rpartition("=")[2] if CONCLUDING.match(sentences[-1]) else sentences[-1]
    return bool(found) and found[-1] not in own and not set(own) & set(_NUMBER.findall(last))


def _doubted(text: str, said: Statement) -> bool:
    """Whether a sentence leaves the answer open that it names; a box and a plain `The answer is 5` do not."""
    if said.how == "boxed" or said.plain:
        return bool(said.whole)
    if not said.firm and refuses(said.clause.split("\n", 1)[0]):
        return True
    start = text.find(said.answer, said.start, said.end + len(said.clause))
    if start < 0:                                              # another spelling of it, or it stands before `answer`
        return is_doubted(text, said.start, said.end if said.clause else said.start - 1, said.end)
    return is_doubted(text, said.start, start, start + len(said.answer))


def _chosen(stated: list[Statement], last: Statement) -> Extraction:
    rivals = [item for item in stated if item.how == last.how and item.firm == last.firm and not item.part]
    distinct = {canonical(item.answer[:MAX_CLAUSE]) for item in rivals} if len(rivals) > 1 else {last.answer}
    return Extraction(last.answer, last.how, len(distinct), last.to_end, last.sure, last.clause,
                      whole=last.whole)


def _guessed(text: str, choices: bool) -> Extraction:
    if choices:
        letter = last_choice(text)
        return Extraction(letter.answer, "choice", sure=letter.sure, doubted=refuses(text)) if letter \
            else Extraction(None, "none")
    best = guess(text)
    if best is None:
        if not _WHOLE(text := without_markup(text)):
            return Extraction(None, "none")
        answer = text.strip()
        word = answer.rstrip(". \n")                             # `Done.` answers nothing, `(x)` and `C` may
        return Extraction(answer, "last_formula", 0, True,
                          word in LETTERS or not word.isalpha() or word.casefold() in ("yes", "no", "true", "false"))
    how: How = "last_formula" if best.formula else "last_number"
    if refuses(text):
        return Extraction(best.answer, how, sure=False, doubted=True)
    return Extraction(best.answer, how, 0, best.to_end, best.sure, doubted=best.doubted)
