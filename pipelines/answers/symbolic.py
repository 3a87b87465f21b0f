"""The symbolic tier, run inside a worker process only: Math-Verify's comparison with guards against false equality.

Two canonical strings go in, a `Match` comes out. Both are parsed to SymPy through Math-Verify's own LaTeX reader; its
verdict `equal` is then confirmed with exact numbers in place of floats, and at high precision in place of a fixed
number of decimal places. Nothing parsed is ever printed: turning a power tower into text can run for minutes.
"""

import logging
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy, normalize_latex
from math_verify import verify
from math_verify.parser import should_treat_as_complex

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.equivalence import Match

DIGITS = 150           # of the numeric confirmation: sqrt(10^40 + 1) and 10^20 part at the 41st
POINTS = 3             # values tried for every free symbol
_NORMALIZATION = NormalizationConfig(basic_latex=True, units=True, malformed_operators=True, nits=True, boxed="none")
_UNREADABLE = object()

logging.disable(logging.CRITICAL)      # Math-Verify logs the text it is given


def symbolic_match(gold: str, answer: str) -> Match:
    """Compare two canonical strings. MemoryError and RecursionError pass through: the worker reports them."""
    gold_value = _parse(gold)
    if gold_value is _UNREADABLE:
        return Match(None, "none", outcome.GOLD_UNPARSEABLE)
    answer_value = _parse(answer)
    if answer_value is _UNREADABLE:
        return Match(False, "symbolic")
    return Match(_equal(gold_value, answer_value), "symbolic")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Any:
    """The SymPy object that a canonical string means, with every float replaced by the fraction it was written as."""
    latex = normalize_latex(text, config=_NORMALIZATION)
    try:
        value = latex2sympy(latex, is_real=not should_treat_as_complex(latex), convert_degrees=False,
                            normalization_config=None)
        return _exact(value)
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return _UNREADABLE


def _exact(value: Any) -> Any:
    floats = value.atoms(sympy.Float) if isinstance(value, sympy.Basic) else ()
    return value.xreplace({number: sympy.Rational(str(number)) for number in floats}) if floats else value


def _equal(gold: Any, answer: Any) -> bool:
    try:
        if not verify(gold, answer, timeout_seconds=None, raise_on_error=True):
            return False
        return _confirmed(gold, answer)
    except (MemoryError, RecursionError):
        raise
    except Exception:          # SymPy has no common error type; a pair it cannot relate is not equal
        return False


def _confirmed(gold: Any, answer: Any) -> bool:
    """Whether two expressions that were called equal also agree numerically; structures are taken on trust."""
    if not (isinstance(gold, sympy.Expr) and isinstance(answer, sympy.Expr)):
        return True
    symbols = sorted(gold.free_symbols | answer.free_symbols, key=lambda symbol: symbol.name)
    if not symbols:
        return _close(gold.doit(), answer.doit())
    if gold.free_symbols != answer.free_symbols:
        return bool(sympy.simplify(gold - answer) == 0)
    for point in range(POINTS):
        values = {symbol: sympy.Rational(7 + 5 * at + 11 * point, 3 + 2 * at) for at, symbol in enumerate(symbols)}
        if not _close(gold.subs(values), answer.subs(values)):
            return False
    return True


def _close(gold: Any, answer: Any) -> bool:
    first, second = sympy.N(gold, DIGITS), sympy.N(answer, DIGITS)
    if first == second:
        return True
    if not (first.is_number and second.is_number):
        return True
    scale = max(abs(first), abs(second))
    return bool(abs(first - second) <= scale * sympy.Float(10) ** (10 - DIGITS))
