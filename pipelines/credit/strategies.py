"""Three plain strategies. Their Q are raw ratios of counts, their pits follow from these by a rule.

`exhaustive` makes n rollouts at every step of every solution. `scan` reads a negative from left to right, leaves a
step at its first success, and takes the first step with n failures for the pit. `bisect` takes the same test to the
middle of what is left; it assumes that no value recovers after the pit, and misses pits where one does.
"""

from itertools import islice

from stepforge.pipelines.credit.base import Search
from stepforge.pipelines.credit.tree import Node


class Exhaustive(Search):
    """n rollouts at every node; the number is fixed, so estimates are unbiased."""

    estimator = "fixed_n"

    def choose(self, limit: int) -> list[Node]:
        wanted = (node for node in self.tree.nodes for _ in range(self.wants(node)))
        return list(islice(wanted, limit))
