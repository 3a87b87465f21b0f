"""Lists and objects that stand in a text: as JSON, or as Python prints them.

In: a cell of a CSV file, or any other text. pandas writes a list as Python prints it, `['a', 'b']`; numpy leaves the
commas out, `['a' 'b']`, which Python itself would read as the one text `ab`. Out: the value; numbers of JSON are text,
as everywhere. A list that cannot be read with certainty is an error of its row, never a text.
"""

import ast
import io
import re
import tokenize
import warnings
from itertools import pairwise
from typing import Any

from stepforge.builders.sources.misfits import TEXTS, Misfit
from stepforge.builders.sources.records import TwiceError, load_json

_TEXTS_IN = re.compile(r"""\[[\[\s]*(?:array\(\[\s*)?(?:["']|\{\s*["'])""")  # a list of texts, or of objects
_NUMBER = r"(?:[-+.\d]\S*|True|False|None|nan)"
_ARRAY = re.compile(rf"\[\s*(?:{_NUMBER}\s+)*{_NUMBER}\s*\]")  # numbers, as numpy prints them
_SPACES = (tokenize.NL, tokenize.NEWLINE)
_UNREAD = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError, tokenize.TokenError)


def decoded(text: str) -> Any:
    """The value that a text holds as JSON or as Python prints it.

    Raises:
        ValueError: it is another text, or an object has a key twice, with two values.
    """
    try:
        return load_json(text)
    except TwiceError:
        raise
    except (ValueError, RecursionError):
        return _printed(text.strip())


def _printed(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an invalid escape: Python did not print it
            tokens = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline)
                      if token.type not in _SPACES]
            if any(left == right == tokenize.STRING for left, right in pairwise(tokens)):
                raise ValueError("two texts without a comma between them")
            value = ast.literal_eval(text)
            _require_plain(value)
    except (*_UNREAD, Warning):
        raise ValueError("neither JSON nor what Python prints") from None
    return value


def _require_plain(value: Any) -> None:
    """Raises ValueError for what JSON has no word for, such as the `...` of a list that was printed in part."""
    if isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _require_plain(item)
    elif not isinstance(value, str | int | float | None):
        raise ValueError(f"{type(value).__name__} is no value of JSON")


def list_in_text(text: str, numbers: bool = False) -> list[Any] | None:
    """The list of texts, truths or objects that a text holds; null where it holds none, be it an interval [1, 2].

    `numbers`: a list of numbers is one, too.

    Raises:
        Misfit: it is the text of a list that cannot be read with certainty.
    """
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return None
    try:
        value = decoded(stripped)
    except ValueError:
        if _TEXTS_IN.match(stripped) or numbers and _ARRAY.fullmatch(stripped):
            raise Misfit("it is a list as numpy or pandas prints it, which cannot be read back with certainty; write "
                         "the file as Parquet, or the column as JSON, with json.dumps") from None
        return None
    texts = numbers or '"' in stripped or "'" in stripped or not any(map(str.isdigit, stripped))
    return value if texts and isinstance(value, list) else None


def require_no_object(text: str, path: str) -> None:
    """Raises Misfit for the text of an object with keys, `{"value": 5}`; a set `{1, 2}` and an empty `{}` are none."""
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")):
        return
    try:
        value = decoded(stripped)
    except TwiceError as twice:
        raise Misfit(f"{path!r}: {twice}") from None
    except ValueError:
        return
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        raise Misfit(f"{path!r} is an object that stands in a text; name one of its keys, as in "
                     f"{path}.{next(iter(value))}, or write '{{{path}}}' to take the text as it is")


def listed(text: str, name: str, path: str, several: bool) -> Any:
    """The value of a text that a path has found for our column `name`: itself, or the list that it holds.

    `several`: the column takes lists.

    Raises:
        Misfit: a list that cannot be read, or that stands where one text or answer is meant; an object as an answer.
    """
    if not several and name not in (*TEXTS, "answer"):
        return text
    if name == "answer":
        require_no_object(text, path)
    try:
        value = list_in_text(text, numbers=several and name not in TEXTS)
    except Misfit as misfit:
        raise Misfit(f"{path!r}: {misfit}") from None
    if value is not None and not several:
        raise Misfit(f"{path!r} is a list that stands in a text; name one of its elements, as in {path}[0], or write "
                     f"'{{{path}}}' to take the text as it is")
    return text if value is None else value
