"""Simulated policies over a Markov process of solutions, in which every Q is known in closed form.

A solution has a state after each step: lost, or one of several live ones. One matrix moves it, it ends after step t
with probability `ends[t]`, and it is right with a probability that its last state fixes. So Q of a state after t steps
follows backwards from the last possible step, exactly:

    Q[t] = moves @ (ends[t] * right + (1 - ends[t]) * Q[t + 1])

Out: problems with their negatives (drawn until enough are wrong), the exact Q of every step, and for every step a row
of rollouts, each of them walked step by step with its outcome and tokens, so that all strategies meet the same ones.
`judged` adds a judge that reads each solution in order: it calls the pit wrong at the rate of its sensitivity, another
step at one minus its specificity, and stops there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stepforge.pipelines.credit.search import Ask, Outcome, Solution

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
ENDS = np.array([0, 0, 0, .05, .10, .15, .20, .25, .30, .35, .40, .50, .60, 1])     # 8 steps on average
TOKENS = 25                  # of a step
BASE, ROLLOUTS = 16, 128     # base samples of a problem; recorded rollouts of a step
EPS = 0.05
READ = 1.5                   # what a judge's read costs, in lengths of the solution


@dataclass(frozen=True)
class World:
    """The rollout policy's moves, the moves of whoever wrote the solutions, and P(right) of a final state."""

    policy: Array
    writer: Array
    right: Array
    ends: Array = field(default_factory=lambda: ENDS)     # [steps] P(a solution ends after its t-th step)
    eps: float = EPS                                      # tolerance of its pits; below every live Q at the start

    def q(self) -> Array:
        """[steps + 1, states] value of each state after t steps, under the policy."""
        q = np.zeros((len(self.ends) + 1, len(self.right)))
        for t in range(len(self.ends) - 1, -1, -1):
            q[t] = self.policy @ (self.ends[t] * self.right + (1 - self.ends[t]) * q[t + 1])
        return q

    def walk(self, moves: Array, state: Ints, t: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Bools]:
        """Continue from states after t steps. States [n, steps] (-1 where none), number of steps, right or not."""
        n, cumulative = len(state), moves.cumsum(1)
        states, length, right = np.full((n, len(self.ends)), -1), np.zeros(n, int), np.zeros(n, bool)
        on, state, t = np.arange(n), state.copy(), t.copy()
        while len(on):
            state = np.minimum((rng.random((len(on), 1)) > cumulative[state]).sum(1), len(self.right) - 1)
            states[on, t] = state
            over = rng.random(len(on)) < self.ends[t]
            length[on[over]] = t[over] + 1
            right[on[over]] = rng.random(over.sum()) < self.right[state[over]]
            on, state, t = on[~over], state[~over], t[~over] + 1
        return states, length, right


@dataclass
class Problem:
    """Negatives of one problem; q[b][i] is exact after i steps of solution b (0 = bare), the last one 0."""

    solutions: list[Solution]
    q: list[Array]
    base_successes: int
    outcomes: list[Bools]     # for each solution [steps, ROLLOUTS], row 0 = the bare problem
    tokens: list[Ints]
    read_tokens: float = 0.0     # what a judge cost
    eps: float = EPS             # tolerance of the pits

    def rollout(self, ask: Ask) -> tuple[Outcome, int]:
        b, row = int(ask.solution_id), ask.step_index + 1
        return "success" if self.outcomes[b][row, ask.index] else "failure", int(self.tokens[b][row, ask.index])

    def passes(self, ask: Ask) -> list[str]:
        """Texts of the longer prefixes that a rollout passes: none here."""
        return []


def draw(world: World, problems: int, negatives: int, seed: int, base_rate: float | None = None) -> list[Problem]:
    """Problems start in any live state alike, or all in the one whose Q is nearest to `base_rate`; each has up to
    `negatives` wrong solutions by the writer."""
    rng, q, tries = np.random.default_rng(seed), world.q(), 20 * negatives
    starts = rng.integers(1, len(world.right), problems)
    if base_rate is not None:
        starts[:] = 1 + np.abs(q[0, 1:] - base_rate).argmin()
    states, length, right = world.walk(world.writer, np.repeat(starts, tries), np.zeros(problems * tries, int), rng)
    wrong = [k * tries + np.flatnonzero(~right[k * tries:(k + 1) * tries])[:negatives] for k in range(problems)]
    drawn = [_problem(world, q, int(start), states[w], length[w], rng)
             for start, w in zip(starts, wrong, strict=True) if len(w)]
    return drawn


