"""A verifier of the user's own, named `module:function`: any code that turns a `Claim` into a `Verdict`.

    VERSION = 1                                  # raised whenever a verdict could change

    def verify(claim: Claim) -> Verdict: ...     # claim.gold, claim.solution, claim.complete

The module is looked for among the installed packages, then in the current folder. Its code runs in killable workers,
never in this process: an exception, a crash, a hang or a result that is no verdict is an `undecided` verdict with a
reason. The workers contain mistakes, not malice: the code may do whatever its user may do.
"""

import importlib
import inspect
import os
import re
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, get_args

from loguru import logger

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.outcome import Claim, Verdict
from stepforge.pipelines.answers.pool import CheckFailed, Pool

WINDOW = 256               # claims that may be under way
COMPLAINTS = 10            # different ones that are logged; all of them are counted by reason
MAX_CHARS = 20_000         # of an answer or its key
WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
Reply = tuple[Verdict, str | None]     # the verdict, and what the user should be told


class NotLoaded(Exception):
    """The user's verifier cannot be used; the message says why and what to do."""


class CustomVerifier:
    """Verifies with the user's function, as `Verifier` does with ours. Use it as a context manager."""

    def __init__(self, name: str, workers: int = 1, timeout_s: float = 5.0, memory_mb: int = 1024) -> None:
        self.name = name
        self._pool = Pool(name, workers, timeout_s, memory_mb)
        self._complaints: set[str] = set()

    def __enter__(self) -> "CustomVerifier":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; a second call does nothing."""
        self._pool.close()

    def versions(self) -> dict[str, str]:
        """Versions that a verdict depends on: the module's own, and ours, whose functions it may call.

        Raises:
            WorkerError: the verifier cannot be used; the message says why.
        """
        return {self.name: self._pool.version(), "stepforge-answers": str(outcome.VERSION)}

    def verify(self, claim: Claim) -> Verdict:
        """The verdict of one claim."""
        try:
            verdict, complaint = self._pool.ask(*claim)
        except CheckFailed as failure:
            verdict, complaint = _undecided(failure.reason), f"a worker was lost: {failure.reason}"
        if complaint and complaint not in self._complaints and len(self._complaints) < COMPLAINTS:
            self._complaints.add(complaint)
            logger.warning("verifier {}: {}", self.name, complaint)
        return Verdict(*verdict)

    def verify_many(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        """One verdict for every claim, in order."""
        waiting: deque[Future[Verdict]] = deque()
        for claim in claims:
            waiting.append(self._pool.submit(self.verify, claim))
            while waiting and (waiting[0].done() or len(waiting) > WINDOW):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def stated(self, solution: str, complete: bool | None) -> tuple[str, str] | None:
        """The answer of a solution and its key: what the user's function says to a claim with an empty gold."""
        verdict = self.verify(Claim("", solution, complete))
        return (verdict.answer, verdict.answer_key) if verdict.answer and verdict.answer_key else None


# Inside the worker -----------------------------------------------------------------------------------------------

def load(name: str) -> tuple[str, Callable[[str, str, bool], Reply]]:
    """The version of a user's verifier, and its function made safe to call.

    Raises:
        NotLoaded: the module cannot be imported, or lacks what a verifier needs.
    """
    module_name, _, function_name = name.partition(":")
    sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:             # a module may also call sys.exit
        raise NotLoaded(f"verifier {name}: the module {module_name!r} cannot be imported ({_in_words(error)}); it is "
                        "looked for among the installed packages and in the current folder") from error
    where = getattr(module, "__file__", None) or module_name
    function, version = getattr(module, function_name, None), getattr(module, "VERSION", None)
    if not callable(function):
        raise NotLoaded(f"verifier {name}: {where} has no function {function_name!r}")
    try:
        inspect.signature(function).bind(Claim("", ""))
    except (TypeError, ValueError) as error:
        raise NotLoaded(f"verifier {name}: {function_name} must take one argument, a Claim ({error})") from error
    if type(version) not in (int, str):
        raise NotLoaded(f"verifier {name}: {where} has no VERSION that is a number or text; write `VERSION = 1` there "
                        "and raise it whenever a verdict could change")
    return str(version), lambda *claim: _reply(function, Claim(*claim))


def _reply(function: Callable[[Claim], Any], claim: Claim) -> Reply:
    try:
        verdict = function(claim)
    except MemoryError:
        return _undecided(outcome.OUT_OF_BOUNDS), None
    except BaseException as error:
        return _undecided(outcome.VERIFIER_FAILED), _in_words(error)
    fault = _fault(verdict)
    return (_undecided(outcome.INVALID_VERDICT), fault) if fault else (verdict, None)


def _fault(verdict: Any) -> str | None:
    """What is wrong with a verdict, if anything."""
    if not isinstance(verdict, Verdict):
        return f"it returned a {type(verdict).__name__} where a Verdict is expected"
    words = get_args(outcome.Outcome)
    if verdict.verdict not in words:
        return f"verdict is {verdict.verdict!r:.80}; allowed: {', '.join(words)}"
    for field in ("answer", "answer_key"):
        value = getattr(verdict, field)
        if not (value is None or (isinstance(value, str) and len(value) <= MAX_CHARS and _is_unicode(value))):
            return f"{field} is neither None nor text of at most {MAX_CHARS} characters"
    for field, optional in (("reason", verdict.verdict != "undecided"), ("method", False)):
        value = getattr(verdict, field)
        if not (value is None and optional) and not (isinstance(value, str) and WORD.fullmatch(value)):
            return f"{field} is {value!r:.80}; it must be one word such as `no_answer`: a-z, 0-9 and _"
    return None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _undecided(reason: str) -> Verdict:
    return Verdict(None, None, "undecided", reason, "none")


def _in_words(error: BaseException) -> str:
    """Kind and text of an exception, and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {str(error)[:200]!r}{place}"
