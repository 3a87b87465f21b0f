"""Refusals: a text that gives up, as in `I cannot solve this, there are 5 unknowns` or `Not enough information`.

The end of a text goes in, a yes or no comes out. A number beside a refusal was never meant as the answer. A text that
goes on to a result (`so`, `but`, `=`) does not refuse.
"""

import re

from stepforge.pipelines.answers.wording import phrases

TAIL = 400           # characters searched

_CANNOT = phrases("cannot|can not|can't|cant|could not|couldn't|(?:(?:am|are|was) )?(?:unable|not able) to")
_SOLVE = phrases(r"""solve|answer|determine|find|compute|calculate|evaluate|(?:provide|give) (?:an|the|any)
|help|assist|continue|proceed|complete|tell|figure|see how|work (?:it|this|that) out|do (?:this|that|it)""")
_GIVEN = phrases("information|data|details|context")
_REFUSED = re.compile("|".join((
    rf"\b(?:i|we)(?:['’]m|['’]re)?\s+(?:\w+ly\s+|just\s+|still\s+)?{_CANNOT}\s+(?:\w+ly\s+)?{_SOLVE}\b",
    r"\b(?:i|we)(?:['’]ve| have)?\s+(?:give|gave|given)\s+up\b(?!\s+\$?\d)"
    r"|\bi(?:['’]m| am)\s+(?:giving up|stuck)\b",
    r"\b(?:i|we)\s+(?:have no (?:idea|clue)|(?:do|did)(?: not|n['’]t) know (?:the|how|what)\b)",
    rf"\b(?:not enough|insufficient|too little|isn['’]t enough|no|not sufficient)\s+{_GIVEN}\b",
    rf"\b{_GIVEN}\b[^.!?\n]{{0,40}}\b(?:is|are)\s+(?:insufficient|missing|not (?:enough|sufficient|given))\b",
    r"\b(?:answer|problem|question|solution|value|result|number|it)\s+(?:cannot|can not|can['’]t|could ?n[o'’]t)"
    r"\s+be\s+(?:\w+ly\s+)?(?:determined|solved|answered|found|computed|known|given)\b",
    r"\bas an ai\b")), re.IGNORECASE)
_GOES_ON = re.compile(r"=|≈|\b(?:but|however|so|thus|therefore|hence|then|instead|alternatively|assum\w+"
                      r"|suppos\w+|still|let|nevertheless|nonetheless|yet|we (?:get|have|find|see|know)|answer is)\b",
                      re.IGNORECASE)
_MAY = ("can", "could", "able", "give", "gave", "stuck", "idea", "clue", "know", "nformation", "data", "detail",
        "context", "as an ai")


def refuses(text: str) -> bool:
    """Whether a text ends in a refusal."""
    tail = text[-TAIL:]
    lower = tail.lower()
    if not any(map(lower.__contains__, _MAY)):
        return False
    refused = list(_REFUSED.finditer(tail))
    return bool(refused) and _GOES_ON.search(tail, refused[-1].end()) is None
