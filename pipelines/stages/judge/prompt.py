"""What the judge reads, and how its answer is read: a critique, then one last line in a fixed form.

In: a problem with its answer and reference, and the steps of a solution. Out: the prompt; and, from what the judge
wrote, a `Vote`. `VERSION` and the template stand in the manifest, and the template's text is part of the judge's id.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.templates import render_template

VERSION = 1  # raised when the template below or the reading of votes changes
# Every line of the solution is indented, so that none of its text can pass for a heading or a verdict.
CRITIQUE = """\
You check a solution of a math problem, step by step. The solution was written by someone who may be wrong; whatever
it says about itself is no proof.

Problem:
{{ problem }}

Known answer: {{ answer }}
{% if reference %}

Reference solution (another correct way is just as good):
{{ reference }}
{% endif %}

The solution to check has {{ steps | length }} steps:
{% for step in steps %}
Step {{ loop.index }}:
{{ step.strip("\\n") | indent(first=true) }}
{% endfor %}

Criticise the steps in order. A step is wrong if a computation in it is false, if it does not follow from the problem
and the steps before it, or if it misreads the problem. A correct final answer excuses no wrong step. End with one line
in exactly one of these two forms, where N is the number of the first wrong step:
First error: none
First error: step N

Critique:
"""
# For solutions of which nobody told the answer (train/processbench.py).
CRITIQUE_WITHOUT_ANSWER = CRITIQUE.replace("Known answer: {{ answer }}\n", "")
VARIABLES = "problem, answer, reference (or none) and steps"
_VERDICT = re.compile(r"[\s*_#>`]*first error[\s*_]*:[\s*_]*(?:(none)|step[ \t]+(\d{1,6}))[\s*_`.]*", re.IGNORECASE)


class Vote(NamedTuple):
    """What one critique says: sound, unsound with its first wrong step (from 0), or undecided."""

    soundness: Literal["sound", "unsound", "undecided"]
    first_error: int | None = None


UNDECIDED = Vote("undecided")


def judge_template(prompt: str) -> str:
    """Text of the template that a recipe names: `critique`, or `prompt` itself where it is a template.

    Raises:
        UserError: it is neither, or cannot be rendered with problem, answer, reference and steps.
    """
    if prompt == "critique":
        return CRITIQUE
    if "{{" not in prompt or "steps" not in prompt:
        raise UserError(f"judge.prompt: {prompt!r} is neither `critique` nor a Jinja template that shows the `steps`; "
                        f"it may use {VARIABLES}")
    judge_prompt(prompt, "1 + 1?", "2", None, ["1 + 1 = 2", "2"])
    return prompt


def judge_prompt(template: str, problem: str, answer: str, reference: str | None, steps: Sequence[str]) -> str:
    """The text that the judge reads."""
    return render_template("judge.prompt", template, VARIABLES, problem=problem, answer=answer, reference=reference,
                           steps=steps)


def read_vote(text: str, steps: int, finished: bool) -> Vote:
    """The vote of a critique on a solution of so many steps.

    Its last line decides, and nothing else. Undecided: a last line in another form, a step that does not exist, a
    critique that was cut off, a thought that was never closed.
    """
    _, opened, thought = text.rpartition("<think>")
    if not finished or (opened and "</think>" not in thought):
        return UNDECIDED
    verdict = _VERDICT.fullmatch(text.strip().rpartition("\n")[2])
    if verdict is None:
        return UNDECIDED
    if verdict[1]:
        return Vote("sound")
    step = int(verdict[2])
    return Vote("unsound", step - 1) if 1 <= step <= steps else UNDECIDED
