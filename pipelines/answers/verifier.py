"""Verdicts for a stream of claims: extraction, the exact tiers in this process, the symbolic tier in killable workers.

`Claim`s go in, one `Verdict` for each comes out in order. Memory is bounded by the settings: a window of verdicts in
waiting and bounded caches of (gold, answer) pairs. `verify` is the same for one claim with a shared verifier.
"""

import atexit
import numbers
import os
import re
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple

from stepforge.pipelines.answers import outcome
from stepforge.pipelines.answers.behind import match_with_unit
from stepforge.pipelines.answers.clauses import MAX_CLAUSE
from stepforge.pipelines.answers.equivalence import MAX_CHARS, NEEDS_SYMBOLIC, Match, compare
from stepforge.pipelines.answers.extract import EXPLICIT, MAX_STATED, Extraction, extract_answer
from stepforge.pipelines.answers.golds import reference_answer
from stepforge.pipelines.answers.keys import answer_key, named_choice
from stepforge.pipelines.answers.matches import SAME_WORDS, UNCLEAR
from stepforge.pipelines.answers.names import named_otherwise
from stepforge.pipelines.answers.normalize import canonical
from stepforge.pipelines.answers.number_words import leading_number
from stepforge.pipelines.answers.offers import offers
from stepforge.pipelines.answers.outcome import Claim, Verdict
from stepforge.pipelines.answers.pool import CheckFailed, Pool
from stepforge.pipelines.answers.units import opposed
from stepforge.pipelines.answers.words import says_none

CACHED_PAIRS = 32768       # distinct (gold, answer) pairs whose match is remembered, in either tier
CACHED_CLAIMS = 8192       # whole claims whose verdict is remembered: small models repeat themselves ...
CACHED_CHARS = 4096        # ... in solutions up to this length, so 32 MB at the most
WINDOW = 1024              # verdicts that may wait for a slow one before them


