"""The adaptive search: every rollout goes where it is expected to decide most per token.

Rule. Counts of all steps of all solutions are read together through the chain model (chain.py). For each step it tells
what one more outcome there is worth: information on where the first pit is (nats), plus `value_weight` times the
expected drop in the variances of its solution's advantages, weighted (worth.py). A step shared by several solutions is
worth the sum. The search takes the steps with the highest worth per expected token over all solutions, in rounds: at
most one for each solution, and only those that reach half of the highest price; rollouts that are already in the batch
count as their expected outcome. It ends when no rollout is worth `min_gain` per tokens of a whole solution of typical
length, or at the token budget. A negative whose pit is as probable as `confidence` has nothing left to tell about it.

Guarantees. Which step comes next depends on past outcomes only, so confidence sequences cover every Q whatever the
model believes (advantages.py). The model decides where tokens go and which step is named the pit: a wrong model costs
accuracy, never the honesty of counts and intervals. Greedy choice is within a factor 1 - 1/e of the best policy only
where gains diminish (adaptive submodularity: Golovin and Krause 2011, section 5), which information on a chain does
not always do; no such bound is claimed here, the exact benchmark measures what it is worth.

It builds on sequential design by expected information (Lindley 1956) and on hidden Markov models (Rabiner 1989).
"""

from collections.abc import Sequence

import numpy as np

from stepforge.pipelines.credit.advantages import StepValue
from stepforge.pipelines.credit.base import Search, SearchSettings
from stepforge.pipelines.credit.chain import Chain, Counts, Posterior
from stepforge.pipelines.credit.evidence import Array, flags_of
from stepforge.pipelines.credit.intervals import Summary, summary
from stepforge.pipelines.credit.lengths import Seen, expected_length
from stepforge.pipelines.credit.tree import BARE, Node, Solution
from stepforge.pipelines.credit.wordings import Places
from stepforge.pipelines.credit.worth import pit_information, value_information

SHARE = 0.5     # of the highest price; with 0 (one for each solution in turn) pits cost an eighth more tokens


