"""Marks that end the steps inside a recorded text, such as those of Math-Shepherd: a mark after every step, and the
same text once more with a label in place of every mark.

    Step 1: 3 + 4 = 7 ки\nStep 2: The answer is: 7 ки
    Step 1: 3 + 4 = 7 +\nStep 2: The answer is: 7 +

In: a text and its mark. Out: the text as the model wrote it, and the labels of its steps. A text with a known mark
that the recipe does not name is refused: a model would learn to write the mark.
"""

import re

KNOWN = re.compile("(?<!\\S)(ки)(?=\\s*?$)|(<extra_0>)", re.MULTILINE)


def require_unmarked(text: str) -> None:
    """Raises ValueError for a text with a mark that public data sets put after steps."""
    if match := KNOWN.search(text):
        mark = match[1] or match[2]
        raise ValueError(f"the solution has {mark!r} after its steps, which no model wrote; set `step_mark: '{mark}'` "
                         "to remove it")


def without_marks(text: str, mark: str) -> str:
    """The text with a line break in place of every mark, and none at its end."""
    return re.sub(rf"[ \t]*{re.escape(mark)}[ \t]*\n?", "\n", text).rstrip("\n")


def labels_of(text: str, labelled: str, mark: str) -> list[str]:
    """The labels of the steps of a text, from the same text with a label in place of every mark.

    Raises:
        ValueError: the two texts differ in more than that.
    """
    label = r"(\S+?)"
    match = re.fullmatch(label.join(map(re.escape, text.strip().split(mark))), labelled.strip())
    if match is None:
        raise ValueError("the text of upstream_labels is not that of the solution with a label in place of every "
                         f"{mark!r}")
    return list(match.groups())
