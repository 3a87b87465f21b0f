"""Clauses: what a sentence that names its answer says, such as `is therefore 12 cups of sugar` or `is not 5`.

The words behind `answer is` go in; a `Reading` comes out: the answer, or a denial, or nothing. A clause that begins
with a value states it firmly; a sentence around it is searched for the value that it arrives at.
"""

import re
from typing import NamedTuple

from stepforge.pipelines.answers.choices import choice_at, offered_at
from stepforge.pipelines.answers.dates import DATE
from stepforge.pipelines.answers.normalize import ascii_math
from stepforge.pipelines.answers.number_words import PARTS
from stepforge.pipelines.answers.sentence import guess_in, without_markup
from stepforge.pipelines.answers.terms import MATH, term_at
from stepforge.pipelines.answers.values import skip, value_at
from stepforge.pipelines.answers.wording import CORRECTED, DENIAL, DENIED_AFTER, REASON, REMARK, SENTENCE_END

MAX_CLAUSE = 1200    # characters of one stated answer that are kept; longer ones are out of bounds anyway


class Reading(NamedTuple):
    """answer: None for a denial or where nothing is stated. firm: the clause begins with its answer.

    to_end: the answer runs to the end of the clause, so a cut may have shortened it. sure: a mismatch proves the
    statement wrong, because the sentence offers no other value.
    """

    answer: str | None
    firm: bool = False
    to_end: bool = False
    sure: bool = True


NOTHING = Reading(None)
_LETTER = re.compile(r"[\s*:\"]*([A-J])(?![\w'’(]|\s*(?:[-+*/^=<>]|(?:or|and)\b)"
                     r"|\s*,\s*(?:(?:or|and)\s+)?[A-J]\b|\s+[A-Z])")
_ROMAN = r"(?:VI{0,3}|I{1,3}|I[VX]|X)"
_JOIN = r"\s*(?:,\s*(?:and|or)\b|,|&|\b(?:and|or)\b)\s*"
_LABELS = re.compile(rf"[\s:*\"]*((?:{_ROMAN}(?:{_JOIN}{_ROMAN})+|[A-Z](?:{_JOIN}[A-Z])+)(?:\s+only)?|{_ROMAN}\s+only"
                     r"|[A-J]{2,6}(?=[\s.。*]*$))(?![\w'’(]|\s*[-+*/^=<>])")
_ANSWER_WORD = re.compile(r"[\s:*\"]*(yes|no|true|false)\b[*\"]*(?=\s*(?:[.,;:!–—]|$)|\s+(?:because|since|as)\b)",
                          re.IGNORECASE)
_PARTS = re.compile(r"[\s:*]*\((?:a|i)\) ?[^()\n]{1,80}\((?:b|ii)\)")
_CONDITION = re.compile(r"\s*,?\s*(?:if|when)\b[^.\n]*?(?:\b(?:and|but|or|otherwise|else)\b,?|,)"
                        r"\s*(?:it(?: is|['’]s) )?"
                        r"(?=[\d$\\-]+[^\n]*\b(?:if|when|otherwise|else)\b|[\d$\\-]+[^\n]{0,20}$)")
_FOR_EACH = re.compile(r"\s+(for|if|when)\s+[^.,;\n\d]{1,40}?(?:\s*[,;]\s*(?:and\s+|but\s+)?|\s+and\s+)(?=[-\d\\$])")
_CALCULATED = re.compile(r"<<[^<>\n]*>>")                       # a calculator's notes
_SMALL_LETTER = re.compile(r"[\s*:\"(]*([a-j])[)\s*.\"]*").fullmatch
_RELATIVE = re.compile(r"\s+(?:more|less|fewer|greater|larger|smaller|higher|lower|older|younger)\s+than\s+the"
                       r"\s+\w+\s+of\b[^.\n]{0,80}")
_OPTION = re.compile(r"[\s,;$]*\(?\s*(?:(?:option|choice|answer)\s*\(?|\()([A-J])\)")
_SIGN = re.compile(r"\s*[-+*/^=({\\]+\s*")                       # the text is cut behind it
_A_PART = re.compile(r"[\s*:\"]*an?\s+(half|quarter|third)(?=\W*$|\.\s"
                     r"|\s+of\s+(?:the|a|an|all|his|her|its|their|it)\b)", re.IGNORECASE)
_OTHERWISE = r"(?:because|since|as|so|where|when|if|and|with|which|that|gives|is|are|or|but|then|not|mod|base|such)"
_IN_SUM = rf"(?:(?!\b{_OTHERWISE}\b|[.,](?!\d))[^=!?\n;:()]){{0,60}}?"
_COMPUTED = re.compile(rf"({_IN_SUM}(?<![A-Za-z_])\d{_IN_SUM}(?<!\s)(?<![\W\d_][A-Za-z]))?\s*=(?!=)")  # no 4x = 12
_EQUATION = re.compile(r"([a-zA-Z](?:_\w)?\s*=\s*(?:(?![a-zA-Z]{4})[\w\s+*/^(){}\\-]"
                       r"|sqrt|frac|sin|cos|tan|theta|pi){1,60}?)[\s.]*").fullmatch
_QUOTED = re.compile(r"\s*\"((?:[^\"\\\n]|\\.)+)\"")


