"""Values of functions that nobody defined: `f(0)`, `sF(s)-f(0)`, `P(A)+P(B)`, `y'(0)`, as symbols of their own.

Two canonical strings go in; both come out with one symbol for each function and place, so that `f(x+1)` is no product
`f\\cdot(x+1)`. Places that are equal by algebra are one. A letter that also stands alone is a factor: `a(b+c)=ab+ac`.
"""

import re

from stepforge.pipelines.answers.algebra import algebraically_equal
from stepforge.pipelines.answers.plain import closing
from stepforge.pipelines.answers.relations import split

MAX_CALLS = 24
_SURE = frozenset("fghFGH")                                   # what else may these be
_CALLING = _SURE | frozenset("PTUuyYNVQRSpqVWIEL")
_GREEK = ("zeta", "Gamma", "varphi", "phi", "psi", "Phi", "Psi", "sigma", "tau")
_ADJACENT = re.compile(rf"((?:(?<!\\)[a-zA-Z](?:_\w)?|\\(?:{'|'.join(_GREEK)}))('*))\(")
_GREEK_ALONE = re.compile(rf"\\(?:{'|'.join(_GREEK)})(?![a-zA-Z'(_])")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_NUMBER = re.compile(r"-?\d{1,6}(?:\.\d{1,4})?").fullmatch
_EVENT = re.compile(r"[A-Z](?:\s*(?:[|,]|\\c[au]p)\s*[A-Z])*").fullmatch
_BOTH = re.compile(r"([A-Z])(\\c[au]p )([A-Z])").fullmatch
_PRIMED = re.compile(r"((?<!\\)[a-zA-Z](?![a-zA-Z])|\\[a-z]+)('{1,3})|(?<=[a-zA-Z])([a-zA-Z])('{1,3})")
_DOTTED = re.compile(r"\\(d{1,3})ot(?![a-zA-Z])\s*(?:\{\s*(\\?[a-zA-Z]+)\s*\}|\s(\\?[a-zA-Z]+)|(\\[a-zA-Z]+))")
_QUOTIENT = re.compile(r"\\frac\{d(?:\^(\d))? ?([a-zA-Z])\}\{d ?([a-zA-Z])(?:\^(\d))?\}")


class Called:
    """The same two strings with symbols for values of functions.

    known: a function with a name of its own, such as `\\Gamma`, has a value that is not computed here. product: the
    strings hold a letter that may be a factor after all, so that their difference proves nothing.
    """

    def __init__(self, first: str, second: str) -> None:
        self._places: list[str] = []
        self.known = self.product = False
        self._alone = {letter for text in (first, second) for letter in _alone(text)}
        self.texts = tuple(self._without_calls(text) for text in (first, second))

    def _without_calls(self, text: str) -> str:
        at, found = 0, 0
        while (call := _ADJACENT.search(text, at)) and found < MAX_CALLS:
            at, found = call.end(), found + 1
            if _in_command(text, call.start()) or (end := closing(text, call.end() - 1)) is None:
                continue
            name, primes, inner = call[1].rstrip("'"), len(call[2]), text[call.end():end]
            behind_letter = text[call.start() - 1:call.start()].isalnum()
            if not self._calls(name, primes, inner, behind_letter):
                continue
            places = [self._place(self._without_calls(part)) for part in split(inner, ",")]
            letter, _, index = name.partition("_")
            symbol = f"{letter}_{{{index}{'d' * primes}v{'w'.join(map(str, places))}}}"
            self.known |= name.startswith("\\")
            self.product |= not primes and name not in _SURE and inner.strip("-0.") != ""
            text = f"{text[:call.start()]}{symbol} {text[end + 1:]}"
            at = call.start() + len(symbol)
        return _PRIMED.sub(_derivative, text).strip()

    def _calls(self, name: str, primes: int, inner: str, behind_letter: bool) -> bool:
        if primes or name.startswith("\\"):
            return bool(primes) or name not in self._alone
        if name in ("e", "i", "d") or not inner:
            return False
        if name == "P" and _EVENT(inner) or name in _SURE and _NUMBER(inner) and not behind_letter:
            return True
        return name[0] not in self._alone and (name[0] in _CALLING or _NUMBER(inner) is not None)

    def _place(self, inner: str) -> int:
        if both := _BOTH(inner):
            inner = both[2].join(sorted((both[1], both[3])))         # A\cap B is B\cap A
        for at, place in enumerate(self._places):
            if inner == place or algebraically_equal(inner, place):
                return at
        self._places.append(inner)
        return len(self._places) - 1


def primed(text: str) -> str:
    """A canonical string with derivatives as primes: `\\ddot{x}` and `\\frac{d^2x}{dt^2}` are `x''`."""
    if "dot" in text:
        text = _DOTTED.sub(lambda dots: f"{dots[2] or dots[3] or dots[4]}{len(dots[1]) * chr(39)} ", text)
    if r"\frac{d" in text:
        text = _QUOTIENT.sub(lambda ratio: f"{ratio[2]}{int(ratio[1] or 1) * chr(39)} " if ratio[1] == ratio[4]
                             else ratio[0], text)
    return text.strip()


def _derivative(letter: re.Match[str]) -> str:
    return f"{letter[1] or letter[3]}_{{{'d' * len(letter[2] or letter[4])}}} "


def has_calls(text: str) -> bool:
    """Whether a text may hold the value of a function, or a derivative."""
    return "'" in text or _ADJACENT.search(text) is not None


def _alone(text: str) -> set[str]:
    """Letters, Greek ones as commands, that stand before something else than a bracket."""
    return {*re.findall(r"(?<!\\)([a-zA-Z])(?![\('_])", _COMMAND.sub(" ", text)), *_GREEK_ALONE.findall(text)}


def _in_command(text: str, at: int) -> bool:
    """Whether the letter at a position belongs to a command, as the last one of `\\sin` does."""
    return re.search(r"\\[a-zA-Z]*$", text[max(0, at - 12):at]) is not None
