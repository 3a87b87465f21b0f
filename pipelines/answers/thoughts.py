"""Thoughts: what a reasoning model writes to itself, between marks, before its solution.

In: a text. Out: what stands outside its thoughts, or the marks of them that it may hold, those of any model.
"""

import re
from collections.abc import Iterator

_TAG = re.compile(r"</?((?:\w+[:_])?(?:think(?:ing)?|thoughts?|reasoning|scratchpad|reflection|analysis|monologue))>",
                  re.IGNORECASE)
DETAILS = "</details>"                     # of thoughts, and of much else
_MARKS = (("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"), ("&lt;think&gt;", "&lt;/think&gt;"),
          ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
          ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
          ("<|thinking|>", "<|/thinking|>"), ("<unused94>thought", "<unused95>"), ("<ctrl94>thought", "<ctrl95>"),
          ("<|im_start|>think", "<|im_start|>answer"), ("<details type=\"reasoning\"", DETAILS),
          ("<details>\n<summary>Thinking", DETAILS), ("<details>\n<summary>Thought", DETAILS),
          ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"))
_WORDS = (("Here is my thought process:", "Here is my response:"), ("Thinking...", "...done thinking."),
          ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"), ("analysis", "assistantfinal"))
_HEADINGS = re.compile(r"\s*((#{1,6} ?|\*\*)(?:Thinking|Thoughts?|Thought [Pp]rocess)(:?\*\*|:)?)[ \t]*\n")


def thought_marks(text: str) -> tuple[tuple[str, str], ...]:
    """What may open and close a thought in this text."""
    return *_tags_of(text), *_MARKS, *_in_words(text)


def without_thoughts(text: str) -> str | None:
    """The text outside its thoughts, None where the last one is not closed."""
    for _, closing in _in_words(text):
        text = text.rpartition(closing)[2]
    if text.count("<") <= 2 * text.count("<<") and not any(mark in text for mark in ("[THINK]", "◁think▷", "&lt;")):
        return text                                            # no tag: `<<3+4=7>>` are a calculator's notes
    for opening, closing in (*_tags_of(text), *_MARKS):
        if closing not in text or closing == DETAILS and opening not in text:
            if opening in text:
                return None
            continue
        pieces = text.split(closing)
        if opening in pieces[-1]:
            return None
        text = "\n".join([piece.split(opening, 1)[0] for piece in pieces[:-1] if opening in piece] + [pieces[-1]])
    return text


def _tags_of(text: str) -> Iterator[tuple[str, str]]:
    """A tag around all of a text is no thought, unless it says so: some put the whole solution into `<analysis>`."""
    for name in dict.fromkeys(_TAG.findall(text)):
        whole = text.strip().startswith(f"<{name}>") and text.rstrip().endswith(f"</{name}>")
        if not (whole and text.count(f"<{name}>") == 1) or "think" in name.lower() or "thought" in name.lower():
            yield f"<{name}>", f"</{name}>"


def _in_words(text: str) -> tuple[tuple[str, str], ...]:
    """Words or headings that tell the thought from the response, of a text that begins with the one and has both."""
    start = text.lstrip()
    pairs = [pair for pair in _WORDS if start.startswith(pair[0])]
    if heading := _HEADINGS.match(text):
        pairs += [(heading[1], f"\n{heading[2]}{name}{heading[3] or ''}\n") for name in ("Response", "Final Response")]
    return tuple(pair for pair in pairs if pair[1] in text)
