"""Conditions behind an answer: `2\\pi k, k \\in \\mathbb{Z}`, `n^2 \\text{ for all } n\\in\\mathbb{N}`.

A canonical string goes in; what it states and the domain of its parameter come out apart. A domain that only one side
gives is no difference, two domains that differ are.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from stepforge.pipelines.answers.relations import symbols

_DOMAIN = re.compile(
    r"(?P<stated>.+?)(?:[,;(]|\\land|\\forall|\\text\{[^{}]*\b(?:for|where|with|when|if|and)\b(?P<words>[^{}]*)\})+\s*"
    r"(?:\\forall|\\text\{[^{}]*\}|\\land)*\s*(?P<name>[a-zA-Z](?:_\w)?(?:,[a-zA-Z](?:_\w)?)*)"
    r"(?P<domain>\s*\\in\s*(?:\\mathbb)?\s*\{?[A-Z]\}?(?:[\^_](?:\w|[-+*]|\{[^{}]*\}))*|\s*\\text\{[^{}]*\binteger[^{}]*\}"
    r"|\s*(?:\\[gl]e|[<>])\s*-?\d+|"
    r"(?<=\}[a-zA-Z]))\)?").fullmatch
_MAYBE = re.compile(r"\\in(?![a-zA-Z])|integer|for (?:all|any|every)|\\forall|[<>]|\\[gl]e(?![a-zA-Z])").search
_ORDER = re.compile(r"[<>]|\\(?:le|ge|ne|in)(?![a-zA-Z])").search


class Conditioned(NamedTuple):
    """domain: empty where the text gives none. name: of the parameter, where it is one."""

    stated: str
    domain: str = ""
    name: str = ""

    def renamed(self, name: str) -> str:
        """What is stated with another letter for the parameter; empty where that letter has a meaning already."""
        if not self.name or name in symbols(self.stated):
            return ""
        return re.sub(rf"(?<![\\a-zA-Z]){self.name}(?![a-zA-Z_])|(?<=[a-zA-Z}}]){self.name}(?![a-zA-Z_])", name,
                      self.stated)


@lru_cache(maxsize=4096)
def conditioned(text: str) -> Conditioned:
    """The answer and the domain of its parameter; inequalities keep their conditions."""
    match = _DOMAIN(text) if _MAYBE(text) else None
    if match is None or not set(match["name"].split(",")) <= symbols(match["stated"]) or _ORDER(match["stated"]):
        return Conditioned(text)
    domain = match["domain"].strip() or match["words"] or ""
    integers = "integer" in domain or r"\mathbb{Z}" in domain and domain.endswith("}") and "^" not in domain
    if integers and "positive" not in domain:
        domain = r"\mathbb{Z}"
    name = match["name"] if len(match["name"]) == 1 else ""
    return Conditioned(match["stated"].rstrip(" ,;("), domain, name)
