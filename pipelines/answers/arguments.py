"""Arguments of LaTeX commands in braces: `\\frac12`, `\\frac{\\sqrt3}2`, `\\sqrt\\pi`, `\\binom n2` as TeX reads them.

A text goes in; the same text with braces around every argument of `\\frac`, `\\binom` and `\\sqrt` comes out.
"""

import re

from stepforge.pipelines.answers.plain import closing

_COMMAND = re.compile(r"\\(frac|binom|sqrt)(?![a-zA-Z])")
_TOKEN = re.compile(r"\\[a-zA-Z]+|[0-9a-zA-Z]")
_COUNT = {"frac": 2, "binom": 2, "sqrt": 1}


def with_braces(text: str) -> str:
    """The text with each argument in braces; a command whose arguments are not there stays as it is."""
    for command in reversed(list(_COMMAND.finditer(text))):
        at, optional = command.end(), ""
        if command[1] == "sqrt" and (bracket := re.compile(r"\s*\[[^\[\]]*\]").match(text, at)):
            optional, at = bracket[0].strip(), bracket.end()
        arguments: list[str] = []
        for _ in range(_COUNT[command[1]]):
            argument, at = _argument(text, at, "{(" if command[1] == "sqrt" else "{")
            arguments.append(argument)
        if all(arguments):
            braced = "".join(f"{{{argument}}}" for argument in arguments)
            text = f"{text[:command.start()]}\\{command[1]}{optional}{braced}{text[at:]}"
    return text


def _argument(text: str, at: int, brackets: str) -> tuple[str, int]:
    """One argument without its brackets and where it ends; empty where there is none."""
    while text[at:at + 1].isspace():
        at += 1
    if text[at:at + 1] and text[at] in brackets:
        end = closing(text, at)
        return (text[at + 1:end].strip(), end + 1) if end is not None else ("", at)
    token = _TOKEN.match(text, at)
    if token is None:
        return "", at
    end = token.end()
    while len(token[0]) > 1 and text[end:end + 1] == "{" and (close := closing(text, end)) is not None:
        end = close + 1
    return text[at:end], end
