"""Where the thoughts of a reasoning model go: into the solution, into a column of their own, or nowhere.

In: a completion, in which a server may have told the thought apart from the text. Out: the solution and, where it is
kept apart, the thought. A thought that was cut off has an open `<think>` and no end, so that no verdict is taken from
it. Some templates open the thought in the prompt: the text then closes it without opening it, and a text that was cut
before it shows nothing of it at all; `opened` tells of such prompts.
"""

import re
from collections.abc import Iterable

from stepforge.pipelines.answers.thoughts import thought_marks
from stepforge.pipelines.inference.runner import Completion

SOLUTION, SOLUTION_END = "<|begin_of_solution|>", "<|end_of_solution|>"
OPEN, CLOSE = "<think>", "</think>"
_OPENED = re.compile(rf"{OPEN}\s*$")


def opens_thought(prompt: str, completions: Iterable[Completion]) -> bool:
    """Whether answers to `prompt` begin within a thought: it says so, or one of them closes what it never opened."""
    return bool(_OPENED.search(prompt)) or any(
        closed and OPEN not in before for before, closed, _ in (c.text.partition(CLOSE) for c in completions))


def solution_and_thought(completion: Completion, kept: str, opened: bool, prompt: str) -> tuple[str, str | None]:
    """The solution as the recipe wants it, and the thought where that is kept apart.

    Args:
        kept: inline, column or drop.
        opened: the answer begins within a thought (`opens_thought`).
    """
    inline, thought, text = _told_apart(completion) if completion.thought else _within(completion, opened, prompt)
    if thought is None or kept == "inline":
        return inline, None
    text = text.lstrip("\n")
    if text.startswith(SOLUTION):
        text = text.removeprefix(SOLUTION).rstrip().removesuffix(SOLUTION_END).strip("\n")
    return text, thought.strip("\n") if kept == "column" else None


def _told_apart(completion: Completion) -> tuple[str, str, str]:
    """Inline text, thought and rest, where the server told the two apart; some write the thought into the text too."""
    thought, text = completion.thought or "", completion.text
    cut = not text and completion.finish_reason == "length"
    inline = OPEN + thought + ("" if cut else CLOSE + text)
    again = _marked(text)
    if again is None:
        return inline, thought, text
    twice = again[0].strip() == thought.strip()
    return (text, thought, again[1]) if twice else (inline, f"{thought}\n{again[0]}", again[1])


def _within(completion: Completion, opened: bool, prompt: str) -> tuple[str, str | None, str]:
    """The same where the text holds both, or no thought (null)."""
    text = completion.text
    if marked := _marked(text):
        return text, *marked
    before, closed, _ = text.rpartition(CLOSE)
    if not closed and not (opened and completion.finish_reason == "length"):
        return text, None, text
    thought, rest = (before, text[len(before) + len(CLOSE):]) if closed else (text, "")
    stands = closed and (OPEN in before or _OPENED.search(prompt))    # then it is left as it was written
    return text if stands else OPEN + text, thought.lstrip(), rest


def _marked(text: str) -> tuple[str, str] | None:
    """Thought and rest of a text that opens with a thought, in the marks of any model; all of it, if it has no end."""
    start = text.lstrip()
    for opening, closing in thought_marks(text):
        if start.startswith(opening):
            before, closed, rest = start.rpartition(closing)
            return (before if closed else start).removeprefix(opening), rest if closed else ""
    return None
