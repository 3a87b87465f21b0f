"""Says in words what does not fit in a recipe: which option, what it must be, what stands there, and a near name.

In: the errors of pydantic, and the model of the recipe. Out: one sentence for each mistake, in the order of the
options. What only follows from another mistake is left out, and so are pydantic's own names in a location.
"""

import re
from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from stepforge.builders.errors import did_you_mean
from stepforge.pipelines.options.base import PATTERNS
from stepforge.pipelines.options.reference import models_in

MUST_BE = {
    "missing": "is needed", "too_short": "must not be empty", "string_too_short": "must not be empty",
    "string_type": "must be text: put it in quotes", "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number", "int_type": "must be a whole number",
    "int_from_float": "must be a whole number", "float_parsing": "must be a number", "float_type": "must be a number",
    "bool_parsing": "must be true or false", "bool_type": "must be true or false",
    "tuple_type": "must be a list, such as [a, b]", "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping, such as {{a: b}}", "model_type": "must be a mapping of options",
    "model_attributes_type": "must be a mapping of options", "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}", "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
}
QUOTED = re.compile(r"'([^']*)'")


class ErrorPlace(NamedTuple):
    """Where an error is: its dotted name, the models whose options stand there, and the option's own record."""

    name: str
    models: list[type[BaseModel]]
    field: FieldInfo | None


def sentences(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> list[str]:
    """A sentence for each place that has errors of its own."""
    said: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    for error in errors:
        if error["type"] == "too_short" and any(_is_inside(other["loc"], error["loc"]) for other in errors):
            continue  # the list is empty because its elements did not fit
        name = place(model, (*error["loc"], *_discriminator(error))).name
        words = sentence(error, model)
        if words not in said.setdefault(name, []):
            said[name].append(words)
        values[name] = _value(error, words)
    return [f"{f'{name}: ' if name else ''}{' or '.join(words)}{values[name]}" for name, words in said.items()]


def sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong at one place, without its name and its value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        names = [name for owner in place(model, error["loc"][:-1]).models for name in owner.model_fields]
        return f"unknown key; allowed here: {', '.join(names)}{did_you_mean(str(error['loc'][-1]), names)}"
    if kind in ("union_tag_invalid", "literal_error", "enum"):
        allowed = QUOTED.findall(context.get("expected_tags") or context["expected"])
        given = str(context.get("tag", error["input"]))
        return f"{given!r} is not among {', '.join(allowed)}{did_you_mean(given, allowed)}"
    if kind == "union_tag_not_found":
        return "is needed"
    pattern = context.get("pattern") or _pattern(place(model, error["loc"]).field)
    if kind in ("string_pattern_mismatch", "string_type") and pattern in PATTERNS:
        quotes = "text in quotes, " if kind == "string_type" else ""
        return f"must be {quotes}{PATTERNS[pattern]}"
    if kind in MUST_BE:
        return MUST_BE[kind].format(**context)
    return error["msg"].removeprefix("Value error, ")


def place(model: type[BaseModel], location: tuple[int | str, ...]) -> ErrorPlace:
    """Follow a location of pydantic's through the models; its words for kinds of a union are no part of the name."""
    models, names, field = [model], [], None
    for part in location:
        owners = [owner for owner in models if part in owner.model_fields]
        tagged = [owner for owner in models if part in _tags(owner)] if len(models) > 1 else []
        if tagged:
            models = tagged
        elif owners:
            field = owners[0].model_fields[str(part)]
            models = [inner for owner in owners for inner in models_in(owner.model_fields[str(part)].annotation)]
            names.append(str(part))
        elif part != "[key]" and not (field is not None and not models and _is_union(field.annotation)):
            names.append(str(part))
    return ErrorPlace(".".join(names), models, field)


def _discriminator(error: ErrorDetails) -> list[str]:
    """The option that chooses among kinds of options, where the error is in that choice."""
    return QUOTED.findall(error.get("ctx", {}).get("discriminator", ""))


def _tags(model: type[BaseModel]) -> set[object]:
    """Words that may stand in an option of the model, `embedded` in `engine` among them, which name it in a union."""
    return {word for field in model.model_fields.values() if get_origin(field.annotation) is Literal
            for word in get_args(field.annotation)}


def _is_union(annotation: Any) -> bool:
    """Whether pydantic tries several types, and names the one that it tried; None beside a type is none of them."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return get_origin(annotation) in (Union, UnionType) and len(kinds) > 1


def _pattern(field: FieldInfo | None) -> str | None:
    patterns = [getattr(entry, "pattern", None) for entry in field.metadata] if field is not None else []
    return next((pattern for pattern in patterns if pattern is not None), None)


def _is_inside(location: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(location) > len(outer) and location[:len(outer)] == outer


def _value(error: ErrorDetails, words: str) -> str:
    """The value that stands there, unless it is a group of options or the sentence has it."""
    value = error["input"]
    if isinstance(value, dict | list) or error["type"] in ("missing", "extra_forbidden"):
        return ""
    if isinstance(value, str):
        return "" if repr(value) in words else f" (got {value[:80]!r})"
    return f" (got {value})"
