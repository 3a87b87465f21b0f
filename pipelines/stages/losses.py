"""Rows that are lost when a run reads its inputs: a warning where many are, an error where all are."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stepforge.builders.sources.records import Drop
from stepforge.pipelines.executors import StageFailed

MANY = 0.5  # share of dropped rows above which a source or a generator warns
HARMLESS = ("duplicate", "over_limit")  # drops that lose nothing, or that the recipe asks for


class Losses:
    """Rows of one source or generator: how many were kept, how many dropped for which reason, and one of each."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept = 0
        self.dropped: Counter[str] = Counter()
        self.first: dict[str, Drop] = {}

    def add(self, kept: int, drops: Iterable[Drop] = ()) -> None:
        self.kept += kept
        for drop in drops:
            self.dropped[drop.reason] += 1
            self.first.setdefault(drop.reason, drop)

    @property
    def total(self) -> int:
        return self.kept + self.dropped.total()

    def warning(self) -> str | None:
        """What is wrong where more than half of the rows are dropped."""
        lost = Counter({reason: count for reason, count in self.dropped.items() if reason not in HARMLESS})
        if lost.total() <= MANY * self.total:
            return None
        (reason, most), = lost.most_common(1)
        return (f"{self.name}: {lost.total():,} of {self.total:,} rows are dropped, most of them ({most:,}) as "
                f"{reason}: {self.first[reason].where}: {self.first[reason].detail}")

    def nothing(self, drops: Path, beside: str = "") -> StageFailed:
        """The error of a source or generator of which nothing is left: one dropped row, and where all of them are."""
        if not self.dropped:
            return StageFailed(f"{self.name}: its input has no rows")
        (reason, most), = self.dropped.most_common(1)
        first = self.first[reason]
        return StageFailed(f"{self.name}: none of {self.total:,} rows can be used; {most:,} are dropped as {reason}. "
                           f"The first of these is {first.where}: {first.detail}{beside}. All are in {drops}")


def warned(losses: Iterable[Losses]) -> dict[str, Any]:
    """`warnings` for the facts of an account."""
    warnings = [warning for loss in losses if (warning := loss.warning())]
    return {"warnings": warnings} if warnings else {}
