"""`stepforge init`: asks a few questions and writes a first recipe; an option of the command answers each of them.

In: the kind of generator, and options. Out: a commented recipe, and beside it the schema by which editors complete and
check it.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepforge.builders.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from stepforge.pipelines.starter import Question

KINDS = {"own": "solutions that you have in files", "endpoint": "a model behind an OpenAI-compatible API",
         "vllm": "a model on your own GPUs"}
SCHEMA = "recipe.schema.json"
Answer = str | None


def init(
    file: Annotated[Path, typer.Argument(help="Recipe file to write.")] = Path("recipe.yaml"),
    kind: Annotated[Answer, typer.Option(help="Origin of the solutions: own, endpoint or vllm.")] = None,
    samples: Annotated[Answer, typer.Option(help="For own: file, folder or glob with the solutions.")] = None,
    url: Annotated[Answer, typer.Option(help="For endpoint: base URL of the server, including /v1.")] = None,
    model: Annotated[Answer, typer.Option(help="For endpoint and vllm: name of the model.")] = None,
    api: Annotated[Answer, typer.Option(help="For endpoint: completions or chat.")] = None,
    key_variable: Annotated[Answer, typer.Option(help="For endpoint: environment variable with the API key.")] = None,
    problems: Annotated[Answer, typer.Option(help="Problems: gsm8k, math, or a file with problems and "
                                                  "answers.")] = None,
    problem: Annotated[Answer, typer.Option(help="Column with the problem.")] = None,
    answer: Annotated[Answer, typer.Option(help="Column with the gold answer.")] = None,
    sample_problem: Annotated[Answer, typer.Option(help="For own: column with the problem in the file of "
                                                        "solutions.")] = None,
    solution: Annotated[Answer, typer.Option(help="For own: column with a solution, or with a list of "
                                                  "solutions.")] = None,
    writer: Annotated[Answer, typer.Option(help="Name of the generator.")] = None,
    name: Annotated[Answer, typer.Option(help="Name of the run.")] = None,
    to: Annotated[Answer, typer.Option(help="local:FOLDER or hub:ORG/NAME.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take the defaults without asking.")] = False,
) -> None:
    """Write a first recipe. Asks for what the options leave open."""
    options = {name: value for name, value in locals().items() if isinstance(value, str)}
    from stepforge.pipelines.starter import ask_for, option, recipe_text

    if file.exists():
        raise UserError(f"{file} exists; give another name, or delete it first")

    def ask(question: "Question", default: str | None) -> str:
        given = default if yes else _ask(question.text, default)
        if given is None:
            raise UserError(f"init: {option(question.name)} is needed ({question.text})")
        return given

    chosen = kind or (None if yes else _ask_kind())
    if chosen not in KINDS:
        raise UserError(f"init: --kind {chosen or 'is needed'}: allowed is {', '.join(KINDS)}"
                        f"{did_you_mean(chosen or '', KINDS)}")
    answers: dict[str, Any] = {"stem": file.stem} | options | {"kind": chosen}
    text = recipe_text(ask_for(answers, ask))
    file.write_text(text, encoding="utf-8")
    _write_schema(file.parent / SCHEMA)
    typer.echo(f"{file}: look at it, then: stepforge plan {file}; stepforge run {file}")


def _ask_kind() -> str:
    for number, (kind, purpose) in enumerate(KINDS.items(), 1):
        typer.echo(f"{number}  {kind:<10}{purpose}")
    given = _ask("Where do solutions come from?", "own") or ""
    return dict(enumerate(KINDS, 1)).get(int(given), given) if given.isdecimal() else given


def _ask(question: str, default: str | None) -> str | None:
    """The answer of a person or of a pipe; the default where a pipe has ended."""
    try:
        return str(typer.prompt(question, default=default))
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        return default


def _write_schema(file: Path) -> None:
    """What editors read, as the first line of the recipe says; an older one is replaced."""
    from stepforge.pipelines.recipe import Recipe

    file.write_text(json.dumps(Recipe.model_json_schema(), indent=2) + "\n", encoding="utf-8")
