"""Worlds of _world.py in which rollouts pass through longer prefixes of solutions.

After each prefix the policy has one favoured next step: it writes this very text with a probability drawn from a Beta
law, whose moves and end are those of the world; any other text is written once only. A solution that takes favoured
steps shares its prefixes with rollouts and other solutions that do. Out: problems whose solutions are draws of the
world's writer (which takes a favoured step as often as the policy, and moves by its own matrix elsewhere), the exact Q
of each prefix, by recursion over its favoured and its other steps, and with each recorded rollout the prefixes that it
passes. Favoured steps that no solution took have no favoured step behind them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from _world import BASE, ROLLOUTS, TOKENS, Array, Bools, Ints, Problem, World

from stepforge.pipelines.credit.search import Ask, Solution


@dataclass
class Prefix:
    """A text: its state after `t` steps, and its favoured next step with the probability that the policy writes it."""

    t: int
    state: int
    text: str
    chance: float
    next_state: int
    next_over: bool
    next_right: bool
    child: "Prefix | None" = None     # after the favoured step, once a solution took it

    @classmethod
    def draw(cls, world: World, t: int, state: int, text: str, law: tuple[float, float], rng: np.random.Generator
             ) -> "Prefix":
        after = _move(world.policy, state, rng)
        return cls(t, state, text, float(rng.beta(*law)), after, rng.random() < world.ends[t],
                   rng.random() < world.right[after])

    def q(self, world: World, table: Array) -> float:
        """P(right) of a rollout from here."""
        end = world.ends[self.t]
        others = float(world.policy[self.state] @ (end * world.right + (1 - end) * table[self.t + 1]))
        if self.next_over:
            favoured = float(self.next_right)
        elif self.child is not None:
            favoured = self.child.q(world, table)
        else:
            favoured = float(table[self.t + 1, self.next_state])
        return self.chance * favoured + (1 - self.chance) * others

    def after(self) -> "Iterator[Prefix]":
        """The favoured prefixes behind it that solutions took, in their order."""
        if self.child is not None:
            yield self.child
            yield from self.child.after()

    def roll_out(self, world: World, n: int, rng: np.random.Generator) -> tuple[Bools, Ints, Ints]:
        """[n] right or not, number of steps at the end, and how many prefixes of solutions were passed."""
        right, steps, passed = np.zeros(n, bool), np.full(n, self.t + 1), np.zeros(n, int)
        favoured = rng.random(n) < self.chance
        _, steps[~favoured], right[~favoured] = _walk(world, self.state, self.t, int((~favoured).sum()), rng)
        if self.next_over:
            right[favoured] = self.next_right
        elif self.child is None:
            _, steps[favoured], right[favoured] = _walk(world, self.next_state, self.t + 1, int(favoured.sum()), rng)
        elif favoured.any():
            right[favoured], steps[favoured], further = self.child.roll_out(world, int(favoured.sum()), rng)
            passed[favoured] = further + 1
        return right, steps, passed


@dataclass
class Passing(Problem):
    """A problem that knows what its rollouts pass."""

    passed: list[Ints] = field(default_factory=list)     # for each solution [steps, ROLLOUTS], row 0 = bare
    behind: list[list[list[str]]] = field(default_factory=list)     # [steps] texts of the favoured prefixes after each

    def passes(self, ask: Ask) -> list[str]:
        """Texts of the prefixes that a rollout passes."""
        b, row = int(ask.solution_id), ask.step_index + 1
        return self.behind[b][row][:int(self.passed[b][row, ask.index])]


def draw_passing(world: World, problems: int, negatives: int, seed: int, law: tuple[float, float]) -> list[Passing]:
    """Problems start in any live state alike; chances of favoured steps follow Beta(*law)."""
    rng, table = np.random.default_rng(seed), world.q()
    drawn = (_problem(world, table, int(start), negatives, law, rng)
             for start in rng.integers(1, len(world.right), problems))
    return [problem for problem in drawn if problem is not None]


def _problem(world: World, table: Array, start: int, wanted: int, law: tuple[float, float], rng: np.random.Generator
             ) -> Passing | None:
    root, paths, ends = Prefix.draw(world, 0, start, "", law, rng), list[list[Prefix]](), set[str]()
    for number in range(20 * wanted):
        path, end, right = _write(world, root, number, law, rng)
        if not right and end not in ends:
            ends.add(end)
            paths.append(path)
        if len(paths) == wanted:
            break
    if not paths:
        return None
    rolled = {prefix.text: prefix.roll_out(world, ROLLOUTS, rng) for path in paths for prefix in path}
    rows = [[rolled[prefix.text] for prefix in path] for path in paths]
    solutions = []
    for b, path in enumerate(paths):
        steps = [after.text[len(before.text):] for before, after in pairwise(path)]
        solutions.append(Solution(str(b), (*steps, f"end {b}"), False, (TOKENS,) * len(path)))
    return Passing(
        solutions, [np.array([*(prefix.q(world, table) for prefix in path), 0.0]) for path in paths],
        int(rng.binomial(BASE, root.q(world, table))), [np.array([right for right, _, _ in each]) for each in rows],
        [np.array([(steps - t) * TOKENS for t, (_, steps, _) in enumerate(each)]) for each in rows], eps=world.eps,
        passed=[np.array([passed for _, _, passed in each]) for each in rows],
        behind=[[[after.text for after in prefix.after()] for prefix in path] for path in paths])


def _write(world: World, root: Prefix, number: int, law: tuple[float, float], rng: np.random.Generator
           ) -> tuple[list[Prefix], str, bool]:
    """A solution of the writer: its prefixes, its whole text, its verdict."""
    path, at = [root], root
    while True:
        favoured = rng.random() < at.chance
        if favoured:
            state, over, right, text = at.next_state, at.next_over, at.next_right, f"{at.text}favoured\n"
        else:
            state = _move(world.writer, at.state, rng)
            over, right = bool(rng.random() < world.ends[at.t]), bool(rng.random() < world.right[state])
            text = f"{at.text}{number}.{at.t}\n"
        if over:
            return path, text, right
        after = at.child if favoured else None
        if after is None:
            after = Prefix.draw(world, at.t + 1, state, text, law, rng)
            at.child = after if favoured else at.child
        at = after
        path.append(at)


def _move(moves: Array, state: int, rng: np.random.Generator) -> int:
    return min(int((rng.random() > moves[state].cumsum()).sum()), len(moves) - 1)


def _walk(world: World, state: int, t: int, n: int, rng: np.random.Generator) -> tuple[Ints, Ints, Bools]:
    return world.walk(world.policy, np.full(n, state), np.full(n, t), rng)