class Adaptive(Search):
    """Expected information per token under a chain model; at most 4 x `rollouts` at one step."""

    def __init__(self, solutions: Sequence[Solution], settings: SearchSettings, base_successes: int = 0,
                 base_rollouts: int = 0, chain: Chain | None = None) -> None:
        super().__init__(solutions, settings, base_successes, base_rollouts)
        self.chain = chain or Chain.default(pit_threshold(settings))
        self.history: list[Counts] = []     # what was known before each batch
        self.price = float("inf")     # worth per solution length of the best rollout when `choose` last looked
        number = {id(node): i for i, node in enumerate(self.tree.nodes)}
        paths = [[number[id(node)] for node in path] for path in self.tree.paths.values()]
        width = max(map(len, paths))
        self._place = np.array([path + [-1] * (width - len(path)) for path in paths])     # [B, N], -1 = padding
        self._computation = self._numbered_computations()
        self._last = np.array([len(path) - 1 for path in paths])
        self._correct = np.array([s.correct for s in self.tree.solutions.values()])
        self._flags = flags_of(paths, [s.first_errors for s in self.tree.solutions.values()])
        whole = {name: solution.cost_after(BARE) for name, solution in self.tree.solutions.items()}
        self._typical = settings.typical_length or float(np.mean(list(whole.values())))
        self._rest = np.array([self.tree.solutions[node.solution_id].cost_after(node.step_index)
                               for node in self.tree.nodes])
        self._before = np.array([whole[node.solution_id] for node in self.tree.nodes]) - self._rest
        self._cost = self._costs()

    def choose(self, limit: int) -> list[Node]:
        pending = np.zeros(len(self.tree.nodes), int)
        expected = np.zeros(len(self.tree.nodes))
        chosen: list[Node] = []
        while len(chosen) < limit:
            price, q = self._prices(pending, expected)
            if not chosen:
                self.price = float(price.max())
            picked = self._dearest(price, limit - len(chosen))
            if not picked:
                break
            for i in picked:
                pending[i] += 1
                expected[i] += q[i]
                chosen.append(self.tree.nodes[i])
        if chosen:
            self.history.append(self.evidence())
        return chosen

    def learn(self, chain: Chain) -> None:
        """Go on under another model; what was found out stays."""
        self.chain, self.done = chain, False
        self._cost = self._costs()

    def evidence(self) -> Counts:
        """Counts along all paths so far, to fit a model to."""
        zeros = np.zeros(len(self.tree.nodes))
        return self._counts(zeros, zeros)

    def lengths(self) -> list[Seen]:
        """How long the rollouts so far got, after the step they began from; base samples are not among them."""
        return [Seen(float(rest), float(before), node.rollouts - node.passing, node.written) for node, rest, before
                in zip(self.tree.nodes[1:], self._rest[1:], self._before[1:], strict=True) if node.rollouts]

    def beliefs(self) -> Posterior:
        """Posteriors of all solutions, in the order in which they were given."""
        return self.chain.beliefs(self.evidence())

    def values(self) -> dict[str, list[StepValue]]:
        evidence = self.evidence()
        pits = self.chain.beliefs(evidence).pit
        believed = summary(self.chain, evidence, self.settings.level, self.settings.best_of)
        values = super().values()
        for b, (solution_id, steps) in enumerate(values.items()):
            believed_here = Summary(*(part[b, 1:len(steps) + 1] for part in believed))
            values[solution_id] = self._with_model(steps, believed_here, pits[b, 1:len(steps) + 1],
                                                   self.tree.solutions[solution_id].correct)
        return values

    def _costs(self) -> Array:
        """What a rollout after each node is expected to cost, in typical solutions: what it writes and reads."""
        reads = np.array([node.cost for node in self.tree.nodes]) - self._rest
        return (expected_length(self.chain.lengths, self._rest, self._before, self._typical) + reads) / self._typical

    def _prices(self, pending: Array, expected: Array) -> tuple[Array, Array]:
        """Worth per cost of one more rollout at every node (0 where none may be made), and the belief of its Q."""
        worths, beliefs = self._worth_of(self._counts(pending, expected))
        inside = self._place >= 0
        worth, q = np.zeros(len(self.tree.nodes)), np.zeros(len(self.tree.nodes))
        np.add.at(worth, self._place[inside], worths[inside])
        q[self._place[inside]] = beliefs.q[inside]
        if self._shares:
            of_all, alike, state = np.zeros((3, len(self.tree.nodes)))
            np.add.at(of_all, self._state[inside], worths[inside])
            alike[self._place[inside]], state[self._place[inside]] = beliefs.alike[inside], self._state[inside]
            worth += alike ** 2 * (of_all[state.astype(int)] - worth)      # of what others learn, only what is common
        free = np.array([self.wants(node, 4 * self.settings.rollouts) for node in self.tree.nodes]) > pending
        return np.where(free, worth / self._cost, 0.0), q

    def _numbered_computations(self) -> Places | None:
        """[B, N] number of what each node computes, the same after the same; none where a solution does not say it."""
        numbers, of_node = dict[tuple[int, str], int](), {0: 0}
        computations = self._place.copy()
        for path, row, solution in zip(self._place, computations, self.tree.solutions.values(), strict=True):
            if solution.computations is None:
                return None
            last = len(solution.steps)
            for i, name in enumerate(solution.computations, 1):
                if path[i] not in of_node:          # a text has one number, however it is cut into steps
                    key = (int(row[i - 1]), f"end {path[i]}" if i == last else f"after {name}")
                    of_node[path[i]] = numbers.setdefault(key, len(numbers) + 1)
                row[i] = of_node[path[i]]
        return computations

    def _worth_of(self, counts: Counts) -> tuple[Array, Posterior]:
        """[B, N] worth of one more rollout, and the beliefs."""
        weight, seek = self.settings.value_weight, self.settings.pit != "largest_drop" and self.settings.confidence > 0
        beliefs = self.chain.beliefs(counts, pits=seek, products=weight > 0)
        worth = np.zeros(beliefs.q.shape)
        if weight > 0:
            worth += weight * value_information(beliefs, counts.last)
        if seek:
            settled = counts.correct | (beliefs.pit.max(1) >= self.settings.confidence)
            worth += np.where(settled[:, None], 0, pit_information(beliefs))
        return worth, beliefs

    def _dearest(self, price: Array, limit: int) -> list[int]:
        """Nodes by falling price, as long as they pay, reach a share of the highest price, and no solution of theirs
        was served in this round."""
        picked: list[int] = []
        served = np.zeros(len(self._place), bool)
        for i in np.argsort(-price, kind="stable"):
            if len(picked) == limit or price[i] <= max(self.settings.min_gain, SHARE * price.max()):
                break
            touched = (self._state == self._state[self._place == i][0]).any(1)
            if not (touched & served).any():
                picked.append(int(i))
                served |= touched
        return picked

    def _counts(self, pending: Array, expected: Array) -> Counts:
        """Evidence along all paths, rollouts of the coming batch taken for their expected outcomes."""
        successes = np.array([node.successes for node in self.tree.nodes]) + expected
        failures = np.array([node.rollouts - node.successes for node in self.tree.nodes]) + pending - expected
        inside = self._place >= 0
        return Counts(np.where(inside, successes[self._place], 0), np.where(inside, failures[self._place], 0),
                      self._last, self._correct, self._place, self._flags, self._computation)

    @property
    def _shares(self) -> bool:
        return self.chain.spread is not None and self._computation is not None

    @property
    def _state(self) -> Places:
        return self._computation if self._shares and self._computation is not None else self._place

    def _with_model(self, values: list[StepValue], believed: Summary, pit: Array, correct: bool) -> list[StepValue]:
        largest_drop = self.settings.pit == "largest_drop"
        at = int(believed.advantage[:, 0].argmin() if largest_drop else pit.argmax())
        return [value._replace(
            q_model=float(q), q_model_low=float(q_low), q_model_high=float(q_high), advantage_model=float(a),
            advantage_model_low=float(a_low), advantage_model_high=float(a_high), pit_probability=float(probability),
            is_pit=not correct and i == at)
            for i, (value, (q, q_low, q_high), (a, a_low, a_high), probability)
            in enumerate(zip(values, believed.q, believed.advantage, pit, strict=True))]


def pit_threshold(settings: SearchSettings) -> float:
    """Which Q of the plain policy is a pit. `argmin_q` of a negative, whose lowest value is its verdict 0: eps,
    through the best-of-k scale. `zero_success`: n rollouts more likely than not all fail. `largest_drop`: none."""
    if settings.pit == "zero_success":
        return float(1 - 0.5 ** (1 / settings.rollouts))
    return float(1 - (1 - settings.eps) ** (1 / settings.best_of))