def _problem(world: World, q: Array, start: int, states: Ints, length: Ints, rng: np.random.Generator) -> Problem:
    paths = [np.array([start, *path[:steps - 1]]) for path, steps in zip(states, length, strict=True)]
    state, t = np.concatenate(paths), np.concatenate([np.arange(len(path)) for path in paths])
    _, ends, right = world.walk(world.policy, np.repeat(state, ROLLOUTS), np.repeat(t, ROLLOUTS), rng)
    cuts = np.cumsum(length)[:-1]
    return Problem(
        [Solution(str(b), tuple(f"{b}.{t}\n" for t in range(steps)), False, (TOKENS,) * int(steps))
         for b, steps in enumerate(length)],
        [np.append(part, 0.0) for part in np.split(q[t, state], cuts)],
        int(rng.binomial(BASE, q[0, start])),
        np.split(right.reshape(-1, ROLLOUTS), cuts),
        np.split((ends.reshape(-1, ROLLOUTS) - t[:, None]) * TOKENS, cuts), eps=world.eps)


def hazards(drop: float, rise: float, recover: float, factor: float = 1.0) -> Array:
    """Live states differ in how often a step is fatal (0.5% to 35%, evenly in the logarithm); state 0 is lost."""
    fatal = np.minimum(0.9, factor * np.geomspace(0.35, 0.005, 12))
    return _moves(fatal, drop, rise, recover)


def ladder(drop: float, rise: float, recover: float, fatal: float) -> Array:
    """Live states differ in the chance to end right, nothing is certain until the last step."""
    return _moves(np.full(25, fatal), drop, rise, recover)


def _moves(fatal: Array, drop: float, rise: float, recover: float) -> Array:
    live = len(fatal)
    moves = np.zeros((live + 1, live + 1))
    moves[0, 0], moves[0, 1:] = 1 - recover, recover / live
    for state in range(1, live + 1):
        moves[state, 0] = fatal[state - 1]
        if state > 1:
            moves[state, 1:state] = (1 - fatal[state - 1]) * drop / (state - 1)
        if state < live:
            moves[state, state + 1:] = (1 - fatal[state - 1]) * rise / (live - state)
        moves[state, state] += 1 - moves[state].sum()
    return moves


def judged(problems: Sequence[Problem], sensitivity: float, specificity: float, seed: int) -> list[Problem]:
    """The same problems, each of their solutions read by a judge."""
    rng, problems_judged = np.random.default_rng(seed), []
    for problem in problems:
        solutions = []
        for solution, q in zip(problem.solutions, problem.q, strict=True):
            pit = exact_pit(q, problem.eps)
            rates = [sensitivity if step == pit else 1 - specificity for step in range(len(solution.steps))]
            named = next((step for step, rate in enumerate(rates) if rng.random() < rate), None)
            solutions.append(replace(solution, first_errors={"judge": named}))
        read = READ * sum(solution.cost_after(-1) for solution in solutions)
        problems_judged.append(replace(problem, solutions=solutions, read_tokens=read))
    return problems_judged


def exact_pit(q: Array, eps: float = EPS) -> int:
    """Step index of the first Q <= min Q + eps (q[0] is the bare problem)."""
    return int(np.argmax(q[1:] <= q[1:].min() + eps))


def recovers(q: Array, eps: float = EPS) -> bool:
    """Whether Q rises to twice the threshold after the first pit."""
    return bool((q[exact_pit(q, eps) + 1:] > 2 * eps).any())


_SURE = np.array([0.0] + [0.97] * 12)
_POLICY = hazards(drop=0.10, rise=0.10, recover=0.005)
_LONG = np.array([0.0] * 26 + [.15, .20, .30, .40, .50, 1])     # 29 steps on average
_SHORT = np.array([0, 0, .4, 1])
WORLDS = {
    "martingale": World(_POLICY, _POLICY, _SURE),
    "other_writer": World(_POLICY, hazards(drop=0.20, rise=0.15, recover=0.10, factor=1.5), _SURE),
    "recovers_often": World(_POLICY, hazards(drop=0.20, rise=0.15, recover=0.30, factor=1.5), _SURE),
    "short": World(*[hazards(drop=0.10, rise=0.10, recover=0.005, factor=2.0)] * 2, _SURE, _SHORT),
    "long": World(*[hazards(drop=0.10, rise=0.10, recover=0.002, factor=0.3)] * 2, _SURE, _LONG),
    "easy": World(*[hazards(drop=0.10, rise=0.10, recover=0.005, factor=0.25)] * 2, _SURE),
    "hard": World(*[hazards(drop=0.10, rise=0.10, recover=0.001, factor=1.5)] * 2, _SURE, eps=0.02),
    "open_end": World(*[ladder(drop=0.12, rise=0.10, recover=0.006, fatal=0.08)] * 2,
                      np.concatenate([[0.0], np.linspace(0.02, 0.98, 25)])),
}
