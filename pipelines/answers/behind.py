"""Units behind a box: `\\boxed{3.2}` cm where the reference is `3.2 m`, `\\boxed{5}` million, `\\boxed{3:30}` p.m.

A reference, the text of a solution and the bare number that it boxes go in; what the number with its unit comes to
beside the reference comes out.
"""

import re

from stepforge.pipelines.answers.equivalence import compare
from stepforge.pipelines.answers.matches import UNCLEAR, Match
from stepforge.pipelines.answers.normalize import ascii_math, canonical
from stepforge.pipelines.answers.quantity import measured
from stepforge.pipelines.answers.units import unit_of

REACH = 60           # characters behind a box
MAX_WORDS = 4        # of a unit
_NUMBER = re.compile(r"[-\d.,\s\\{}^/a-z]*\d[}\s]*").fullmatch
_CLOCK = re.compile(r"\d{1,2}:\d\d").fullmatch
_CLOSING = re.compile(r"\s*\}(?:[ \t]|\\[,;:! )\]]|~|\$|\*)*")
_MARKUP = re.compile(r"\\(?:text|mathrm)\s*\{\s*|[${}*~]|\\[(),;: \]!]")
_TIMES = re.compile(r"(hundred|thousand|million|billion|trillion)\b").match
_HALF = re.compile(r"([apAP])\.?\s?[mM]\b").match
_PHRASE = re.compile(r"[a-zA-Z°μ][\w°μ/^. ·\\-]*").match
_ENDS = re.compile(r"[.,;:!?](?:\s|$)|\s(?:in|of|for|to|at|on|by|from|since|because|which|when|where|and|or|if|so"
                   r"|while|after|before|with|than|is|are|was|were|as|that)\b"
                   r"|^\s(?:per|an?|each|every)\s", re.IGNORECASE)


def match_with_unit(gold: str, text: str, answer: str, bare: Match) -> Match:
    """The match of the boxed number with the unit that follows its box; `bare`, that of the number, where none does.

    A number that is right without its `million` is unclear: the question may ask for millions.
    """
    at = max(text.rfind(f"boxed{{{answer}"), text.rfind(f"fbox{{{answer}"))
    closing = _CLOSING.match(text, text.find("{", at) + 1 + len(answer)) if at >= 0 else None
    answer = answer.rpartition("=")[2].strip()
    if closing is None or not (_NUMBER(answer) or _CLOCK(answer)):
        return bare
    behind = _MARKUP.sub("", text[closing.end():closing.end() + REACH].split("\n", 1)[0])
    if times := _TIMES(behind):
        match = compare(gold, f"{answer} {times[1]}")
        return UNCLEAR if bare.equal and match.equal is False else match
    if _CLOCK(answer):
        half = _HALF(behind)
        return compare(gold, f"{answer} {half[1]}m") if half else bare
    measure = _measure(gold, ascii_math(behind))
    return compare(gold, rf"{answer}\text{{ {measure} }}") if measure else bare


def _measure(gold: str, behind: str) -> str | None:
    """The known unit that a text begins with, where the reference has one too."""
    phrase = _PHRASE(behind)
    asked = measured(canonical(gold)) if phrase else None
    if phrase is None or asked is None or not asked.unit.dimension:
        return None
    words = _ENDS.split(f" {phrase[0]} ")[0].replace(r"\cdot", "·").split()
    for many in range(min(MAX_WORDS, len(words)), 0, -1):
        stated = " ".join(words[:many])
        unit = unit_of(stated)
        if unit and unit.dimension and not unit.nouns and not (len(stated) == 1 and stated in "aAsICTF"):
            return stated
    return None
