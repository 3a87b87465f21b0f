"""Three plain strategies. Their Q are raw ratios of counts, their pits follow from these by a rule.

`exhaustive` makes n rollouts at every step of every solution. `scan` reads a negative from left to right, leaves a
step at its first success, and takes the first step with n failures for the pit. `bisect` takes the same test to the
middle of what is left; it assumes that no value recovers after the pit, and misses pits where one does.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice

from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.base import Search
from stepforge.pipelines.credit.tree import Node


class Exhaustive(Search):
    """n rollouts at every node; the number is fixed, so estimates are unbiased.

    Where passing rollouts count, a node waits for those before it, and then lacks fewer rollouts of its own. How many
    come by depends on no outcome from there on, so n outcomes are as fair as n of its own.
    """

    estimator = "fixed_n"

    def choose(self, limit: int) -> list[Node]:
        nodes: Iterable[Node] = self.tree.nodes
        if self.settings.passing:
            first = (next(filter(self.wants, path), None) for path in self.tree.paths.values())
            nodes = dict.fromkeys(node for node in first if node is not None)
        wanted = (node for node in nodes for _ in range(self.wants(node)))
        return list(islice(wanted, limit))


class FirstSuccess(Search):
    """Tests a step by rollouts until one succeeds ("alive") or n have failed ("lost"). Negatives only.

    A batch asks for as many at once as its limit allows: a large one goes beyond the first success, which costs tokens
    (2.5 times as many for `scan`, 8 rollouts a step, 8 solutions and batches of 64) and saves rounds.
    The bare problem is left to the base samples; correct solutions have no pit and get no rollouts.
    """

    def choose(self, limit: int) -> list[Node]:
        nodes: list[Node] = []
        for solution_id, path in self.tree.paths.items():
            node = None if self.tree.solutions[solution_id].correct else self.next_test(path)
            if node is not None and node not in nodes:
                nodes.append(node)
        spread = (node for i in range(self.settings.rollouts) for node in nodes if i < self.wants(node))
        return list(islice(spread, limit))

    def lost(self, node: Node) -> bool | None:
        """Whether the node is in the pit; None while that is open."""
        if node.exact is not None:
            return node.exact == 0
        if node.successes:
            return False
        return True if node.rollouts >= self.settings.rollouts else None

    @abstractmethod
    def next_test(self, path: list[Node]) -> Node | None:
        """The node whose test decides next, none when the pit is found."""

    @abstractmethod
    def pit_node(self, path: list[Node]) -> int | None:
        """The place of the pit on the path, none while it is not found."""

    def pit(self, solution_id: str, values: Sequence[StepValue]) -> int | None:
        at = self.pit_node(self.tree.paths[solution_id])
        return None if at is None else at - 1


class Scan(FirstSuccess):
    """Left to right up to the first lost step."""

    def next_test(self, path: list[Node]) -> Node | None:
        undecided = next((node for node in path[1:] if self.lost(node) is not False), None)
        return undecided if undecided is not None and self.lost(undecided) is None else None

    def pit_node(self, path: list[Node]) -> int | None:
        first = next(i for i, node in enumerate(path) if i and self.lost(node) is not False)
        return first if self.lost(path[first]) else None


class Bisect(FirstSuccess):
    """Halves the range in which the first lost step must lie if no value recovers."""

    def next_test(self, path: list[Node]) -> Node | None:
        low, high = self._range(path)
        return path[(low + high) // 2] if high - low > 1 else None

    def pit_node(self, path: list[Node]) -> int | None:
        low, high = self._range(path)
        return high if high - low == 1 else None

    def _range(self, path: list[Node]) -> tuple[int, int]:
        """(alive, lost) places on the path, as far as the tests along the bisection are decided."""
        low, high = 0, len(path) - 1
        while high - low > 1:
            middle = (low + high) // 2
            lost = self.lost(path[middle])
            if lost is None:
                break
            low, high = (low, middle) if lost else (middle, high)
        return low, high
