"""Options that name something of one machine (paths, addresses, variables), and how a manifest names them instead.

In: options and what is about to be published of them. Out: the same with each such name replaced. A relative path is a
name that the recipe gives and stays; any other path and every address becomes a short hash, so that two releases can
still be compared. Names do not depend on the folder in which a command runs.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel

_OF_A_MACHINE = re.compile(r"(^|[=,:'\"])(~|/|\.\./|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_LEAST = 4  # characters of a name that is replaced inside of longer texts


class Place:
    """Marks an option whose text names something of the machine: a path, an address, or a variable."""


PlaceName = Annotated[str, Place()]
PlaceNameOrNone = Annotated[str | None, Place()]
PlaceNames = Annotated[list[str], Place()]
PlaceTuple = Annotated[tuple[str, ...], Place()]
PlaceDict = Annotated[dict[str, Any], Place()]


def conceal(value: Any, options: BaseModel) -> Any:
    """`value`, plain data, with every text that a marked option of `options` holds replaced by its public name."""
    names = {text: public_name(text) for text in sorted(set(_marked(options)), key=len, reverse=True)}
    return _replaced(value, {text: name for text, name in names.items() if name != text})


def public_name(text: str) -> str:
    """What a manifest says in place of a path, an address or a variable."""
    kind, colon, rest = text.partition(":")
    if kind == "local" and colon and not rest.startswith("//"):
        return f"local:{public_name(rest)}"
    if text.startswith(("hub:", "hf://")) or not _OF_A_MACHINE.search(text):
        return text
    what = "address" if "://" in text else "path"
    return f"{what}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _marked(options: Any) -> Iterator[str]:
    """Texts of all marked options, however deep they stand."""
    if isinstance(options, BaseModel):
        for name, field in type(options).model_fields.items():
            value = getattr(options, name)
            if any(isinstance(mark, Place) for mark in field.metadata):
                yield from _texts(value)
            else:
                yield from _marked(value)
    elif isinstance(options, list | tuple):
        for item in options:
            yield from _marked(item)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Inside a longer text a name counts where it stands alone or begins a path: `/data` is not in `x.org/data`."""
    if isinstance(value, str):
        for text, name in names.items():
            if value == text:
                return name
            if len(text) >= _LEAST and text in value:
                value = re.sub(rf"(?<![\w.~/-]){re.escape(text)}(?![\w-]|\.\w)", name, value)
        return value
    if isinstance(value, Mapping):
        return {_replaced(key, names): _replaced(item, names) for key, item in value.items()}
    return [_replaced(item, names) for item in value] if isinstance(value, list | tuple) else value
