"""The door to step values: `make_search` gives a search over the solutions of one problem.

    search = make_search("adaptive", [Solution("s1", ("2+2=5\\n", "So 5."), correct=False)], SearchSettings(),
                         base_successes=7, base_rollouts=10)
    while batch := search.next_batch(limit=8):
        for ask in batch:                      # one rollout: continue ask.solution_id after ask.step_index
            search.observe(ask, "failure", tokens=17)
    search.values()["s1"]                      # a StepValue for every step

Strategies: `exhaustive`, `scan` and `bisect` (strategies.py), `adaptive` (adaptive.py).
"""

from collections.abc import Sequence

from stepforge.pipelines.credit.adaptive import Adaptive
from stepforge.pipelines.credit.base import Search, SearchSettings
from stepforge.pipelines.credit.chain import Chain
from stepforge.pipelines.credit.strategies import Bisect, Exhaustive, Scan
from stepforge.pipelines.credit.tree import BARE, Ask, Outcome, Solution

__all__ = ["BARE", "STRATEGIES", "VERSION", "Ask", "Chain", "Outcome", "Search", "SearchSettings", "Solution",
           "make_search"]

VERSION = 7     # raised when a strategy would choose other rollouts or report other values
STRATEGIES: dict[str, type[Search]] = {"exhaustive": Exhaustive, "scan": Scan, "bisect": Bisect, "adaptive": Adaptive}


def make_search(strategy: str, solutions: Sequence[Solution], settings: SearchSettings, base_successes: int = 0,
                base_rollouts: int = 0, chain: Chain | None = None) -> Search:
    """A search over one problem. Base samples (before deduplication, of the rollout policy) tell its bare V.

    `chain`: a fitted model for `adaptive`, whose threshold is that of the settings; the others have no use for it.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"search {strategy!r} is unknown; allowed: {', '.join(STRATEGIES)}")
    if strategy == "adaptive":
        return Adaptive(solutions, settings, base_successes, base_rollouts, chain)
    return STRATEGIES[strategy](solutions, settings, base_successes, base_rollouts)