class Verifier:
    """Verifies solutions against gold answers. A context manager, usable from any thread or process.

    workers: number of processes for symbolic checks, started on demand.
    timeout_s: CPU seconds per symbolic check. After that the worker is killed and the verdict is undecided.
    memory_mb: address space per worker in MiB; SymPy alone needs about 300.
    """

    def __init__(self, workers: int = 1, timeout_s: float = 5.0, memory_mb: int = 1024) -> None:
        self._pool = Pool("math", workers, timeout_s, memory_mb)
        self._forget_verdicts()
        _verifiers.add(self)

    def _forget_verdicts(self) -> None:
        self._checked: OrderedDict[tuple[str, str], Future[Match]] = OrderedDict()
        self._known: dict[Claim, Verdict] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers; a second call does nothing."""
        self._pool.close()

    def verify(self, claim: Claim) -> Verdict:
        """The verdict on one claim. Blocks for the time limit at most, and for the start of a worker."""
        return self._finish(*self._begin(claim))

    def versions(self) -> dict[str, str]:
        """Versions on which a verdict depends: of this verifier and of its packages."""
        return outcome.fingerprint()

    def stated(self, solution: str, complete: bool | None) -> tuple[str, str] | None:
        """The stated answer of a solution and its key; None for a number that is not marked as the answer."""
        extraction = extract_answer(solution)
        answer = (extraction.answer or "").strip()
        whole = complete is not False or not extraction.at_end
        if not answer or extraction.how not in EXPLICIT or extraction.stated > MAX_STATED or not whole \
                or extraction.whole:
            return None
        return answer, answer_key(answer)

    def verify_many(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        """One verdict per claim, in order; reads a bounded number of claims ahead."""
        waiting: deque[tuple[Claim, Extraction, Match | Future[Match]]] = deque()
        for claim in claims:
            if not waiting and (known := self._known.get(claim)) is not None:
                yield known
                continue
            begun = self._begin(claim)
            if not waiting and type(begun[2]) is Match:
                verdict = self._finish(*begun)
                if len(claim.solution) <= CACHED_CHARS:
                    if len(self._known) >= CACHED_CLAIMS:
                        self._known.clear()
                    self._known[claim] = verdict
                yield verdict
                continue
            waiting.append(begun)
            while waiting and (_is_done(waiting[0][2]) or len(waiting) > WINDOW):
                yield self._finish(*waiting.popleft())
        while waiting:
            yield self._finish(*waiting.popleft())

    def _begin(self, claim: Claim) -> tuple[Claim, Extraction, Match | Future[Match]]:
        """Compare what can be compared here; an exception costs this claim its verdict, never the rank its work."""
        try:
            gold, extraction, match = self._read(claim)
        except Exception:
            return claim, Extraction(None, "none"), _FAILED
        if match.reason == NEEDS_SYMBOLIC and extraction.answer is not None:
            return claim, extraction, self._submit(gold, extraction.answer)
        return claim, extraction, match

    @staticmethod
    def _read(claim: Claim) -> tuple[str, Extraction, Match]:
        gold, choice, content, percent = _reference(claim.gold)
        extraction = extract_answer(claim.solution, choice, percent)
        if content and extraction.how not in EXPLICIT and (value := extract_answer(claim.solution)).answer is not None:
            extraction = value
        answer = extraction.answer
        cut = claim.complete is False and extraction.how not in EXPLICIT
        if not gold or answer is None or cut or extraction.stated > MAX_STATED:
            return gold, extraction, _NO_MATCH
        match = (_quick_match if len(gold) + len(answer) <= MAX_CHARS else compare)(gold, answer)
        if extraction.how == "boxed":
            match = match_with_unit(gold, claim.solution, answer, match)
        if match.equal and extraction.how not in ("boxed", "hash") and opposed(gold, extraction.clause[:MAX_CLAUSE]):
            return gold, extraction, UNCLEAR
        if match.equal and (other := named_otherwise(gold, claim.solution, answer)) is not None:
            return gold, extraction, other
        if match.equal is False and _names(gold, extraction):
            extraction = extraction._replace(sure=False, how="last_number")
        if match.equal is not True and extraction.says(gold):
            return gold, extraction._replace(answer=gold), SAME_WORDS
        if match.equal is not True and extraction.whole and "=" not in extraction.whole:
            again = compare(gold, extraction.whole)
            if again.equal or again.reason == NEEDS_SYMBOLIC:
                return gold, extraction._replace(answer=extraction.whole, doubted=False), again
        return gold, extraction, match

    def _submit(self, gold: str, answer: str) -> Future[Match]:
        pair = canonical(gold), canonical(answer)
        with self._lock:
            if pair in self._checked:
                self._checked.move_to_end(pair)
                return self._checked[pair]
            future = self._checked[pair] = self._pool.submit(self._check, *pair)
            if len(self._checked) > CACHED_PAIRS:
                self._checked.popitem(last=False)
        return future

    def _check(self, gold: str, answer: str) -> Match:
        try:
            return Match(*self._pool.ask(gold, answer))
        except CheckFailed as failure:
            return Match(None, "symbolic", failure.reason)

    def _finish(self, claim: Claim, extraction: Extraction, match: Match | Future[Match]) -> Verdict:
        decided = match.result() if isinstance(match, Future) else match
        try:
            return self._conclude(claim, extraction, decided)
        except Exception:
            return Verdict(None, None, "undecided", outcome.VERIFIER_FAILED, "none")

    @staticmethod
    def _conclude(claim: Claim, extraction: Extraction, match: Match) -> Verdict:
        answer = extraction.answer
        stated = extraction.how in EXPLICIT
        if match is _NO_MATCH:
            match = _without_comparison(claim, extraction)
        elif not (claim.complete or match.equal and extraction.how != "boxed") and extraction.at_end \
                and claim.gold.strip().startswith((answer or "").strip()):
            match = Match(None, "none", outcome.TRUNCATED)
        elif match.equal and extraction.doubted:
            match = Match(None, "none", outcome.GUESSED)
        elif match.equal is False and not (extraction.sure and (claim.complete or stated)):
            match = Match(None, "none", outcome.GUESSED)
        elif match.equal is False and extraction.how in ("last_number", "last_formula") \
                and offers(claim.solution, claim.gold, answer or ""):
            match = Match(None, "none", outcome.GUESSED)
        if answer is None:
            return Verdict(None, None, "undecided", match.reason, "none")
        return _verdict(answer, match) if len(answer) <= MAX_CHARS else _verdict.__wrapped__(answer, match)


def _without_comparison(claim: Claim, extraction: Extraction) -> Match:
    """What a claim comes to that has no usable reference, no answer, only part of one, or too many."""
    if not _reference(claim.gold).answer:
        return Match(None, "none", outcome.GOLD_UNPARSEABLE)
    if extraction.answer is None:
        cut = claim.complete is False or extraction.how == "unclosed_thought"
        return Match(None, "none", outcome.TRUNCATED if cut else outcome.NO_ANSWER)
    if claim.complete is False and extraction.how not in EXPLICIT:
        return Match(None, "none", outcome.TRUNCATED)
    return Match(False, "none", outcome.MANY_ANSWERS)


@lru_cache(maxsize=CACHED_PAIRS)
def _verdict(answer: str, match: Match) -> Verdict:
    word: outcome.Outcome = "undecided" if match.equal is None else "correct" if match.equal else "incorrect"
    return Verdict(answer, answer_key(answer), word, match.reason, match.method)


def _names(gold: str, extraction: Extraction) -> bool:
    """Whether the reference is a name or a word, the answer a number, and no words state it alone."""
    word = _NAME(gold)
    number = any(map(str.isdigit, extraction.answer or "")) and extraction.how not in ("boxed", "hash")
    if word is None or not number or leading_number(gold) or says_none(gold):
        return False
    return extraction.how not in EXPLICIT or word[1].casefold() in extraction.clause.casefold()


_NAME = re.compile(r"(?:\\text\{\s*)?([A-Za-z][A-Za-z '.-]*[A-Za-z])\s*\}?").fullmatch
_NO_MATCH = Match(None, "none")
_FAILED = Match(None, "none", outcome.VERIFIER_FAILED)
_quick_match = lru_cache(maxsize=CACHED_PAIRS)(compare)
_verifiers: "weakref.WeakSet[Verifier]" = weakref.WeakSet()


def _is_done(match: Match | Future[Match]) -> bool:
    return not isinstance(match, Future) or match.done()


class _Reference(NamedTuple):
    """answer: bare, empty where there is none. choice: it names a letter. content: and what stands behind it."""

    answer: str
    choice: bool
    content: bool
    percent: bool


@lru_cache(maxsize=4096)
def _reference(gold: str) -> _Reference:
    """What to look for in a solution of this reference."""
    answer = reference_answer(gold) or ""
    chosen = named_choice(answer)
    return _Reference(answer, chosen is not None, bool(chosen and chosen.content),
                      "%" in answer or "percent" in answer)


_shared: Verifier | None = None
_shared_lock = threading.Lock()


def shared_verifier() -> Verifier:
    """One Verifier for the whole process, started when first asked for and closed at exit."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Verifier()
            atexit.register(_shared.close)
        return _shared


def verify(gold: str | float, solution: str) -> Verdict:
    """Verify the final answer of a complete solution against the gold answer, a text or a number.

    >>> verify("18", "She makes 9 * 2 = 18 dollars. The answer is $18.").verdict
    'correct'

    Raises:
        TypeError: the gold answer is neither a text nor a number, or the solution is no text.
    """
    return shared_verifier().verify(claimed(gold, solution))


def claimed(gold: Any, solution: Any) -> Claim:
    """A claim of a gold answer as data sets hold it: a text, a number or nothing. Raises TypeError for all else."""
    if not isinstance(gold, str | numbers.Number | None):
        raise TypeError(f"the gold answer is a text or a number, not {type(gold).__name__}; give one answer at a time")
    if not isinstance(solution, str):
        raise TypeError(f"the solution is a text, not {type(solution).__name__}")
    return Claim("" if gold is None else str(gold), solution)


def _after_fork() -> None:
    """What a forked child's parent is waiting for will never come in the child: every verifier starts anew there."""
    global _shared_lock
    _shared_lock = threading.Lock()
    for verifier in list(_verifiers):
        verifier._forget_verdicts()


os.register_at_fork(after_in_child=_after_fork)
