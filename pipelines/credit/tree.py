"""The solutions of one problem as a tree of prefixes, with a count of rollout outcomes at every node.

In: solutions cut into steps, their verdicts, and the base samples of the bare problem. Out: nodes that strategies
choose from. Solutions whose first steps have the same text share these nodes and their rollouts: the value of a prefix
does not depend on what was written after it. A solution's last step is a node of its own whose Q is its verdict. A
rollout that passes through a longer prefix may count there, too: from there on it is one more rollout of that prefix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepforge.pipelines.credit.evidence import SOURCES, Source

Outcome = Literal["success", "failure", "excluded"]
BARE = -1     # the step index of the bare problem, before any step


@dataclass(frozen=True, order=True)
class Ask:
    """One rollout wanted: continue `solution_id` after `step_index` (-1 = the bare problem); `index` counts from 0."""

    solution_id: str
    step_index: int
    index: int


@dataclass(frozen=True)
class Solution:
    """One finished solution.

    `step_tokens` (tokens of each step) and `prompt_tokens` give what a rollout costs, else characters do (those of the
    prompt then, too). `first_errors`: the first wrong
    step, from 0, that each source of evidence names, None where it read the solution and names none. `computations`:
    of each step, what the solution computes up to there; steps alike in it, and so before, are wordings of each other.
    """

    solution_id: str
    steps: tuple[str, ...]
    correct: bool
    step_tokens: tuple[int, ...] | None = None
    first_errors: Mapping[Source, int | None] = field(default_factory=dict)
    prompt_tokens: int = 0
    computations: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError(f"solution {self.solution_id!r} has no steps; split it into at least one")
        if self.step_tokens is not None and len(self.step_tokens) != len(self.steps):
            raise ValueError(f"solution {self.solution_id!r} has {len(self.steps)} steps and {len(self.step_tokens)} "
                             "token counts; give one count for every step")
        if self.computations is not None and len(self.computations) != len(self.steps):
            raise ValueError(f"solution {self.solution_id!r} has {len(self.steps)} steps and {len(self.computations)} "
                             "computations; give one for every step")
        for source, step in self.first_errors.items():
            if source not in SOURCES or (step is not None and not 0 <= step < len(self.steps)):
                raise ValueError(f"solution {self.solution_id!r}: {source!r} names step {step} of {len(self.steps)}; "
                                 f"allowed: {', '.join(SOURCES)}, and a step from 0 to {len(self.steps) - 1} or None")

    def cost_after(self, step_index: int, read_cost: float = 0.0) -> float:
        """Expected cost of one rollout after a step, in tokens that it writes: as many as the solution itself still
        had to write, and those that it reads (`prompt_tokens` and the steps so far) at `read_cost` each."""
        sizes = self.step_tokens or [len(step) for step in self.steps]
        read = self.prompt_tokens + sum(sizes[:step_index + 1])
        return max(1, sum(sizes[step_index + 1:])) + read_cost * read


@dataclass(eq=False)
class Node:
    """One prefix. `exact` is its Q where that is known without rollouts; `asked` counts indexes handed out."""

    solution_id: str
    step_index: int
    cost: float
    exact: float | None = None
    rollouts: int = 0      # valid outcomes, base samples and passing rollouts included
    successes: int = 0
    passing: int = 0       # those of the outcomes whose rollout began earlier and passed through here
    passing_successes: int = 0
    excluded: int = 0
    asked: int = 0
    answered: int = 0      # outcomes of asks, excluded ones included
    written: float = 0.0   # by its rollouts (neither base samples nor excluded ones), in the units of costs

    @property
    def pending(self) -> int:
        return self.asked - self.answered

    def next_ask(self) -> Ask:
        self.asked += 1
        return Ask(self.solution_id, self.step_index, self.asked - 1)

    def record(self, outcome: Outcome, written: float = 0.0) -> None:
        self.answered += 1
        self.written += written * (outcome != "excluded")
        self.excluded += outcome == "excluded"
        self.rollouts += outcome != "excluded"
        self.successes += outcome == "success"

    def record_passing(self, outcome: Outcome) -> None:
        """A valid outcome of a rollout that began earlier."""
        self.rollouts += 1
        self.passing += 1
        self.successes += outcome == "success"
        self.passing_successes += outcome == "success"


class Tree:
    """All nodes in a fixed order, and for every solution its path: the bare problem, then one node for each step."""

    def __init__(self, solutions: Sequence[Solution], base_successes: int = 0, base_rollouts: int = 0,
                 read_cost: float = 0.0) -> None:
        if not solutions:
            raise ValueError("a search needs at least one solution; leave problems without any out")
        if not 0 <= base_successes <= base_rollouts:
            raise ValueError(f"{base_successes} successes of {base_rollouts} base samples; "
                             "allowed: 0 <= successes <= samples")
        self.solutions = {s.solution_id: s for s in solutions}
        if len(self.solutions) != len(solutions):
            raise ValueError(f"{len(solutions)} solutions carry {len(self.solutions)} ids; an id may stand only once")
        first, self.read_cost = solutions[0], read_cost
        self.bare = Node(first.solution_id, BARE, first.cost_after(BARE, read_cost))
        self.bare.rollouts, self.bare.successes = base_rollouts, base_successes
        self.nodes = [self.bare]
        self.paths: dict[str, list[Node]] = {}
        self.owners: dict[tuple[str, int], Node] = {(first.solution_id, BARE): self.bare}
        self.prefixes: dict[str, Node] = {}     # by text, without the bare problem and finished solutions
        for solution in solutions:
            self.paths[solution.solution_id] = self._add(solution)

    def _add(self, solution: Solution) -> list[Node]:
        path, prefix, last = [self.bare], "", len(solution.steps) - 1
        for i, step in enumerate(solution.steps):
            prefix += step
            node = None if i == last else self.prefixes.get(prefix)
            if node is None:
                node = Node(solution.solution_id, i, solution.cost_after(i, self.read_cost))
                self.nodes.append(node)
                self.owners[solution.solution_id, i] = node
                if i == last:
                    node.exact = float(solution.correct)
                else:
                    self.prefixes[prefix] = node
            path.append(node)
        return path
