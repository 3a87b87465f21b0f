"""Units behind a box: `\\boxed{3.2}` cm where the reference is `3.2 m`.

A reference, the text of a solution and the bare number that it boxes go in; the number with its unit comes out.
"""

import re

from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.quantity import measured
from stepforge.pipelines.answers.units import plain_unit, unit_of

_NUMBER = re.compile(r"[-\d.,\s\\{}^/a-z]*\d[}\s]*").fullmatch
_SPACE = r"(?:\s|\\[,;:! )\]]|~|\$|\*)*"
_UNIT = re.compile(rf"\s*\}}{_SPACE}(?:\\(?:text|mathrm)\{{\s*([^{{}}]{{1,30}})\}}(\^\{{?\d\}}?)?"
                   r"|([a-zA-Z°μ]+(?:(?:\s?/\s?|\s+per\s+)[a-zA-Z]+)?(?:\s?\^\s?\{?\d\}?)?)(?![\w'’]))")
_TIMES = re.compile(rf"\s*\}}{_SPACE}(?:\\text\{{\s*)?(hundred|thousand|million|billion|trillion)\b")
_CLOCK = re.compile(r"\d{1,2}:\d\d").fullmatch
_HALF = re.compile(rf"\s*\}}{_SPACE}(?:\\text\{{\s*)?([apAP])\.?\s?[mM]\b")


def with_unit_behind(gold: str, text: str, answer: str) -> str | None:
    """The boxed number with the known unit that follows its box, where the reference has a known unit too."""
    at = text.rfind("{" + answer)
    if at < 0 or not (_NUMBER(answer) or _CLOCK(answer)):
        return None
    if times := _TIMES.match(text, at + 1 + len(answer)):
        return f"{answer} {times[1]}"
    if _CLOCK(answer):
        half = _HALF.match(text, at + 1 + len(answer))
        return f"{answer} {half[1]}m" if half else None
    behind = _UNIT.match(text, at + 1 + len(answer))
    asked = measured(canonical(gold)) if behind else None
    if behind is None or asked is None or not asked.unit.dimension:
        return None
    words = (behind[1] or behind[3]) + (behind[2] or "")
    unit = unit_of(words) if behind[1] or len(words) > 1 else plain_unit(words, True)
    if unit is None or not unit.dimension or len(words) == 1 and words in "aAsI":
        return None
    return rf"{answer}\text{{ {words} }}"
