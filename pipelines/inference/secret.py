"""An API key, and how it is kept out of everything that is written down.

Servers echo what they are sent: in error messages, in fields of their answers, even in a completion, as it is or with
some of its characters escaped (`\\u002d`, `%2D`, `&#45;`). What comes from a server is redacted before it is cut to
length, so that no half of a key is left over.
"""

import re

SHORTEST = 8  # characters of the beginning of a key that are worth hiding
LOOKED_AT = 4096  # characters of a message
MOST = 300  # of them are told
REDACTED = "(key)"


class Secret:
    """A key that shows itself in no message and no traceback; without a key nothing is redacted."""

    def __init__(self, key: str | None) -> None:
        spelt = [_spellings(character) for character in key or ""]
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._whole = re.compile("".join(spelt)) if spelt else None
        self._plain = max(re.findall("[A-Za-z0-9]+", key or "") or [""], key=len).encode()  # nobody escapes these
        self._start = re.compile("".join(spelt[:SHORTEST])) if spelt else None
        self._rest = [re.compile(spelling) for spelling in spelt[SHORTEST:]]

    def __repr__(self) -> str:
        return REDACTED

    def __bool__(self) -> bool:
        return self._whole is not None

    def headers(self) -> dict[str, str]:
        """The headers that hold the key."""
        return dict(self._headers)

    def within(self, body: bytes) -> bool:
        """Whether a body holds the whole key."""
        if self._whole is None or self._plain not in body:
            return False
        return self._whole.search(body.decode("utf-8", "replace")) is not None

    def redacted(self, text: str, most: int = MOST) -> str:
        """`text` without the key, nor the beginning of it, cut to `most` characters."""
        if self._start is None:
            return text[:most]
        at, text = 0, text[:LOOKED_AT]
        parts: list[str] = []
        while len(parts) < most and (match := self._start.search(text, at)):
            parts += [text[at:match.start()], REDACTED]
            at = match.end()
            for character in self._rest:
                if not (more := character.match(text, at)):
                    break
                at = more.end()
        return "".join([*parts, text[at:]])[:most]


def _spellings(character: str) -> str:
    """A pattern for a character as it is, and as JSON, URLs and HTML escape it."""
    code = f"{ord(character):x}"
    return (rf"(?:{re.escape(character)}|\\+{re.escape(character)}|(?i:\\+u{code:0>4}|%{code:0>2}|&#x0*{code};)"
            rf"|&#0*{ord(character)};)")
