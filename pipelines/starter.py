"""Makes the first recipe of a user: what is not given is asked for, and most questions have a default.

In: answers by name, some of them given. Out: the text of a commented recipe, which has been validated. Columns of a
file are guessed from the names and values of its first row.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from stepforge.builders.errors import UserError
from stepforge.pipelines.recipe import make_recipe

PUBLIC = ("gsm8k", "math")
TEMPLATES = Path(__file__).parent / "starters"
WRITERS = {"own": "mine", "endpoint": "hosted", "vllm": "local"}
SOLUTIONS = ("solutions", "samples", "generations", "responses", "outputs", "completions", "solution", "response",
             "generation", "completion", "output", "model_output")
USUAL = {"problem": ("problem", "question", "prompt", "instruction", "query", "input"),
         "answer": ("answer", "gold", "final_answer", "expected_answer", "ground_truth", "target", "label")}
Default = Callable[[Mapping[str, str]], str | None]


class Question(NamedTuple):
    """`default` may depend on the answers so far; None where there is none."""

    name: str
    text: str
    default: Default = lambda answers: None


Ask = Callable[[Question, str | None], str]


def fixed(value: str) -> Default:
    return lambda answers: value


def as_name(stem: str) -> str:
    """A name of a run that is close to the name of a file, which may hold any character."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "recipe"


def guessed(file: str, names: tuple[str, ...]) -> Default:
    """The column of a file that has one of the usual names."""
    return lambda answers: next((name for name in names if name in first_row(answers[file])), None)


PROBLEMS = Question("problems", "Problems: gsm8k, math, or a file with problems and answers", fixed("gsm8k"))
COLUMNS = (Question("problem", "Column with the problem", guessed("problems", USUAL["problem"])),
           Question("answer", "Column with the gold answer", guessed("problems", USUAL["answer"])))
LAST = (Question("writer", "Name of the generator, for tables and cards", lambda answers: WRITERS[answers["kind"]]),
        Question("name", "Name of the run", lambda answers: as_name(answers["stem"])),
        Question("to", "Where to publish: local:FOLDER or hub:ORG/NAME",
                 lambda answers: f"local:releases/{answers['name']}"))
QUESTIONS: dict[str, tuple[Question, ...]] = {
    "own": (Question("samples", "File, folder or glob with the solutions"),
            Question("problems", "File with the problems and their answers", lambda answers: answers["samples"]),
            *COLUMNS,
            Question("sample_problem", "Column of the solutions' file with the problem",
                     guessed("samples", USUAL["problem"])),
            Question("solution", "Column with a solution, or with a list of them", guessed("samples", SOLUTIONS)),
            *LAST),
    "endpoint": (Question("url", "Base URL of the server, with /v1", fixed("http://localhost:8000/v1")),
                 Question("model", "Name of the model there"),
                 Question("api", "What the server can do: completions (it continues a text) or chat",
                          fixed("completions")),
                 Question("key_variable", "Environment variable that holds the API key; empty for none", fixed("")),
                 PROBLEMS, *COLUMNS, *LAST),
    "vllm": (Question("model", "Model: a folder, or an id on the Hub"), PROBLEMS, *COLUMNS, *LAST),
}


def ask_for(given: Mapping[str, str], ask: Ask) -> dict[str, str]:
    """All answers: those given, and what `ask` returns for every other question of the kind."""
    answers = dict(given)
    questions = QUESTIONS[answers["kind"]]
    if unused := given.keys() - {"kind", "stem"} - {question.name for question in questions}:
        raise UserError(f"init {answers['kind']} takes no {option(min(unused))}; it takes "
                        f"{', '.join(option(question.name) for question in questions)}")
    for question in questions:
        if question.name in answers or (question in COLUMNS and answers["problems"] in PUBLIC):
            continue
        if question.name == "sample_problem" and answers["samples"] == answers["problems"]:
            answers["sample_problem"] = answers["problem"]
        else:
            answers[question.name] = ask(question, question.default(answers))
    return answers


def option(name: str) -> str:
    """How the command line calls a question."""
    return "--" + name.replace("_", "-")


def recipe_text(answers: Mapping[str, str]) -> str:
    """The recipe; RecipeError where an answer does not fit."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, keep_trailing_newline=True)
    several = answers["kind"] == "own" and is_list(answers["samples"], answers["solution"])
    text = environment.get_template(f"{answers['kind']}.yaml.jinja").render(answers, public=PUBLIC, several=several)
    make_recipe(yaml.safe_load(text))
    return text


def is_list(paths: str, column: str) -> bool:
    """Whether a column, or what a path finds, holds several solutions."""
    from stepforge.builders.sources.literals import list_in_text

    value = first_row(paths).get(column)
    return "[]" in column or isinstance(value, list) or isinstance(value, str) and list_in_text(value) is not None


def first_row(paths: str) -> dict[str, Any]:
    """The first row of the files that can be read; UserError where there is none."""
    from stepforge.builders.sources.records import Record, read_records

    for row in read_records([paths]):
        if isinstance(row, Record):
            return row.values
    raise UserError(f"{paths}: no row can be read; give a file with at least one valid row")
