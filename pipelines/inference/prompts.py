"""What a model reads before it writes a solution: named prompts, few-shot sets, a user's template, chat templates.

In: the prompt of a generator as the recipe states it, and a problem. Out: exactly what the model reads; a solution (or
a prefix of one) is appended to it as it stands. Four kinds, all of them Jinja with one variable, `problem`:

    prompt: instruct                           # one of PROMPTS
    prompt: gsm8k_8shot                        # a few-shot set of prompt_sets/, with stop strings that fit it
    prompt: "Q: {{ problem }}\\nA:"             # a template of the user's
    prompt: chat                               # the model's own chat template around a question, also chat:instruct
                                               # or chat:TEMPLATE with a question of the user's

The text of the template, that of the chat template too, is part of a generator's id; the name is not.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference.chat import chat_template, in_chat
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
ASKED = "{{ problem }}\n\nReason step by step, one step on each line, and put the final answer within \\boxed{}."
SETS = Path(__file__).parent / "prompt_sets"
VARIABLE = "`problem` alone"


class Shot(NamedTuple):
    """A worked example."""

    problem: str
    solution: str
    answer: str


class PromptSet(NamedTuple):
    """Worked examples, the template that lays them out before a problem, and what ends a completion after them."""

    template: str
    stop: tuple[str, ...]
    shots: tuple[Shot, ...]

    def text(self) -> str:
        """The template with the examples in their places and the problem left open."""
        return render_template("prompt_sets", self.template, "`shots` and `problem`",
                               shots=[shot._asdict() for shot in self.shots], problem="{{ problem }}")


@lru_cache(maxsize=1)
def prompt_sets() -> dict[str, PromptSet]:
    """The sets that ship with the package, by name."""
    sets = {}
    for path in sorted(SETS.glob("*.yaml")):
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        shots = tuple(Shot(**shot) for shot in loaded["shots"])
        sets[path.stem] = PromptSet(loaded["template"], tuple(loaded["stop"]), shots)
    return sets


def stop_strings(prompt: str) -> tuple[str, ...]:
    """What ends a completion where the recipe names no stop strings: those of a few-shot set, else none."""
    prompt_set = prompt_sets().get(prompt)
    return prompt_set.stop if prompt_set else ()


def template_text(prompt: str, model: str) -> str:
    """All text that decides what `model` reads: the template's, and where it is wrapped in one, the chat template's.

    Raises:
        UserError: neither a known name nor a template, or the model has no chat template.
    """
    question = _in_chat(prompt)
    if question is None:
        return _named(prompt)
    return f"{_named(question)}\n{{# in the chat template #}}\n{chat_template(model)}"


def render(prompt: str, problem: str, model: str) -> str:
    """The text that `model` reads before it writes a solution of `problem`.

    Raises:
        UserError: as `template_text`, or the template cannot be rendered.
    """
    question = _in_chat(prompt)
    template = _named(prompt if question is None else question)
    text = render_template("prompt", template, VARIABLE, problem=problem)
    return text if question is None else in_chat(model, text)


def check_prompt(prompt: str, model: str) -> None:
    """Render a prompt once, before anything is paid for.

    Raises:
        UserError: it cannot be rendered, or does not show the problem.
    """
    if (asked := "How many are 17 and 25?") not in render(prompt, asked, model):
        raise UserError(f"prompt {prompt[:80]!r} does not contain the problem; write {{{{ problem }}}} where it "
                        "belongs")


def _in_chat(prompt: str) -> str | None:
    """The question that is put by the chat template; none where the prompt is no chat."""
    kind, _, question = prompt.partition(":")
    return (question.lstrip(" ") or ASKED) if kind == "chat" else None


def _named(prompt: str) -> str:
    """Text of a named template, or `prompt` itself where it is a template."""
    if prompt in PROMPTS:
        return PROMPTS[prompt]
    if prompt in prompt_sets():
        return prompt_sets()[prompt].text()
    if "{{" not in prompt:
        known = ", ".join([*sorted(PROMPTS), *prompt_sets(), "chat"])
        raise UserError(f"prompt {prompt!r} is neither one of {known} nor a Jinja template with {{{{ problem }}}}")
    return prompt
