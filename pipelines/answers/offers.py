"""Offers: whether a text that marks no answer states the reference beside its last value.

`The area is **36**. Follow-up: its perimeter would be 24.` offers 36: a reader cannot tell which of the two answers
the problem, so that a guess at 24 says nothing.
"""

import re

from stepforge.pipelines.answers.extract import own_text
from stepforge.pipelines.answers.golds import reference_answer
from stepforge.pipelines.answers.normalize import ascii_math, canonical
from stepforge.pipelines.answers.wording import OF_OTHERS, RETRACTED, SENTENCE_END

MOST = 60            # characters of a reference that is looked for
TAIL = 2000          # of the text
_ARRIVES = (r"(?:[=≈→:]|\*\*|\b(?:is|are|was|were|be|equals|gives?|gets?|makes?|takes?|yields?|costs?|has|have|had"
            r"|to)\b(?:\s(?:exactly|only|about|just|simply|a total of|equal to))?)(?:[\s$*({>]|\\[(\[])*")
_STOPS = (r"(?:\^\{?\\circ\}?)?(?![\d^_/+-]|\*(?!\*)|[.,]\d|\s*(?:[+/^=-]|\*(?!\*)))(?:\s*(?:≈|\\approx)\s*[\d.]+)?"
          r"(?:[^\n\d=+*/]|\^\{?\d\}?){0,40}?(?:[\s.*$)\\\]]*$|:\s|,? or\b)")
_ASIDE = re.compile(r"\s*(?:\(|[-*•+]\s)").match          # in parentheses, or an item of a list
_SPELLING = re.compile(r"(?<=\\)[dt](?=frac)|\\(?:left|right)(?![a-z])|\\[!,;: ]|(?<=\d),(?=\d{3}(?!\d))")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_FRACTION = re.compile(r"\\frac\{(\w+)\}\{(\w+)\}")
_SEVERAL = re.compile(r"[,;]\s|\b(?:and|or)\b").search
_DENIES = re.compile(r"\b(?:not|never|cannot|let|if|ignore|reject|wrong|incorrect|mistake|discard|might|maybe|perhaps"
                     r"|instead|first|check|suppose)\b|n['’]t\b", re.IGNORECASE)
_TURNS = re.compile(r"\W*(?:wait|however|but|actually|hmm|no|oops|sorry)\b", re.IGNORECASE)


def offers(text: str, gold: str, answer: str) -> bool:
    """Whether a sentence ends in the reference, as a result that nothing denies."""
    reference = _TEXT.sub(r"\1", _SPELLING.sub("", canonical(reference_answer(gold) or ""))).strip("$ .")
    if not reference or len(reference) > MOST:
        return False
    if _SEVERAL(answer) and re.search(rf"(?<![\d.]){re.escape(reference)}(?![\d.])", answer):
        return ", or " in answer                               # among others, or in other words
    spellings = {reference.replace(" ", ""), _FRACTION.sub(r"\1/\2", reference).replace(" ", "")}
    spelt = "|".join(r"\s*".join(map(re.escape, spelling)) for spelling in spellings)
    offered = re.compile(rf"{_ARRIVES}(?:{spelt}){_STOPS}")
    lines = own_text(text)[-TAIL:].strip().split("\n")
    sentences = [part for line in lines for part in SENTENCE_END.split(_SPELLING.sub("", ascii_math(line)))
                 if part.strip()]
    taken_back = [place for place, one in enumerate(sentences) if RETRACTED.search(one) and not OF_OTHERS.search(one)]
    own = sentences[taken_back[-1] + 1:] if taken_back else sentences
    return any(offered.search(one) is not None and not _DENIES.search(one)
               and not _ASIDE(one) and not _TURNS.match(later)
               for one, later in zip(own, [*own[1:], ""], strict=False))
