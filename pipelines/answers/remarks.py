"""Remarks behind an answer in a box: `x=4 \\text{ (the root } x=-3 \\text{ is extraneous)}` answers 4.

LaTeX with its `\\text{…}` goes in; the same text without reasons, without values that it rejects itself, and with `=`
where it only says a value once more, comes out. What denies the answer itself (`4 \\text{ (extraneous)}`) stays.
"""

import re

from stepforge.pipelines.answers.wording import phrases

_REJECTED = phrases(r"""extraneous|reject\w*|discard\w*|invalid|inadmissible|ignor\w*|exclud\w*|impossible
|not (?:an? )?(?:valid|possible|allowed|solutions?|roots?)|(?:does not|doesn't|do not) (?:work|satisfy)""")
_OPEN = r"\s*(?:\\[,;: ]|\\q?quad|~)*\s*[,;]?\s*\\text[a-z]{0,2}\{[\s,;(]*"
_REASON = re.compile(_OPEN + phrases("since|because|as|given that|note that") + r"\b.*", re.DOTALL)
_OTHER = re.compile(_OPEN + r"(?:(?:but )?not|reject\w*|discard\w*|ignor\w*|exclud\w*|rather than|instead of)"
                    r"\b(?=[^{}]*\}\s*\(?\s*[-\\\d$a-zA-Z]).*", re.DOTALL)
_VERDICT_ON = re.compile(r"\s*(?:\\[,;: ]|\\q?quad|~)*\s*[,;]?\s*(?:\(|\\text\{\s*\()[^()]*[\d=][^()]*"
                         + _REJECTED + r"[^()]*\)\s*\}?\s*$", re.DOTALL)
_REJECTED_PART = re.compile(r"(?:[,;]|\\q?quad|\\text\{\s*,?\s*(?:or|and)\s*\}|\\lor)(?:(?!\\text|[,;]).)*"
                            r"\\text\{[\s,(]*(?:(?:is|are)\s+)?" + _REJECTED + r"[^{}]*\}\s*\)?\s*$", re.DOTALL)
_AGAIN = re.compile(_OPEN + phrases(r"i\.e\.|that is|which (?:is|equals)|equivalently|or equivalently|equal to") +
                    r",?\s*\}\s*((?:(?!\\text).)+?)(?:\\text\{\s*\)\s*\}|\))?\s*$", re.DOTALL)
_REASON_INSIDE = re.compile(r"(\\text[a-z]{0,2}\{[^{}]*?[a-z]),?\s+(?:since|because)\b.*", re.DOTALL)
_KEPT = ((_REJECTED_PART, ""), (_VERDICT_ON, ""), (_REASON, ""), (_REASON_INSIDE, r"\1}"), (_OTHER, ""),
         (_AGAIN, r"=\1"))


def without_remarks(text: str) -> str:
    """The text up to what it only remarks on; as it is where nothing would be left."""
    for pattern, kept in _KEPT:
        match = pattern.search(text)
        if match and (text[:match.start()].strip(" ${(\\") or pattern is _REASON_INSIDE):
            text = text[:match.start()] + match.expand(kept)
    return text
