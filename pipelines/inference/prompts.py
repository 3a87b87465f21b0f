"""Prompt templates, by name, and how they are rendered.

A template is Jinja with one variable, `problem`: what it renders is exactly what the
model reads, and a solution (or a prefix of one) is appended to it as it stands. Its text, not its name, is part of a
generator's id.
"""

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.templates import render_template

PROMPTS = {
    "plain": "{{ problem }}\n",
    "question": "Question: {{ problem }}\nAnswer:\n",
    "instruct": (
        "Solve the problem step by step, one step on each line. "
        "End with a line that reads: The answer is <answer>\n\nProblem: {{ problem }}\n\nSolution:\n"
    ),
    "boxed": (
        "Solve the problem step by step. Put the final answer within \\boxed{}.\n\n"
        "Problem: {{ problem }}\n\nSolution:\n"
    ),
}


def template_text(prompt: str) -> str:
    """Text of a named template, or `prompt` itself where it is a template.

    Raises:
        UserError: neither a known name nor a template with `problem` in it.
    """
    if prompt in PROMPTS:
        return PROMPTS[prompt]
    if "{{" not in prompt:
        known = ", ".join(sorted(PROMPTS))
        raise UserError(f"prompt {prompt!r} is neither one of {known} nor a Jinja template with {{{{ problem }}}}")
    return prompt


def render(prompt: str, problem: str) -> str:
    """The text that a model reads before it writes a solution of `problem`."""
    return render_template("prompt", template_text(prompt), "`problem` alone", problem=problem)
