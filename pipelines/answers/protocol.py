"""The seam for verifiers: claims in, verdicts out, and the versions that the verdicts depend on.

Stages know a verifier by its name in the recipe alone: `math`, ours, or `module:function`, code of the user's. Both
keep the protocol below, so that a new kind of verifier is one class and one line in `BUILT_IN`.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Protocol

from stepforge.builders.errors import UserError
from stepforge.pipelines.answers.custom import CustomVerifier
from stepforge.pipelines.answers.outcome import Claim, Verdict
from stepforge.pipelines.answers.verifier import Verifier


class AnyVerifier(Protocol):
    """What turns claims into verdicts. Its slow work is done in workers that are killed at a deadline (pool.py)."""

    def verify_many(self, claims: Iterable[Claim]) -> Iterator[Verdict]:
        """One verdict for every claim, in order. One caller at a time."""

    def stated(self, solution: str, complete: bool | None) -> tuple[str, str] | None:
        """The answer that a solution states and its key, equal for equal answers: a vote where there is no gold."""

    def versions(self) -> dict[str, str]:
        """Versions by name; another version may give another verdict for the same claim."""

    def close(self) -> None: ...

    def __enter__(self) -> "AnyVerifier": ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None: ...


BUILT_IN: dict[str, Callable[[int, float, int], AnyVerifier]] = {"math": Verifier}


def open_verifier(name: str = "math", workers: int = 1, timeout_s: float = 5.0, memory_mb: int = 1024) -> AnyVerifier:
    """The verifier of that name.

    workers: processes for what may run away. timeout_s: CPU seconds for one check. memory_mb: of a worker, in MiB.

    Raises:
        UserError: there is none of that name, and it is not `module:function`.
    """
    if name not in BUILT_IN and ":" not in name:
        raise UserError(f"the verifier {name!r} is neither {' nor '.join(BUILT_IN)} nor module:function")
    make = BUILT_IN.get(name) or partial(CustomVerifier, name)
    return make(workers, timeout_s, memory_mb)


def versions(name: str = "math") -> dict[str, str]:
    """Versions that a verdict by the verifier depends on, for fingerprints and manifests.

    Raises:
        WorkerError: it is the user's own, and cannot be imported or lacks what a verifier needs.
    """
    with open_verifier(name) as verifier:
        return verifier.versions()
