"""What the writer of problems reads, and how a problem is read from what it wrote.

In: a seed problem with its answer and, where it has one, its reference solution. Out: the prompt; and, from the
writer's text, a `Draft`: a problem, or why there is none. `VERSION` and the template stand in the manifest, and the
template's text is part of the writer's id.
"""

import re
from typing import NamedTuple

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.templates import render_template

VERSION = 1  # raised when the template below or the reading of drafts changes
SIMILAR = """\
Here is a mathematics problem with its answer.

Problem:
{{ problem }}

Answer: {{ answer }}

Write one new problem like it: it should call for the same knowledge and be about as hard, but tell of other things
and use other numbers. It must have exactly one answer, hold everything that is needed to find it, and not say what the
answer is. Write the text of the new problem and nothing else.

New problem:
"""
VARIABLES = "problem, answer and reference (or none)"
MAX_CHARS = 4000  # of a problem; the longest of GSM8K and MATH have about 1000 and 4300
_HEADING = re.compile(r"(?:here is |here's )?(?:a |the |one )?(?:new |similar )*(?:problem|question)[\s*_]*:[\s*_]*",
                      re.IGNORECASE)
# The writer went on: with the solution of its problem, with a second one, or with a turn of a conversation.
_NEXT = re.compile(r"\n[ \t*_#>]*(?:new |another |similar )*(?:solution|answer|explanation|problem|question"
                   r"|human|user)(?:[ \t]+\d{1,3})?[\s*_]*:|\n[ \t]*(?:-{3,}|={3,}|#{3,})", re.IGNORECASE)
_ASKS = re.compile(r"\?|\b(?:find|compute|calculate|determine|evaluate|simplify|solve|express|factor|expand|write|give"
                   r"|what|how many|how much)\b", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Draft(NamedTuple):
    """A problem, or (with an empty text) the reason why there is none, and the same in words."""

    problem: str
    reason: str | None = None
    detail: str = ""


def writer_template(prompt: str) -> str:
    """Text of the template that a recipe names: `similar`, or `prompt` itself where it is a template.

    Raises:
        UserError: it is neither, or cannot be rendered with problem, answer and reference.
    """
    if prompt == "similar":
        return SIMILAR
    if "{{" not in prompt or "problem" not in prompt:
        raise UserError(f"synthesize.prompt: {prompt!r} is neither `similar` nor a Jinja template that shows the "
                        f"`problem`; it may use {VARIABLES}")
    writer_prompt(prompt, "1 + 1?", "2", None)
    return prompt


def writer_prompt(template: str, problem: str, answer: str, reference: str | None) -> str:
    """The text that the writer reads."""
    return render_template("synthesize.prompt", template, VARIABLES, problem=problem, answer=answer,
                           reference=reference)


def read_draft(text: str, finished: bool) -> Draft:
    """The problem in what a writer wrote: what stands behind its thoughts and a heading, before whatever comes next.

    finished: the writer ended the text itself. Where it was cut off, a problem counts only if the writer had gone on
    to something else.
    """
    _, opened, thought = text.rpartition("<think>")
    if opened and "</think>" not in thought:
        return Draft("", "truncated", "the writer was still thinking")
    text = text.rpartition("</think>")[2].lstrip("\n\t *_#>")
    heading = _HEADING.match(text)
    body = text[heading.end() if heading else 0:]
    following = _NEXT.search(body, 0, MAX_CHARS + 200)
    problem = _CONTROL.sub("", body[:following.start() if following else None]).strip()
    if not problem:
        return Draft("", "empty", "no text")
    if len(problem) > MAX_CHARS:
        return Draft("", "too_long", f"{len(problem):,} characters; at most {MAX_CHARS:,} are allowed")
    if not finished and following is None:
        return Draft("", "truncated", "cut off at the length limit")
    if not _ASKS.search(problem) or len(problem.split()) < 3:
        return Draft("", "no_question", "it asks for nothing")
    return Draft(problem)
