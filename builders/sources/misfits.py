"""What a value of a row must be to be one of our texts: who wrote it, of what parts it is, and whether it is whole.

In: a value that a path has found, and the object that held it. Out: nothing, or a `Misfit` that says in words why the
row is no problem or no solution.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SAID = ("content", "value")         # what chat messages call their text, and who says it
SPEAKER = ("role", "from")
USER = ("user", "human")
TOOL = ("tool", "function", "function_call", "observation", "ipython")
SYSTEM = ("system", "developer", *TOOL)
MODEL = ("assistant", "gpt", "model", "bot", "chatgpt")
WRITTEN = ("solution", "solutions", "steps")  # ours that a model wrote
TEXTS = ("problem", "reference_solution", "thought", *WRITTEN)
STRANGERS = {"problem": (*MODEL, *SYSTEM), **dict.fromkeys(WRITTEN, (*USER, *SYSTEM))}


THOUGHTS = ("reasoning", "thinking", "redacted_thinking")    # types of parts
ANSWERS = ("response", "result")    # where rows of a batch's answers keep what the server said
FAILED = ("errored", "expired", "canceled", "cancelled", "failed")
# What JSON makes of `\f`, `\b`, `\t`, `\r` and `\n`, before the rest of a command.
_LETTER_OF = {"\f": "f", "\b": "b", "\t": "t", "\r": "r", "\n": "n"}
_EATEN = re.compile("\f(?=(?:rac|orall|box)(?![a-z]))"
                    "|\b(?=oxed|inom|eta|egin|ar|mod|ig|ot|ullet|oldsymbol|m\\{)"
                    "|\t(?=(?:ext[a-z]*\\{|(?:heta|imes|frac|riangle)(?![a-z])|ilde\\{))")
_EATEN_TOO = re.compile("\t(?=(?:au|an|o|op)(?![a-z]))|\r(?=(?:ho|ight|angle|floor|ceil)(?![a-z]))"
                        "|\n(?=(?:eq|abla|ot|u|mid|i)(?![a-z]))")     # where the text shows that some were eaten


class Misfit(ValueError):
    """A row does not have what a path expects; the message says what it has, `reason` what its drop is called."""

    reason = "malformed"


class SeveralTurns(Misfit):
    """The model wrote a text after more than the problem, such as what a user or a tool said of its first answer."""

    reason = "several_turns"


def kind_of(value: Any) -> str:
    names = {dict: "an object", list: "a list", tuple: "a list", bool: "true or false"}
    return "nothing" if value is None else names.get(type(value), "text or a number")


def with_backslashes(text: str) -> str:
    """A text whose LaTeX was written into JSON with single backslashes, as it was meant: a form feed and `rac` are
    `\\frac`. Only what is the rest of a command makes it one."""
    if "\f" not in text and "\b" not in text and "\t" not in text:
        return text
    meant = _EATEN.sub(_backslash, text)
    return _EATEN_TOO.sub(_backslash, meant) if meant != text else text


def _backslash(mark: re.Match[str]) -> str:
    return "\\" + _LETTER_OF[mark[0]]


def typed_parts(value: Any, path: str) -> Any:
    """Parts as Gemini writes them, `parts: [{text, thought}]`, with the type that others state; else the value itself.
    """
    texts = isinstance(value, list) and value and all(
        isinstance(part, dict) and "text" in part and "type" not in part for part in value)
    if not texts or path.rpartition(".")[2] != "parts" and not any("thought" in part for part in value):
        return value
    return [{"type": "thinking" if part.get("thought") is True else "text", **part} for part in value]


def text_of_parts(value: Any) -> Any:
    """The text of a chat message whose content is a list of parts, `[{type: text, text: ...}]`; else the value itself.

    A part that is a thought (`reasoning`, `thinking`) stands in `<think>` before the text; one that shows nothing of
    it, since it is empty or encrypted, is left out.

    Raises:
        Misfit: a part is no text, such as an image or a tool call.
    """
    if not isinstance(value, list) or not value:
        return value
    if not all(isinstance(part, dict) and "type" in part for part in value):
        return value
    texts = [_thought(part) if part["type"] in THOUGHTS else
             part.get("text") if part["type"] in ("text", "input_text", "output_text") else None for part in value]
    if not all(isinstance(text, str) for text in texts):
        raise Misfit(f"it has a part that is no text; its parts are {sorted({str(part['type']) for part in value})}")
    return "".join(map(str, texts))


def _thought(part: dict[str, Any]) -> str | None:
    thought = next(filter(None, map(part.get, ("reasoning", "thinking", "text", "content", "summary"))), "")
    if isinstance(thought, list):
        thought = "\n".join(str(piece.get("text")) if isinstance(piece, dict) else str(piece) for piece in thought)
    return (f"<think>{thought}</think>\n" if thought else "") if isinstance(thought, str) else None


def word_of_end(value: Any) -> Any:
    """The word of a finish reason that is an object, `{"type": "stop"}`, or of each in a list; else the value."""
    if isinstance(value, list | tuple):
        return [word_of_end(item) for item in value]
    return value.get("type") or value.get("reason") if isinstance(value, dict) else value


def require_words(value: Any, name: str, path: str) -> None:
    """Raises Misfit where a text that somebody wrote is true or false, such as a flag that a path took for it."""
    if name not in TEXTS:
        return
    if isinstance(value, list | tuple):
        for item in value:
            require_words(item, name, path)
    elif isinstance(value, bool):
        raise Misfit(f"{path!r} is true or false, which is no {name.removesuffix('s')}")


def require_pieces(value: Any, path: str) -> None:
    """Raises Misfit where one piece of a text, or what is said of it, is a list of several, such as the rated
    alternatives of a step."""
    for number, piece in enumerate(map(text_of_parts, value) if isinstance(value, list | tuple) else ()):
        if isinstance(piece, list | tuple) and len(piece) > 1:
            raise Misfit(f"{path!r} holds {len(piece)} values for piece {number} of a solution; name one of them, "
                         "with [0] or [NAME_OF_ITS_NUMBER] in place of the last []")


def require_writer(holder: Any, name: str, path: str, list_key: str | None) -> None:
    """Raises Misfit where a text is not what it is taken for.

    A solution from a message that the model did not write, or a problem from one that the user did not: the last
    message of a chat may be a tool's, the first one the system's. A solution from one node of a tree: it lacks the
    nodes before and behind it, and its neighbours are other solutions.

    Args:
        holder: the object, or lists of them, of which a path takes the text.
        list_key: the key of the list that holds those objects.
    """
    for held in _objects(holder):
        said = path.rpartition(".")[2] in SAID
        speaker = _speaker(held)
        if said and speaker.lower() in STRANGERS.get(name, ()):
            raise Misfit(f"{path!r} is a message of {speaker!r}, which is no {name.removesuffix('s')}; name another "
                         f"message, or write '{{{path}}}' to take it as it is")
        if name in WRITTEN and held.get("thought") is True:
            raise Misfit(f"{path!r} is a thought; map the whole list of parts, {path.rpartition('[')[0]!r}, which "
                         "tells both apart")
        if name in WRITTEN and list_key in held:
            raise Misfit(f"{path!r} takes nodes of a tree, each with its own {list_key!r}: none is a whole solution, "
                         "and neighbours do not belong together. Write one row for every path from the root to a leaf")


def require_one_turn(before: Iterable[Sequence[Any]], path: str) -> None:
    """Raises SeveralTurns for a solution behind a second message of the user, or behind one of a tool.

    Args:
        before: for each list in which a path takes one element, the elements before it.
    """
    for messages in before:
        speakers = [_speaker(message).lower() for message in messages if isinstance(message, dict)]
        users = sum(speaker in USER for speaker in speakers)
        if users > 1 or any(speaker in TOOL for speaker in speakers):
            others = f"{users} messages of the user" if users > 1 else "a message of a tool"
            raise SeveralTurns(f"{path!r} stands behind {others}, so it does not answer the problem alone; name the "
                               f"message that does, or write '{{{path}}}' to take it as it is")


def _speaker(message: Mapping[str, Any]) -> str:
    return next((str(message[key]).strip() for key in SPEAKER if isinstance(message.get(key), str)), "")


def failure_of(row: Mapping[str, Any]) -> str | None:
    """Why a row of a batch's answers holds none, as its provider says it; null where it says nothing of the kind."""
    for place in (row, *(row.get(key) for key in ANSWERS)):
        if not isinstance(place, Mapping):
            continue
        status, kind, body = place.get("status_code"), place.get("type"), place.get("body")
        error = place.get("error") or (body.get("error") if isinstance(body, Mapping) else None)
        if error or kind in FAILED or (status is not None and str(status) not in ("200", "200.0")):
            said = f"status {status}" if status is not None else kind if kind in FAILED else "an error"
            return f"its request failed: {said}{f': {str(error)[:200]}' if error else ''}"
    return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _objects(item)
