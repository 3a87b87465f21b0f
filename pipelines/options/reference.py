"""Every option of a recipe with its sentence, from the models: for `stepforge recipe --options` and the documents.

In: the model of a recipe. Out: one entry for each option, in the order of the models; where an option takes models of
several kinds, the options of each kind, as `problems[arithmetic].limit`.
"""

from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Option(NamedTuple):
    """`path` is dotted, `allowed` the values or the type in words, `default` None where the option is needed."""

    path: str
    allowed: str
    default: str | None
    sentence: str


def options_of(model: type[BaseModel], prefix: str = "") -> Iterator[Option]:
    """The options of a model and of the models in it."""
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        path = f"{prefix}{name}"
        yield Option(path, allowed(field.annotation), _default(field), field.description or "")
        for other in inner:
            kind = _kind(other) if len(inner) > 1 else None
            yield from options_of(other, f"{path}[{kind}]." if kind else f"{path}.")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models of options in a type, however deep: in a tuple, in a union, beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def _kind(model: type[BaseModel]) -> str | None:
    """The words that choose this model in a union, such as `gsm8k, math`."""
    words = [", ".join(map(str, get_args(field.annotation))) for field in model.model_fields.values()
             if get_origin(field.annotation) is Literal and field.is_required()]
    return words[0] if words else model.__name__


def allowed(annotation: Any) -> str:
    """A type in words."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, arguments))
    if models_in(annotation):
        return "options" if not _is_list(annotation) else "list of options"
    if _is_list(annotation):
        return f"list of {' and '.join(dict.fromkeys(map(allowed, arguments)))}"
    if get_origin(annotation) is dict:
        return f"mapping of {allowed(arguments[0])} to {allowed(arguments[1])}"
    if arguments and not isinstance(annotation, type):
        words = [allowed(argument) for argument in arguments if argument is not NoneType and _is_type(argument)]
        return " or ".join(dict.fromkeys(words))
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _is_type(argument: Any) -> bool:
    return isinstance(argument, type) or get_origin(argument) is not None


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, tuple)


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "its options' defaults"
    return "none" if value is None else str(list(value) if isinstance(value, tuple) else value)
