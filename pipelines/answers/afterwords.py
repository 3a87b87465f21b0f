"""Words behind an answer: its check, how sure the writer is, a remark in brackets, another part of the problem.

A text goes in; it comes out without the check at its end, so that the value before it can be taken. Only what is
plainly a check is left out: it names the value again, or says that it holds, and comes to nothing new.
"""

import re

from stepforge.pipelines.answers.wording import CONFIRMED, SENTENCE_END, phrases

_START = r"\n[ \t]*(?:#{1,6}[ \t]*)?(?:[-•][ \t]*)?[*_]*(?:(?:step )?\d{1,2}[.:)] )?(?:now,? )?"
_OF_IT = r"(?: (?:of )?(?:the|our|my|this|your) (?:answer|solution|result|work))?"
_CHECK = re.compile(_START + "(?:" + phrases(r"""check|checking|double-check|double-checking|verify|verifying
|verification|sanity check|answer verification
|probe|vérification|verificación|comprobación|verifica|verificação|проверка""")
    + _OF_IT + r"(?:[*_ \t]*[:：.]|[*_]*\n)|"
    + phrases(r"""let's (?:verify|check|double-check)|let us (?:verify|check|double-check)
|let me (?:verify|check|double-check)|(?:we|you) can (?:also |easily )?(?:verify|check|double-check)
|to (?:verify|check|double-check)|(?:this|the answer) can be (?:verified|checked)|the answer checks out""")
    + r"\b)|(?<=[。\n])\s*[*_]*(?:验证|检验|验算)[*_]*[:：]", re.IGNORECASE)
_CONFIDENCE = re.compile(r"\n\W*(?:confidence|certainty|difficulty)\b[^\n:]{0,20}:[^\n]{0,30}\Z", re.IGNORECASE)
_GOES_ON = re.compile(r"\b" + phrases(r"""(?:so|thus|therefore|hence)(?!,? (?:this|that|it|our|my|the (?:answer
|solution|result)) (?:is|checks|works|holds)|,? all |,? both )|wait|actually|hmm|oops|instead|my mistake|not|isn't
|doesn't|wrong|incorrect|should be|i made|let me (?:redo|recompute)|(?:final|right) answer""") + r"\b|≠|\\ne(?![a-z])"
                      r"|\\boxed|####|所以|因此", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:is|are|makes?|gives?|total)\b[^=]*\d[^=]*$", re.IGNORECASE)
_ASIDE = re.compile(r"(?:\n|(?<=[.!])[ ]|(?<=\*\*)[ ])\s*\([A-Z][^()\n]*[.!]\)\s*\Z")       # (They lost 4.)
_SECTION = re.compile(r"\n\s*(?:#{1,6} *|\*\*)(?:follow-up|key \w+|breakdown|summary[^\n]{0,30}|given|notes?|reasoning"
                      r"|explanation)\b[^\n]{0,30}(?:\*\*|:)", re.IGNORECASE)
_CONCLUDES = re.compile(r"\W*(?:so|thus|therefore|hence|in conclusion|finally|then)\b", re.IGNORECASE)
_RESULT = re.compile(r"=\s*\\?[$€£]?\s*(\d[\d,]*(?:\.\d+)?)")
_PAST = re.compile(r"\b(?:was|were|had|gave|lost|spent|started|originally)\b")
_LEFT = re.compile(r"\b(?:left|remain\w*|altogether|total|now)\b")
_PART = re.compile(r"\W*(?:Part )?\(?([a-h]|i{1,3})\)[*_: ]*[^a-zA-Z\n]{1,30}").fullmatch
UNKNOWN = re.compile(r"[\s*_$+•-]*([a-zA-Z])\s*=\s*[-\d][\d./]*[\s*_$.]*").fullmatch
MAX_CHECKS = 8
_HINTS = ("heck", "HECK", "erif", "rific", "ERIF", "robe", "omproba", "роверка", "验", "检", "onfidence", "ertainty",
          "ifficulty", ".)", "!)", "##", "**")


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text.replace(",", "")))


def before_check(text: str) -> tuple[str, bool]:
    """The text before the check that ends it, all of it where none does; whether what ends it may be no more."""
    if not any(map(text.__contains__, _HINTS)):
        return text, False
    if (sure := _CONFIDENCE.search(text)) and text[:sure.start()].strip():
        text = text[:sure.start()]
    if (aside := _ASIDE.search(text)) and _CONCLUDES.match(SENTENCE_END.split(text[:aside.start()].strip())[-1]):
        text = text[:aside.start()]
    if (section := _SECTION.search(text)) and _closes(text[:section.start()]) and not _GOES_ON.search(
            text, section.start()):
        text = text[:section.start()]
    for check in list(_CHECK.finditer(text))[-MAX_CHECKS:]:
        kept, said = text[:check.start()], text[check.start():]
        if kept.strip() and _comes_to_nothing_new(kept, said):
            known = bool(_values(kept) & _numbers(said)) or CONFIRMED.search(_sentences(said)[-1]) is not None
            return (kept, False) if known else (text, True)
    return text, False


def _closes(text: str) -> bool:
    """Whether a text ends in a sentence that concludes, or is bold as a whole."""
    said = _sentences(text)[-1]
    return _CONCLUDES.match(said) is not None or said.startswith("**") and said.endswith("**")


def before_any_check(text: str) -> str:
    """The same where the answer is announced, so that its check need not name it."""
    for check in list(_CHECK.finditer(text))[-MAX_CHECKS:]:
        kept = text[:check.start()]
        if kept.strip() and _comes_to_nothing_new(kept, text[check.start():]):
            return kept
    return text


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in SENTENCE_END.split(text.strip()) if sentence.strip()] or [""]


def _values(text: str) -> set[str]:
    """The numbers of the last sentence; of an equation, only those after its last equals sign."""
    said = _sentences(text)[-1]
    return _numbers(said.rpartition("=")[2]) or _numbers(said)


def _comes_to_nothing_new(kept: str, check: str) -> bool:
    last = _sentences(check)[-1]
    new = _TOTAL.search(last) and not _numbers(last) & _values(kept)
    return not new and _GOES_ON.search(check) is None


def concluded_before(text: str, at: int, sentence: str) -> bool:
    """Whether a sentence that only looks back follows one that concludes with a number of its own.

    `Therefore, the shirt costs $45. The original price was $60.`
    """
    if "=" in sentence or _CONCLUDES.match(sentence) or not _PAST.search(sentence) or _LEFT.search(sentence):
        return False
    computed = _RESULT.findall(text[max(0, at - 600):at])
    if computed and computed[-1].replace(",", "").rstrip(".") in _numbers(sentence):
        return False
    before = [one for one in SENTENCE_END.split(text[max(0, at - 600):at]) if one.strip()][-1:]
    return any(_CONCLUDES.match(one) and _numbers(one) and not _numbers(one) & _numbers(sentence) for one in before)


def follows_another_part(before: str, sentence: str) -> bool:
    """Whether a line answers one of several parts (`(b) 15` behind `(a) 12`) or unknowns (`y = 3` behind `x = 2`)."""
    previous = before.rstrip().rpartition("\n")[2]
    for label in (_PART, UNKNOWN):
        one, other = label(previous), label(sentence)
        if one and other and one[1] != other[1]:
            return True
    return False