def read_clause(clause: str, choices: bool = False) -> Reading:
    """What the words behind `answer is` state, in at most MAX_CLAUSE characters.

    choices: the reference is a choice letter, so `(B) 12` states B; otherwise it states 12.
    """
    if quoted := _QUOTED.match(clause):
        return Reading(quoted[1].strip(), True)
    clause = _CALCULATED.sub("", clause) if "<<" in clause else clause
    math = MATH.match(clause, skip(clause))
    whole = math.end() if math else 0                           # a formula may take more than a line
    line = clause[:whole].replace("\n", " ") + clause[whole:].split("\n", 1)[0]
    line = without_markup(ascii_math(line))
    start = skip(line)
    if part := _A_PART.match(line):
        return Reading(f"1/{PARTS[part[1].lower()]}", True, part.end() == len(line))
    if labels := _ANSWER_WORD.match(line) or _LABELS.match(line):
        return Reading(labels[1].strip(), True, not line[labels.end():].strip(" \t"))
    if _PARTS.match(line):
        return Reading(line.strip(" \t:*."), True, True)         # (a) 5, (b) 7
    if (dated := DATE.match(line, start)) is not None:
        return Reading(dated[0], True, not line[dated.end():].strip(" \t"))
    if denial := DENIAL.match(line, start):
        end = SENTENCE_END.search(line, start)
        corrected = CORRECTED.search(line, denial.end(), end.start() if end else len(line))
        if corrected is None:
            return NOTHING
        start = skip(line, corrected.end())
    if choice := choice_at(line, start):
        if choices and len(letters := offered_at(line, choice)) > 1:
            return Reading(", ".join(letters), True)
        if choices:
            stated = choice[0] if choice[0].endswith(")") else choice[1]
            return Reading(stated.strip(), True, not line[choice.end():].strip(" \t"))
        start = skip(line, choice.end()) if value_at(line, skip(line, choice.end())) else start
    if choices and (letter := _LETTER.match(line) or _LETTER.match(line, start)):
        return Reading(letter[1], True, not line[letter.end():].strip(" \t"))
    if choices and (letter := _SMALL_LETTER(line)):
        return Reading(letter[1].upper(), True, True)
    value = value_at(line, start)
    if choices and value is not None and (option := _OPTION.match(line, value.end)):
        return Reading(option[1], True)                         # 42 (option B)
    if value is None:
        return _words(line, start)
    if line[value.end:].lstrip().startswith("?"):
        return NOTHING
    if value.kind == "name" and (equation := _EQUATION(line[start:])):
        return Reading(equation[1], True, True)                 # x = mg/k
    if DENIED_AFTER.match(line, value.end):                      # x = 3 is excluded, so x = 4
        best = guess_in(SENTENCE_END.split(line)[0])
        return Reading(best.answer, False, best.to_end, best.sure) if best else NOTHING
    while (computed := _COMPUTED.match(line, value.end)) and (computed[1] or value.kind == "formula") \
            and (result := value_at(line, skip(line, computed.end()))):
        value = result                                          # 12 hours for 5 days = 60 hours
    if relative := _RELATIVE.match(line, value.end):
        return Reading(line[start:relative.end()], True)         # 30 more than the number of girls
    if (condition := _CONDITION.match(line, value.end)) and (other := term_at(line, condition.end())):
        return Reading(f"{value.text} or {other.text}", True)   # 5 if n is even and 6 if n is odd
    if (case := _FOR_EACH.match(line, value.end)) and (other := term_at(line, case.end())) \
            and re.match(rf"\s+{case[1]}\b", line[other.end:]):
        return Reading(f"{value.text}, {other.text}", True, sure=False)       # 7 for Ann and 8 for Bob
    cut = _SIGN.fullmatch(line, value.end) is not None and len(clause) == len(line)
    return Reading(value.text.strip(), True, not line[value.end:].strip(" \t"), not cut)


def _words(line: str, at: int) -> Reading:
    """An answer in words (`Evelyn`, `no solution`); a sentence is searched for the value it arrives at."""
    end = SENTENCE_END.search(line, at)
    sentence = line[:end.start() if end else len(line)]
    if (guess := guess_in(sentence)) is not None:
        return Reading(guess.answer, False, guess.to_end and end is None, guess.sure)
    head = sentence[at:]
    short = REASON.split(head, maxsplit=1)[0].strip(" .:*\"")
    whole = short.count("{") == short.count("}") and short.count("$") % 2 == 0
    if short and whole and len(short.split()) <= 4 and not REMARK.match(short):
        return Reading(short, False, end is None and short == head.strip())
    return NOTHING


def bare_answer(line: str, last: bool = False) -> str | None:
    """The answer that a line holds beside nothing else; None for a line of text such as a heading.

    last: nothing follows the line, so that a few words (`Evelyn`) or `5.` are no heading either.
    """
    plain = without_markup(ascii_math(line)).strip()
    value = value_at(plain, skip(plain))
    if value is None and last and any(map(str.isdigit, plain)):
        best = guess_in(plain)
        return best.answer if best else plain if len(plain.split()) <= 4 else None
    if value is None:
        return plain if last and len(plain.split()) <= 4 and "nswer" not in plain else None
    rest = plain[value.end:].strip()
    if rest and not (last and rest == ".") and not (rest[0] == "(" and rest[-1] == ")"):
        return line if last and not rest.startswith((":", ".")) else None
    return value.text.strip()
