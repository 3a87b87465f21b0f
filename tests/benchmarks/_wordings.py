"""Worlds of _world.py whose solutions of one problem are wordings of fewer computations.

Solutions are written in turn. One that computed the same so far as earlier ones takes the next step, and its end, from
one of these with probability COPIES, else it continues by itself; so every one is still a draw of the world's writer.
Those that end after the same computations are one solution: the first stays. Out: problems with the `computations` of
each solution, where `spread` sets wordings apart: the Q of each prefix is moved on the scale of log odds by a normal
draw of its own, with a standard deviation of about `spread` in Q at Q = 1/2. Outcomes of rollouts follow it exactly.
"""

from dataclasses import dataclass, replace

import numpy as np
from _world import BASE, ROLLOUTS, TOKENS, Array, Bools, Problem, World

from stepforge.pipelines.credit.search import Solution

COPIES = 0.88     # then a quarter to a third of the unfinished steps repeat a computation, as on real samples


@dataclass
class Written:
    """A solution: the state before any step and after each; the names of what is computed up to there; its verdict."""

    states: list[int]
    names: list[int]
    right: bool = False


def draw_wordings(world: World, problems: int, negatives: int, seed: int, spread: float) -> list[Problem]:
    """Problems start in any live state alike."""
    rng, q = np.random.default_rng(seed), world.q()
    drawn = (_problem(world, q, _negatives(world, int(start), negatives, rng), spread, rng)
             for start in rng.integers(1, len(world.right), problems))
    return [problem for problem in drawn if problem is not None]


def repeated(problems: list[Problem]) -> float:
    """Share of the unfinished steps that repeat the computations of another solution."""
    names = [[name for s in p.solutions if s.computations for name in s.computations[:-1]] for p in problems]
    return 1 - sum(len(set(each)) for each in names) / sum(map(len, names))


def _negatives(world: World, start: int, wanted: int, rng: np.random.Generator) -> list[Written]:
    written: list[Written] = []
    wrong: dict[int, Written] = {}
    while len(wrong) < wanted and len(written) < 20 * wanted:
        new = _write(world, start, written, rng)
        written.append(new)
        if not new.right:
            wrong.setdefault(new.names[-1], new)
    return list(wrong.values())


def _write(world: World, start: int, before: list[Written], rng: np.random.Generator) -> Written:
    new, moves, fresh = Written([start], [0]), world.writer.cumsum(1), sum(len(each.names) for each in before)
    while True:
        t = len(new.names) - 1
        alike = [each for each in before if len(each.names) > t + 1 and each.names[t] == new.names[t]]
        if alike and rng.random() < COPIES:
            model = alike[rng.integers(len(alike))]
            state, name = model.states[t + 1], model.names[t + 1]
            over, new.right = len(model.names) == t + 2, model.right
        else:
            state = min(int((rng.random() > moves[new.states[-1]]).sum()), len(world.right) - 1)
            name, over, new.right = fresh + t + 1, rng.random() < world.ends[t], rng.random() < world.right[state]
        new.states.append(state)
        new.names.append(name)
        if over:
            return new


def _problem(world: World, q: Array, written: list[Written], spread: float, rng: np.random.Generator
             ) -> Problem | None:
    if not written:
        return None
    length = [len(each.names) - 1 for each in written]
    state = np.concatenate([each.states[:-1] for each in written])
    t = np.concatenate([np.arange(steps) for steps in length])
    _, ends, right = world.walk(world.policy, np.repeat(state, ROLLOUTS), np.repeat(t, ROLLOUTS), rng)
    common = q[t, state]
    moved = np.where(t > 0, 4 * spread * rng.normal(size=len(t)), 0)          # the bare problem has one wording
    own = common * np.exp(moved) / (1 - common + common * np.exp(moved))
    right, cuts = _moved(right.reshape(-1, ROLLOUTS), common[:, None], own[:, None], rng), np.cumsum(length)[:-1]
    return Problem(
        [Solution(str(b), tuple(f"{b}.{step}\n" for step in range(len(each.names) - 1)), False,
                  (TOKENS,) * (len(each.names) - 1), computations=tuple(map(str, each.names[1:])))
         for b, each in enumerate(written)],
        [np.append(part, 0.0) for part in np.split(own, cuts)],
        int(rng.binomial(BASE, q[0, written[0].states[0]])),
        np.split(right, cuts),
        np.split((ends.reshape(-1, ROLLOUTS) - t[:, None]) * TOKENS, cuts))


def _moved(right: Bools, before: Array, after: Array, rng: np.random.Generator) -> Bools:
    """Outcomes that are right with probability `after`, from outcomes that are with `before`."""
    draw = rng.random(right.shape)
    won, lost = right & (draw < after / np.maximum(before, 1e-12)), right | (
        draw < (after - before) / np.maximum(1 - before, 1e-12))
    return np.where(after > before, lost, won)


def in_text_alone(problem: Problem) -> Problem:
    """The same problem to a search that does not know what solutions compute."""
    return replace(problem, solutions=[replace(solution, computations=None) for solution in problem.solutions])
