"""Text from outside on its way to a terminal: a model, a stranger or a server wrote it, and it must not steer it.

Everything that the command line shows passes here: control characters (ESC among them), bidirectional overrides and
lone surrogates become a replacement character, and markup of the table library is shown as it is written.
"""

from rich.text import Text

REPLACED = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """`text` without its last line break and without characters that could steer a terminal; line breaks stay."""
    return "".join(c if c == "\n" or c.isprintable() else REPLACED for c in text.rstrip("\n"))


def in_line(text: object, most: int = 200) -> str:
    """Any value as one printable line of at most `most` characters."""
    line = str(text)
    line = line if len(line) <= most else line[:most - 1] + "…"
    return printable(line).replace("\n", REPLACED)


def cell(text: object, style: str = "") -> Text:
    """A cell of a table that shows `text` as it is, without markup."""
    return Text(printable(str(text)), style=style)
