"""Prompt templates, by name, and how they are rendered.

A template is Jinja with one variable, `problem`: what it renders is exactly what the
model reads, and a solution (or a prefix of one) is appended to it as it stands. Its text, not its name, is part of a
generator's id.
"""

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from stepforge.builders.errors import UserError

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
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)


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
    try:
        return _compiled(template_text(prompt)).render(problem=problem)
    except TemplateError as error:
        raise UserError(f"the prompt template cannot be rendered: {error}; its one variable is `problem`") from error


@lru_cache(maxsize=64)
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)
