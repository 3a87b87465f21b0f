"""What every search strategy shares: asking for rollouts, taking their outcomes, and turning counts into values.

A search is a state machine without input or output of its own. In: the solutions of one problem, then the outcomes of
the rollouts that it asked for. Out: asks, and at any time the values of all steps. Asks depend on outcomes alone,
never on the order in which a batch's outcomes came back, so a resumed run that replays recorded outcomes (with the
same batch limit) asks for the same rollouts again.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from stepforge.pipelines.credit.advantages import (
    Estimator,
    Interval,
    StepValue,
    argmin_q,
    best_of_k,
    difference,
    largest_drop,
    q_fixed,
    q_interval,
    zero_success,
)
from stepforge.pipelines.credit.tree import BARE, Ask, Node, Outcome, Solution, Tree
from stepforge.pipelines.options.base import PitRule


@dataclass(frozen=True)
class SearchSettings:
    """Options of a search; the same for all strategies."""

    rollouts: int = 16             # at every step (exhaustive, scan, bisect); a quarter of the most (adaptive)
    best_of: int = 1               # Q, advantages and pits are those of the policy that keeps a correct one of so many
    pit: PitRule = "argmin_q"
    eps: float = 0.05              # argmin_q: how far above the lowest Q still counts as lowest
    level: float = 0.95            # of all intervals
    token_budget: int | None = None    # for one problem; checked between batches
    confidence: float = 0.95       # adaptive: a negative's pit is settled once it is this probable
    value_weight: float = 1.0      # adaptive: worth of sharper advantages beside that of finding the pit; 0 = pit only
    min_gain: float = 0.02         # adaptive: stop when no rollout is worth this much per whole solution's tokens
    typical_length: float | None = None    # of a solution, in units of its costs; none = the mean of this problem's
    read_cost: float = 0.0         # of a token that a rollout reads, beside one that it writes
    max_excluded: int = 16         # a step gets no more rollouts after so many infrastructure errors
    passing: bool = False          # rollouts count for longer prefixes that they pass: `observe` is told which

    def __post_init__(self) -> None:
        if not 1 <= self.best_of <= self.rollouts:
            raise ValueError(f"best_of is {self.best_of} and rollouts {self.rollouts}; "
                             "allowed: 1 <= best_of <= rollouts")
        if self.pit not in get_args(PitRule):
            raise ValueError(f"pit is {self.pit!r}; allowed: {', '.join(get_args(PitRule))}")
        for name, low, high in (("eps", 0, 1), ("level", 0.5, 1), ("confidence", 0, 1)):
            if not low <= getattr(self, name) < high:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: from {low} to below {high}")
        for name in ("value_weight", "min_gain", "read_cost"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 0 or more")


class Search(ABC):
    """Drive it so: `while batch := search.next_batch(limit): ...observe each ask...`, then read `values()`."""

    estimator: Estimator = "sequential"

    def __init__(self, solutions: Sequence[Solution], settings: SearchSettings, base_successes: int = 0,
                 base_rollouts: int = 0) -> None:
        self.settings = settings
        self.tree = Tree(solutions, base_successes, base_rollouts, settings.read_cost)
        self.tokens = 0
        self.done = False
        self.stopped_by_budget = False
        self._open: set[Ask] = set()
        self._revisited: set[Node] = set()

    def take_over(self, search: "Search") -> "Search":
        """Go on from the counts of another search over the same solutions, which must be done; returns itself."""
        if search._open or search.tree.solutions != self.tree.solutions:
            raise ValueError(f"take_over: the other search has {len(search._open)} open asks and the solutions "
                             f"{', '.join(search.tree.solutions)}; allowed: none open, and those of this search")
        self.tree, self.tokens = search.tree, search.tokens
        return self

    @abstractmethod
    def choose(self, limit: int) -> list[Node]:
        """Up to `limit` nodes that should each get one more rollout, a node as often as it should; none = done."""

    def next_batch(self, limit: int) -> list[Ask]:
        """The next rollouts to make, none when the search is done. All of the batch before must be observed."""
        if limit < 1:
            raise ValueError(f"next_batch: limit is {limit}; allowed: at least 1")
        if self._open:
            raise ValueError(f"next_batch: {len(self._open)} outcomes of the batch before are missing, one of them "
                             f"{min(self._open)}; observe each, as 'excluded' if it failed")
        nodes = [] if self.done else self.choose(limit)
        if nodes and self.settings.token_budget is not None and self.tokens >= self.settings.token_budget:
            nodes, self.stopped_by_budget = [], True
        self.done = not nodes
        batch = [node.next_ask() for node in nodes]
        self._open = set(batch)
        return batch

    def revisit(self, nodes: Iterable[Node]) -> list[Ask]:
        """`rollouts` more at each of these nodes, once the search is done; all must be observed.

        Outcomes chose these nodes, so what is known of them is sequential from then on.
        """
        spent = self.settings.token_budget is not None and self.tokens >= self.settings.token_budget
        again = [node for node in dict.fromkeys(nodes) if node.exact is None and node not in self._revisited]
        self._revisited.update([] if spent else again)
        self._open = {node.next_ask() for node in ([] if spent else again) for _ in range(self.settings.rollouts)}
        return sorted(self._open)

    def observe(self, ask: Ask, outcome: Outcome, tokens: int = 0, written: float | None = None,
                passed: Sequence[str] = ()) -> int:
        """Take one outcome. `excluded` (infrastructure error, verifier time-out) counts neither way.

        Args:
            written: what the rollout wrote, in the units of the solutions' costs; none: these are tokens.
            passed: longer prefixes of solutions that prefix and rollout together begin with, in the same tokens.

        Returns:
            For how many of these it counts, too: for those that have rollouts, unless `revisit` asked for it. That a
            rollout comes by says nothing of how it ends, so each is one more fair draw of the prefix's Q. But
            outcomes chose what is visited again.
        """
        if ask not in self._open:
            raise ValueError(f"observe: {ask} is not open; observe each ask of the last batch exactly once")
        if outcome not in get_args(Outcome):
            raise ValueError(f"observe: outcome {outcome!r}; allowed: {', '.join(get_args(Outcome))}")
        self._open.remove(ask)
        start = self.tree.owners[ask.solution_id, ask.step_index]
        start.record(outcome, tokens if written is None else written)
        self.tokens += tokens
        if not self.settings.passing or outcome == "excluded" or start in self._revisited:
            return 0
        begun = "".join(self.tree.solutions[ask.solution_id].steps[:ask.step_index - BARE])
        if not all(prefix.startswith(begun) and prefix != begun for prefix in passed):
            raise ValueError(f"observe: a prefix passed after {ask} does not go on from there; name longer ones alone")
        nodes = [self.tree.prefixes[prefix] for prefix in dict.fromkeys(passed) if prefix in self.tree.prefixes]
        for node in nodes:
            node.record_passing(outcome)
        return len(nodes)

    def values(self) -> dict[str, list[StepValue]]:
        """For every solution one value per step."""
        return {solution_id: self._values(solution_id) for solution_id in self.tree.paths}

    def bare(self) -> StepValue:
        """V of the bare problem, from base samples and from rollouts after step -1."""
        q, (low, high) = self._q(self.tree.bare)
        return StepValue(self.tree.bare.rollouts, self.tree.bare.successes, q, low, high, None, -1.0, 1.0,
                         self._estimator(self.tree.bare))

    def canonical(self, solution_id: str, step_index: int) -> tuple[str, int]:
        """Which (solution, step) the rollouts of this step are recorded under: the first with the same text."""
        node = self.tree.paths[solution_id][step_index - BARE]
        return node.solution_id, node.step_index

    def wants(self, node: Node, rollouts: int | None = None) -> int:
        """How many rollouts a node still lacks (to `settings.rollouts`, or to the number given)."""
        if node.exact is not None or node.excluded >= self.settings.max_excluded:
            return 0
        return max(0, (rollouts or self.settings.rollouts) - node.rollouts)

    def pit(self, solution_id: str, values: Sequence[StepValue]) -> int | None:
        """The first pit of a negative by the rule of the settings; strategies that find it otherwise override this."""
        if self.settings.pit == "argmin_q":
            return argmin_q(values, self.settings.eps)
        if self.settings.pit == "zero_success":
            return zero_success(values, self.settings.rollouts)
        return largest_drop(values)

    def _values(self, solution_id: str) -> list[StepValue]:
        path = self.tree.paths[solution_id]
        values = [self._step_value(before, node) for before, node in zip(path, path[1:], strict=False)]
        if not self.tree.solutions[solution_id].correct:
            pit = self.pit(solution_id, values)
            values = [value._replace(is_pit=i == pit) for i, value in enumerate(values)]
        return values

    def _step_value(self, before: Node, node: Node) -> StepValue:
        q, (low, high) = self._q(node)
        q_before = self._q(before)[0]
        shared = (1 + self.settings.level) / 2 if node.exact is None else self.settings.level
        advantage_low, advantage_high = difference(self._q(node, shared)[1], self._q(before, shared)[1])
        both = {self._estimator(n) for n in (before, node)}
        return StepValue(node.rollouts, node.successes, q, low, high,
                         None if q is None or q_before is None else q - q_before, advantage_low, advantage_high,
                         "sequential" if "sequential" in both else "fixed_n", passing_rollouts=node.passing,
                         passing_successes=node.passing_successes)

    def _estimator(self, node: Node) -> Estimator:
        exact = node.exact is not None
        fixed = self.estimator == "fixed_n" and not self.stopped_by_budget and node not in self._revisited
        return "fixed_n" if exact or fixed else "sequential"

    def _q(self, node: Node, level: float | None = None) -> tuple[float | None, Interval]:
        """Q of a node and its interval, on the best-of-K scale where the settings ask for it."""
        if node.exact is not None:
            return node.exact, (node.exact, node.exact)
        k, estimator = self.settings.best_of, self._estimator(node)
        low, high = q_interval(node.successes, node.rollouts, estimator, level or self.settings.level)
        if node.rollouts == 0:
            q = None
        elif k == 1:
            q = q_fixed(node.successes, node.rollouts)
        elif estimator == "sequential":
            q = 1 - (1 - q_fixed(node.successes, node.rollouts)) ** k
        else:
            q = best_of_k(node.successes, node.rollouts, k) if node.rollouts >= k else None
        return q, (1 - (1 - low) ** k, 1 - (1 - high) ** k)
