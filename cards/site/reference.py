"""The reference pages of the site, from the code itself: options, columns, commands, Python.

Every sentence there is the one that the code has: descriptions of pydantic fields, of Arrow columns, help texts of
commands, docstrings of public names. `pages()` gives the pages by their path in the site.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import typer

import stepforge
from stepforge.builders.configs import CONFIGS
from stepforge.builders.opinion_tables import AUDIT_SAMPLES, AUDITS
from stepforge.builders.tables import TABLES
from stepforge.pipelines.cli import app
from stepforge.pipelines.options.reference import Option, options_of
from stepforge.pipelines.recipe import Recipe


def pages() -> dict[str, str]:
    return {"reference/options.md": options(), "reference/columns.md": columns(),
            "reference/commands.md": commands(), "reference/python.md": python()}


def options() -> str:
    """Every option of a recipe. Those of sources are listed under `problems`, and hold wherever sources are named."""
    lines = ["# Recipe options", "",
             "A recipe is one YAML file ([guide](../guide.md#a-recipe-line-by-line)). This page lists every option. "
             "`needed` marks options without a default. `problems[files, hub].limit` is the option `limit` of a "
             "source of kind `files` or `hub`.", ""]
    sections: dict[str, list[str]] = {}
    for option in options_of(Recipe):
        if not option.path.startswith("decontaminate.against["):  # these are sources, as under `problems`
            sections.setdefault(_section(option.path), []).append(_option_row(option))
    for heading, rows in sections.items():
        lines += ["", f"## {heading or 'Top level'}", "", *_head("option", "default", "what it does"), *rows]
    return "\n".join(lines) + "\n"


def _section(path: str) -> str:
    """The part of a recipe that an option belongs to: `problems[arithmetic]`, `annotate`, or none."""
    first, dot, _ = path.partition("].") if "[" in path else path.partition(".")
    return (first + "]" if "[" in path else first) if dot else ""


def _option_row(option: Option) -> str:
    name = option.path.removeprefix(f"{_section(option.path)}.")
    default = "**needed**" if option.default is None else _code(option.default)
    return _row(_code(name), default, f"{option.sentence} *{_plain(option.allowed)}*")


def columns() -> str:
    """Every config of a release and every table of a run, with their columns."""
    lines = ["# Configs and columns", "",
             "A release has one folder per config. A run has one folder per table. `null` marks columns that may be "
             "empty.", "", "## Configs of a release", ""]
    for config in CONFIGS.values():
        asked = " Built only if `release.configs` names it." if config.asked else ""
        lines += [f"### {config.name}", "", f"{_sentence(config.purpose)} Key: {_names(config.key)}.{asked}", "",
                  *_columns(config.schema), ""]
    lines += ["## Tables of a run", ""]
    for table in (*TABLES.values(), AUDIT_SAMPLES, AUDITS):
        lines += [f"### Table {table.name}", "", f"Key: {_names(table.key)}.", "", *_columns(table.schema), ""]
    return "\n".join(lines) + "\n"


def _columns(schema: Iterable[Any]) -> Iterator[str]:
    yield from _head("column", "type", "meaning")
    for field in schema:
        kind = str(field.type).replace("element: ", "").replace("item: ", "").replace("double", "float")
        yield _row(_code(field.name), _code(kind) + (" null" if field.nullable else ""),
                   field.metadata[b"doc"].decode())


def commands() -> str:
    """Every command with its arguments and options."""
    lines = ["# Commands", "", "`stepforge COMMAND --help` shows the same on a terminal.", ""]
    for name, command in _walk(typer.main.get_command(app), "stepforge"):
        parameters = [parameter for parameter in command.params
                      if not getattr(parameter, "hidden", False) and parameter.name != "help"]
        usage = " ".join([name, *(_metavar(parameter) for parameter in parameters if not _is_option(parameter))])
        lines += [f"## {name}", "", f"    {usage}{' [OPTIONS]' if any(map(_is_option, parameters)) else ''}", "",
                  " ".join((command.help or "").split()), ""]
        if parameters:
            lines += [*_head("argument or option", "default", "what it does"), *map(_parameter_row, parameters), ""]
    return "\n".join(lines) + "\n"


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for part, inner in getattr(command, "commands", {}).items():
        yield from _walk(inner, f"{name} {part}")


def _is_option(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def _metavar(parameter: Any) -> str:
    word = str(parameter.metavar or parameter.name).upper()
    return word if parameter.required else f"[{word}]"


def _parameter_row(parameter: Any) -> str:
    name = ", ".join([*parameter.opts, *parameter.secondary_opts]) if _is_option(parameter) else _metavar(parameter)
    default = "**needed**" if parameter.required else "" if parameter.default in (None, False) else _code(
        str(parameter.default))
    return _row(_code(name), default, parameter.help or "")


def python() -> str:
    """Every public name of `import stepforge` with its signature and its docstring."""
    lines = ["# Python", "", "`import stepforge` loads each name when it is first used.", ""]
    for name in sorted(set(stepforge.__all__) - {"__version__"}, key=str.lower):
        value = getattr(stepforge, name)
        if value is Recipe:
            lines += ["## Recipe", "", "The options of a recipe as a frozen pydantic model: see "
                      "[recipe options](options.md). `load_recipe` makes one.", ""]
            continue
        lines += [f"## {name}", "", f"```python\n{name}{_arguments(value)}\n```", "", _docstring(value), ""]
        if inspect.isclass(value):
            lines += _methods(value)
    return "\n".join(lines) + "\n"


def _methods(kind: type) -> Iterator[str]:
    for name, method in vars(kind).items():
        text = getattr(method, "__doc__", None)
        if name.startswith("_") or not text or not (inspect.isfunction(method) or isinstance(method, property)):
            continue
        shown = name if isinstance(method, property) else f"{name}{_arguments(method)}"
        yield from (f"**`{shown}`**", "", _docstring(method), "")


def _arguments(value: Any) -> str:
    """The arguments with their defaults; types are told by the docstring."""
    signature = inspect.signature(value)
    kept = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
            if parameter.name not in ("self", "sleep")]
    return str(signature.replace(parameters=kept, return_annotation=inspect.Signature.empty))


def _docstring(value: Any) -> str:
    """A docstring as Markdown: the lines under `Args:` and `Raises:` become lists."""
    lines: list[str] = []
    for line in (inspect.getdoc(value) or "").splitlines():
        if line.startswith(">>> "):
            lines += ["```python", line]
        elif lines and lines[-1].startswith(">>> "):
            lines += [line, "```"]
        elif re.fullmatch(r"(Args|Raises|Returns):", line):
            lines += [f"**{line[:-1]}**", ""]
        elif match := re.fullmatch(r"(?:    )?(\w+): (.*)", line):
            lines.append(f"- `{match[1]}`: {match[2]}")
        else:
            lines.append(line if not line.startswith("     ") else "    " + line.strip())
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _head(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


def _plain(text: str) -> str:
    return text.replace("_", "\\_")
